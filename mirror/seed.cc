#include "mirror/seed.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "base/json.h"
#include "base/text.h"
#include "configs/mirror_config.h"

namespace lt::mirror {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t sum_block_bytes = 1 << 20;
constexpr std::size_t manifest_bytes_max = 256 << 20;

// The sum of a stream: each block's hash over the hash before it and the block.
class StreamSum {
 public:
  explicit StreamSum(const HashFunction& hash) : hash_(hash), held_(sizeof(Digest), Byte{0}) {}
  void add(const char* bytes, std::size_t count) {
    while (count > 0) {
      const std::size_t taken = std::min(count, sum_block_bytes + sizeof(Digest) - held_.size());
      held_.insert(held_.end(), bytes, bytes + taken);
      bytes += taken;
      count -= taken;
      if (held_.size() == sum_block_bytes + sizeof(Digest)) turn();
    }
  }
  [[nodiscard]] std::string text() {
    turn();
    return to_hex(ByteView(held_).first(sizeof(Digest)));
  }

 private:
  void turn() {
    const Digest digest = hash_(held_);
    held_.assign(digest.begin(), digest.end());
  }
  const HashFunction& hash_;
  std::vector<Byte> held_;
};

std::string part_name(std::size_t number) {
  std::array<char, 32> name;
  std::snprintf(name.data(), name.size(), "%04zu.zfs", number);
  return name.data();
}

bool is_part_name(std::string_view name) {
  return name.size() >= 8 && name.size() <= 24 && name.ends_with(".zfs") && name.find_first_not_of("0123456789") == name.size() - 4;
}

Result<SeedPart> write_part(Side& here, const Argv& send, const std::string& folder, std::size_t number, const HashFunction& hash,
                            const SeedProgress& progress) {
  SeedPart part{part_name(number), 0, {}};
  const std::string path = folder + "/" + part.file;
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.is_open()) return fail_errno(errno, "cannot write " + path);
  StreamSum sum(hash);
  const auto take = [&](const char* bytes, std::size_t count) -> Status {
    sum.add(bytes, count);
    part.bytes += count;
    while (count > 0) {
      const auto written = ::write(file.get(), bytes, count);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return fail_errno(errno, "cannot write " + path);
      bytes += written;
      count -= static_cast<std::size_t>(written);
    }
    if (progress) progress(join(send, " "), part.bytes);
    return {};
  };
  LT_CHECK(read_stream(here, send, take));
  if (::fsync(file.get()) != 0) return fail_errno(errno, "cannot write " + path);
  part.sum = sum.text();
  return part;
}

Status check_folder(const std::string& folder, std::uint64_t bytes_needed) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return fail(Errc::io, "cannot make " + folder + ": " + error.message());
  if (!fs::is_empty(folder, error) || error) return fail(Errc::exists, folder + " is not empty: give an empty folder of the carried disk");
  struct statvfs room {};
  if (::statvfs(folder.c_str(), &room) != 0) return fail_errno(errno, "cannot look at " + folder);
  const std::uint64_t free = std::uint64_t{room.f_bavail} * room.f_frsize;
  if (free < bytes_needed) {
    return fail(Errc::limit, folder + " has room for " + std::to_string(free >> 20) + " MiB, and the datasets hold " + std::to_string(bytes_needed >> 20) + " MiB: take a larger disk");
  }
  return {};
}

}  // namespace

std::uint64_t SeedManifest::bytes() const {
  std::uint64_t sum = 0;
  for (const SeedDataset& dataset : datasets) {
    for (const SeedPart& part : dataset.parts) sum += part.bytes;
  }
  return sum;
}

std::size_t SeedManifest::snapshots() const {
  std::size_t sum = 0;
  for (const SeedDataset& dataset : datasets) sum += dataset.snapshots.size();
  return sum;
}

Json manifest_json(const SeedManifest& manifest) {
  Json datasets = Json::array();
  for (const SeedDataset& dataset : manifest.datasets) {
    Json snapshots = Json::array();
    for (const HeldSnapshot& snapshot : dataset.snapshots) snapshots.push_back({{"name", snapshot.name}, {"guid", std::to_string(snapshot.guid)}, {"created", snapshot.created}});
    Json parts = Json::array();
    for (const SeedPart& part : dataset.parts) parts.push_back({{"file", part.file}, {"bytes", part.bytes}, {"sum", part.sum}});
    datasets.push_back({{"below", dataset.below}, {"snapshots", snapshots}, {"parts", parts}});
  }
  return {{"schema", seed_schema}, {"job", manifest.job}, {"source", manifest.source}, {"made", manifest.made}, {"datasets", datasets}};
}

namespace {

const Json* member(const Json& json, const char* name, Json::value_t type) {
  if (!json.is_object() || !json.contains(name)) return nullptr;
  const Json& value = json[name];
  if (type == Json::value_t::number_unsigned ? value.is_number_integer() : value.type() == type) return &value;
  return nullptr;
}

class ManifestReader {
 public:
  explicit ManifestReader(std::string path) : path_(std::move(path)) {}

