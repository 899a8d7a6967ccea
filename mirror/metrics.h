// Metrics: the mirror's state as a text file for the node exporter of Prometheus. Pure.
#pragma once

#include <string>
#include <vector>

#include "mirror/lag.h"
#include "mirror/ledger.h"

namespace lt::mirror {

struct JobState {
  std::string job;
  std::vector<RunRecord> runs;      // newest first
  std::vector<DatasetLag> datasets;
  std::vector<ProofRecord> proofs;  // newest of each kind and dataset
};

/// @source prometheus.io/docs/instrumenting/exposition_formats, text format 0.0.4
[[nodiscard]] std::string metrics_text(const std::vector<JobState>& jobs,
                                       const std::vector<ProofRecord>& scrubs, WallTime now);

}  // namespace lt::mirror
