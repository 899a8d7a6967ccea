#include "app/cmd_mirror_run.h"

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>

#include "app/cmd_mirror_proof.h"
#include "app/mirror_site.h"
#include "app/scratch_folder.h"
#include "app/ssh_shim.h"
#include "base/fd.h"
#include "base/text.h"
#include "configs/knob.h"
#include "configs/toml_reader.h"
#include "mirror/echo.h"
#include "mirror/hooks.h"
#include "mirror/metrics.h"
#include "mirror/run.h"
#include "mirror/scrub.h"

namespace lt::app {

namespace {

using configs::MirrorConfig;
using configs::MirrorJob;
using configs::WallTime;

constexpr Seconds look_every{30};    // of the loop: at schedules, scrubs and lag
constexpr Seconds note_every{30};    // of progress, where nobody watches
constexpr unsigned runs_shown = 1;
constexpr unsigned proofs_asked = 10'000;  // of all jobs: each dataset has one a time

WallTime wall_now() {
  return std::chrono::floor<Seconds>(std::chrono::system_clock::now());
}

// --- what a command stands on ---

/// The configs, the jobs that are meant, and the way to the peer where one needs it.
struct Stand {
  MirrorConfig config;
  std::vector<const MirrorJob*> jobs;  // by priority
  std::optional<ScratchFolder> shims;  // the folder with `ssh`
  std::string program_path;
  std::vector<std::string> environment;
  mirror::Reach reach;
  std::optional<IpAddress> peer;
};

bool needs_peer(const MirrorJob& job) { return job.source.is_peer || job.target.is_peer; }

/// The newest proof of `kind` of the datasets of `job`.
Result<std::optional<mirror::ProofRecord>> last_proof(const mirror::Ledger& ledger, mirror::ProofKind kind, const MirrorJob& job) {
  LT_TRY(const auto proofs, ledger.proofs(kind, "", proofs_asked));
  const auto found = std::find_if(proofs.begin(), proofs.end(), [&](const auto& proof) { return proof.job == job.name; });
  return found == proofs.end() ? std::optional<mirror::ProofRecord>() : std::optional(*found);
}

/// A drill brings back what this site has sent away.
bool can_be_drilled(const MirrorJob& job) { return !job.source.is_peer && job.target.is_peer; }

Result<std::vector<const MirrorJob*>> chosen(const MirrorConfig& config,
                                             const std::vector<std::string>& names) {
  std::vector<const MirrorJob*> jobs;
  std::vector<std::string> known;
  for (const MirrorJob& job : config.jobs) {
    known.push_back(job.name);
    if (names.empty()) jobs.push_back(&job);
  }
  for (const std::string& name : names) {
    const MirrorJob* job = config.find_job(name);
    if (job == nullptr) {
      const auto meant = nearest(name, known);
      return fail(Errc::invalid, "there is no job `" + printable(name, 64) + "`; " +
                                     (meant ? "did you mean " + *meant + "?"
                                            : "the jobs are " + join(known, ", ")));
    }
    jobs.push_back(job);
  }
  std::stable_sort(jobs.begin(), jobs.end(), [](const MirrorJob* a, const MirrorJob* b) {
    return a->priority > b->priority;
  });
  return jobs;
}

/// The mirror's sections alone: enough for what asks nobody.
Result<MirrorConfig> load_jobs(const MirrorJobsOptions& options) {
  const std::string& path = options.jobs_path.empty() ? options.config_path : options.jobs_path;
  if (path.empty()) return fail(Errc::invalid, "name the site's config with --config, or a file of jobs with --jobs");
  auto config = configs::load_mirror_config(path);
  if (!config && config.error().code == Errc::not_found) {
    const std::string cure = options.jobs_path.empty() ? "the site's config with --config" : "the file of jobs with --jobs";
    return fail(Errc::invalid, path + " is not there; name " + cure);
  }
  return config;
}

Status add_peer(Stand& stand, const MirrorJobsOptions& options) {
  if (options.config_path.empty())
    return fail(Errc::invalid, "a job goes to the other site: name the site's config with --config");
  LT_TRY(const MirrorSite site, MirrorSite::load(options.config_path, options.jobs_path));
  stand.peer = site.peer_address();
  LT_TRY(ScratchFolder shims, ScratchFolder::create("mirror"));
  stand.shims.emplace(std::move(shims));
  std::error_code error;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail(Errc::io, "cannot find this program's own file");
  LT_CHECK(install_ssh_shim(stand.shims->path(), program));
  const char* path = std::getenv("PATH");
  stand.program_path = stand.shims->path() + ":" +
                       (path == nullptr || *path == '\0' ? "/usr/sbin:/usr/bin:/sbin:/bin" : path);
  stand.environment.push_back(std::string(mirror_config_variable) + "=" + options.config_path);
  stand.environment.push_back(std::string(mirror_jobs_variable) + "=" + options.jobs_path);
  stand.reach.peer = {"env"};
  stand.reach.peer.insert(stand.reach.peer.end(), stand.environment.begin(),
                          stand.environment.end());
  stand.reach.peer.push_back(stand.shims->path() + "/ssh");
  stand.reach.peer.push_back(std::string(mirror::peer_host));
  return {};
}

Status complete(Stand& stand, const MirrorJobsOptions& options) {
  LT_TRY(stand.config, load_jobs(options));
  LT_TRY(stand.jobs, chosen(stand.config, options.names));
  const bool is_remote = std::any_of(stand.jobs.begin(), stand.jobs.end(),
                                     [](const MirrorJob* job) { return needs_peer(*job); });
  if (is_remote) LT_CHECK(add_peer(stand, options));
  return {};
}

// --- how it is told ---

std::string bytes_words(Bytes bytes) {
  static constexpr std::array<const char*, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes.value);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text.data();
}

std::string line_of(const mirror::Progress& progress) {
  std::string line = progress.job + " " + std::to_string(progress.index) + "/" +
                     std::to_string(progress.count) + " " + progress.dataset + ": " +
                     bytes_words(progress.done);
  if (progress.total.value > 0) line += " of " + bytes_words(progress.total);
  if (progress.bytes_per_second)
    line += ", " + bytes_words({static_cast<std::uint64_t>(*progress.bytes_per_second)}) + "/s";
  if (progress.remaining) line += ", " + configs::duration_text(*progress.remaining) + " left";
  if (progress.outlook && progress.outlook->late_by)
    line += ", late by " + configs::duration_text(*progress.outlook->late_by);
  if (progress.limit.is_pause()) line += ", paused by the limits";
  if (progress.stall) line += "; STALLED: " + *progress.stall;
  return line;
}

/// Progress on standard error: one line that is written over on a terminal, a line now and then
/// elsewhere.
class Teller {
 public:
  Teller() : is_terminal_(::isatty(STDERR_FILENO) == 1) {}
  void operator()(const mirror::Progress& progress) {
    const Instant now = SteadyClock().now();
    if (is_terminal_) {
      std::fprintf(stderr, "\r\033[K%s", line_of(progress).c_str());
      is_open_ = true;
    } else if (now >= next_) {
      std::fprintf(stderr, "%s\n", line_of(progress).c_str());
      next_ = now + note_every;
    }
  }
  void end() {
    if (is_open_) std::fputs("\r\033[K", stderr);
    is_open_ = false;
  }

