#include "app/cmd_mirror_proof.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>

#include "app/mirror_site.h"
#include "app/native_pair.h"
#include "app/scratch_folder.h"
#include "base/format.h"
#include "base/text.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "mirror/drill.h"
#include "mirror/ledger.h"
#include "mirror/remote_side.h"
#include "mirror/restore.h"
#include "mirror/seed.h"
#include "mirror/snapshot_files.h"
#include "mirror/tree_session.h"
#include "mirror/verify.h"

namespace lt::app {

namespace {

using namespace mirror;
using configs::MirrorJob;
using std::chrono::steady_clock;

void say(const std::string& text) {
  std::fputs((text + "\n").c_str(), stderr);
  std::fflush(stderr);
}

WallTime now_wall() { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); }

Milliseconds since(steady_clock::time_point began) { return std::chrono::ceil<Milliseconds>(steady_clock::now() - began); }

Digest fresh_nonce() {
  Digest nonce;
  crypto::fill_random(nonce);
  return nonce;
}

HashFunction keyed_hash(const Digest& nonce) {
  return [nonce](ByteView bytes) { return crypto::hmac_sha256(nonce, {bytes}); };
}

// The sums of a carried disk are read by another process, later: under a key that all know.
HashFunction seed_hash() {
  return [](ByteView bytes) { return crypto::hmac_sha256(as_bytes(seed_schema), {bytes}); };
}

std::string mib(std::uint64_t bytes) { return format("{:.1f} MiB", static_cast<double>(bytes) / 1048576.0); }

// This site's ZFS, the other site's, the jobs between them.
class ProofSite {
 public:
  static Result<ProofSite> open(const ProofPlaces& places, const std::stop_token& stop) {
    ProofSite site;
    LT_TRY(auto loaded, MirrorSite::load(places.config_path, places.jobs_path));
    site.config_ = loaded.mirror();
    site.here_ = std::make_unique<LocalSide>(LocalSide::Options{.tree_program = {own_program(), "mirror", "tree"}});
    if (places.through.empty()) {
      site.peer_ = std::make_unique<RemoteSide>(loaded.remote_options(), stop);
    } else {
      site.peer_ = std::make_unique<TextSide>(TextSide::Options{.program = places.through});
    }
    return site;
  }

  [[nodiscard]] Side& here() { return *here_; }
  [[nodiscard]] Side& peer() { return *peer_; }
  [[nodiscard]] Side& side_of(const configs::DatasetPlace& place) { return place.is_peer ? *peer_ : *here_; }
  [[nodiscard]] const configs::MirrorConfig& config() const { return config_; }
  [[nodiscard]] Result<Ledger> ledger() const { return Ledger::open(config_.state_folder); }

  [[nodiscard]] Result<const MirrorJob*> job(const std::string& name) const {
    if (name.empty() && config_.jobs.size() == 1) return &config_.jobs.front();
    std::vector<std::string> known;
    for (const MirrorJob& job : config_.jobs) known.push_back(job.name);
    if (known.empty()) return fail(Errc::invalid, "the config names no job: add a [[mirror.job]] section");
    if (name.empty()) return fail(Errc::invalid, "name one of the jobs: " + join(known, ", "));
    if (const MirrorJob* const found = config_.find_job(name)) return found;
    const auto near = nearest(name, known);
    return fail(Errc::invalid, "there is no job \"" + printable(name, 60) + "\": " + (near ? "did you mean " + *near + "?" : "the config names " + join(known, ", ")));
  }

