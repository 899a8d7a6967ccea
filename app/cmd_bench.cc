#include "app/cmd_bench.h"

#include <cstdio>
#include <ctime>

#include "app/bench_html.h"
#include "app/bench_report.h"
#include "app/bench_trial.h"
#include "base/format.h"
#include "base/text.h"
#include "tuner/random.h"
#include "tuner/schedule.h"

namespace lt::app {

namespace {

// The place in a document that is ours.
constexpr std::string_view mark_begin = "<!-- bench: begin -->\n";
constexpr std::string_view mark_end = "<!-- bench: end -->\n";

// A suite on its way into a journal.
class Bench {
 public:
  Bench(BenchSuite suite, const BenchOptions& options, BenchPrograms programs, const std::stop_token& stop)
      : suite_(std::move(suite)), options_(options), programs_(std::move(programs)), stop_(stop) {}

  Status open_journal() {
    const Json facts = bench_facts(programs_);
    if (options_.resume.empty()) {
      path_ = options_.journal.empty() ? format("linktune-bench-{}-{}.jsonl", suite_.name, std::time(nullptr)) : options_.journal;
      LT_TRY(file_, LineFile::create(path_));
      return file_->append(to_line(bench_header(facts)));
    }
    path_ = options_.resume;
    LT_TRY(contents_, read_bench_journal(path_));
    LT_CHECK(check_same_bench(contents_.facts, facts));
    LT_TRY(file_, LineFile::reopen(path_, contents_.bytes));
    return {};
  }

  Status run() {
    const unsigned rounds = options_.rounds.value_or(suite_.rounds);
    for (unsigned round = 0; round < rounds; ++round) {
      for (const BenchBlock& block : suite_.blocks) {
        if (contents_.holds(block.scene, round)) continue;
        if (!has_time_for(block)) return {};
        LT_CHECK(run_block(block, round));
      }
    }
    return {};
  }

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  [[nodiscard]] bool has_time_for(const BenchBlock& block) const {
    if (!options_.budget_seconds) return true;
    const double passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    if (passed + seconds_of(block) <= *options_.budget_seconds) return true;
    std::fprintf(stderr, "the budget ends here; go on with --resume %s\n", path_.c_str());
    return false;
  }

  Status run_block(const BenchBlock& block, unsigned round) {
    std::fprintf(stderr, "round %u: %s\n", round + 1, block.scene.text().c_str());
    LT_TRY(auto stage, BenchStage::build(options_.lab, block.scene, programs_));
    const std::uint64_t number = contents_.blocks++;
    for (const std::size_t index : tuner::block_order(tuner::derive_seed(options_.seed, number), round, block.rows.size())) {
      if (stop_.stop_requested()) return fail(Errc::interrupted, "interrupted; nothing is left behind, go on with --resume " + path_);
      BenchUnit unit{.block = number, .rows = block.rows.size(), .round = round, .scene = block.scene, .row = block.rows[index], .sample = {}};
      unit.unix_s = static_cast<std::uint64_t>(std::time(nullptr));
      measure(stage, unit);
      if (stop_.stop_requested()) return fail(Errc::interrupted, "interrupted; nothing is left behind, go on with --resume " + path_);
      LT_CHECK(file_->append(to_line(to_json(unit))));
    }
    return {};
  }

  static void measure(BenchStage& stage, BenchUnit& unit) {
    auto sample = stage.measure(unit.row);
    if (sample) {
      unit.sample = *sample;
    } else {
      unit.failure = printable(sample.error().text(), 300);
      unit.is_absent = sample.error().code == Errc::unsupported;
    }
    std::fprintf(stderr, "  %-34s %s\n", unit.row.label.c_str(), outcome_of(unit).c_str());
  }

  static std::string outcome_of(const BenchUnit& unit) {
    if (!unit.sample) return unit.failure;
    const BenchSample& sample = *unit.sample;
    if (sample.packets_per_s) return format("{:.0f} packets/s", *sample.packets_per_s);
    std::string text = format("{:.0f} Mbit/s, {:.2f} CPU s/GB", *sample.mbps, *sample.cpu_s_per_gb);
    if (sample.ping_loaded) text += format(", ping p99 {:.1f} ms", sample.ping_loaded->us_p99 / 1000);
    return text;
  }

  BenchSuite suite_;
  const BenchOptions& options_;
  BenchPrograms programs_;
  const std::stop_token& stop_;
  Instant begin_{std::chrono::steady_clock::now()};
  std::string path_;
  BenchJournalContents contents_;
  std::optional<LineFile> file_;
};

Result<BenchSuite> suite_of(const BenchOptions& options) {
  LT_TRY(BenchSuite suite, find_bench_suite(options.suite));
  LT_CHECK(narrow(suite, options.scenes, options.rows));
  for (BenchBlock& block : suite.blocks) {
    if (options.seconds) block.scene.seconds = *options.seconds;
  }
  return suite;
}

Result<BenchReport> report_of(const std::vector<std::string>& paths) {
  std::vector<BenchJournalContents> journals;
  for (const std::string& path : paths) {
    LT_TRY(auto contents, read_bench_journal(path));
    journals.push_back(std::move(contents));
  }
  return make_bench_report(journals);
}

// Replaces what stands between the marks.
Status put_into(const std::string& path, const std::string& tables) {
  LT_TRY(std::string text, read_file(path, 4 << 20));
  const auto begin = text.find(mark_begin);
  const auto end = text.find(mark_end);
  if (begin == std::string::npos || end == std::string::npos || end < begin) {
    return fail(Errc::invalid, path + " has no lines `<!-- bench: begin -->` and `<!-- bench: end -->` to put the tables between");
  }
  const auto from = begin + mark_begin.size();
  text.replace(from, end - from, "\n" + tables + "\n");
  return write_file(path, text, 0644);
}

Result<Outcome> conclude(const BenchOptions& options, const std::vector<std::string>& paths) {
  LT_TRY(const BenchReport report, report_of(paths));
  if (!options.into.empty()) LT_CHECK(put_into(options.into, markdown_of(report)));
  if (!options.html.empty()) LT_CHECK(write_file(options.html, html_of(report), 0644));
  return Outcome{json_of(report), text_of(report)};
}

}  // namespace

std::string bench_suites_text() {
  std::string text = "Suites, and about how long a round takes:\n";
  for (const BenchSuite& suite : bench_suites()) {
    double seconds = 0;
    for (const BenchBlock& block : suite.blocks) seconds += seconds_of(block);
    text += format("  {:<14} {} ({} min, {} rounds)\n", suite.name, suite.about, static_cast<unsigned>(seconds / 60) + 1, suite.rounds);
  }
  return text;
}

Result<Outcome> run_bench(const BenchOptions& options, const std::stop_token& stop) {
  if (!options.report.empty()) return conclude(options, options.report);
  if (!options.resume.empty() && !options.journal.empty()) return fail(Errc::invalid, "--journal begins a new file and --resume goes on in one: say one of them");
  LT_TRY(auto suite, suite_of(options));
  LT_TRY(auto programs, BenchPrograms::find());
  Bench bench(std::move(suite), options, std::move(programs), stop);
  LT_CHECK(bench.open_journal());
  LT_CHECK(bench.run());
  std::fprintf(stderr, "journal: %s\n", bench.path().c_str());
  return conclude(options, {bench.path()});
}

}  // namespace lt::app
