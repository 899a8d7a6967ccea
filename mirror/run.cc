#include "mirror/run.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "base/defer.h"
#include "base/fd.h"
#include "base/text.h"
#include "mirror/hooks.h"
#include "mirror/lock.h"
#include "mirror/orphan.h"

namespace lt::mirror {

namespace {

constexpr Milliseconds tick{50};              // a new rate reaches the meter within it
constexpr Milliseconds sample_every{500};     // of stalls
constexpr Milliseconds tell_every{1000};
constexpr std::size_t words_bytes_max = 64 << 10;  // of Syncoid's last words
constexpr Milliseconds patience{5'000};       // between SIGTERM and SIGKILL
constexpr double overhead_seconds = 1.5;      // of a dataset before its first byte, until one is known

Bytes minus(Bytes a, Bytes b) { return a > b ? a - b : Bytes{}; }

/// The end of a file, where the reason stands.
std::string last_words(const std::string& path) {
  const auto text = read_file(path, 64 << 20);
  if (!text) return {};
  return text->size() <= words_bytes_max ? *text
                                         : text->substr(text->size() - words_bytes_max);
}

Status make_folder(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return fail_errno(errno, "cannot make the folder " + folder);
}

/// The session of process `pid`, and its words; nothing when it is gone.
std::optional<int> session_of(const std::string& pid) {
  const auto stat = read_file("/proc/" + pid + "/stat", 4096);
  if (!stat) return std::nullopt;
  const auto close = stat->rfind(')');
  if (close == std::string::npos) return std::nullopt;
  const auto words = split(trim(std::string_view(*stat).substr(close + 1)), ' ');
  if (words.size() < 4) return std::nullopt;  // state, parent, group, session
  return static_cast<int>(parse_u64(words[3]).value_or(0));
}

}  // namespace

std::optional<ChildWait> stream_wait(int session) {
  DIR* folder = ::opendir("/proc");
  if (folder == nullptr) return std::nullopt;
  LT_DEFER(::closedir(folder));
  std::optional<ChildWait> zfs;
  bool is_stopped = false;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = entry->d_name;
    const auto pid = parse_u64(name);
    if (!pid || session_of(name) != session) continue;
    is_stopped = is_stopped || is_stopped_by_signal(static_cast<int>(*pid));
    const auto line = read_file("/proc/" + name + "/cmdline", 64 << 10);
    if (line && is_zfs_stream(*line)) zfs = child_wait_of(static_cast<int>(*pid));
  }
  return zfs && is_stopped ? ChildWait::stopped : zfs;
}

// What one run keeps from dataset to dataset.
struct Runner::Carrying {
  const configs::MirrorJob& job;
  configs::MirrorHooks hooks;
  Meter meter;
  std::int64_t run_id;
  Progress progress;
  RateEstimate rate;
  StallWatch stall_watch;
  std::optional<Stall> stall;
  unsigned stalls{0};
  MeterReading begun;        // of the current attempt
  Bytes done_before;         // carried by earlier datasets, as planned
  Bytes sent_before;         // of earlier attempts of this dataset
  std::optional<Instant> first_byte;
  Milliseconds took{0};
  Instant sampled{};
  Instant told{};
};

Runner::Runner(const configs::MirrorConfig& config, RunOptions options, Ledger& ledger, Log& log)
    : config_(config), options_(std::move(options)), ledger_(ledger), log_(log) {}

configs::WallTime Runner::wall() const {
  if (options_.wall_clock) return options_.wall_clock();
  return std::chrono::floor<Seconds>(std::chrono::system_clock::now());
}

Result<std::vector<PlannedDataset>> Runner::plan(const configs::MirrorJob& job) const {
  LT_TRY(const Inventory source, read_inventory(options_.reach, job.source, job.recursive));
  if (source.empty())
    return fail(Errc::not_found, job.source.text() + " does not exist; correct `source` of job " +
                                     job.name + ", or create the dataset");
  LT_TRY(const Inventory target, read_inventory(options_.reach, job.target, job.recursive));
  return plan_job(job, source, target, wall());
}

DatasetRecord Runner::record_of(const configs::MirrorJob& job, std::int64_t run,
                                const PlannedDataset& planned) const {
  const configs::WallTime now = wall();
  return {.run = run,
          .job = job.name,
          .source = configs::DatasetPlace{job.source.is_peer, planned.source}.text(),
          .target = configs::DatasetPlace{job.target.is_peer, planned.target}.text(),
          .started = now,
          .ended = now,
          .outcome = planned.need == Need::diverged ? DatasetOutcome::failed
                                                    : DatasetOutcome::unchanged,
          .snapshot = planned.snapshot,
          .guid = planned.guid,
          .snapshot_created = planned.snapshot_created,
          .written = planned.written,
          .what = planned.what};
}

void Runner::hook(const std::vector<std::string>& argv, const std::string& event,
                  const std::string& job, const std::string& dataset, const std::string& text) {
  const Status called = call_hook(
      argv, {.event = event, .job = job, .dataset = dataset, .text = text});
  if (!called) log_.warn("hook_failed", {{"job", job}, {"why", called.error().text()}});
}

bool Runner::wait(Seconds time, const std::stop_token& stop) const {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

Result<JobReport> Runner::run(const configs::MirrorJob& job, const std::stop_token& stop) {
  LT_TRY(const Lock lock, Lock::take(config_.state_folder + "/locks", job.target.text()));
  LT_TRY([[maybe_unused]] const unsigned abandoned, ledger_.close_abandoned_runs(job.name, wall()));
  JobReport report;
  report.run = {.job = job.name, .started = wall()};
  LT_TRY(report.run.id, ledger_.begin_run(job.name, report.run.started));
  const configs::MirrorHooks hooks = config_.hooks_of(job);
  const auto end = [&](RunOutcome outcome, const std::string& what) -> Status {
    report.run.ended = wall();
    report.run.outcome = outcome;
    report.run.what = what;
    LT_CHECK(ledger_.end_run(report.run));
    if (outcome == RunOutcome::done) hook(hooks.on_done, "done", job.name, "", "the job is done");
    if (outcome == RunOutcome::failed) hook(hooks.on_failed, "failed", job.name, "", what);
    return {};
  };

  auto planned = plan(job);
  for (unsigned attempt = 0; !planned && planned.error().code == Errc::unreachable &&
                             attempt < job.retries && !stop.stop_requested();
       ++attempt) {
    log_.warn("peer_unreachable", {{"job", job.name}, {"why", planned.error().text()}});
    const Seconds pause = std::min(job.retry_wait_max, job.retry_wait * (1 << std::min(attempt, 20U)));
    if (!wait(pause, stop)) break;
    planned = plan(job);
  }
  if (!planned) {
    LT_CHECK(end(stop.stop_requested() ? RunOutcome::interrupted : RunOutcome::failed,
                 planned.error().what));
    return fail(planned.error());
  }
  const auto due = [&](const PlannedDataset& dataset) {
    return is_due(dataset.need) ||
           (options_.even_unchanged && dataset.need == Need::unchanged);
  };
  std::vector<DatasetRecord> left_alone;
  Progress progress{.job = job.name};
  for (const PlannedDataset& dataset : *planned) {
    if (due(dataset)) {
      ++progress.count;
      progress.total += dataset.bytes;
      continue;
    }
    left_alone.push_back(record_of(job, report.run.id, dataset));
    if (dataset.need == Need::diverged) {
      ++report.run.failed;
      log_.error("dataset_failed", {{"job", job.name}, {"why", dataset.what}});
      if (report.run.what.empty()) report.run.what = dataset.what;
    } else {
      ++report.run.unchanged;
    }
  }
  LT_CHECK(ledger_.record(left_alone));
  report.datasets = std::move(left_alone);

  const std::string runtime = config_.state_folder + "/run";
  LT_CHECK(make_folder(runtime));
  LT_TRY(Meter meter, Meter::create(runtime + "/" + job.name + ".meter"));
  Carrying carrying{.job = job, .hooks = hooks, .meter = std::move(meter),
                    .run_id = report.run.id, .progress = progress};
  for (const PlannedDataset& dataset : *planned) {
    if (!due(dataset) || stop.stop_requested()) continue;
    LT_TRY(const DatasetRecord record, carry(carrying, dataset, stop));
    if (stop.stop_requested() && record.outcome == DatasetOutcome::failed) break;
    LT_CHECK(ledger_.record(record));
    report.run.sent += record.sent;
    if (record.outcome == DatasetOutcome::mirrored) {
      ++report.run.mirrored;
    } else {
      ++report.run.failed;
      log_.error("dataset_failed",
                 {{"job", job.name}, {"dataset", record.source}, {"why", record.what}});
      if (report.run.what.empty()) report.run.what = record.what;
    }
    report.datasets.push_back(record);
    carrying.done_before += dataset.bytes;
  }
  report.stalls = carrying.stalls;
  const std::string first_failure = report.run.what;
  if (stop.stop_requested()) {
    LT_CHECK(end(RunOutcome::interrupted, "ended by request; run it again to go on"));
  } else if (report.run.failed > 0) {
    LT_CHECK(end(RunOutcome::failed, first_failure));
  } else {
    LT_CHECK(end(RunOutcome::done, ""));
  }
  return report;
}

Result<DatasetRecord> Runner::carry(Carrying& carrying, const PlannedDataset& planned,
                                    const std::stop_token& stop) {
  const configs::MirrorJob& job = carrying.job;
  DatasetRecord record = record_of(job, carrying.run_id, planned);
  record.outcome = DatasetOutcome::failed;
  carrying.progress.dataset = planned.source;
  ++carrying.progress.index;
  carrying.took = Milliseconds(0);
  carrying.sent_before = Bytes{};
  Seconds pause = job.retry_wait;
  for (;;) {
    ++record.attempts;
    LT_TRY(auto failure, attempt(carrying, planned, stop));
    if (!failure && !stop.stop_requested()) {
      LT_TRY(failure, confirm(job, planned, record));
    }
    record.sent = carrying.sent_before;
    record.took = carrying.took;
    record.ended = wall();
    if (!failure) {
      record.outcome = stop.stop_requested() && record.guid == planned.guid
                           ? DatasetOutcome::failed
                           : DatasetOutcome::mirrored;
      return record;
    }
    record.what = failure->what;
    if (failure->trouble == Trouble::busy) {
      record.outcome = DatasetOutcome::busy;
      if (const unsigned ended = end_orphan_receives(planned.target); ended > 0)
        log_.warn("orphan_receive_ended", {{"dataset", planned.target}, {"processes", ended}});
    }
    if (!failure->is_passing() || record.attempts > job.retries || stop.stop_requested())
      return record;
    const Seconds now_wait = failure->is_gone_by() ? Seconds(0) : pause;
    log_.warn("attempt_failed", {{"job", job.name},
                                 {"dataset", planned.source},
                                 {"attempt", record.attempts},
                                 {"again_in", configs::duration_text(now_wait)},
                                 {"why", failure->what}});
    if (!wait(now_wait, stop)) return record;
    record.outcome = DatasetOutcome::failed;
    if (failure->is_gone_by()) continue;
    pause = std::min(pause * 2, job.retry_wait_max);
  }
}

Result<std::optional<Failure>> Runner::attempt(Carrying& carrying, const PlannedDataset& planned,
                                               const std::stop_token& stop) {
  const std::string words_path = config_.state_folder + "/run/" + carrying.job.name + ".syncoid";
  static_cast<void>(::unlink(words_path.c_str()));
  Argv argv{"setsid", "env"};
  if (!options_.program_path.empty()) argv.push_back("PATH=" + options_.program_path);
  argv.insert(argv.end(), options_.environment.begin(), options_.environment.end());
  argv.push_back(std::string(meter_variable) + "=" + carrying.meter.path());
  const Argv syncoid =
      syncoid_argv(config_.syncoid, carrying.job, planned.source, planned.target);
  argv.insert(argv.end(), syncoid.begin(), syncoid.end());

  carrying.begun = carrying.meter.read();
  carrying.rate.skip_to(carrying.begun.received, SteadyClock().now());
  carrying.stall_watch = StallWatch();
  carrying.stall.reset();
  carrying.first_byte.reset();
  watch(carrying, 0, SteadyClock().now());  // the rate stands before the first byte
  LT_TRY(Child child, Child::start({.argv = argv, .output_path = words_path}));
  std::optional<int> exit_code;
  while (!exit_code) {
    exit_code = child.wait(tick);
    const Instant now = SteadyClock().now();
    watch(carrying, child.pid(), now);
    if (exit_code || !stop.stop_requested()) continue;
    // The whole session: Syncoid's pipeline would go on without it.
    ::kill(-child.pid(), SIGTERM);
    exit_code = child.wait(patience);
    if (!exit_code) {
      ::kill(-child.pid(), SIGKILL);
      exit_code = child.wait(patience);
    }
    break;
  }
  const MeterReading ended = carrying.meter.read();
  carrying.meter.page().streams = 0;  // of a shim that was killed
  carrying.sent_before += minus(ended.received, carrying.begun.received);
  if (carrying.first_byte) {
    carrying.took +=
        std::chrono::floor<Milliseconds>(SteadyClock().now() - *carrying.first_byte);
  }
  const std::string words = last_words(words_path);
  if (exit_code == 0 && !is_hidden_failure(words)) return std::optional<Failure>();
  if (stop.stop_requested())
    return std::optional(Failure{Trouble::other, "ended by request; run it again to go on"});
  return std::optional(failure_of(words, exit_code.value_or(1), planned.source, planned.target));
}

Result<std::optional<Failure>> Runner::confirm(const configs::MirrorJob& job,
                                               const PlannedDataset& planned,
                                               DatasetRecord& record) const {
  const configs::DatasetPlace source{job.source.is_peer, planned.source};
  const configs::DatasetPlace target{job.target.is_peer, planned.target};
  const auto refuse = [&](const std::string& what) {
    return std::optional(Failure{Trouble::other, what});
  };
  auto source_now = read_inventory(options_.reach, source, false);
  auto target_now = source_now ? read_inventory(options_.reach, target, false) : source_now;
  if (!source_now || !target_now) {
    const Error& error = !source_now ? source_now.error() : target_now.error();
    return std::optional(Failure{error.code == Errc::unreachable ? Trouble::unreachable
                                                                 : Trouble::other,
                                 error.what});
  }
  if (source_now->empty()) return refuse(source.text() + " was destroyed while it was mirrored");
  if (target_now->empty()) {
    return refuse("Syncoid ended well, but " + target.text() +
                  " does not exist; look at its words with --debug by hand");
  }
  const Dataset& from = source_now->begin()->second;
  const Snapshot* common = newest_common(from, target_now->begin()->second);
  if (common == nullptr || (job.sync_snapshot && common->guid == planned.guid &&
                            planned.need != Need::unknown && planned.need != Need::unchanged))
    return refuse("Syncoid ended well, but " + target.text() +
                  " lacks the new snapshot of " + source.text() +
                  "; look whether `syncoid:sync` is set there, then run again");
  record.snapshot = common->name;
  record.guid = common->guid;
  record.snapshot_created = common->created;
  record.written = from.written.value_or(Bytes{});
  record.what.clear();
  return std::optional<Failure>();
}

void Runner::watch(Carrying& carrying, int child, Instant now) {
  const MeterReading reading = carrying.meter.read();
  configs::RateLimit limit = carrying.job.limits.at(configs::local_time_of(wall()));
  if (carrying.job.yields && options_.ceiling) {
    const auto ceiling = options_.ceiling(reading, now);
    if (ceiling && (!limit.rate || *ceiling < *limit.rate)) limit.rate = *ceiling;
  }
  carrying.meter.set_rate(limit.rate);
  carrying.progress.limit = limit;
  if (child == 0) return;
  if (!carrying.first_byte && reading.source != carrying.begun.source) carrying.first_byte = now;
  if (now - carrying.sampled >= sample_every) {
    carrying.sampled = now;
    StallSample sample{.reading = reading,
                       .own_wait = stream_wait(child),
                       .is_pull = carrying.job.source.is_peer,
                       .is_paused = limit.is_pause()};
    const auto stall = carrying.stall_watch.update(sample, now);
    const bool is_new = stall && !carrying.stall;
    carrying.stall = stall;
    carrying.progress.stall =
        stall ? std::optional(stall_text(*stall, now)) : std::nullopt;
    if (is_new) {
      ++carrying.stalls;
      log_.warn("stalled", {{"job", carrying.job.name},
                            {"dataset", carrying.progress.dataset},
                            {"stage", name_of(stall->stage)},
                            {"why", *carrying.progress.stall}});
      hook(carrying.hooks.on_stalled, "stalled", carrying.job.name, carrying.progress.dataset,
           *carrying.progress.stall);
    }
  }
  if (now - carrying.told >= tell_every) tell(carrying, now);
}

void Runner::tell(Carrying& carrying, Instant now) {
  carrying.told = now;
  const MeterReading reading = carrying.meter.read();
  if (reading.streams > 0 && !carrying.progress.limit.is_pause()) {
    carrying.rate.update(reading.received, now);
  } else {
    carrying.rate.skip_to(reading.received, now);
  }
  Progress& progress = carrying.progress;
  progress.done = carrying.done_before + carrying.sent_before +
                  minus(reading.received, carrying.begun.received);
  progress.bytes_per_second = carrying.rate.bytes_per_second();
  progress.remaining.reset();
  progress.outlook.reset();
  if (progress.bytes_per_second) {
    const auto left = static_cast<double>(minus(progress.total, progress.done).value);
    const Seconds overhead(static_cast<std::int64_t>(
        overhead_seconds * static_cast<double>(progress.count - progress.index)));
    progress.outlook =
        forecast(left, *progress.bytes_per_second, overhead, carrying.job, wall());
    if (progress.outlook->done) progress.remaining = *progress.outlook->done - wall();
  }
  if (options_.progress) options_.progress(progress);
}

}  // namespace lt::mirror