 private:
  ProofSite() = default;
  configs::MirrorConfig config_;
  std::unique_ptr<Side> here_;
  std::unique_ptr<Side> peer_;
};

bool is_excluded(const MirrorJob& job, const std::string& dataset) {
  return std::any_of(job.exclude.begin(), job.exclude.end(), [&](const std::string& top) { return configs::is_within(dataset, top); });
}

struct DatasetPair {
  configs::DatasetPlace source;
  configs::DatasetPlace target;
};

Result<std::vector<DatasetPair>> pairs_of(ProofSite& site, const MirrorJob& job) {
  std::vector<std::string> names{job.source.dataset};
  if (job.recursive) {
    LT_TRY(names, datasets_below(site.side_of(job.source), job.source.dataset));
  }
  std::vector<DatasetPair> pairs;
  for (const std::string& name : names) {
    if (is_excluded(job, name)) continue;
    pairs.push_back({{job.source.is_peer, name}, {job.target.is_peer, job.target.dataset + name.substr(job.source.dataset.size())}});
  }
  return pairs;
}

// --- verify ---

struct Verified {
  DatasetPair pair;
  ProofRecord record;
  std::vector<std::string> faults;
  std::uint64_t fault_count{0};
  std::uint64_t wire_bytes{0};
  bool is_behind{false};  // newer snapshots wait for the next run: what is there is good
  bool is_partial{false};
};

// Where the last verification of this dataset stopped.
TreePlace place_to_go_on(const Ledger& ledger, const std::string& dataset) {
  const auto last = ledger.proofs(ProofKind::verify, dataset, 1);
  if (!last || last->empty() || last->front().detail.empty()) return {};
  const auto detail = parse_json(last->front().detail, "the ledger");
  if (!detail || !detail->is_object() || !detail->contains("place")) return {};
  const auto place = place_from_json((*detail)["place"]);
  return place && !place->is_end ? *place : TreePlace{};
}

Status compare_contents(ProofSite& site, const VerifyCommand& command, const Ledger& ledger, const std::vector<HeldSnapshot>& source, const std::string& target_name,
                        std::uint64_t guid, const std::stop_token& stop, Verified& verified) {
  std::string source_name;
  for (const HeldSnapshot& snapshot : source) {
    if (snapshot.guid == guid) source_name = snapshot.name;
  }
  const Digest nonce = fresh_nonce();
  LT_TRY(auto ours, TreeSession::open(site.side_of(verified.pair.source), verified.pair.source.dataset + "@" + source_name, nonce));
  LT_TRY(auto theirs, TreeSession::open(site.side_of(verified.pair.target), verified.pair.target.dataset + "@" + target_name, nonce));
  VerifyOptions options{.bytes_max = command.mebibytes << 20, .time_max = std::chrono::minutes(command.minutes), .stop = stop};
  if (!command.from_start) options.begin = place_to_go_on(ledger, verified.record.dataset);
  LT_TRY(const VerifyReport report, verify_trees(ours.client(), theirs.client(), options));
  LT_CHECK(ours.close());
  LT_CHECK(theirs.close());
  for (const Difference& difference : report.differences) verified.faults.push_back(difference.text());
  verified.fault_count += report.difference_count;
  verified.wire_bytes = report.wire_bytes;
  verified.is_partial = !report.end.is_end;
  verified.record.examined = Bytes{report.bytes};
  verified.record.files = report.entries;
  verified.record.detail = to_line({{"place", place_json(report.end)}, {"wire_bytes", report.wire_bytes}, {"differences", verified.faults}});
  return {};
}

Result<Verified> verify_pair(ProofSite& site, const VerifyCommand& command, const Ledger& ledger, const std::string& job, const DatasetPair& pair,
                             const std::stop_token& stop) {
  const auto began = steady_clock::now();
  Verified verified{.pair = pair};
  verified.record = {.kind = ProofKind::verify, .job = job, .dataset = pair.target.text(), .started = now_wall()};
  LT_TRY(const auto source, snapshots_of(site.side_of(pair.source), pair.source.dataset));
  LT_TRY(const auto target, snapshots_of(site.side_of(pair.target), pair.target.dataset));
  const GuidProof guids = prove_guids(source, target);
  verified.record.snapshot = guids.newest_common;
  verified.is_behind = guids.common > 0 && guids.conflicting.empty() && guids.foreign.empty() && !guids.missing.empty();
  if (!guids.is_complete() && !verified.is_behind) {
    verified.faults.push_back(guids.text(pair.source.text(), pair.target.text()));
    ++verified.fault_count;
  }
  if (guids.common > 0) {
    const Status compared = compare_contents(site, command, ledger, source, guids.newest_common, guids.newest_guid, stop, verified);
    // A volume has no files: its GUIDs are its proof.
    if (!compared && (compared.error().code != Errc::io || compared.error().what.find("is a volume") == std::string::npos)) return fail(compared.error());
  }
  verified.record.ended = now_wall();
  verified.record.took = since(began);
  verified.record.result = verified.fault_count == 0 ? ProofResult::good : ProofResult::bad;
  verified.record.what = verified.fault_count == 0
                             ? "equal at " + guids.newest_common + (verified.is_partial ? ", as far as was seen" : "")
                             : verified.faults.front() + (verified.fault_count > 1 ? format(" (and {} more)", verified.fault_count - 1) : "");
  return verified;
}

Json verified_json(const Verified& verified) {
  return {{"source", verified.pair.source.text()}, {"target", verified.pair.target.text()}, {"snapshot", verified.record.snapshot},
          {"equal", verified.fault_count == 0}, {"complete", !verified.is_partial}, {"behind", verified.is_behind},
          {"entries", verified.record.files}, {"bytes", verified.record.examined.value}, {"wire_bytes", verified.wire_bytes},
          {"took_ms", verified.record.took.count()}, {"differences", verified.fault_count}, {"first", verified.faults}};
}

std::string verified_text(const Verified& verified) {
  std::string text = verified.pair.source.text() + " and " + verified.pair.target.text() + ": ";
  if (verified.fault_count == 0) {
    text += "equal at " + verified.record.snapshot + ", " + std::to_string(verified.record.files) + " entries, " + mib(verified.record.examined.value) + ", " +
            mib(verified.wire_bytes) + " over the line, " + format("{:.1f} s", static_cast<double>(verified.record.took.count()) / 1000.0);
    if (verified.is_partial) text += " (the budget ended here; the next verify goes on)";
    if (verified.is_behind) text += " (newer snapshots wait for the next run)";
    return text + "\n";
  }
  text += format("{} difference{} at {}\n", verified.fault_count, verified.fault_count == 1 ? "" : "s", verified.record.snapshot);
  for (const std::string& fault : verified.faults) text += "  " + fault + "\n";
  return text;
}

}  // namespace