 private:
  bool is_terminal_;
  bool is_open_{false};
  Instant next_{};
};

Json time_json(WallTime time) { return time.time_since_epoch().count(); }

Json planned_json(const mirror::PlannedDataset& dataset) {
  return {{"source", dataset.source},
          {"target", dataset.target},
          {"need", std::string(name_of(dataset.need))},
          {"is_due", mirror::is_due(dataset.need)},
          {"bytes", dataset.bytes.value},
          {"written_bytes", dataset.written.value},
          {"common_snapshot", dataset.snapshot},
          {"what", dataset.what}};
}

Json dataset_json(const mirror::DatasetRecord& record) {
  return {{"source", record.source},
          {"target", record.target},
          {"outcome", std::string(name_of(record.outcome))},
          {"attempts", record.attempts},
          {"sent_bytes", record.sent.value},
          {"took_ms", record.took.count()},
          {"snapshot", record.snapshot},
          {"guid", record.guid},
          {"what", record.what}};
}

Json report_json(const mirror::JobReport& report) {
  Json datasets = Json::array();
  for (const auto& record : report.datasets)
    datasets.push_back(dataset_json(record));
  return {{"job", report.run.job},
          {"outcome", std::string(name_of(report.run.outcome))},
          {"started", time_json(report.run.started)},
          {"ended", time_json(report.run.ended)},
          {"mirrored", report.run.mirrored},
          {"unchanged", report.run.unchanged},
          {"failed", report.run.failed},
          {"sent_bytes", report.run.sent.value},
          {"stalls", report.stalls},
          {"what", report.run.what},
          {"datasets", datasets}};
}

std::string report_text(const mirror::JobReport& report) {
  const auto& run = report.run;
  std::string text = run.job + ": " + std::string(name_of(run.outcome)) + "; " +
                     std::to_string(run.mirrored) + " mirrored, " + std::to_string(run.unchanged) +
                     " checked and unchanged, " + std::to_string(run.failed) + " failed; " +
                     bytes_words(run.sent) + " in " +
                     configs::duration_text(run.ended - run.started) + "\n";
  for (const auto& record : report.datasets) {
    if (!record.what.empty()) text += "  " + record.source + ": " + record.what + "\n";
  }
  return text;
}

// --- run ---

/// Everything that one call of `mirror run` does, job by job.
class Session {
 public:
  Session(const MirrorRunOptions& options, Stand& stand, mirror::Ledger& ledger, Log& log)
      : options_(options), stand_(stand), ledger_(ledger), log_(log) {}

