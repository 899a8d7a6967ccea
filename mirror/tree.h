// Tree: the files of one snapshot, walked in a fixed order and hashed piece by piece.
//
// Two sites that hold the same snapshot walk the same order: names by their bytes, a folder before what
// is in it. A PLACE in that order is a path and a block; what lies between two places is a RANGE, and
// its hash covers names, kinds, modes, owners, times, sizes, links, extended attributes and contents.
// So equal ranges cost a hash, and unequal ones are taken apart down to a block. Symbolic links are
// never followed, other file systems never entered, and of `.zfs` at the top nothing is told.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"

namespace lt::mirror {

inline constexpr std::uint64_t tree_block_bytes = 128 << 10;  // ZFS's usual record
inline constexpr std::size_t tree_path_bytes_max = 64 << 10;  // deeper than that is not a tree of files
inline constexpr std::size_t tree_depth_max = 1000;

using Digest = std::array<Byte, 32>;
/// A keyed hash, handed in by who knows cryptography.
using HashFunction = std::function<Digest(ByteView)>;

/// Before everything: {"", 0}. Everything of `path` and before it is done at {path, blocks of it}.
struct TreePlace {
  std::string path;
  std::uint64_t block{0};
  bool is_end{false};  // behind everything

  friend bool operator==(const TreePlace&, const TreePlace&) = default;
};
/// The order of the walk.
[[nodiscard]] std::strong_ordering compare_paths(std::string_view a, std::string_view b);
[[nodiscard]] std::strong_ordering compare_places(const TreePlace& a, const TreePlace& b);

struct TreeEntry {
  std::string path;
  std::uint32_t mode{0};  // with the kind of file
  std::uint32_t owner{0};
  std::uint32_t group{0};
  std::uint64_t bytes{0};
  std::int64_t changed_ns{0};  // the contents' time
  std::uint64_t device{0};     // of a device file
  std::string target;          // of a symbolic link
  std::string attributes;      // extended ones: a digest, empty for none
  int fault{0};                // errno of what could not be read

  [[nodiscard]] bool is_file() const;
  [[nodiscard]] bool is_folder() const;
  [[nodiscard]] std::uint64_t blocks() const { return (bytes + tree_block_bytes - 1) / tree_block_bytes; }
  friend bool operator==(const TreeEntry&, const TreeEntry&) = default;
};

/// An entry, or a part of its blocks.
struct HashedEntry {
  TreeEntry entry;
  std::uint64_t first_block{0};
  std::vector<Digest> blocks;
  friend bool operator==(const HashedEntry&, const HashedEntry&) = default;
};

struct RangeLimits {
  std::uint64_t bytes{64 << 20};
  std::uint64_t entries{4096};
};

struct HashedRange {
  TreePlace from;
  TreePlace to;
  Digest digest{};
  std::vector<HashedEntry> entries;
  std::uint64_t bytes{0};  // of contents read
};

class Tree {
 public:
  /// @error not_found, not_permitted, io: the folder
  [[nodiscard]] static Result<Tree> open(const std::string& folder);
  Tree(Tree&&) noexcept;
  Tree& operator=(Tree&&) noexcept;
  ~Tree();

  /// The next entry at or behind `place` in order, or nothing at the end.
  /// @error io: a folder on the way cannot be read
  [[nodiscard]] Result<std::optional<TreeEntry>> next(const TreePlace& place);

  /// Hashes from `from` until `to`, or until a limit is reached where there is no `to`.
  [[nodiscard]] Result<HashedRange> hash(const TreePlace& from, const std::optional<TreePlace>& to, const RangeLimits& limits,
                                         const HashFunction& hash);

  /// Bytes of a file, fewer at its end. @error not_found, io
  [[nodiscard]] Result<std::vector<Byte>> read(const std::string& path, std::uint64_t offset, std::size_t count) const;

  /// Entries with contents, up to `count`, each as likely as any other. @param seed of the draw
  [[nodiscard]] Result<std::vector<TreeEntry>> sample(std::size_t count, std::uint64_t seed);

  /// Of regular files in the whole tree.
  struct Extent {
    std::uint64_t files{0};
    std::uint64_t bytes{0};
  };
  [[nodiscard]] Result<Extent> extent();

 private:
  struct Walk;
  explicit Tree(std::unique_ptr<Walk> walk);
  std::unique_ptr<Walk> walk_;
};

/// A path that stays inside a tree: relative, no "..", no empty part, no zero byte.
[[nodiscard]] bool is_inside_path(std::string_view path);

}  // namespace lt::mirror