Result<Outcome> run_mirror_verify(const VerifyCommand& command, const std::stop_token& stop) {
  LT_TRY(auto site, ProofSite::open(command.places, stop));
  LT_TRY(auto ledger, site.ledger());
  std::vector<const MirrorJob*> jobs;
  if (command.job.empty()) {
    for (const MirrorJob& job : site.config().jobs) jobs.push_back(&job);
  }
  if (jobs.empty()) {
    LT_TRY(const MirrorJob* job, site.job(command.job));
    jobs.push_back(job);
  }
  Outcome outcome{{{"schema", "linktune.mirror.verify.1"}, {"datasets", Json::array()}}, ""};
  for (const MirrorJob* const job : jobs) {
    LT_TRY(const auto pairs, pairs_of(site, *job));
    for (const DatasetPair& pair : pairs) {
      auto verified = verify_pair(site, command, ledger, job->name, pair, stop);
      if (!verified) {
        if (verified.error().code == Errc::interrupted || verified.error().code == Errc::unreachable) return fail(verified.error());
        // One dataset that cannot be compared keeps no other one from it.
        outcome.exit_code = exit_failed;
        outcome.text += pair.source.text() + " and " + pair.target.text() + ": " + verified.error().text() + "\n";
        outcome.json["datasets"].push_back({{"source", pair.source.text()}, {"target", pair.target.text()}, {"equal", false}, {"error", verified.error().text()}});
        LT_TRY(const auto id, ledger.record(ProofRecord{.kind = ProofKind::verify, .job = job->name, .dataset = pair.target.text(), .started = now_wall(),
                                                        .ended = now_wall(), .result = ProofResult::bad, .what = verified.error().text()}));
        (void)id;
        continue;
      }
      LT_TRY(const auto id, ledger.record(verified->record));
      (void)id;
      if (verified->fault_count > 0) outcome.exit_code = exit_failed;
      outcome.text += verified_text(*verified);
      outcome.json["datasets"].push_back(verified_json(*verified));
    }
  }
  outcome.json["equal"] = outcome.exit_code == exit_done;
  return outcome;
}

