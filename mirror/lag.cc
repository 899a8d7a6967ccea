#include "mirror/lag.h"

#include <map>

namespace lt::mirror {

std::vector<DatasetLag> lag_of(const configs::MirrorJob& job,
                               const std::vector<DatasetRecord>& newest,
                               const std::vector<DatasetRecord>& good, WallTime now) {
  std::map<std::string_view, const DatasetRecord*> proven;
  for (const DatasetRecord& record : good)
    proven[record.source] = &record;
  std::vector<DatasetLag> lags;
  for (const DatasetRecord& record : newest) {
    DatasetLag lag{.source = record.source,
                   .target = record.target,
                   .written = record.written,
                   .outcome = record.outcome,
                   .what = record.what};
    if (const auto found = proven.find(record.source); found != proven.end()) {
      const DatasetRecord& last = *found->second;
      const bool is_checked =
          last.outcome == DatasetOutcome::unchanged && last.written.value == 0;
      lag.current_as_of = is_checked ? last.ended : last.snapshot_created;
      lag.age = std::max(Seconds(0), now - *lag.current_as_of);
      lag.is_stale = *lag.age > job.stale_after;
    }
    lags.push_back(std::move(lag));
  }
  return lags;
}

Result<std::vector<DatasetLag>> read_lag(const Ledger& ledger, const configs::MirrorJob& job,
                                         WallTime now) {
  LT_TRY(const auto newest, ledger.newest(job.name));
  LT_TRY(const auto good, ledger.newest_good(job.name));
  return lag_of(job, newest, good, now);
}

std::string stale_text(const DatasetLag& lag, const configs::MirrorJob& job) {
  const std::string state =
      lag.age ? "the copy of " + lag.source + " is " + configs::duration_text(*lag.age) + " old"
              : lag.source + " was never copied";
  const std::string cure = lag.what.empty()
                               ? "run `linktune mirror run " + job.name + "` and look at what it says"
                               : lag.what;
  return state + " (allowed: " + configs::duration_text(job.stale_after) + "); " + cure;
}

std::optional<WallTime> next_due(const configs::Calendar& schedule,
                                 std::optional<WallTime> last_started, WallTime begun) {
  return schedule.next(last_started.value_or(begun));
}

}  // namespace lt::mirror
