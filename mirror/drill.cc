#include "mirror/drill.h"

#include <unistd.h>

#include <filesystem>
#include <thread>

#include "base/text.h"

namespace lt::mirror {

namespace {

using std::chrono::steady_clock;

constexpr auto unmount_patience = std::chrono::seconds(20);

struct Common {
  std::string here;   // "dataset@name" at each side
  std::string there;
  std::string name;   // at the other side
};

// The newest snapshot that both hold; names may differ, GUIDs may not.
Result<Common> newest_common(Side& here, Side& peer, const DrillPlaces& places) {
  LT_TRY(const auto own, snapshots_of(here, places.source));
  LT_TRY(const auto copy, snapshots_of(peer, places.target));
  for (auto theirs = copy.rbegin(); theirs != copy.rend(); ++theirs) {
    for (const HeldSnapshot& ours : own) {
      if (ours.guid == theirs->guid) return Common{places.source + "@" + ours.name, places.target + "@" + theirs->name, theirs->name};
    }
  }
  return fail(Errc::not_found, places.source + " and " + places.target + " have no snapshot in common: mirror it with linktune mirror run");
}

std::chrono::milliseconds since(steady_clock::time_point began) {
  return std::chrono::ceil<std::chrono::milliseconds>(steady_clock::now() - began);
}

// A file of the sample against the source's own of that snapshot.
Result<bool> is_same(TreeClient& own, const TreeEntry& entry, const std::string& restored, const HashFunction& hash) {
  const std::uint64_t blocks = std::max<std::uint64_t>(1, entry.blocks());
  LT_TRY(const auto details, own.details({entry.path, 0}, {entry.path, blocks}));
  if (details.size() != 1 || details[0].entry.path != entry.path || details[0].entry.bytes != entry.bytes) return false;
  LT_TRY(const auto folder, Tree::open(std::filesystem::path(restored).parent_path()));
  for (std::uint64_t block = 0; block < entry.blocks(); ++block) {
    LT_TRY(const auto bytes, folder.read(std::filesystem::path(restored).filename(), block * tree_block_bytes, tree_block_bytes));
    if (block >= details[0].blocks.size() || hash(bytes) != details[0].blocks[block]) return false;
  }
  return true;
}

Status destroy_scratch(Side& here, const std::string& dataset) {
  const auto until = steady_clock::now() + unmount_patience;
  while (true) {
    const auto ended = capture(here, {"zfs", "destroy", "-r", dataset});
    if (ended || ended.error().code == Errc::not_found) return {};
    if (steady_clock::now() > until) return fail(with_context(ended.error(), "the drill's own copy could not be taken away; do it with zfs destroy -r " + dataset));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace

std::chrono::seconds DrillReport::whole_would_take() const {
  if (bytes == 0 || took.count() == 0) return std::chrono::seconds(0);
  const double rate = static_cast<double>(bytes) / std::chrono::duration<double>(took).count();
  return std::chrono::seconds(static_cast<std::int64_t>(static_cast<double>(total_bytes) / rate) + 1);
}

Result<DrillReport> drill_sample(Side& here, Side& peer, const DrillPlaces& places, const DrillOptions& options) {
  LT_TRY(const Common common, newest_common(here, peer, places));
  LT_TRY(auto copy, TreeSession::open(peer, common.there, options.nonce));
  LT_TRY(auto own, TreeSession::open(here, common.here, options.nonce));
  const HashFunction hash = options.make_hash(options.nonce);
  DrillReport report{.snapshot = common.name};
  LT_TRY(const auto extent, copy.client().extent());
  report.total_bytes = extent.bytes;
  LT_TRY(const auto drawn, copy.client().sample(options.files, options.seed));
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    const std::string to = options.folder + "/" + std::to_string(i);
    const auto began = steady_clock::now();
    const auto restored = restore_files(copy.client(), drawn[i].path, to, hash);
    report.took += since(began);
    if (!restored) {
      report.faults.push_back(restored.error().text());
      if (restored.error().code == Errc::closed || restored.error().code == Errc::protocol) break;
      continue;
    }
    report.files += restored->files;
    report.bytes += restored->bytes;
    LT_TRY(const bool same, is_same(own.client(), drawn[i], to, hash));
    if (!same) report.faults.push_back(printable(drawn[i].path, 200) + " came back with other contents than the source's");
    ::unlink(to.c_str());
  }
  LT_CHECK(copy.close());
  LT_CHECK(own.close());
  report.is_good = report.faults.empty() && report.files == drawn.size();
  report.what = report.is_good ? std::to_string(report.files) + " files drawn from " + common.there + " came back as they are at the source"
                               : "the drill failed: " + (report.faults.empty() ? "files are missing" : report.faults.front());
  return report;
}

Result<DrillReport> drill_whole(Side& here, Side& peer, const DrillPlaces& places, const std::string& scratch, const DrillOptions& options,
                                const std::stop_token& stop) {
  LT_TRY(const Common common, newest_common(here, peer, places));
  std::string flat = places.source;
  for (char& c : flat) c = c == '/' ? '-' : c;
  const std::string own_copy = scratch + "/drill-" + std::to_string(::getpid()) + "-" + flat;
  LT_TRY(const auto plan, plan_restore(peer, here, {.from = places.target, .to = own_copy, .recursive = false}));
  DrillReport report{.snapshot = common.name};
  const auto began = steady_clock::now();
  const auto restored = restore_datasets(peer, here, plan, {}, stop);
  report.took = since(began);
  const auto judge = [&]() -> Status {
    if (!restored) return fail(restored.error());
    report.bytes = restored->stream_bytes;
    LT_TRY(auto copy, TreeSession::open(here, own_copy + "@" + common.name, options.nonce));
    LT_TRY(auto own, TreeSession::open(here, common.here, options.nonce));
    LT_TRY(const auto extent, copy.client().extent());
    report.total_bytes = extent.bytes;
    report.files = extent.files;
    LT_TRY(const auto compared, verify_trees(own.client(), copy.client(), {.stop = stop}));
    for (const Difference& difference : compared.differences) report.faults.push_back(difference.text());
    LT_CHECK(copy.close());
    return own.close();
  };
  const Status judged = judge();
  LT_CHECK(destroy_scratch(here, own_copy));
  LT_CHECK(judged);
  report.is_good = report.faults.empty();
  report.what = report.is_good ? places.target + " came back whole, " + std::to_string(restored->snapshots) + " snapshots, equal to the source's files"
                               : "the drill failed: " + report.faults.front();
  return report;
}

}  // namespace lt::mirror