// --- drill ---

Result<Outcome> run_mirror_drill(const DrillCommand& command, const std::stop_token& stop) {
  LT_TRY(auto site, ProofSite::open(command.places, stop));
  LT_TRY(auto ledger, site.ledger());
  LT_TRY(const MirrorJob* job, site.job(command.job));
  if (job->source.is_peer || !job->target.is_peer) return fail(Errc::invalid, "a drill is held at the site whose datasets are mirrored: run it there");
  if (command.whole && !site.config().scratch) return fail(Errc::invalid, "a whole drill needs a scratch dataset: [mirror] scratch = \"POOL/scratch\"");
  LT_TRY(const auto pairs, pairs_of(site, *job));
  Outcome outcome{{{"schema", "linktune.mirror.drill.1"}, {"datasets", Json::array()}}, ""};
  for (const DatasetPair& pair : pairs) {
    LT_TRY(const auto scratch, ScratchFolder::create("drill"));
    DrillOptions options{.files = command.files, .nonce = fresh_nonce(), .make_hash = keyed_hash, .folder = scratch.path()};
    options.seed = load_be64(options.nonce.data());
    ProofRecord record{.kind = ProofKind::drill, .job = job->name, .dataset = pair.target.text(), .started = now_wall()};
    const DrillPlaces places{pair.source.dataset, pair.target.dataset};
    auto report = command.whole ? drill_whole(site.here(), site.peer(), places, *site.config().scratch, options, stop)
                                : drill_sample(site.here(), site.peer(), places, options);
    if (!report && (report.error().code == Errc::interrupted || report.error().code == Errc::unreachable)) return fail(report.error());
    if (!report) report = DrillReport{.what = report.error().text(), .faults = {report.error().text()}};
    record.ended = now_wall();
    record.snapshot = report->snapshot;
    record.took = report->took;
    record.examined = Bytes{report->bytes};
    record.total = Bytes{report->total_bytes};
    record.files = report->files;
    record.result = report->is_good ? ProofResult::good : ProofResult::bad;
    record.what = report->what;
    const std::int64_t whole_seconds = command.whole ? std::chrono::ceil<std::chrono::seconds>(report->took).count() : report->whole_would_take().count();
    record.detail = to_line({{"whole", command.whole}, {"rto_seconds", whole_seconds}, {"faults", report->faults}});
    LT_TRY(const auto id, ledger.record(record));
    (void)id;
    if (!report->is_good) outcome.exit_code = exit_failed;
    outcome.text += pair.target.text() + ": " + report->what + "; " + mib(report->bytes) + format(" in {:.1f} s", static_cast<double>(report->took.count()) / 1000.0) +
                    (whole_seconds > 0 ? format(", all {} would take about {} s", mib(report->total_bytes), whole_seconds) : "") + "\n";
    outcome.json["datasets"].push_back({{"target", pair.target.text()}, {"snapshot", report->snapshot}, {"good", report->is_good}, {"files", report->files},
                                        {"bytes", report->bytes}, {"total_bytes", report->total_bytes}, {"took_ms", report->took.count()},
                                        {"rto_seconds", whole_seconds}, {"faults", report->faults}});
  }
  return outcome;
}

