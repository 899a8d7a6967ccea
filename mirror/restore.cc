#include "mirror/restore.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/text.h"
#include "configs/mirror_config.h"

namespace lt::mirror {

namespace fs = std::filesystem;

namespace {

std::string_view name_of(DatasetRestore::Way way) {
  switch (way) {
    case DatasetRestore::Way::fresh: return "whole, with";
    case DatasetRestore::Way::fill: return "into the empty dataset, with";
    case DatasetRestore::Way::go_on: return "goes on, with";
    case DatasetRestore::Way::whole: return "is there already, with all";
    case DatasetRestore::Way::skip: return "left out: it has";
  }
  return "";
}

Result<std::string> property_of(Side& side, const std::string& property, const std::string& dataset) {
  LT_TRY(const std::string value, capture(side, {"zfs", "get", "-Hp", "-o", "value", property, dataset}));
  return std::string(trim(value));
}

// Whether a dataset holds any file: a new pool's top does not.
Result<bool> is_empty(Side& here, const std::string& dataset) {
  LT_TRY(const std::string type, property_of(here, "type", dataset));
  if (type != "filesystem") return false;
  LT_TRY(const std::string mountpoint, property_of(here, "mountpoint", dataset));
  if (!mountpoint.starts_with('/')) return false;
  LT_TRY(const std::string found, capture(here, {"find", mountpoint, "-mindepth", "1", "-maxdepth", "1", "-not", "-name", ".zfs", "-print", "-quit"}));
  return trim(found).empty();
}

Status choose_way(Side& here, DatasetRestore& dataset) {
  auto own = snapshots_of(here, dataset.to);
  if (!own) {
    if (own.error().code != Errc::not_found) return fail(own.error());
    dataset.way = DatasetRestore::Way::fresh;
    return {};
  }
  if (own->empty()) {
    LT_TRY(const bool empty, is_empty(here, dataset.to));
    if (!empty) {
      return fail(Errc::exists, dataset.to + " holds files, and no snapshot from " + dataset.from + ": restore to another name with --to, or move them away first");
    }
    dataset.way = DatasetRestore::Way::fill;
    return {};
  }
  const GuidProof proof = prove_guids(dataset.snapshots, *own);
  if (proof.common == 0 || !proof.foreign.empty() || !proof.conflicting.empty()) {
    return fail(Errc::exists, dataset.to + " has snapshots of its own, which " + dataset.from + " does not have: restore to another name with --to");
  }
  dataset.base = proof.newest_common;
  dataset.way = proof.missing.empty() ? DatasetRestore::Way::whole : DatasetRestore::Way::go_on;
  return {};
}

std::string parent_of(const std::string& dataset) { return dataset.substr(0, dataset.rfind('/')); }

// The dataset above the first one must be there: a pool is made by its owner, who knows the disks.
Status check_parent(Side& here, const RestoreRequest& request) {
  const bool is_pool = request.to.find('/') == std::string::npos;
  const std::string parent = is_pool ? request.to : parent_of(request.to);
  const auto known = property_of(here, "type", parent);
  if (known) return {};
  if (known.error().code != Errc::not_found) return fail(known.error());
  const std::string pool = parent.substr(0, parent.find('/'));
  if (pool == parent) return fail(Errc::not_found, "there is no pool " + pool + ": make it with zpool create " + pool + " DISKS, or let --create-pool do it");
  return fail(Errc::not_found, "there is no dataset " + parent + ": make it with zfs create -p " + parent);
}

}  // namespace

std::uint64_t RestorePlan::bytes() const {
  std::uint64_t sum = 0;
  for (const DatasetRestore& dataset : datasets) {
    if (dataset.way != DatasetRestore::Way::whole && dataset.way != DatasetRestore::Way::skip) sum += dataset.bytes;
  }
  return sum;
}

std::size_t RestorePlan::snapshots() const {
  std::size_t sum = 0;
  for (const DatasetRestore& dataset : datasets) sum += dataset.snapshots.size();
  return sum;
}

std::string RestorePlan::text() const {
  std::string text;
  for (const DatasetRestore& dataset : datasets) {
    text += "  " + dataset.from + " -> " + dataset.to + ": " + std::string(name_of(dataset.way)) + " " + std::to_string(dataset.snapshots.size()) +
            " snapshot" + (dataset.snapshots.size() == 1 ? "" : "s") + (dataset.base.empty() ? "" : " from " + dataset.base + " on") + "\n";
  }
  return text;
}

Result<RestorePlan> plan_restore(Side& peer, Side& here, const RestoreRequest& request) {
  for (const std::string& name : {request.from, request.to}) {
    if (!configs::is_dataset_name(name)) return fail(Errc::invalid, "\"" + printable(name, 200) + "\" is not the name of a dataset: write POOL/NAME");
  }
  LT_CHECK(check_parent(here, request));
  std::vector<std::string> names{request.from};
  if (request.recursive) {
    LT_TRY(names, datasets_below(peer, request.from));
  }
  RestorePlan plan;
  for (const std::string& name : names) {
    DatasetRestore dataset{name, request.to + name.substr(request.from.size()), {}, {}, {}, 0};
    LT_TRY(dataset.snapshots, snapshots_of(peer, name));
    LT_TRY(const std::string bytes, property_of(peer, "referenced", name));
    dataset.bytes = parse_u64(bytes).value_or(0);
    if (dataset.snapshots.empty()) {
      dataset.way = DatasetRestore::Way::skip;
    } else {
      LT_CHECK(choose_way(here, dataset));
    }
    plan.datasets.push_back(std::move(dataset));
  }
  const bool any = std::any_of(plan.datasets.begin(), plan.datasets.end(), [](const auto& dataset) { return dataset.way != DatasetRestore::Way::skip; });
  if (!any) return fail(Errc::not_found, request.from + " has no snapshot " + peer.where() + ": there is nothing that could be restored");
  return plan;
}

namespace {

Result<std::uint64_t> restore_one(Side& peer, Side& here, const DatasetRestore& dataset) {
  const std::string newest = dataset.from + "@" + dataset.snapshots.back().name;
  std::uint64_t bytes = 0;
  std::string base = dataset.base;
  if (dataset.way != DatasetRestore::Way::go_on) {
    base = dataset.snapshots.front().name;
    Argv receive{"zfs", "receive"};
    // -F only into what was found empty: it would throw away the rest of anything else.
    if (dataset.way == DatasetRestore::Way::fill) receive.emplace_back("-F");
    receive.push_back(dataset.to);
    LT_TRY(bytes, carry_stream(peer, {"zfs", "send", dataset.from + "@" + base}, here, receive));
  }
  if (base == dataset.snapshots.back().name) return bytes;
  Argv receive{"zfs", "receive"};
  // What this very restore has made may be set back: a mount alone may have touched it.
  if (dataset.way != DatasetRestore::Way::go_on) receive.emplace_back("-F");
  receive.push_back(dataset.to);
  LT_TRY(const std::uint64_t more, carry_stream(peer, {"zfs", "send", "-I", dataset.from + "@" + base, newest}, here, receive));
  return bytes + more;
}

}  // namespace

Result<RestoreReport> restore_datasets(Side& peer, Side& here, const RestorePlan& plan, const RestoreProgress& progress, const std::stop_token& stop) {
  RestoreReport report;
  for (std::size_t i = 0; i < plan.datasets.size(); ++i) {
    const DatasetRestore& dataset = plan.datasets[i];
    if (stop.stop_requested()) return fail(Errc::interrupted, "interrupted; the same command goes on from here");
    if (progress) progress(i + 1, plan.datasets.size(), dataset);
    if (dataset.way == DatasetRestore::Way::skip) continue;
    if (dataset.way != DatasetRestore::Way::whole) {
      LT_TRY(const std::uint64_t bytes, restore_one(peer, here, dataset));
      report.stream_bytes += bytes;
    }
    LT_TRY(const auto own, snapshots_of(here, dataset.to));
    const GuidProof proof = prove_guids(dataset.snapshots, own);
    if (!proof.is_complete()) return fail(Errc::io, "after its restore " + proof.text(dataset.from, dataset.to));
    ++report.datasets;
    report.snapshots += proof.common;
  }
  return report;
}

// --- files ---

namespace {

Status put_attributes(const std::string& path, const TreeEntry& entry) {
  const timespec time{entry.changed_ns / 1'000'000'000, entry.changed_ns % 1'000'000'000};
  const timespec times[2]{time, time};
  // Who is not root keeps the file as its own.
  if (::lchown(path.c_str(), entry.owner, entry.group) != 0 && errno != EPERM) return fail_errno(errno, "cannot give " + path + " its owner");
  if (!S_ISLNK(entry.mode) && ::chmod(path.c_str(), entry.mode & 07777U) != 0) return fail_errno(errno, "cannot give " + path + " its mode");
  if (::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, "cannot give " + path + " its time");
  return {};
}

Status write_file_of(TreeClient& peer, const TreeEntry& entry, const std::string& to, const HashFunction& hash) {
  const std::string part = to + ".linktune-part";
  const Fd file(::open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.is_open()) return fail_errno(errno, "cannot write " + part);
  LT_TRY(const auto details, peer.details({entry.path, 0}, {entry.path, std::max<std::uint64_t>(1, entry.blocks())}));
  const bool is_it = details.size() == 1 && details[0].entry.path == entry.path && details[0].blocks.size() == entry.blocks();
  for (std::uint64_t block = 0; is_it && block < entry.blocks(); ++block) {
    LT_TRY(const auto bytes, peer.read(entry.path, block * tree_block_bytes, tree_block_bytes));
    const bool is_good = hash(bytes) == details[0].blocks[block];
    if (!is_good || ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(block * tree_block_bytes)) != static_cast<ssize_t>(bytes.size())) {
      const int error = errno;
      ::unlink(part.c_str());
      if (!is_good) return fail(Errc::io, printable(entry.path, 200) + " does not read twice the same at the other site: check its pool with zpool status");
      return fail_errno(error, "cannot write " + part);
    }
  }
  Status status = is_it ? put_attributes(part, entry) : Status(fail(Errc::protocol, "the other site tells of " + printable(entry.path, 200) + " what makes no sense"));
  if (status && ::rename(part.c_str(), to.c_str()) != 0) status = fail_errno(errno, "cannot name " + to);
  if (!status) ::unlink(part.c_str());
  return status;
}

Status write_entry(TreeClient& peer, const TreeEntry& entry, const std::string& to, const HashFunction& hash, FilesReport& report) {
  if (entry.is_file()) {
    LT_CHECK(write_file_of(peer, entry, to, hash));
    ++report.files;
    report.bytes += entry.bytes;
    return {};
  }
  if (entry.is_folder()) {
    if (::mkdir(to.c_str(), 0700) != 0) return fail_errno(errno, "cannot make the folder " + to);
    return {};  // its attributes come last, when nothing more is written into it
  }
  if (S_ISLNK(entry.mode)) {
    if (::symlink(entry.target.c_str(), to.c_str()) != 0) return fail_errno(errno, "cannot make the link " + to);
    return put_attributes(to, entry);
  }
  return {};  // sockets, pipes and devices are not files to be had back
}

}  // namespace