  Result<SeedManifest> read(const Json& json) {
    SeedManifest manifest;
    LT_TRY(const std::string schema, text(json, "schema"));
    if (schema != seed_schema) return wrong("schema");
    LT_TRY(manifest.job, text(json, "job"));
    LT_TRY(manifest.source, text(json, "source"));
    LT_TRY(const std::uint64_t made, number(json, "made"));
    manifest.made = static_cast<std::int64_t>(made);
    const Json* const datasets = member(json, "datasets", Json::value_t::array);
    if (datasets == nullptr || datasets->empty()) return wrong("datasets");
    for (const Json& one : *datasets) {
      LT_TRY(auto read_one, dataset(one));
      manifest.datasets.push_back(std::move(read_one));
    }
    return manifest;
  }

 private:
  tl::unexpected<Error> wrong(const char* word) const {
    return fail(Errc::invalid, path_ + " is not the manifest of a seed: \"" + word + "\" is missing or wrong; export it anew");
  }
  Result<std::string> text(const Json& json, const char* name) const {
    const Json* const value = member(json, name, Json::value_t::string);
    if (value == nullptr) return wrong(name);
    return value->get<std::string>();
  }
  Result<std::uint64_t> number(const Json& json, const char* name) const {
    const Json* const value = member(json, name, Json::value_t::number_unsigned);
    if (value == nullptr || (value->is_number_integer() && !value->is_number_unsigned() && value->get<std::int64_t>() < 0)) return wrong(name);
    return value->get<std::uint64_t>();
  }
  Result<SeedDataset> dataset(const Json& json) const {
    SeedDataset dataset;
    LT_TRY(dataset.below, text(json, "below"));
    if (!dataset.below.empty() && !configs::is_dataset_name("top" + dataset.below)) return wrong("below");
    const Json* const snapshots = member(json, "snapshots", Json::value_t::array);
    const Json* const parts = member(json, "parts", Json::value_t::array);
    if (snapshots == nullptr || parts == nullptr) return wrong("snapshots");
    for (const Json& one : *snapshots) {
      LT_TRY(const std::string name, text(one, "name"));
      LT_TRY(const std::string guid, text(one, "guid"));
      LT_TRY(const std::uint64_t created, number(one, "created"));
      const auto value = parse_u64(guid);
      if (!value || *value == 0) return wrong("guid");
      dataset.snapshots.push_back({name, *value, static_cast<std::int64_t>(created)});
    }
    for (const Json& one : *parts) {
      SeedPart part;
      LT_TRY(part.file, text(one, "file"));
      LT_TRY(part.bytes, number(one, "bytes"));
      LT_TRY(part.sum, text(one, "sum"));
      if (!is_part_name(part.file)) return wrong("file");
      dataset.parts.push_back(std::move(part));
    }
    if (dataset.snapshots.empty() != dataset.parts.empty()) return wrong("parts");
    return dataset;
  }
  std::string path_;
};

}  // namespace

Result<SeedManifest> parse_manifest(std::string_view text, const std::string& path) {
  LT_TRY(const Json json, parse_json(text, path));
  return ManifestReader(path).read(json);
}

Result<SeedManifest> export_seed(Side& here, const SeedExport& request, const HashFunction& hash, const SeedProgress& progress,
                                 const std::stop_token& stop) {
  std::vector<std::string> names{request.source};
  if (request.recursive) {
    LT_TRY(names, datasets_below(here, request.source));
  }
  std::uint64_t needed = 0;
  SeedManifest manifest{request.job, request.source, request.now, {}};
  for (const std::string& name : names) {
    SeedDataset dataset{name.substr(request.source.size()), {}, {}};
    LT_TRY(dataset.snapshots, snapshots_of(here, name));
    LT_TRY(const std::string bytes, capture(here, {"zfs", "get", "-Hp", "-o", "value", "referenced", name}));
    needed += parse_u64(trim(bytes)).value_or(0);
    manifest.datasets.push_back(std::move(dataset));
  }
  if (manifest.snapshots() == 0) return fail(Errc::not_found, request.source + " has no snapshot: make one with zfs snapshot -r " + request.source + "@seed");
  LT_CHECK(check_folder(request.folder, needed));
  std::size_t number = 0;
  for (SeedDataset& dataset : manifest.datasets) {
    if (dataset.snapshots.empty()) continue;
    if (stop.stop_requested()) return fail(Errc::interrupted, "interrupted; empty " + request.folder + " and export again");
    const std::string name = request.source + dataset.below;
    const std::string first = name + "@" + dataset.snapshots.front().name;
    LT_TRY(auto whole, write_part(here, {"zfs", "send", first}, request.folder, ++number, hash, progress));
    dataset.parts.push_back(std::move(whole));
    if (dataset.snapshots.size() > 1) {
      LT_TRY(auto rest, write_part(here, {"zfs", "send", "-I", first, name + "@" + dataset.snapshots.back().name}, request.folder, ++number, hash, progress));
      dataset.parts.push_back(std::move(rest));
    }
  }
  LT_CHECK(write_file(request.folder + "/manifest.json", to_pretty(manifest_json(manifest)) + "\n", 0600));
  return manifest;
}

