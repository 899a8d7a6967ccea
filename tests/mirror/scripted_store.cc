#include "tests/mirror/scripted_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <map>

#include "base/text.h"

namespace lt::mirror::testing {

namespace fs = std::filesystem;

namespace {

std::string flat(const std::string& dataset) {
  std::string name;
  for (const char c : dataset) name += c == '/' ? std::string("%2F") : std::string(1, c);
  return name;
}

std::string unflat(const std::string& name) {
  std::string dataset = name;
  for (auto at = dataset.find("%2F"); at != dataset.npos; at = dataset.find("%2F")) dataset.replace(at, 3, "/");
  return dataset;
}

Json read_json(const fs::path& path) {
  const auto text = read_file(path, 256 << 20);
  if (!text) throw Refusal{1, "scripted zfs: " + text.error().text()};
  auto json = parse_json(*text, path.string());
  if (!json) throw Refusal{1, "scripted zfs: " + json.error().text()};
  return std::move(*json);
}

void write_json(const fs::path& path, const Json& json) {
  const auto status = write_file(path, to_line(json), 0600);
  if (!status) throw Refusal{1, "scripted zfs: " + status.error().text()};
}

}  // namespace

std::vector<Entry> entries_of(const fs::path& folder) {
  std::vector<Entry> entries;
  const std::function<void(const fs::path&, const std::string&)> walk = [&](const fs::path& where, const std::string& prefix) {
    for (const auto& item : fs::directory_iterator(where)) {
      const std::string name = item.path().filename();
      if (prefix.empty() && name == ".zfs") continue;
      struct stat status {};
      if (::lstat(item.path().c_str(), &status) != 0) continue;
      Entry entry{prefix + name, item.symlink_status().type(), status.st_mode & 07777U,
                  std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec, 0, {}};
      if (S_ISREG(status.st_mode)) entry.bytes = static_cast<std::uint64_t>(status.st_size);
      if (S_ISLNK(status.st_mode)) entry.target = fs::read_symlink(item.path());
      entries.push_back(entry);
      if (S_ISDIR(status.st_mode)) walk(item.path(), prefix + name + "/");
    }
  };
  if (fs::exists(folder)) walk(folder, "");
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.path < b.path; });
  return entries;
}

void set_attributes(const fs::path& path, const Entry& entry) {
  const timespec time{entry.mtime_ns / 1'000'000'000, entry.mtime_ns % 1'000'000'000};
  const timespec times[2]{time, time};
  if (entry.type != fs::file_type::symlink) ::chmod(path.c_str(), entry.mode);
  ::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

void copy_tree(const fs::path& from, const fs::path& to) {
  fs::create_directories(to);
  const auto entries = entries_of(from);
  for (const Entry& entry : entries) {
    const fs::path target = to / entry.path;
    if (entry.type == fs::file_type::directory) fs::create_directories(target);
    if (entry.type == fs::file_type::symlink) fs::create_symlink(entry.target, target);
    if (entry.type == fs::file_type::regular) fs::copy_file(from / entry.path, target);
  }
  // Children first: a file that is made changes the time of its folder.
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) set_attributes(to / entry->path, *entry);
}

Store::Store(fs::path root) : root_(std::move(root)) {
  fs::create_directories(root_ / "state/datasets");
  fs::create_directories(root_ / "state/partial");
  fs::create_directories(root_ / "mnt");
}

Fd Store::lock() const {
  Fd fd(::open((root_ / "state/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  while (::flock(fd.get(), LOCK_EX) != 0 && errno == EINTR) {
  }
  return fd;
}

fs::path Store::record_of(const std::string& dataset) const { return root_ / "state/datasets" / flat(dataset); }
fs::path Store::mount_of(const std::string& dataset) const { return root_ / "mnt" / flat(dataset); }
fs::path Store::spool_of(const std::string& dataset) const { return root_ / "state/partial" / flat(dataset); }
fs::path Store::snapshot_folder(const std::string& dataset, const std::string& snapshot) const {
  return mount_of(dataset) / ".zfs/snapshot" / snapshot;
}

bool Store::exists(const std::string& dataset) const { return fs::exists(record_of(dataset)); }

Json Store::load(const std::string& dataset) const {
  if (dataset.empty() || !exists(dataset)) throw Refusal{1, "cannot open '" + dataset + "': dataset does not exist"};
  return read_json(record_of(dataset));
}

void Store::save(const Json& dataset) const { write_json(record_of(dataset["name"].get<std::string>()), dataset); }

void Store::remove(const std::string& dataset) const {
  fs::remove(record_of(dataset));
  fs::remove_all(mount_of(dataset));
  fs::remove(spool_of(dataset));
}

std::vector<std::string> Store::all_datasets() const {
  std::vector<std::string> names;
  for (const auto& item : fs::directory_iterator(root_ / "state/datasets")) names.push_back(unflat(item.path().filename()));
  // zfs lists a dataset directly before what is below it.
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
      return (x == '/' ? '\1' : x) < (y == '/' ? '\1' : y);
    });
  });
  return names;
}