  Status run_now(const MirrorJob& job, const std::stop_token& stop) {
    mirror::RunOptions how{.reach = stand_.reach,
                           .program_path = stand_.program_path,
                           .environment = stand_.environment,
                           .progress = [this](const mirror::Progress& at) { teller_(at); },
                           .even_unchanged = options_.even_unchanged};
    std::optional<mirror::Yielder> yielder;
    if (job.yields && needs_peer(job)) {
      LT_TRY(yielder, mirror::Yielder::start(*stand_.peer, stand_.config.yield_delay));
      how.ceiling = [&yielder](const mirror::MeterReading& reading, Instant now) {
        return std::optional(yielder->rate(reading.received, now));
      };
    }
    mirror::Runner runner(stand_.config, std::move(how), ledger_, log_);
    auto report = runner.run(job, stop);
    teller_.end();
    if (!report) {
      jobs_.push_back({{"job", job.name}, {"outcome", "failed"}, {"what", report.error().text()}});
      text_ += job.name + ": " + report.error().text() + "\n";
      note_failure(exit_code_of(report.error().code));
      return {};
    }
    if (report->run.outcome != mirror::RunOutcome::done) note_failure(exit_failed);
    jobs_.push_back(report_json(*report));
    text_ += report_text(*report);
    return {};
  }

  Result<bool> is_due(const MirrorJob& job, WallTime begun) const {
    if (!job.schedule) return false;
    LT_TRY(const auto runs, ledger_.runs(job.name, 1));
    return is_time(*job.schedule, runs.empty() ? std::nullopt : std::optional(runs.front().started), begun);
  }

  /// What was never done is due at once when a timer asks, which remembers nothing; at its time when the loop does.
  bool is_time(const configs::Calendar& schedule, std::optional<WallTime> last, WallTime begun) const {
    if (!last && !options_.loop) return true;
    const auto next = mirror::next_due(schedule, last, begun);
    return next && *next <= wall_now();
  }

  Status tend_scrubs(WallTime begun, WallTime now) {
    for (const configs::MirrorScrub& scrub : stand_.config.scrubs) {
      const std::string& pool = scrub.pool.dataset;
      LT_TRY(const auto last, ledger_.proofs(mirror::ProofKind::scrub, pool, 1));
      const bool runs = !last.empty() && last.front().result == mirror::ProofResult::running;
      if (!runs && !is_time(scrub.schedule, last.empty() ? std::nullopt : std::optional(last.front().started), begun)) continue;
      const auto tended = mirror::tend_scrub(stand_.reach, ledger_, pool, true, now);
      if (!tended) {
        log_.error("scrub_failed", {{"pool", pool}, {"why", tended.error().text()}});
      } else if (tended->result == mirror::ProofResult::bad) {
        log_.error("scrub_found_errors", {{"pool", pool}, {"why", tended->what}});
      }
    }
    return {};
  }