// --- restore ---

namespace {

Status create_pool(ProofSite& site, const RestoreCommand& command, const std::string& pool) {
  if (std::find(command.create_pool.begin(), command.create_pool.end(), pool) == command.create_pool.end()) {
    return fail(Errc::invalid, "--create-pool does not name the pool " + pool + ": give the words behind zpool create, such as " + pool + " mirror /dev/sda /dev/sdb");
  }
  Argv argv{"zpool", "create"};
  if (command.dry_run) argv.emplace_back("-n");
  argv.insert(argv.end(), command.create_pool.begin(), command.create_pool.end());
  LT_TRY(const std::string said, capture(site.here(), argv));
  say(std::string(command.dry_run ? "would make" : "made") + " the pool: zpool create " + join(command.create_pool, " "));
  return {};
}

Result<Outcome> restore_file(ProofSite& site, const RestoreCommand& command, const std::string& from, const std::stop_token&) {
  if (command.to.empty()) return fail(Errc::invalid, "say with --to where the file goes: a path that does not exist yet");
  std::string snapshot = command.snapshot;
  if (snapshot.empty()) {
    LT_TRY(const auto known, snapshots_of(site.peer(), from));
    if (known.empty()) return fail(Errc::not_found, from + " has no snapshot at the other site");
    snapshot = known.back().name;
  }
  const Digest nonce = fresh_nonce();
  LT_TRY(auto session, TreeSession::open(site.peer(), from + "@" + snapshot, nonce));
  if (command.dry_run) {
    LT_TRY(const auto found, session.client().list({command.file, 0}, 1));
    if (found.empty() || found[0].path != command.file) return fail(Errc::not_found, "there is no " + printable(command.file, 200) + " in " + from + "@" + snapshot);
    const std::string text = "would restore " + command.file + " of " + from + "@" + snapshot + " to " + command.to + "\n";
    return Outcome{{{"schema", "linktune.mirror.restore.1"}, {"dry_run", true}, {"snapshot", snapshot}}, text};
  }
  const auto began = steady_clock::now();
  LT_TRY(const FilesReport report, restore_files(session.client(), command.file, command.to, keyed_hash(nonce)));
  LT_CHECK(session.close());
  const auto took = since(began);
  return Outcome{{{"schema", "linktune.mirror.restore.1"}, {"snapshot", snapshot}, {"files", report.files}, {"bytes", report.bytes}, {"took_ms", took.count()}},
                 format("restored {} file{}, {}, from {}@{} to {}\n", report.files, report.files == 1 ? "" : "s", mib(report.bytes), from, snapshot, command.to)};
}

// Every restored dataset against the other site's, file by file.
Result<std::vector<std::string>> compare_restored(ProofSite& site, const RestorePlan& plan, const std::stop_token& stop) {
  std::vector<std::string> faults;
  for (const DatasetRestore& dataset : plan.datasets) {
    if (dataset.way == DatasetRestore::Way::skip) continue;
    const std::string name = "@" + dataset.snapshots.back().name;
    const Digest nonce = fresh_nonce();
    auto theirs = TreeSession::open(site.peer(), dataset.from + name, nonce);
    if (!theirs && theirs.error().what.find("is a volume") != std::string::npos) continue;
    if (!theirs) return fail(theirs.error());
    LT_TRY(auto ours, TreeSession::open(site.here(), dataset.to + name, nonce));
    LT_TRY(const VerifyReport report, verify_trees(theirs->client(), ours.client(), {.stop = stop}));
    for (const Difference& difference : report.differences) faults.push_back(dataset.to + ": " + difference.text());
    LT_CHECK(theirs->close());
    LT_CHECK(ours.close());
  }
  return faults;
}

}  // namespace

