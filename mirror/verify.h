// Verify: whether a snapshot holds the same files, names, owners, times and contents at both sides.
//
// Both sides hash range by range (tree.h), at once; only hashes cross the line, under 0.1 % of the
// contents. Ranges that differ are taken apart until the file and the block are known, and there the first
// byte. A verification may be given a budget: it then says where it stopped, and the next one goes on from
// that place - also in a newer snapshot - until all was seen.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "mirror/tree_service.h"

namespace lt::mirror {

inline constexpr std::size_t differences_told_max = 100;

struct Difference {
  enum class Kind : std::uint8_t { missing, foreign, attributes, contents, unreadable };
  Kind kind{Kind::contents};
  std::string path;
  std::uint64_t block{0};                // of contents
  std::optional<std::uint64_t> byte{};   // the first one that differs, where it could be found
  std::string what;                      // of attributes: which ones
  [[nodiscard]] std::string text() const;
};

struct VerifyOptions {
  TreePlace begin{};
  std::uint64_t bytes_max{0};               // of contents; 0: no budget
  std::chrono::milliseconds time_max{0};    // 0: no budget
  std::stop_token stop{};
  std::function<void(std::uint64_t bytes)> on_progress{};
};

struct VerifyReport {
  std::uint64_t entries{0};
  std::uint64_t bytes{0};        // of the source's contents
  std::uint64_t wire_bytes{0};   // that crossed the line
  std::uint64_t difference_count{0};
  std::vector<Difference> differences;  // the first ones, in the order of the tree
  TreePlace end;                 // is_end: all was seen

  [[nodiscard]] bool is_equal() const { return difference_count == 0; }
};

/// @error interrupted · what either side says
[[nodiscard]] Result<VerifyReport> verify_trees(TreeClient& source, TreeClient& target, const VerifyOptions& options);

/// A place as it is kept between runs. @return nothing when `json` is none
[[nodiscard]] Json place_json(const TreePlace& place);
[[nodiscard]] std::optional<TreePlace> place_from_json(const Json& json);

}  // namespace lt::mirror
