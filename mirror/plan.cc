#include "mirror/plan.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/assert.h"

namespace lt::mirror {

namespace {

constexpr std::array<std::string_view, 8> need_names{
    "first", "resume", "written", "snapshots", "aged", "unknown", "unchanged", "diverged"};

/// What was written to `source` after its snapshot `since`; nothing where ZFS does not tell.
std::optional<Bytes> written_since(const Dataset& source, const Snapshot* since) {
  if (!source.written) return std::nullopt;
  Bytes sum = *source.written;
  for (auto at = source.snapshots.rbegin(); at != source.snapshots.rend(); ++at) {
    if (since != nullptr && at->guid == since->guid) break;
    if (!at->written) return std::nullopt;
    sum += *at->written;
  }
  return sum;
}

std::string divergence(const configs::MirrorJob& job, const PlannedDataset& planned,
                       const Dataset& target) {
  const std::string place =
      configs::DatasetPlace{job.target.is_peer, planned.target}.text();
  if (target.snapshots.empty())
    return place + " exists and holds no snapshot of " + planned.source +
           "; if it is empty, destroy or rename it there, then run again";
  return place + " holds " + std::to_string(target.snapshots.size()) +
         " snapshots and none of them is one of " + planned.source +
         "; rename it there to keep it, or name another target, then run again";
}

Need judge(const configs::MirrorJob& job, const Dataset& source, const Snapshot& common,
           std::optional<Bytes> written, configs::WallTime now) {
  const bool has_newer = source.snapshots.back().guid != common.guid;
  if (!written) return Need::unknown;
  if (written->value == 0) {
    // Without snapshots of Syncoid's own the common one may be pruned at the source: the newer ones
    // are carried so that there always is one.
    const bool carries = job.carry_empty_snapshots || !job.sync_snapshot;
    return has_newer && carries ? Need::snapshots : Need::unchanged;
  }
  if (!source.has_atime || *written >= job.written_threshold) return Need::written;
  return now - common.created >= job.unchanged_max ? Need::aged : Need::unchanged;
}

}  // namespace

std::string_view name_of(Need need) {
  const auto index = static_cast<std::size_t>(need);
  LT_ASSERT(index < need_names.size());
  return need_names[index];
}

std::string target_of(const configs::MirrorJob& job, std::string_view source) {
  LT_ASSERT(configs::is_within(source, job.source.dataset));
  return job.target.dataset + std::string(source.substr(job.source.dataset.size()));
}

const Snapshot* newest_common(const Dataset& source, const Dataset& target) {
  std::set<std::string_view> held;
  for (const Snapshot& snapshot : target.snapshots)
    held.insert(snapshot.guid);
  const auto found =
      std::find_if(source.snapshots.rbegin(), source.snapshots.rend(),
                   [&](const Snapshot& snapshot) { return held.contains(snapshot.guid); });
  return found == source.snapshots.rend() ? nullptr : &*found;
}

std::vector<PlannedDataset> plan_job(const configs::MirrorJob& job, const Inventory& source,
                                     const Inventory& target, configs::WallTime now) {
  std::vector<PlannedDataset> plan;
  for (const auto& [name, dataset] : source) {
    const bool is_left_out =
        std::any_of(job.exclude.begin(), job.exclude.end(),
                    [&, &dataset_name = name](const std::string& excluded) {
                      return configs::is_within(dataset_name, excluded);
                    });
    if (is_left_out) continue;
    PlannedDataset planned{.source = name, .target = target_of(job, name)};
    const auto held = target.find(planned.target);
    const Snapshot* common = held == target.end() ? nullptr : newest_common(dataset, held->second);
    const auto written = written_since(dataset, common);
    if (held == target.end()) {
      planned.need = Need::first;
      planned.bytes = dataset.size;
      planned.written = dataset.size;
    } else if (held->second.is_partial) {
      planned.need = Need::resume;
      planned.bytes = common == nullptr ? dataset.size : written.value_or(Bytes{});
      planned.written = planned.bytes;
    } else if (common == nullptr) {
      planned.need = Need::diverged;
      planned.written = dataset.size;
      planned.what = divergence(job, planned, held->second);
    } else {
      planned.need = judge(job, dataset, *common, written, now);
      planned.written = written.value_or(Bytes{});
      if (is_due(planned.need)) planned.bytes = planned.written;
    }
    if (common != nullptr) {
      planned.snapshot = common->name;
      planned.guid = common->guid;
      planned.snapshot_created = common->created;
    }
    plan.push_back(std::move(planned));
  }
  return plan;
}

}  // namespace lt::mirror