Result<Outcome> run_mirror_restore(const RestoreCommand& command, const std::stop_token& stop) {
  LT_TRY(auto site, ProofSite::open(command.places, stop));
  LT_TRY(const MirrorJob* job, site.job(command.job));
  if (job->source.is_peer || !job->target.is_peer) return fail(Errc::invalid, "a restore goes to the site whose datasets were mirrored: run it there");
  const std::string source = command.dataset.empty() ? job->source.dataset : command.dataset;
  if (!configs::is_within(source, job->source.dataset)) {
    return fail(Errc::invalid, "\"" + printable(source, 200) + "\" is not part of the job " + job->name + ", which mirrors " + job->source.dataset);
  }
  const std::string from = job->target.dataset + source.substr(job->source.dataset.size());
  if (!command.file.empty()) return restore_file(site, command, from, stop);

  const std::string to = command.to.empty() ? source : command.to;
  if (!command.create_pool.empty()) LT_CHECK(create_pool(site, command, to.substr(0, to.find('/'))));
  if (!command.create_pool.empty() && command.dry_run) {
    return Outcome{{{"schema", "linktune.mirror.restore.1"}, {"dry_run", true}}, "would then restore " + from + " to " + to + " with its snapshots\n"};
  }
  if (!command.create_pool.empty() && to.find('/') != std::string::npos) {
    // A new pool is empty: what stands above the dataset is made with it.
    const std::string parent = to.substr(0, to.rfind('/'));
    if (parent.find('/') != std::string::npos) {
      LT_TRY(const std::string made, capture(site.here(), {"zfs", "create", "-p", parent}));
    }
  }
  LT_TRY(const RestorePlan plan, plan_restore(site.peer(), site.here(), {.from = from, .to = to, .recursive = job->recursive}));
  if (command.dry_run) {
    return Outcome{{{"schema", "linktune.mirror.restore.1"}, {"dry_run", true}, {"datasets", plan.datasets.size()}, {"snapshots", plan.snapshots()}, {"bytes", plan.bytes()}},
                   format("would restore {} dataset{}, {} snapshots, about {}:\n", plan.datasets.size(), plan.datasets.size() == 1 ? "" : "s", plan.snapshots(), mib(plan.bytes())) +
                       plan.text() + "nothing was changed\n"};
  }
  LT_TRY(auto ledger, site.ledger());
  ProofRecord record{.kind = ProofKind::restore, .job = job->name, .dataset = from, .started = now_wall(), .total = Bytes{plan.bytes()}};
  LT_TRY(record.id, ledger.record(record));
  const auto began = steady_clock::now();
  const auto tell = [](std::size_t at, std::size_t count, const DatasetRestore& dataset) {
    say(format("[{}/{}] {} -> {}, {} snapshots, about {}", at, count, dataset.from, dataset.to, dataset.snapshots.size(), mib(dataset.bytes)));
  };
  const auto restored = restore_datasets(site.peer(), site.here(), plan, tell, stop);
  record.took = since(began);
  record.ended = now_wall();
  record.result = restored ? ProofResult::good : restored.error().code == Errc::interrupted ? ProofResult::interrupted : ProofResult::bad;
  std::vector<std::string> faults;
  if (restored && command.verify) {
    say("comparing what came back with the other site, file by file");
    LT_TRY(faults, compare_restored(site, plan, stop));
    if (!faults.empty()) record.result = ProofResult::bad;
  }
  record.what = !restored ? restored.error().text() : faults.empty() ? "restored to " + to + ", equal" : faults.front();
  record.examined = Bytes{restored ? restored->stream_bytes : 0};
  LT_CHECK(ledger.update(record));
  if (!restored) return fail(restored.error());
  std::string text = format("restored {} dataset{} with {} snapshots to {}, {} in {:.1f} s\n", restored->datasets, restored->datasets == 1 ? "" : "s", restored->snapshots, to,
                            mib(restored->stream_bytes), static_cast<double>(record.took.count()) / 1000.0);
  text += !command.verify ? "" : faults.empty() ? "every file is equal to the other site's\n" : "but these differ from the other site's:\n";
  for (const std::string& fault : faults) text += "  " + fault + "\n";
  return Outcome{{{"schema", "linktune.mirror.restore.1"}, {"datasets", restored->datasets}, {"snapshots", restored->snapshots}, {"bytes", restored->stream_bytes},
                  {"took_ms", record.took.count()}, {"verified", command.verify}, {"differences", faults}},
                 text, faults.empty() ? exit_done : exit_failed};
}

