// The tree service: what one end of a verification asks the other about the files of a snapshot, over two
// descriptors. The server is a child of the agent (or of this program); its client compares, samples, restores.
//
//     message = length of what follows (4 B), kind (1 B), body; integers big-endian
//
// Both ends bound every length before they wait for the body, and believe no path. The server answers in
// order, one answer for each question; it reads nothing but the one snapshot, and writes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mirror/tree.h"

namespace lt::mirror {

inline constexpr std::uint32_t tree_service_version = 1;
inline constexpr std::size_t tree_message_bytes_max = 32 << 20;
inline constexpr std::size_t tree_read_bytes_max = 1 << 20;
inline constexpr std::size_t tree_sample_max = 10'000;

/// Makes the hash of a session from the nonce that the client drew: equal answers cannot be kept for later.
using HashMaker = std::function<HashFunction(const Digest& nonce)>;

/// Answers until the input ends. @error protocol: the client broke the rules · io
[[nodiscard]] Status serve_tree(Tree& tree, int in, int out, const HashMaker& make_hash, const RangeLimits& limits = {});

class TreeClient {
 public:
  /// Greets the server. @error protocol · closed: it ended before it answered; `what` of its first words
  [[nodiscard]] static Result<TreeClient> greet(int in, int out, const Digest& nonce);

  struct RangeAnswer {
    Digest digest{};
    std::uint64_t entries{0};
    std::uint64_t bytes{0};
  };
  /// What the server chose as a range from a place on, by its limits.
  struct Advance {
    TreePlace to;
    RangeAnswer range;
  };
  // A question and its answer apart, so that both ends work at once.
  [[nodiscard]] Status ask_advance(const TreePlace& from);
  [[nodiscard]] Result<Advance> advance_answer();
  [[nodiscard]] Status ask_hash(const TreePlace& from, const TreePlace& to);
  [[nodiscard]] Result<RangeAnswer> hash_answer();
  [[nodiscard]] Result<std::vector<HashedEntry>> details(const TreePlace& from, const TreePlace& to);

  [[nodiscard]] Result<std::vector<Byte>> read(const std::string& path, std::uint64_t offset, std::size_t count);
  /// Entries from `place` on, at most `count` (1,000 at most), without hashes; empty: the end.
  [[nodiscard]] Result<std::vector<TreeEntry>> list(const TreePlace& place, std::size_t count);
  [[nodiscard]] Result<std::vector<TreeEntry>> sample(std::size_t count, std::uint64_t seed);
  [[nodiscard]] Result<Tree::Extent> extent();

  /// Bytes of questions and answers so far: what a verification costs the line.
  [[nodiscard]] std::uint64_t wire_bytes() const { return wire_bytes_; }

 private:
  TreeClient(int in, int out) : in_(in), out_(out) {}
  Status ask(std::uint8_t kind, ByteView body);
  Result<std::vector<Byte>> answer(std::uint8_t kind);

  int in_;
  int out_;
  std::uint64_t wire_bytes_{0};
};

}  // namespace lt::mirror