  /// Verifies and practises what is due, job by job. What cannot be done now is tried at the next look.
  Status tend_proofs(WallTime begun, const std::stop_token& stop) {
    const ProofPlaces places{options_.jobs.config_path, options_.jobs.jobs_path, {}};
    for (const MirrorJob* job : stand_.jobs) {
      if (const auto& verify = stand_.config.verify; verify && !stop.stop_requested()) {
        LT_TRY(const bool due, is_proof_due(mirror::ProofKind::verify, verify->schedule, *job, begun));
        if (due) {
          note_proof("verify", *job, run_mirror_verify({.places = places, .job = job->name, .mebibytes = verify->budget.value >> 20}, stop));
        }
      }
      if (const auto& drill = stand_.config.drill; drill && can_be_drilled(*job) && !stop.stop_requested()) {
        LT_TRY(const bool due, is_proof_due(mirror::ProofKind::drill, drill->schedule, *job, begun));
        if (due) note_proof("drill", *job, run_mirror_drill({.places = places, .job = job->name, .whole = drill->whole, .files = drill->files}, stop));
      }
    }
    return {};
  }

  /// Tells of each dataset once when it becomes stale.
  Status tell_stale(WallTime now) {
    for (const MirrorJob* job : stand_.jobs) {
      LT_TRY(const auto lags, mirror::read_lag(ledger_, *job, now));
      for (const mirror::DatasetLag& lag : lags) {
        const std::string name = job->name + " " + lag.source;
        if (!lag.is_stale) {
          told_stale_.erase(name);
        } else if (told_stale_.insert(name).second) {
          const std::string text = mirror::stale_text(lag, *job);
          log_.warn("stale", {{"job", job->name}, {"dataset", lag.source}, {"why", text}});
          const Status called = mirror::call_hook(
              stand_.config.hooks_of(*job).on_stale,
              {.event = "stale", .job = job->name, .dataset = lag.source, .text = text});
          if (!called) log_.warn("hook_failed", {{"job", job->name}, {"why", called.error().text()}});
        }
      }
    }
    return {};
  }

  Status write_metrics(WallTime now) const {
    if (!stand_.config.metrics_path) return {};
    std::vector<mirror::JobState> states;
    for (const MirrorJob& job : stand_.config.jobs) {
      mirror::JobState state{.job = job.name};
      LT_TRY(state.runs, ledger_.runs(job.name, runs_shown));
      LT_TRY(state.datasets, mirror::read_lag(ledger_, job, now));
      states.push_back(std::move(state));
    }
    std::vector<mirror::ProofRecord> scrubs;
    for (const configs::MirrorScrub& scrub : stand_.config.scrubs) {
      LT_TRY(const auto proofs, ledger_.proofs(mirror::ProofKind::scrub, scrub.pool.dataset, 10));
      const auto ended = std::find_if(proofs.begin(), proofs.end(), [](const auto& proof) {
        return proof.result != mirror::ProofResult::running;
      });
      if (ended != proofs.end()) scrubs.push_back(*ended);
    }
    return write_file(*stand_.config.metrics_path, mirror::metrics_text(states, scrubs, now), 0644);
  }

  Status look(WallTime begun, const std::stop_token& stop) {
    for (const MirrorJob* job : stand_.jobs) {
      if (stop.stop_requested()) break;
      LT_TRY(const bool due, is_due(*job, begun));
      if (due || !(options_.only_due || options_.loop)) LT_CHECK(run_now(*job, stop));
    }
    const WallTime now = wall_now();
    if (options_.only_due || options_.loop) {
      LT_CHECK(tend_scrubs(begun, now));
      LT_CHECK(tend_proofs(begun, stop));
    }
    LT_CHECK(tell_stale(now));
    if (const Status written = write_metrics(now); !written)
      log_.warn("metrics_not_written", {{"why", written.error().text()}});
    return {};
  }

