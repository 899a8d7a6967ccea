#include "mirror/verify.h"

#include <algorithm>

#include "base/text.h"

namespace lt::mirror {

namespace {

std::string attributes_differing(const TreeEntry& a, const TreeEntry& b) {
  std::vector<std::string> names;
  if ((a.mode & 0170000U) != (b.mode & 0170000U)) names.emplace_back("kind");
  if ((a.mode & 07777U) != (b.mode & 07777U)) names.emplace_back("mode");
  if (a.owner != b.owner) names.emplace_back("owner");
  if (a.group != b.group) names.emplace_back("group");
  if (a.bytes != b.bytes) names.push_back("size (" + std::to_string(a.bytes) + " and " + std::to_string(b.bytes) + " bytes)");
  if (a.changed_ns != b.changed_ns) names.emplace_back("time");
  if (a.device != b.device) names.emplace_back("device");
  if (a.target != b.target) names.emplace_back("link");
  if (a.attributes != b.attributes) names.emplace_back("extended attributes");
  return join(names, ", ");
}

class Comparison {
 public:
  Comparison(TreeClient& source, TreeClient& target, VerifyReport& report) : source_(source), target_(target), report_(report) {}

  Status take_apart(const TreePlace& from, const TreePlace& to) {
    LT_TRY(const auto ours, source_.details(from, to));
    LT_TRY(const auto theirs, target_.details(from, to));
    auto a = ours.begin();
    auto b = theirs.begin();
    while (a != ours.end() || b != theirs.end()) {
      const auto order = a == ours.end() ? std::strong_ordering::greater
                         : b == theirs.end() ? std::strong_ordering::less
                                             : compare_paths(a->entry.path, b->entry.path);
      if (order < 0) {
        // The rest of a file that is longer here, behind the end of its copy, is told with its size.
        if (a->first_block == 0) add({Difference::Kind::missing, a->entry.path, 0, {}, {}});
        ++a;
      } else if (order > 0) {
        if (b->first_block == 0) add({Difference::Kind::foreign, b->entry.path, 0, {}, {}});
        ++b;
      } else {
        LT_CHECK(compare(*a, *b));
        ++a;
        ++b;
      }
    }
    return {};
  }

 private:
  Status compare(const HashedEntry& a, const HashedEntry& b) {
    if (a.entry.fault != 0 || b.entry.fault != 0) {
      const bool is_source = a.entry.fault != 0;
      const int fault = is_source ? a.entry.fault : b.entry.fault;
      add({Difference::Kind::unreadable, a.entry.path, 0, {}, std::string(is_source ? "at the source: " : "at the target: ") + std::strerror(fault)});
      return {};
    }
    const std::string differing = attributes_differing(a.entry, b.entry);
    const std::size_t blocks = std::min(a.blocks.size(), b.blocks.size());
    for (std::size_t i = 0; i < blocks; ++i) {
      if (a.blocks[i] == b.blocks[i]) continue;
      const std::uint64_t block = a.first_block + i;
      LT_TRY(const auto byte, first_differing_byte(a.entry.path, block));
      add({Difference::Kind::contents, a.entry.path, block, byte, {}});
      return {};
    }
    if (!differing.empty() && a.first_block == 0) add({Difference::Kind::attributes, a.entry.path, 0, {}, differing});
    return {};
  }

  Result<std::optional<std::uint64_t>> first_differing_byte(const std::string& path, std::uint64_t block) {
    const auto ours = source_.read(path, block * tree_block_bytes, tree_block_bytes);
    const auto theirs = target_.read(path, block * tree_block_bytes, tree_block_bytes);
    if (!ours || !theirs) {
      const Error& error = ours ? theirs.error() : ours.error();
      if (error.code == Errc::protocol || error.code == Errc::closed) return fail(error);
      return std::optional<std::uint64_t>();
    }
    const auto [mine, its] = std::mismatch(ours->begin(), ours->end(), theirs->begin(), theirs->end());
    if (mine == ours->end() && its == theirs->end()) return std::optional<std::uint64_t>();  // it reads differently each time
    return std::optional(block * tree_block_bytes + static_cast<std::uint64_t>(mine - ours->begin()));
  }

  void add(Difference difference) {
    // A file longer than a range comes in several: its first difference counts.
    if (!report_.differences.empty() && report_.differences.back().path == difference.path) return;
    ++report_.difference_count;
    if (report_.differences.size() < differences_told_max) report_.differences.push_back(std::move(difference));
  }

  TreeClient& source_;
  TreeClient& target_;
  VerifyReport& report_;
};

}  // namespace

std::string Difference::text() const {
  const std::string name = printable(path, 300);
  switch (kind) {
    case Kind::missing: return name + " is missing at the target";
    case Kind::foreign: return name + " is at the target only";
    case Kind::attributes: return name + " differs in " + what;
    case Kind::unreadable: return name + " cannot be read " + what;
    case Kind::contents:
      return name + " differs in block " + std::to_string(block) + " (of " + std::to_string(tree_block_bytes) + " bytes)" +
             (byte ? ", first at byte " + std::to_string(*byte) : "");
  }
  return name;
}

Result<VerifyReport> verify_trees(TreeClient& source, TreeClient& target, const VerifyOptions& options) {
  VerifyReport report;
  Comparison comparison(source, target, report);
  const auto began = std::chrono::steady_clock::now();
  const auto is_spent = [&] {
    return (options.bytes_max > 0 && report.bytes >= options.bytes_max) ||
           (options.time_max.count() > 0 && std::chrono::steady_clock::now() - began >= options.time_max);
  };
  TreePlace place = options.begin;
  LT_CHECK(source.ask_advance(place));
  LT_TRY(auto ours, source.advance_answer());
  while (true) {
    if (options.stop.stop_requested()) return fail(Errc::interrupted, "interrupted; the next verify goes on where this one stopped");
    if (compare_places(place, ours.to) > 0) return fail(Errc::protocol, "the source walks its tree backwards");
    LT_CHECK(target.ask_hash(place, ours.to));
    report.bytes += ours.range.bytes;
    report.entries += ours.range.entries;
    const bool is_last = ours.to.is_end || is_spent();
    // While the target hashes this range, the source hashes the next one.
    if (!is_last) LT_CHECK(source.ask_advance(ours.to));
    LT_TRY(const auto theirs, target.hash_answer());
    auto next = ours;
    if (!is_last) {
      LT_TRY(next, source.advance_answer());
    }
    if (theirs.digest != ours.range.digest) LT_CHECK(comparison.take_apart(place, ours.to));
    place = ours.to;
    if (options.on_progress) options.on_progress(report.bytes);
    if (is_last) break;
    ours = next;
  }
  report.end = place;
  report.wire_bytes = target.wire_bytes();
  return report;
}

Json place_json(const TreePlace& place) {
  // Names may hold bytes that JSON cannot: as hexadecimal digits.
  return {{"path", to_hex(as_bytes(place.path))}, {"block", place.block}, {"end", place.is_end}};
}

std::optional<TreePlace> place_from_json(const Json& json) {
  if (!json.is_object() || !json.contains("path") || !json["path"].is_string() || !json.contains("block") ||
      !json["block"].is_number_unsigned() || !json.contains("end") || !json["end"].is_boolean()) {
    return std::nullopt;
  }
  const auto path = from_hex(json["path"].get_ref<const std::string&>());
  if (!path) return std::nullopt;
  TreePlace place{std::string(as_text(*path)), json["block"].get<std::uint64_t>(), json["end"].get<bool>()};
  if (!place.path.empty() && !is_inside_path(place.path)) return std::nullopt;
  return place;
}

}  // namespace lt::mirror
