// Seed: a mirror that begins with a carried disk. Export writes the datasets of a job as streams into a
// folder, import receives them at the other site, and the first run over the line sends only what came after.
//
//     FOLDER/manifest.json          datasets, snapshots with GUIDs, parts with their lengths and sums
//     FOLDER/0001.zfs 0002.zfs ...  streams of zfs send, a full one and an incremental one for each dataset
//
// The manifest is written last: a folder without one is an export that did not end. Import reads every
// byte and compares its sum before it receives anything, and the GUIDs afterwards.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/json.h"
#include "mirror/side.h"
#include "mirror/snapshots.h"
#include "mirror/tree.h"

namespace lt::mirror {

inline constexpr const char* seed_schema = "linktune.seed.1";

struct SeedPart {
  std::string file;  // within the folder
  std::uint64_t bytes{0};
  std::string sum;   // hexadecimal
};

struct SeedDataset {
  std::string below;  // of the top: "" or "/child"
  std::vector<HeldSnapshot> snapshots;
  std::vector<SeedPart> parts;  // to be received in this order
};

struct SeedManifest {
  std::string job;
  std::string source;  // the top dataset that was exported
  std::int64_t made{0};
  std::vector<SeedDataset> datasets;  // parents first
  [[nodiscard]] std::uint64_t bytes() const;
  [[nodiscard]] std::size_t snapshots() const;
};

[[nodiscard]] Json manifest_json(const SeedManifest& manifest);
/// @error invalid: not a manifest; which word is wrong
[[nodiscard]] Result<SeedManifest> parse_manifest(std::string_view text, const std::string& path);

using SeedProgress = std::function<void(const std::string& what, std::uint64_t bytes)>;

struct SeedExport {
  std::string job;
  std::string source;
  bool recursive{true};
  std::string folder;
  std::int64_t now{0};
};

/// @error exists: the folder holds something · limit: too little room · not_found: no snapshot to send
[[nodiscard]] Result<SeedManifest> export_seed(Side& here, const SeedExport& request, const HashFunction& hash, const SeedProgress& progress,
                                               const std::stop_token& stop);

struct SeedImport {
  std::string folder;
  std::string target;  // the dataset that becomes the copy of the manifest's source
};

struct SeedReport {
  SeedManifest manifest;
  std::uint64_t datasets{0};  // received now
  std::uint64_t present{0};   // there already, from an import that was interrupted
};

/// @error invalid: a part is damaged, missing or of another length; nothing was received
/// @error exists: the target has something of its own
[[nodiscard]] Result<SeedReport> import_seed(Side& here, const SeedImport& request, const HashFunction& hash, const SeedProgress& progress,
                                             const std::stop_token& stop);

}  // namespace lt::mirror
