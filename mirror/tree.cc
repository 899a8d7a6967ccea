#include "mirror/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

#include "base/handle.h"
#include "base/text.h"

namespace lt::mirror {

namespace {

constexpr std::size_t attribute_bytes_max = 64 << 10;  // XATTR_SIZE_MAX

// A '/' stands before every other byte, so that a folder's contents come directly behind it.
int order_of(char c) { return c == '/' ? 0 : 1 + static_cast<unsigned char>(c); }

std::string full_name(int folder, const std::string& name) {
  return "/proc/self/fd/" + std::to_string(folder) + "/" + name;
}

// Names and values of all extended attributes as one text; none where the file system has none.
std::string attributes_text(int folder, const std::string& name) {
  const std::string path = full_name(folder, name);
  std::string list(attribute_bytes_max, '\0');
  const auto length = ::llistxattr(path.c_str(), list.data(), list.size());
  if (length <= 0) return {};
  std::vector<std::string> names;
  for (const std::string_view one : split(std::string_view(list).substr(0, static_cast<std::size_t>(length)), '\0')) {
    // What SELinux and the like write is the machine's, not the file's.
    if (one.starts_with("user.") || one.starts_with("system.posix_acl")) names.emplace_back(one);
  }
  std::sort(names.begin(), names.end());
  std::string text;
  std::string value(attribute_bytes_max, '\0');
  for (const std::string& one : names) {
    const auto bytes = ::lgetxattr(path.c_str(), one.c_str(), value.data(), value.size());
    text += one + '\0' + std::to_string(bytes) + '\0' + value.substr(0, static_cast<std::size_t>(std::max<ssize_t>(0, bytes)));
  }
  return text;
}

Result<std::vector<std::string>> names_in(const Fd& folder, bool is_top) {
  const Fd copy(::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!copy.is_open()) return fail_errno(errno, "cannot read a folder");
  Fd owned(::dup(copy.get()));
  DIR* const raw = ::fdopendir(owned.get());
  if (raw == nullptr) return fail_errno(errno, "cannot read a folder");
  (void)owned.release();
  const Handle<DIR, ::closedir> listing(raw);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* const item = ::readdir(listing.get())) {
    const std::string name = item->d_name;
    if (name != "." && name != ".." && !(is_top && name == ".zfs")) names.push_back(name);
    errno = 0;
  }
  if (errno != 0) return fail_errno(errno, "cannot read a folder");
  std::sort(names.begin(), names.end());
  return names;
}

void put_text(Writer& out, std::string_view text) {
  out.u32(static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

void put_entry(Writer& out, const HashedEntry& hashed) {
  const TreeEntry& entry = hashed.entry;
  put_text(out, entry.path);
  out.u32(entry.mode).u32(entry.owner).u32(entry.group).u64(entry.bytes).u64(static_cast<std::uint64_t>(entry.changed_ns));
  out.u64(entry.device).u32(static_cast<std::uint32_t>(entry.fault));
  put_text(out, entry.target);
  put_text(out, entry.attributes);
  out.u64(hashed.first_block);
  for (const Digest& digest : hashed.blocks) out.append(digest);
}

}  // namespace

std::strong_ordering compare_paths(std::string_view a, std::string_view b) {
  const std::size_t common = std::min(a.size(), b.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (a[i] != b[i]) return order_of(a[i]) <=> order_of(b[i]);
  }
  return a.size() <=> b.size();
}

std::strong_ordering compare_places(const TreePlace& a, const TreePlace& b) {
  if (a.is_end || b.is_end) return a.is_end <=> b.is_end;
  const auto paths = compare_paths(a.path, b.path);
  return paths != 0 ? paths : a.block <=> b.block;
}

bool TreeEntry::is_file() const { return S_ISREG(mode); }
bool TreeEntry::is_folder() const { return S_ISDIR(mode); }

bool is_inside_path(std::string_view path) {
  if (path.empty() || path.size() > tree_path_bytes_max || path.find('\0') != path.npos) return false;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return true;
}

// Open folders from the top to where the walk stands, each with its sorted names.
struct Tree::Walk {
  struct Floor {
    Fd folder;
    std::string prefix;  // "" or "a/b/"
    std::vector<std::string> names;
    std::size_t at{0};
  };

  Fd top;
  dev_t device{};
  std::vector<Floor> floors;
  std::optional<TreeEntry> current;  // what next() gave last

  Result<TreeEntry> entry_of(const Floor& floor, const std::string& name) const {
    struct stat status {};
    TreeEntry entry;
    entry.path = floor.prefix + name;
    if (::fstatat(floor.folder.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      entry.fault = errno;
      return entry;
    }
    entry.mode = status.st_mode;
    entry.owner = status.st_uid;
    entry.group = status.st_gid;
    entry.changed_ns = std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
    if (S_ISREG(status.st_mode)) entry.bytes = static_cast<std::uint64_t>(status.st_size);
    if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) entry.device = status.st_rdev;
    // What is mounted over a folder is another dataset's: the folder's own attributes are hidden by it.
    if (S_ISDIR(status.st_mode) && status.st_dev != device) {
      return TreeEntry{.path = entry.path, .mode = S_IFDIR};
    }
    if (S_ISLNK(status.st_mode)) {
      std::string target(std::size_t{4096}, '\0');
      const auto length = ::readlinkat(floor.folder.get(), name.c_str(), target.data(), target.size());
      entry.target = target.substr(0, static_cast<std::size_t>(std::max<ssize_t>(0, length)));
    }
    entry.attributes = attributes_text(floor.folder.get(), name);
    return entry;
  }

  Status push(Fd folder, std::string prefix) {
    if (floors.size() >= tree_depth_max || prefix.size() > tree_path_bytes_max) return fail(Errc::limit, "the tree is too deep at " + printable(prefix, 200));
    auto names = names_in(folder, prefix.empty());
    if (!names) return fail(with_context(names.error(), printable(prefix.empty() ? "/" : prefix, 200)));
    floors.push_back({std::move(folder), std::move(prefix), std::move(*names), 0});
    return {};
  }

  // Opens what is below the current entry, where it is a folder of this file system.
  Status descend() {
    if (!current || !current->is_folder()) return {};
    const Floor& floor = floors.back();
    const std::string name = current->path.substr(floor.prefix.size());
    Fd folder(::openat(floor.folder.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder.is_open()) return fail_errno(errno, "cannot read the folder " + printable(current->path, 200));
    struct stat status {};
    if (::fstat(folder.get(), &status) != 0 || status.st_dev != device) return {};
    return push(std::move(folder), current->path + "/");
  }

  // Steps to the entry behind the current one, in order.
  Status step() {
    const std::size_t depth = floors.size();
    if (floors.empty()) return {};
    if (current) {
      LT_CHECK(descend());
      if (floors.size() == depth) ++floors.back().at;
    }
    while (!floors.empty() && floors.back().at >= floors.back().names.size()) {
      floors.pop_back();
      if (!floors.empty()) ++floors.back().at;
    }
    if (floors.empty()) {
      current.reset();
      return {};
    }
    LT_TRY(current, entry_of(floors.back(), floors.back().names[floors.back().at]));
    return {};
  }

  // Stands at the first entry that is not before `path`.
  Status seek(const std::string& path) {
    floors.clear();
    current.reset();
    LT_CHECK(push(Fd(::openat(top.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), ""));
    while (true) {
      Floor& floor = floors.back();
      const std::string_view rest = path.empty() ? std::string_view() : std::string_view(path).substr(floor.prefix.size());
      const std::string part(rest.substr(0, rest.find('/')));
      floor.at = static_cast<std::size_t>(std::lower_bound(floor.names.begin(), floor.names.end(), part) - floor.names.begin());
      if (floor.at >= floor.names.size() || floor.names[floor.at] != part || part.size() == rest.size()) break;
      LT_TRY(current, entry_of(floor, part));
      const std::size_t depth = floors.size();
      LT_CHECK(descend());
      if (floors.size() == depth) {  // a file where the path goes through: what is behind it
        ++floors.back().at;
        break;
      }
    }
    current.reset();
    while (!floors.empty() && floors.back().at >= floors.back().names.size()) {
      floors.pop_back();
      if (!floors.empty()) ++floors.back().at;
    }
    if (floors.empty()) return {};
    LT_TRY(current, entry_of(floors.back(), floors.back().names[floors.back().at]));
    return {};
  }
};

Tree::Tree(std::unique_ptr<Walk> walk) : walk_(std::move(walk)) {}
Tree::Tree(Tree&&) noexcept = default;
Tree& Tree::operator=(Tree&&) noexcept = default;
Tree::~Tree() = default;

Result<Tree> Tree::open(const std::string& folder) {
  auto walk = std::make_unique<Walk>();
  walk->top = Fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status {};
  if (!walk->top.is_open() || ::fstat(walk->top.get(), &status) != 0) return fail_errno(errno, "cannot read " + folder);
  walk->device = status.st_dev;
  return Tree(std::move(walk));
}

Result<std::optional<TreeEntry>> Tree::next(const TreePlace& place) {
  if (place.is_end) return std::optional<TreeEntry>();
  const bool stands_there = walk_->current && walk_->current->path == place.path;
  if (!stands_there) LT_CHECK(walk_->seek(place.path));
  // The place itself names an entry of which some blocks are done.
  if (walk_->current && walk_->current->path == place.path && place.block > 0) {
    if (place.block < walk_->current->blocks()) return walk_->current;
    LT_CHECK(walk_->step());
  }
  return walk_->current;
}

Result<HashedRange> Tree::hash(const TreePlace& from, const std::optional<TreePlace>& to, const RangeLimits& limits, const HashFunction& hash) {
  HashedRange range{from, from, {}, {}, 0};
  Writer all;
  std::vector<Byte> block(tree_block_bytes);
  while (true) {
    LT_TRY(auto entry, next(range.to));
    if (!entry) {
      range.to = TreePlace{{}, 0, true};
      break;
    }
    const std::uint64_t first = entry->path == range.to.path ? range.to.block : 0;
    if (to && compare_places({entry->path, first}, *to) >= 0) {
      range.to = *to;
      break;
    }
    HashedEntry hashed{*entry, first, {}};
    std::uint64_t last = entry->is_file() ? entry->blocks() : 0;
    if (to && !to->is_end && to->path == entry->path) last = std::min(last, to->block);
    if (entry->is_file() && first < last) {
      const auto& floor = walk_->floors.back();
      const std::string name = entry->path.substr(floor.prefix.size());
      Fd file(::openat(floor.folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME));
      if (!file.is_open() && errno == EPERM) file = Fd(::openat(floor.folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
      if (!file.is_open()) hashed.entry.fault = errno;
      for (std::uint64_t at = first; file.is_open() && at < last; ++at) {
        if (!to && range.bytes >= limits.bytes) {
          last = at;
          break;
        }
        std::size_t filled = 0;
        while (filled < block.size()) {
          const auto count = ::pread(file.get(), block.data() + filled, block.size() - filled, static_cast<off_t>(at * tree_block_bytes + filled));
          if (count < 0 && errno == EINTR) continue;
          if (count < 0) hashed.entry.fault = errno;
          if (count <= 0) break;
          filled += static_cast<std::size_t>(count);
        }
        hashed.blocks.push_back(hash(ByteView(block).first(filled)));
        range.bytes += filled;
      }
    }
    if (!hashed.entry.attributes.empty()) {
      const Digest digest = hash(as_bytes(hashed.entry.attributes));
      hashed.entry.attributes = to_hex(digest);
    }
    put_entry(all, hashed);
    range.to = {entry->path, std::max<std::uint64_t>(1, last)};
    range.entries.push_back(std::move(hashed));
    if (!to && (range.bytes >= limits.bytes || range.entries.size() >= limits.entries)) break;
    if (to && compare_places(range.to, *to) >= 0) {
      range.to = *to;
      break;
    }
  }
  range.digest = hash(all.view());
  return range;
}

Result<std::vector<Byte>> Tree::read(const std::string& path, std::uint64_t offset, std::size_t count) const {
  if (!is_inside_path(path)) return fail(Errc::invalid, "\"" + printable(path, 200) + "\" is not a path inside a snapshot: write it without a leading slash and without ..");
  // Folder by folder, so that no link leads out of the tree.
  Fd folder(::openat(walk_->top.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto parts = split(path, '/');
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool is_last = i + 1 == parts.size();
    Fd next(::openat(folder.get(), std::string(parts[i]).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (is_last ? 0 : O_DIRECTORY)));
    if (!next.is_open()) return fail_errno(errno, "cannot read " + printable(path, 200));
    folder = std::move(next);
  }
  struct stat status {};
  if (::fstat(folder.get(), &status) != 0 || !S_ISREG(status.st_mode)) return fail(Errc::invalid, printable(path, 200) + " is not a file");
  std::vector<Byte> bytes(count);
  std::size_t filled = 0;
  while (filled < count) {
    const auto got = ::pread(folder.get(), bytes.data() + filled, count - filled, static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "cannot read " + printable(path, 200));
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

Result<std::vector<TreeEntry>> Tree::sample(std::size_t count, std::uint64_t seed) {
  // Reservoir sampling (Vitter 1985, algorithm R): one pass, however many files there are.
  std::mt19937_64 random(seed);
  std::vector<TreeEntry> drawn;
  std::uint64_t seen = 0;
  TreePlace place;
  while (true) {
    LT_TRY(auto entry, next(place));
    if (!entry) return drawn;
    place = {entry->path, std::max<std::uint64_t>(1, entry->blocks())};
    if (!entry->is_file() || entry->bytes == 0) continue;
    ++seen;
    if (drawn.size() < count) {
      drawn.push_back(std::move(*entry));
    } else if (const std::uint64_t at = random() % seen; at < count) {
      drawn[at] = std::move(*entry);
    }
  }
}

Result<Tree::Extent> Tree::extent() {
  Extent extent;
  TreePlace place;
  while (true) {
    LT_TRY(const auto entry, next(place));
    if (!entry) return extent;
    place = {entry->path, std::max<std::uint64_t>(1, entry->blocks())};
    if (!entry->is_file()) continue;
    ++extent.files;
    extent.bytes += entry->bytes;
  }
}

}  // namespace lt::mirror
