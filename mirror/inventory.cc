#include "mirror/inventory.h"

#include <algorithm>

#include "base/text.h"

namespace lt::mirror {

namespace {

constexpr int exit_ssh_failed = 255;  // ssh(1): "or with 255 if an error occurred"
constexpr std::size_t listing_bytes_max = 256 << 20;  // 1,000 datasets with 1,000 snapshots each

constexpr std::string_view dataset_columns =
    "name,type,usedbydataset,usedbysnapshots,written,atime,origin,receive_resume_token";
constexpr std::string_view snapshot_columns = "name,guid,createtxg,creation,written";
constexpr std::string_view old_properties =
    "type,usedbydataset,usedbysnapshots,atime,origin,guid,createtxg,creation";

std::uint64_t number_of(std::string_view text) {
  return parse_u64(text).value_or(0);  // "-" where a dataset has none
}

bool says(const ProcessOutput& output, std::string_view words) {
  return output.err.find(words) != std::string::npos;
}

tl::unexpected<Error> refused(const configs::DatasetPlace& place, const ProcessOutput& output) {
  return fail(Errc::io, "cannot list " + place.text() + ": " + printable(trim(output.err), 300));
}

/// An option or property that this ZFS does not know: the older way is tried.
bool is_older(const ProcessOutput& output) {
  return says(output, "invalid option") || says(output, "invalid property") ||
         says(output, "bad property list") || says(output, "usage:");
}

void sort_snapshots(Inventory& inventory) {
  for (auto& [name, dataset] : inventory) {
    std::stable_sort(
        dataset.snapshots.begin(), dataset.snapshots.end(),
        [](const Snapshot& a, const Snapshot& b) { return a.createtxg < b.createtxg; });
  }
}

tl::unexpected<Error> unreadable(std::string_view row) {
  return fail(Errc::protocol, "zfs wrote a row that is none: `" + printable(row, 120) + "`");
}

}  // namespace

std::string shell_text(const Argv& argv) {
  std::string text;
  for (const std::string& word : argv) {
    if (!text.empty()) text += ' ';
    const bool is_plain =
        !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 std::string_view("-_./:,=@+%").find(c) != std::string_view::npos;
        });
    if (is_plain) {
      text += word;
      continue;
    }
    text += '\'';
    for (const char c : word)
      text += c == '\'' ? std::string("'\"'\"'") : std::string(1, c);
    text += '\'';
  }
  return text;
}

Result<ProcessOutput> ask(const Reach& reach, bool is_peer, const Argv& argv) {
  Argv whole = is_peer ? reach.peer : reach.local;
  if (is_peer) {
    if (whole.empty()) return fail(Errc::invalid, "no way to the peer is given");
    whole.push_back(shell_text(argv));
  } else {
    whole.insert(whole.end(), argv.begin(), argv.end());
  }
  LT_TRY(auto output, run_process(whole, {.deadline = reach.deadline,
                                          .output_bytes_max = listing_bytes_max}));
  if (is_peer && output.exit_code == exit_ssh_failed)
    return fail(Errc::unreachable, "the peer's agent does not answer: " +
                                       printable(trim(output.err), 300) +
                                       "; look at the link with `linktune status`, and at the other "
                                       "site whether `linktune mirror agent` runs");
  if (!is_peer && output.exit_code == 127)
    return fail(Errc::not_found, argv.front() + " is not installed; install it");
  return output;
}