  Outcome outcome() const {
    return {{{"schema", "linktune.mirror.run.1"}, {"jobs", jobs_}, {"proofs", proofs_}},
            text_.empty() ? "nothing is due\n" : text_, exit_code_};
  }
  /// The loop tells by its log; what it keeps for its end is the last of each.
  void forget() {
    jobs_ = Json::array();
    proofs_ = Json::array();
    text_.clear();
    exit_code_ = exit_done;
  }

 private:
  Result<bool> is_proof_due(mirror::ProofKind kind, const configs::Calendar& schedule, const MirrorJob& job, WallTime begun) const {
    LT_TRY(const auto copies, ledger_.newest_good(job.name));
    if (copies.empty()) return false;  // there is nothing to prove yet
    LT_TRY(const auto last, last_proof(ledger_, kind, job));
    return is_time(schedule, last ? std::optional(last->started) : std::nullopt, begun);
  }

  void note_proof(const std::string& what, const MirrorJob& job, const Result<Outcome>& proven) {
    const bool is_good = proven && proven->exit_code == exit_done;
    const std::string text = proven ? proven->text : proven.error().text();
    proofs_.push_back({{"proof", what}, {"job", job.name}, {"good", is_good}, {"what", text}});
    text_ += what + " of " + job.name + ": " + text + (text.ends_with('\n') ? "" : "\n");
    if (is_good) {
      log_.info(what + "_good", {{"job", job.name}});
      return;
    }
    note_failure(proven ? proven->exit_code : exit_code_of(proven.error().code));
    log_.error(what + "_failed", {{"job", job.name}, {"why", text}});
    const Status called = mirror::call_hook(stand_.config.hooks_of(job).on_failed, {.event = "failed", .job = job.name, .dataset = "", .text = what + ": " + text});
    if (!called) log_.warn("hook_failed", {{"job", job.name}, {"why", called.error().text()}});
  }

  void note_failure(int code) {
    if (exit_code_ == exit_done) exit_code_ = code;
  }