Result<FilesReport> restore_files(TreeClient& peer, const std::string& path, const std::string& to, const HashFunction& hash) {
  if (!is_inside_path(path)) return fail(Errc::invalid, "\"" + printable(path, 200) + "\" is not a path inside a dataset: write it without a leading slash and without ..");
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(to, ignored))) return fail(Errc::exists, to + " exists: give another place with --to");
  LT_TRY(const auto first, peer.list({path, 0}, 1));
  if (first.empty() || first[0].path != path) return fail(Errc::not_found, "there is no " + printable(path, 200) + " in this snapshot");
  FilesReport report;
  std::vector<TreeEntry> folders;
  std::vector<TreeEntry> entries = first;
  while (!entries.empty()) {
    for (const TreeEntry& entry : entries) {
      const bool is_below = entry.path.starts_with(path + "/");
      if (entry.path != path && !is_below) {
        entries.clear();
        break;
      }
      LT_CHECK(write_entry(peer, entry, to + entry.path.substr(path.size()), hash, report));
      if (entry.is_folder()) folders.push_back(entry);
    }
    if (entries.empty()) break;
    const TreeEntry& last = entries.back();
    LT_TRY(entries, peer.list({last.path, std::max<std::uint64_t>(1, last.blocks())}, 1000));
  }
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) LT_CHECK(put_attributes(to + folder->path.substr(path.size()), *folder));
  return report;
}

}  // namespace lt::mirror