Result<Inventory> parse_listing(std::string_view datasets, std::string_view snapshots,
                                bool has_written) {
  Inventory inventory;
  for (const std::string_view row : split(datasets, '\n')) {
    if (row.empty()) continue;
    const auto words = split(row, '\t');
    if (words.size() != 8) return unreadable(row);
    Dataset dataset{.name = std::string(words[0]),
                    .is_volume = words[1] == "volume",
                    .size = {number_of(words[2]) + number_of(words[3])},
                    .has_atime = words[5] == "on",
                    .origin = words[6] == "-" ? "" : std::string(words[6]),
                    .is_partial = words[7] != "-" && !words[7].empty()};
    if (has_written) dataset.written = Bytes{number_of(words[4])};
    inventory.emplace(dataset.name, std::move(dataset));
  }
  for (const std::string_view row : split(snapshots, '\n')) {
    if (row.empty()) continue;
    const auto words = split(row, '\t');
    const auto at = words[0].find('@');
    if (words.size() != 5 || at == std::string_view::npos) return unreadable(row);
    const auto owner = inventory.find(words[0].substr(0, at));
    if (owner == inventory.end()) continue;  // made between the two listings
    Snapshot snapshot{
        .name = std::string(words[0].substr(at + 1)),
        .guid = std::string(words[1]),
        .createtxg = number_of(words[2]),
        .created = configs::WallTime(Seconds(static_cast<std::int64_t>(number_of(words[3]))))};
    if (has_written) snapshot.written = Bytes{number_of(words[4])};
    owner->second.snapshots.push_back(std::move(snapshot));
  }
  sort_snapshots(inventory);
  return inventory;
}

Result<Inventory> parse_properties(std::string_view text) {
  Inventory inventory;
  std::map<std::string, std::map<std::string, std::string>, std::less<>> properties;
  for (const std::string_view row : split(text, '\n')) {
    if (row.empty()) continue;
    const auto words = split(row, '\t');
    if (words.size() != 3) return unreadable(row);
    properties[std::string(words[0])][std::string(words[1])] = std::string(words[2]);
  }
  for (auto& [name, values] : properties) {  // a dataset's name sorts before its snapshots'
    const auto at = name.find('@');
    if (at == std::string::npos) {
      inventory.emplace(name, Dataset{.name = name,
                                      .is_volume = values["type"] == "volume",
                                      .size = {number_of(values["usedbydataset"]) +
                                               number_of(values["usedbysnapshots"])},
                                      .has_atime = values["atime"] == "on",
                                      .origin = values["origin"] == "-" ? "" : values["origin"]});
    } else if (const auto owner = inventory.find(std::string_view(name).substr(0, at));
               owner != inventory.end()) {
      owner->second.snapshots.push_back(
          {.name = name.substr(at + 1),
           .guid = values["guid"],
           .createtxg = number_of(values["createtxg"]),
           .created = configs::WallTime(
               Seconds(static_cast<std::int64_t>(number_of(values["creation"]))))});
    }
  }
  sort_snapshots(inventory);
  return inventory;
}

Result<Inventory> read_inventory(const Reach& reach, const configs::DatasetPlace& place,
                                 bool recursive) {
  const Argv depth = recursive ? Argv{"-r"} : Argv{"-d", "1"};
  const auto command = [&](Argv head, Argv tail) {
    head.insert(head.end(), depth.begin(), depth.end());
    head.insert(head.end(), tail.begin(), tail.end());
    head.push_back(place.dataset);
    return head;
  };
  const auto keep_one = [&](Inventory inventory) {
    if (!recursive)
      std::erase_if(inventory, [&](const auto& entry) { return entry.first != place.dataset; });
    return inventory;
  };
  LT_TRY(const auto datasets,
         ask(reach, place.is_peer,
             command({"zfs", "list", "-Hp", "-t", "filesystem,volume", "-o",
                      std::string(dataset_columns)},
                     {})));
  if (says(datasets, "does not exist")) return Inventory{};
  if (datasets.exit_code == 0) {
    LT_TRY(const auto snapshots,
           ask(reach, place.is_peer,
               command({"zfs", "list", "-Hp", "-t", "snapshot", "-o",
                        std::string(snapshot_columns)},
                       {})));
    if (snapshots.exit_code != 0) return refused(place, snapshots);
    LT_TRY(auto inventory, parse_listing(datasets.out, snapshots.out, true));
    return keep_one(std::move(inventory));
  }
  if (!is_older(datasets)) return refused(place, datasets);
  // zfs-fuse's `get` takes -d, but counts snapshots as one level deeper.
  LT_TRY(const auto properties,
         ask(reach, place.is_peer,
             command({"zfs", "get", "-Hp", "-o", "name,property,value"},
                     {std::string(old_properties)})));
  if (says(properties, "does not exist")) return Inventory{};
  if (properties.exit_code != 0) return refused(place, properties);
  LT_TRY(auto inventory, parse_properties(properties.out));
  return keep_one(std::move(inventory));
}

}  // namespace lt::mirror