  const MirrorRunOptions& options_;
  Stand& stand_;
  mirror::Ledger& ledger_;
  Log& log_;
  Teller teller_;
  std::set<std::string> told_stale_;
  Json jobs_ = Json::array();
  Json proofs_ = Json::array();
  std::string text_;
  int exit_code_{exit_done};
};

// --- status ---

Json lag_json(const mirror::DatasetLag& lag) {
  Json made{{"source", lag.source},
            {"target", lag.target},
            {"outcome", std::string(name_of(lag.outcome))},
            {"lag_seconds", nullptr},
            {"lag_bytes", lag.written.value},
            {"is_stale", lag.is_stale},
            {"what", lag.what}};
  if (lag.age) made["lag_seconds"] = lag.age->count();
  return made;
}

/// The mean rate of the last transfers, for a forecast of the next run.
double usual_rate(const std::vector<mirror::DatasetRecord>& transfers) {
  double bytes = 0;
  double seconds = 0;
  for (const auto& transfer : transfers) {
    bytes += static_cast<double>(transfer.sent.value);
    seconds += std::chrono::duration<double>(transfer.took).count();
  }
  return seconds > 0 ? bytes / seconds : 0;
}

struct Told {
  Json json;
  std::string text;
  bool is_well{true};
};

Result<Told> tell_job(const mirror::Ledger& ledger, const MirrorJob& job, WallTime now) {
  Told told;
  LT_TRY(const auto runs, ledger.runs(job.name, 1));
  LT_TRY(const auto lags, mirror::read_lag(ledger, job, now));
  LT_TRY(const auto transfers, ledger.transfers(job.name, 20));
  const auto next = job.schedule
                        ? mirror::next_due(*job.schedule,
                                           runs.empty() ? std::nullopt : std::optional(runs[0].started), now)
                        : std::nullopt;
  told.json = {{"job", job.name}, {"last_run", nullptr}, {"next_run", nullptr}, {"datasets", Json::array()}};
  told.text = job.name + ": ";
  if (runs.empty()) {
    told.text += "never run";
  } else {
    told.json["last_run"] = {{"started", time_json(runs[0].started)},
                             {"outcome", std::string(name_of(runs[0].outcome))},
                             {"what", runs[0].what}};
    told.text += std::string(name_of(runs[0].outcome)) + ", begun " +
                 configs::text_of(configs::local_time_of(runs[0].started));
    told.is_well = runs[0].outcome != mirror::RunOutcome::failed;
  }
  if (next) {
    told.json["next_run"] = time_json(*next);
    told.text += "; next " + configs::text_of(configs::local_time_of(*next));
  }
  told.text += "\n";
  Bytes behind;
  for (const auto& lag : lags) {
    behind += lag.written;
    told.json["datasets"].push_back(lag_json(lag));
    told.is_well = told.is_well && !lag.is_stale;
    told.text += "  " + lag.source + ": " +
                 (lag.age ? configs::duration_text(*lag.age) + " behind" : "never copied") + ", " +
                 bytes_words(lag.written) + " to carry" + (lag.is_stale ? ", STALE" : "") + "\n";
    if (!lag.what.empty()) told.text += "    " + lag.what + "\n";
  }
  if (behind.value > 0 && usual_rate(transfers) > 0) {
    const auto outlook = mirror::forecast(static_cast<double>(behind.value), usual_rate(transfers),
                                          Seconds(0), job, next.value_or(now));
    told.text += "  " + mirror::outlook_text(outlook, job, now) + "\n";
    if (outlook.done) told.json["forecast_done"] = time_json(*outlook.done);
    if (outlook.late_by) told.json["forecast_late_seconds"] = outlook.late_by->count();
  }
  return told;
}

Result<Told> tell_scrub(const mirror::Ledger& ledger, const configs::MirrorScrub& scrub, WallTime now) {
  const std::string& pool = scrub.pool.dataset;
  LT_TRY(const auto proofs, ledger.proofs(mirror::ProofKind::scrub, pool, 10));
  const auto good = std::find_if(proofs.begin(), proofs.end(), [](const auto& proof) {
    return proof.result == mirror::ProofResult::good;
  });
  Told told;
  const bool is_stale = good == proofs.end() || now - good->ended > scrub.stale_after;
  const std::string result = proofs.empty() ? "never" : std::string(name_of(proofs[0].result));
  told.is_well = !is_stale && result != "bad";
  told.json = {{"pool", pool}, {"result", result}, {"is_stale", is_stale}};
  told.text = "scrub of " + pool + ": " + result;
  if (!proofs.empty()) {
    told.json["started"] = time_json(proofs[0].started);
    told.json["what"] = proofs[0].what;
    told.text += ", begun " + configs::text_of(configs::local_time_of(proofs[0].started));
    if (!proofs[0].what.empty()) told.text += "; " + proofs[0].what;
  }
  if (is_stale) told.text += ", STALE: no good result within " + configs::duration_text(scrub.stale_after);
  told.text += "\n";
  return told;
}

/// Verifications and drills of one job that have a schedule.
Result<Told> tell_proof(const mirror::Ledger& ledger, mirror::ProofKind kind, const MirrorJob& job, Seconds stale_after, WallTime now) {
  LT_TRY(const auto last, last_proof(ledger, kind, job));
  const std::string name(name_of(kind));
  Told told;
  const bool is_stale = !last || now - last->ended > stale_after;
  const std::string result = last ? std::string(name_of(last->result)) : "never";
  told.is_well = !is_stale && result == "good";
  told.json = {{"proof", name}, {"job", job.name}, {"result", result}, {"is_stale", is_stale}};
  told.text = name + " of " + job.name + ": " + result;
  if (last) {
    told.json["started"] = time_json(last->started);
    told.json["what"] = last->what;
    told.text += ", begun " + configs::text_of(configs::local_time_of(last->started)) + (last->what.empty() ? "" : "; " + last->what);
  }
  if (is_stale) told.text += ", STALE: none within " + configs::duration_text(stale_after);
  told.text += "\n";
  return told;
}

}  // namespace