namespace {

Status check_part(const std::string& folder, const SeedPart& part, const HashFunction& hash, const SeedProgress& progress) {
  const std::string path = folder + "/" + part.file;
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return fail(Errc::invalid, path + " is missing: the seed is not whole; export it anew");
  StreamSum sum(hash);
  std::uint64_t bytes = 0;
  std::string piece(sum_block_bytes, '\0');
  while (true) {
    const auto count = ::read(file.get(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot read " + path);
    if (count == 0) break;
    sum.add(piece.data(), static_cast<std::size_t>(count));
    bytes += static_cast<std::uint64_t>(count);
    if (progress) progress("checking " + part.file, bytes);
  }
  if (bytes != part.bytes || sum.text() != part.sum) {
    return fail(Errc::invalid, path + " is damaged (" + (bytes != part.bytes ? std::to_string(bytes) + " bytes instead of " + std::to_string(part.bytes) : "its sum is wrong") +
                                   "): copy it again from the other disk, or export anew");
  }
  return {};
}

Status receive_part(Side& here, const std::string& folder, const SeedPart& part, const std::string& dataset, bool is_untouched) {
  const std::string path = folder + "/" + part.file;
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return fail_errno(errno, "cannot read " + path);
  Argv receive{"zfs", "receive"};
  // This import made the dataset a moment ago: a mount alone may have touched it.
  if (!is_untouched) receive.emplace_back("-F");
  receive.push_back(dataset);
  return write_stream(here, receive, [&](char* bytes, std::size_t count) -> Result<std::size_t> {
    while (true) {
      const auto got = ::read(file.get(), bytes, count);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail_errno(errno, "cannot read " + path);
      return static_cast<std::size_t>(got);
    }
  });
}

// How many parts of `dataset` an earlier import has received already.
// @error exists: the dataset is there with something of its own
Result<std::size_t> parts_present(Side& here, const std::string& name, const SeedDataset& dataset) {
  const auto own = snapshots_of(here, name);
  if (!own && own.error().code == Errc::not_found) return std::size_t{0};
  if (!own) return fail(own.error());
  const GuidProof proof = prove_guids(dataset.snapshots, *own);
  if (proof.is_complete()) return dataset.parts.size();
  const bool is_begun = proof.common == 1 && own->size() == 1 && own->front().guid == dataset.snapshots.front().guid;
  if (is_begun) return std::size_t{1};
  return fail(Errc::exists, name + " is there, and not from this seed: give another --to, or destroy it");
}

}  // namespace

Result<SeedReport> import_seed(Side& here, const SeedImport& request, const HashFunction& hash, const SeedProgress& progress,
                               const std::stop_token& stop) {
  const std::string path = request.folder + "/manifest.json";
  const auto text = read_file(path, manifest_bytes_max);
  if (!text) return fail(Errc::not_found, path + " cannot be read: give the folder that seed export wrote, whole");
  SeedReport report;
  LT_TRY(report.manifest, parse_manifest(*text, path));
  std::vector<std::size_t> present;
  for (const SeedDataset& dataset : report.manifest.datasets) {
    LT_TRY(const std::size_t parts, parts_present(here, request.target + dataset.below, dataset));
    present.push_back(parts);
    for (const SeedPart& part : dataset.parts) LT_CHECK(check_part(request.folder, part, hash, progress));
  }
  for (std::size_t i = 0; i < present.size(); ++i) {
    const SeedDataset& dataset = report.manifest.datasets[i];
    const std::string name = request.target + dataset.below;
    if (stop.stop_requested()) return fail(Errc::interrupted, "interrupted; the same command goes on from here");
    if (present[i] == dataset.parts.size()) {
      if (!dataset.parts.empty()) ++report.present;
      continue;
    }
    for (std::size_t j = present[i]; j < dataset.parts.size(); ++j) {
      if (progress) progress("receiving " + name, 0);
      LT_CHECK(receive_part(here, request.folder, dataset.parts[j], name, j == 0 || present[i] > 0));
    }
    LT_TRY(const auto own, snapshots_of(here, name));
    const GuidProof proof = prove_guids(dataset.snapshots, own);
    if (!proof.is_complete()) return fail(Errc::io, "after its import " + proof.text("the seed", name));
    ++report.datasets;
  }
  return report;
}

}  // namespace lt::mirror
