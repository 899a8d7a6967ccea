#include "app/cmd_mirror_demo.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "app/mirror_pair.h"
#include "app/native_pair.h"
#include "base/format.h"
#include "base/text.h"

namespace lt::app {

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr std::uint64_t large_file_bytes = 40 << 20;
constexpr int large_files = 3;
constexpr int small_files = 200;
constexpr std::uint64_t cut_after_bytes = 24 << 20;  // of the stream: it is well on its way then
constexpr auto cut_for = 6000ms;                     // more than the 5 s after which a path counts as dead
constexpr auto patience = 120s;

void say(const std::string& text) {
  std::fputs((text + "\n").c_str(), stderr);
  std::fflush(stderr);
}

// What the mirror's chapter needs from the machine, or why it cannot be shown.
std::optional<std::string> what_lacks() {
  if (const Status zfs = lab::check_machine_for_zfs(); !zfs) return zfs.error().text();
  if (!find_program("syncoid")) return "syncoid is not installed: apt-get install sanoid";
  return std::nullopt;
}

Status fill(const std::string& folder, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint64_t> block(8192);
  const auto write = [&](const std::string& name, std::uint64_t bytes) -> Status {
    std::ofstream file(folder + "/" + name, std::ios::binary);
    while (bytes > 0) {
      for (std::uint64_t& word : block) word = random();
      const auto count = std::min<std::uint64_t>(bytes, block.size() * sizeof(std::uint64_t));
      file.write(reinterpret_cast<const char*>(block.data()), static_cast<std::streamsize>(count));
      bytes -= count;
    }
    file.close();
    return file ? Status{} : fail(Errc::io, "cannot write " + folder + "/" + name);
  };
  std::error_code error;
  std::filesystem::create_directories(folder + "/letters", error);
  for (int i = 0; i < large_files; ++i) LT_CHECK(write("machine-" + std::to_string(i), large_file_bytes));
  for (int i = 0; i < small_files; ++i) LT_CHECK(write("letters/" + std::to_string(i), 1 + random() % 20'000));
  return {};
}

// Lets the stream get on its way, takes the line away, and gives it back.
Status cut_once(lab::Sandbox& sandbox, const MirrorPair& pair, Child& syncoid, std::uint64_t sent_before, const std::stop_token& stop) {
  const auto until = steady_clock::now() + patience;
  while (true) {
    LT_TRY(const std::uint64_t sent, pair.bytes_sent());
    if (sent >= sent_before + cut_after_bytes) break;
    if (!syncoid.is_running()) return fail(Errc::io, "Syncoid ended before the line could be cut");
    if (stop.stop_requested()) return fail(Errc::interrupted, "interrupted; nothing is left behind");
    if (steady_clock::now() > until) return fail(Errc::timed_out, "Syncoid sends nothing");
    std::this_thread::sleep_for(5ms);
  }
  LT_CHECK(sandbox.set_wan(lab::all_directions, {"blackout=on"}));
  std::this_thread::sleep_for(cut_for);
  return sandbox.set_wan(lab::all_directions, {"blackout=off"});
}

Result<std::string> syncoid_version(const MirrorPair& pair) {
  LT_TRY(const ProcessOutput output, run_process(pair.at_office({"syncoid", "--version"})));
  const std::string_view words = trim(output.out);
  const auto version = words.find("version ");
  const std::string_view rest = version == words.npos ? words : words.substr(version + 8);
  return std::string(rest.substr(0, rest.find_first_of(" \n")));
}

Status compare(const MirrorPair& pair, MirrorShown& shown) {
  LT_TRY(const ProcessOutput verified, run_process(pair.mirror_command({"verify", "--json"}), {.deadline = patience}));
  if (verified.exit_code != 0) return fail(Errc::io, "the copy is not the source: " + printable(trim(verified.err.empty() ? verified.out : verified.err), 400));
  LT_TRY(const Json report, parse_json(verified.out, "linktune mirror verify"));
  const Json& dataset = report["datasets"][0];
  if (!report.value("equal", false) || !dataset.value("complete", false)) return fail(Errc::io, "the copy could not be compared whole");
  shown.bytes = dataset.value("bytes", std::uint64_t{0});
  shown.wire_bytes = dataset.value("wire_bytes", std::uint64_t{0});
  shown.entries = dataset.value("entries", std::uint64_t{0});
  shown.snapshot = dataset.value("snapshot", "");
  return {};
}

}  // namespace

std::string MirrorShown::text() const {
  if (why_not) return "ZFS mirror: not shown on this machine: " + *why_not + "\n";
  return format("ZFS mirror, unmodified Syncoid {}:  {:.0f} MiB in {:.1f} s, the line cut for {:.0f} s on the way;  snapshots and {} entries equal at both sites,"
                " {} bytes over the line to compare them\n",
                syncoid, static_cast<double>(bytes) / 1048576.0, static_cast<double>(took.count()) / 1000.0, static_cast<double>(cut.count()) / 1000.0, entries, wire_bytes);
}

Json MirrorShown::json() const {
  if (why_not) return {{"shown", false}, {"why_not", *why_not}};
  return {{"shown", true}, {"syncoid", syncoid}, {"bytes", bytes}, {"took_ms", took.count()}, {"cut_ms", cut.count()},
          {"equal", true}, {"entries", entries}, {"snapshot", snapshot}, {"compare_wire_bytes", wire_bytes}};
}

Result<MirrorShown> show_mirror(lab::Sandbox& sandbox, const std::string& folder, std::uint64_t seed, const std::stop_token& stop) {
  MirrorShown shown;
  shown.why_not = what_lacks();
  if (shown.why_not) {
    say("  left out: " + *shown.why_not);
    return shown;
  }
  LT_TRY(auto pair, MirrorPair::start(sandbox, {.folder = folder, .program = own_program()}));
  LT_TRY(shown.syncoid, syncoid_version(pair));
  LT_CHECK(fill(pair.office().seen_from_here(pair.office().mount_of("tank")) + "/data", seed));
  LT_TRY(const std::uint64_t sent_before, pair.bytes_sent());
  const std::string log = folder + "/syncoid.log";
  const auto began = steady_clock::now();
  LT_TRY(Child syncoid, Child::start({.argv = pair.syncoid_command(), .output_path = log}));
  LT_CHECK(cut_once(sandbox, pair, syncoid, sent_before, stop));
  shown.cut = cut_for;
  const auto status = syncoid.wait(patience);
  shown.took = std::chrono::ceil<std::chrono::milliseconds>(steady_clock::now() - began);
  if (!status) return fail(Errc::timed_out, "Syncoid does not end: " + last_line(log));
  if (*status != 0) return fail(Errc::io, "Syncoid failed (" + std::to_string(*status) + "): " + last_line(log));
  say(format("  Syncoid {} carried tank/data over the link in {:.1f} s, the line cut for {} s on the way; it noticed nothing", shown.syncoid,
             static_cast<double>(shown.took.count()) / 1000.0, cut_for.count() / 1000));
  LT_CHECK(compare(pair, shown));
  say(format("  verified: {} entries, {:.0f} MiB, equal at both sites; {} bytes crossed the line for it", shown.entries, static_cast<double>(shown.bytes) / 1048576.0,
             shown.wire_bytes));
  return shown;
}

}  // namespace lt::app