Result<Outcome> run_mirror_plan(const MirrorJobsOptions& options) {
  Stand stand;
  LT_CHECK(complete(stand, options));
  LT_TRY(mirror::Ledger ledger, mirror::Ledger::open(stand.config.state_folder));
  Log log = Log::silent();
  const mirror::Runner runner(stand.config,
                              {.reach = stand.reach, .program_path = stand.program_path}, ledger, log);
  Outcome outcome{{{"schema", "linktune.mirror.plan.1"}, {"jobs", Json::array()}}, ""};
  for (const MirrorJob* job : stand.jobs) {
    Json entry{{"job", job->name},
               {"schedule", job->schedule ? Json(job->schedule->text()) : Json(nullptr)},
               {"datasets", Json::array()}};
    outcome.text += job->name + ": " + job->source.text() + " to " + job->target.text() + "\n";
    const auto plan = runner.plan(*job);
    if (!plan) {
      entry["what"] = plan.error().text();
      outcome.text += "  " + plan.error().text() + "\n";
      if (outcome.exit_code == exit_done) outcome.exit_code = exit_code_of(plan.error().code);
    } else {
      Bytes sum;
      unsigned due = 0;
      for (const auto& dataset : *plan) {
        entry["datasets"].push_back(planned_json(dataset));
        if (mirror::is_due(dataset.need)) {
          ++due;
          sum += dataset.bytes;
        }
        if (dataset.need == mirror::Need::diverged) outcome.exit_code = exit_failed;
        outcome.text += "  " + dataset.source + ": " + std::string(name_of(dataset.need)) +
                        (mirror::is_due(dataset.need) ? ", " + bytes_words(dataset.bytes) : "") +
                        (dataset.what.empty() ? "" : "; " + dataset.what) + "\n";
      }
      entry["bytes"] = sum.value;
      outcome.text += "  " + std::to_string(due) + " of " + std::to_string(plan->size()) +
                      " datasets are due, " + bytes_words(sum) + "\n";
    }
    outcome.json["jobs"].push_back(std::move(entry));
  }
  if (stand.jobs.empty()) outcome.text = "there are no jobs; write [[mirror.job]] sections\n";
  return outcome;
}

Result<Outcome> run_mirror_run(const MirrorRunOptions& options, const std::stop_token& stop, Log& log) {
  Stand stand;
  LT_CHECK(complete(stand, options.jobs));
  if (stand.jobs.empty() && stand.config.scrubs.empty())
    return fail(Errc::invalid, "there are no jobs; write [[mirror.job]] sections");
  LT_TRY(mirror::Ledger ledger, mirror::Ledger::open(stand.config.state_folder));
  Session session(options, stand, ledger, log);
  const WallTime begun = wall_now();
  LT_CHECK(session.look(begun, stop));
  std::mutex mutex;
  std::condition_variable_any changed;
  while (options.loop && !stop.stop_requested()) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, stop, look_every, [] { return false; });
    if (stop.stop_requested()) break;
    session.forget();
    LT_CHECK(session.look(begun, stop));
  }
  return session.outcome();
}

Result<Outcome> run_mirror_status(const MirrorJobsOptions& options) {
  LT_TRY(const MirrorConfig config, load_jobs(options));
  LT_TRY(const auto jobs, chosen(config, options.names));
  LT_TRY(const mirror::Ledger ledger, mirror::Ledger::open(config.state_folder));
  const WallTime now = wall_now();
  Outcome outcome{{{"schema", "linktune.mirror.status.1"}, {"jobs", Json::array()}, {"scrubs", Json::array()}, {"proofs", Json::array()}}, ""};
  const auto add = [&](Told told, const char* list) {
    outcome.json[list].push_back(std::move(told.json));
    outcome.text += told.text;
    if (!told.is_well) outcome.exit_code = exit_failed;
  };
  for (const MirrorJob* job : jobs) {
    LT_TRY(Told told, tell_job(ledger, *job, now));
    add(std::move(told), "jobs");
    if (config.verify) {
      LT_TRY(Told proof, tell_proof(ledger, mirror::ProofKind::verify, *job, config.verify->stale_after, now));
      add(std::move(proof), "proofs");
    }
    if (config.drill && can_be_drilled(*job)) {
      LT_TRY(Told proof, tell_proof(ledger, mirror::ProofKind::drill, *job, config.drill->stale_after, now));
      add(std::move(proof), "proofs");
    }
  }
  for (const configs::MirrorScrub& scrub : config.scrubs) {
    LT_TRY(Told told, tell_scrub(ledger, scrub, now));
    add(std::move(told), "scrubs");
  }
  if (outcome.text.empty()) outcome.text = "there are no jobs; write [[mirror.job]] sections\n";
  return outcome;
}

}  // namespace lt::app