std::vector<std::string> Store::datasets_below(const std::string& dataset, std::optional<unsigned> depth) const {
  if (depth == 0U) return {dataset};
  std::vector<std::string> names;
  for (const std::string& name : all_datasets()) {
    if (name != dataset && !name.starts_with(dataset + "/")) continue;
    const auto floors = static_cast<unsigned>(std::count(name.begin() + static_cast<std::ptrdiff_t>(dataset.size()), name.end(), '/'));
    if (!depth || floors <= *depth) names.push_back(name);
  }
  return names;
}

Json Store::pools() const {
  return fs::exists(root_ / "state/pools.json") ? read_json(root_ / "state/pools.json") : Json::object();
}
void Store::save_pools(const Json& pools) const { write_json(root_ / "state/pools.json", pools); }

std::uint64_t Store::next_txg() const {
  const fs::path path = root_ / "state/txg";
  const auto text = read_file(path, 64);
  const std::uint64_t txg = (text ? parse_u64(*text).value_or(0) : 0) + 1;
  (void)write_file(path, std::to_string(txg), 0600);
  return txg;
}

std::uint64_t Store::new_guid() {
  std::uint64_t guid = 0;
  if (::getrandom(&guid, sizeof guid, 0) != sizeof guid) throw Refusal{1, "scripted zfs: no random number"};
  return guid | 1;
}

void Store::create(const std::string& dataset, const std::string& type, const Json& properties) const {
  save({{"name", dataset}, {"type", type}, {"guid", new_guid()}, {"createtxg", next_txg()}, {"creation", now_seconds()},
        {"properties", properties}, {"received", Json::object()}, {"origin", "-"}, {"snapshots", Json::array()},
        {"bookmarks", Json::array()}, {"partial", nullptr}});
  fs::create_directories(mount_of(dataset) / ".zfs/snapshot");
}

void Store::take_snapshot(Json& dataset, const std::string& name, std::uint64_t guid, std::int64_t creation) const {
  const std::string own = dataset["name"];
  copy_tree(mount_of(own), snapshot_folder(own, name));
  dataset["snapshots"].push_back({{"name", name}, {"guid", guid}, {"createtxg", next_txg()}, {"creation", creation},
                                  {"holds", Json::array()}, {"properties", Json::object()}});
}

void Store::drop_snapshot(Json& dataset, const std::string& name) const {
  auto& list = dataset["snapshots"];
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i]["name"] == name) list.erase(i);
  }
  fs::remove_all(snapshot_folder(dataset["name"], name));
}

void Store::roll_back(Json& dataset, const std::string& name) const {
  const std::string own = dataset["name"];
  while (dataset["snapshots"].back()["name"] != name) drop_snapshot(dataset, dataset["snapshots"].back()["name"]);
  for (const auto& item : fs::directory_iterator(mount_of(own))) {
    if (item.path().filename() != ".zfs") fs::remove_all(item.path());
  }
  copy_tree(snapshot_folder(own, name), mount_of(own));
}

std::uint64_t Store::bytes_changed(const fs::path& before, const fs::path& after) {
  constexpr std::uint64_t metadata_bytes = 4096;  // what a changed entry costs besides its contents
  std::map<std::string, Entry> known;
  for (const Entry& entry : entries_of(before)) known.emplace(entry.path, entry);
  std::uint64_t bytes = 0;
  for (const Entry& entry : entries_of(after)) {
    const auto old = known.find(entry.path);
    if (old == known.end() || !(old->second == entry)) bytes += entry.bytes + metadata_bytes;
    if (old != known.end()) known.erase(old);
  }
  return bytes + known.size() * metadata_bytes;
}

std::uint64_t Store::bytes_in(const fs::path& folder) {
  std::uint64_t bytes = 98'304;  // what OpenZFS says of an empty filesystem
  for (const Entry& entry : entries_of(folder)) bytes += entry.bytes;
  return bytes;
}

Json* find_named(Json& list, std::string_view name) {
  for (Json& item : list) {
    if (item["name"].get_ref<const std::string&>() == name) return &item;
  }
  return nullptr;
}

std::int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace lt::mirror::testing