// --- seed ---

Result<Outcome> run_mirror_seed_export(const SeedExportCommand& command, const std::stop_token& stop) {
  LT_TRY(auto site, ProofSite::open(command.places, stop));
  LT_TRY(const MirrorJob* job, site.job(command.job));
  if (job->source.is_peer) return fail(Errc::invalid, "a seed is exported at the site whose datasets are mirrored: run it there");
  LT_TRY(auto ledger, site.ledger());
  const auto began = steady_clock::now();
  ProofRecord record{.kind = ProofKind::seed, .job = job->name, .dataset = job->source.text(), .started = now_wall()};
  LT_TRY(const auto manifest, export_seed(site.here(), {.job = job->name, .source = job->source.dataset, .recursive = job->recursive, .folder = command.folder,
                                                        .now = now_wall().time_since_epoch().count()},
                                          seed_hash(), {}, stop));
  record.ended = now_wall();
  record.took = since(began);
  record.examined = record.total = Bytes{manifest.bytes()};
  record.result = ProofResult::good;
  record.what = "exported to " + command.folder;
  LT_TRY(const auto id, ledger.record(record));
  (void)id;
  return Outcome{{{"schema", "linktune.mirror.seed.1"}, {"datasets", manifest.datasets.size()}, {"snapshots", manifest.snapshots()}, {"bytes", manifest.bytes()}},
                 format("exported {} dataset{} with {} snapshots, {}, to {}\n", manifest.datasets.size(), manifest.datasets.size() == 1 ? "" : "s", manifest.snapshots(),
                        mib(manifest.bytes()), command.folder) +
                     "carry the folder to the other site, and there: linktune mirror seed import FOLDER --to " + job->target.dataset + "\n"};
}

Result<Outcome> run_mirror_seed_import(const SeedImportCommand& command, const std::stop_token& stop) {
  if (!configs::is_dataset_name(command.to)) return fail(Errc::invalid, "\"" + printable(command.to, 200) + "\" is not the name of a dataset: write POOL/NAME");
  LocalSide here({.tree_program = {own_program(), "mirror", "tree"}});
  std::string told;
  const auto tell = [&told](const std::string& what, std::uint64_t) {
    if (std::exchange(told, what) != what) say(what);
  };
  LT_TRY(const auto report, import_seed(here, {.folder = command.folder, .target = command.to}, seed_hash(), tell, stop));
  return Outcome{{{"schema", "linktune.mirror.seed.1"}, {"datasets", report.datasets}, {"present", report.present}, {"snapshots", report.manifest.snapshots()},
                  {"bytes", report.manifest.bytes()}},
                 format("imported {} dataset{} of {} into {}, {}; {} were there already; every sum and GUID is right\n", report.datasets, report.datasets == 1 ? "" : "s",
                        report.manifest.source, command.to, mib(report.manifest.bytes()), report.present)};
}

// --- the other end ---

Result<Outcome> run_mirror_tree(const std::string& snapshot) {
  LT_TRY(const auto files, SnapshotFiles::open(snapshot));
  LT_TRY(auto tree, Tree::open(files.folder()));
  LT_CHECK(mirror::serve_tree(tree, STDIN_FILENO, STDOUT_FILENO, keyed_hash));
  return Outcome{};
}

std::map<std::string, mirror::RequestHandler> proof_requests(const mirror::AllowRules& rules) {
  return {{tree_request, tree_handler(rules, {own_program(), "mirror", "tree"})}};
}

}  // namespace lt::app
