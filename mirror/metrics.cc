#include "mirror/metrics.h"

namespace lt::mirror {

namespace {

std::string label(std::string_view text) {
  std::string made;
  for (const char c : text) {
    if (c == '\\' || c == '"') made += '\\';
    made += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return made;
}

std::int64_t unix_time(WallTime time) { return time.time_since_epoch().count(); }

class Page {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = "linktune_mirror_" + std::string(name);
    text_ += "# HELP " + name_ + " " + std::string(help) + "\n# TYPE " + name_ + " " +
             std::string(type) + "\n";
  }
  void sample(const std::string& labels, std::int64_t value) {
    text_ += name_ + (labels.empty() ? "" : "{" + labels + "}") + " " + std::to_string(value) + "\n";
  }
  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  std::string name_;
  std::string text_;
};

std::string job_label(const std::string& job) { return "job=\"" + label(job) + "\""; }
std::string dataset_label(const std::string& job, const DatasetLag& lag) {
  return job_label(job) + ",dataset=\"" + label(lag.source) + "\"";
}

}  // namespace

std::string metrics_text(const std::vector<JobState>& jobs, const std::vector<ProofRecord>& scrubs,
                         WallTime now) {
  Page page;
  const auto each_run = [&](const auto& value) {
    for (const JobState& state : jobs) {
      if (!state.runs.empty()) page.sample(job_label(state.job), value(state.runs.front()));
    }
  };
  const auto each_dataset = [&](const auto& value) {
    for (const JobState& state : jobs) {
      for (const DatasetLag& lag : state.datasets)
        page.sample(dataset_label(state.job, lag), value(lag));
    }
  };
  page.family("written_timestamp_seconds", "gauge", "when this file was written");
  page.sample("", unix_time(now));
  page.family("run_started_timestamp_seconds", "gauge", "when the last run of a job began");
  each_run([](const RunRecord& run) { return unix_time(run.started); });
  page.family("run_ok", "gauge", "1: the last run ended well or still runs");
  each_run([](const RunRecord& run) {
    return std::int64_t{run.outcome == RunOutcome::done || run.outcome == RunOutcome::running};
  });
  page.family("run_sent_bytes", "gauge", "carried by the last run");
  each_run([](const RunRecord& run) { return static_cast<std::int64_t>(run.sent.value); });
  page.family("run_datasets_failed", "gauge", "datasets that the last run could not carry");
  each_run([](const RunRecord& run) { return std::int64_t{run.failed}; });
  page.family("lag_seconds", "gauge", "age of the copy of a dataset; -1: never copied");
  each_dataset([](const DatasetLag& lag) { return lag.age ? lag.age->count() : -1; });
  page.family("lag_bytes", "gauge", "written at the source and not copied, when last looked");
  each_dataset([](const DatasetLag& lag) { return static_cast<std::int64_t>(lag.written.value); });
  page.family("stale", "gauge", "1: the copy is older than its job allows");
  each_dataset([](const DatasetLag& lag) { return std::int64_t{lag.is_stale}; });
  page.family("scrub_ok", "gauge", "1: the last scrub that ended found no error");
  for (const ProofRecord& scrub : scrubs) {
    page.sample("pool=\"" + label(scrub.dataset) + "\"",
                std::int64_t{scrub.result == ProofResult::good});
  }
  page.family("scrub_ended_timestamp_seconds", "gauge", "when the last scrub that ended did so");
  for (const ProofRecord& scrub : scrubs)
    page.sample("pool=\"" + label(scrub.dataset) + "\"", unix_time(scrub.ended));
  return std::move(page).text();
}

}  // namespace lt::mirror
