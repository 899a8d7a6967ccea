// Drill: a restore that is practised, timed and judged, into a scratch place that is taken away again.
//
// A sample: files drawn at random from the newest snapshot at the other site, brought here and compared with
// the source's own files of that snapshot. A whole dataset: received below the scratch dataset, compared
// file by file. Only what the drill itself has made is ever destroyed.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "mirror/restore.h"
#include "mirror/verify.h"

namespace lt::mirror {

struct DrillPlaces {
  std::string source;  // a dataset here
  std::string target;  // its copy at the other site
};

struct DrillReport {
  std::string snapshot;             // of the copy, without dataset
  std::uint64_t files{0};
  std::uint64_t bytes{0};           // restored
  std::uint64_t total_bytes{0};     // of the copy's files
  std::chrono::milliseconds took{0};  // the restore alone
  bool is_good{false};
  std::string what;                 // one sentence
  std::vector<std::string> faults;

  /// How long all of it would take at this rate. 0: unknown
  [[nodiscard]] std::chrono::seconds whole_would_take() const;
};

struct DrillOptions {
  std::size_t files{20};
  std::uint64_t seed{0};
  Digest nonce{};
  HashMaker make_hash;
  std::string folder;  // for files of a sample: an empty folder of the caller's
};

[[nodiscard]] Result<DrillReport> drill_sample(Side& here, Side& peer, const DrillPlaces& places, const DrillOptions& options);
/// @param scratch  the dataset below which the copy is made, as a child of a name of its own
[[nodiscard]] Result<DrillReport> drill_whole(Side& here, Side& peer, const DrillPlaces& places, const std::string& scratch, const DrillOptions& options,
                                              const std::stop_token& stop);

}  // namespace lt::mirror
