#include "mirror/snapshots.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"

namespace lt::mirror {

Result<std::vector<HeldSnapshot>> parse_snapshots(std::string_view listing, std::string_view dataset) {
  std::vector<HeldSnapshot> snapshots;
  const auto nonsense = [&](std::string_view line) { return fail(Errc::protocol, "zfs get tells of snapshots what makes no sense: \"" + printable(line, 120) + "\""); };
  for (const std::string_view line : split(listing, '\n')) {
    if (line.empty()) continue;
    const auto fields = split(line, '\t');
    if (fields.size() < 3) return nonsense(line);
    const auto at = fields[0].find('@');
    if (at == fields[0].npos || fields[0].substr(0, at) != dataset) continue;  // the dataset itself, a child, a bookmark
    const std::string name(fields[0].substr(at + 1));
    if (snapshots.empty() || snapshots.back().name != name) snapshots.push_back({name, 0, 0});
    if (fields[1] == "type") continue;
    const auto value = parse_u64(fields[2]);
    if (!value) return nonsense(line);
    if (fields[1] == "guid") snapshots.back().guid = *value;
    if (fields[1] == "creation") snapshots.back().created = static_cast<std::int64_t>(*value);
  }
  for (const HeldSnapshot& snapshot : snapshots) {
    if (snapshot.guid == 0) return nonsense(snapshot.name);
  }
  // zfs tells them in the order in which they were made; within one second that order is all there is.
  std::stable_sort(snapshots.begin(), snapshots.end(), [](const HeldSnapshot& a, const HeldSnapshot& b) { return a.created < b.created; });
  return snapshots;
}

Result<std::vector<HeldSnapshot>> snapshots_of(Side& side, const std::string& dataset) {
  LT_TRY(const std::string listing, capture(side, {"zfs", "get", "-Hpd", "1", "type,guid,creation", dataset}));
  return parse_snapshots(listing, dataset);
}

Result<std::vector<std::string>> datasets_below(Side& side, const std::string& dataset) {
  LT_TRY(const std::string listing, capture(side, {"zfs", "list", "-o", "name,origin", "-t", "filesystem,volume", "-Hr", dataset}));
  std::vector<std::string> names;
  for (const std::string_view line : split(listing, '\n')) {
    const std::string_view name = line.substr(0, line.find('\t'));
    if (name == dataset || name.starts_with(dataset + "/")) names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

GuidProof prove_guids(const std::vector<HeldSnapshot>& source, const std::vector<HeldSnapshot>& target) {
  GuidProof proof;
  std::map<std::uint64_t, std::size_t> at_target;
  std::map<std::string, std::uint64_t> named_at_target;
  for (std::size_t i = 0; i < target.size(); ++i) {
    at_target.emplace(target[i].guid, i);
    named_at_target.emplace(target[i].name, target[i].guid);
  }
  std::set<std::uint64_t> at_source;
  std::size_t newest_source = 0;  // behind the newest common one
  std::size_t newest_target = 0;
  for (std::size_t i = 0; i < source.size(); ++i) {
    at_source.insert(source[i].guid);
    if (const auto named = named_at_target.find(source[i].name); named != named_at_target.end() && named->second != source[i].guid) {
      proof.conflicting.push_back(source[i].name);
    }
    const auto found = at_target.find(source[i].guid);
    if (found == at_target.end()) continue;
    ++proof.common;
    proof.newest_common = target[found->second].name;
    proof.newest_guid = source[i].guid;
    proof.newest_created = source[i].created;
    newest_source = i + 1;
    newest_target = found->second + 1;
  }
  for (std::size_t i = newest_source; i < source.size(); ++i) proof.missing.push_back(source[i].name);
  for (std::size_t i = newest_target; i < target.size(); ++i) {
    if (!at_source.contains(target[i].guid)) proof.foreign.push_back(target[i].name);
  }
  return proof;
}

std::string GuidProof::text(const std::string& source, const std::string& target) const {
  const std::string both = source + " and " + target;
  if (!conflicting.empty()) {
    return both + " hold different snapshots of the name " + conflicting.front() + ": the target was written to by somebody else; rename its dataset and mirror anew";
  }
  if (common == 0) return both + " have no snapshot in common: mirror it with linktune mirror run";
  if (!foreign.empty()) {
    return target + " holds " + foreign.front() + ", which " + source + " never had: destroy that snapshot at the target, or restore it to the source";
  }
  if (!missing.empty()) {
    return target + " lacks " + std::to_string(missing.size()) + " newer snapshot" + (missing.size() == 1 ? "" : "s") + " of " + source + ", the first is " +
           missing.front() + ": linktune mirror run brings them over";
  }
  return both + " hold the same snapshots, " + std::to_string(common) + " in common, the newest is " + newest_common;
}

}  // namespace lt::mirror
