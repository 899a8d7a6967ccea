#include "app/cmd_demo.h"

#include <cstdio>

#include "app/cmd_mirror_demo.h"
#include "app/cmd_openvpn.h"
#include "app/cmd_sweep.h"
#include "app/iperf3.h"
#include "app/lab_bench.h"
#include "app/link_json.h"
#include "base/format.h"
#include "base/text.h"
#include "tuner/random.h"
#include "tuner/space.h"

namespace lt::app {

namespace {

void say(const std::string& text) {
  std::fputs((text + "\n").c_str(), stderr);
  std::fflush(stderr);
}

Status go_on(const std::stop_token& stop) {
  if (stop.stop_requested()) return fail(Errc::interrupted, "interrupted; nothing is left behind");
  return {};
}

double mbps(BitsPerSecond rate) { return static_cast<double>(rate.value) / 1e6; }

// The last line but one of ping: "rtt min/avg/max/mdev = ...", and how many came back.
Result<std::string> ping_lan(const lab::Sandbox& sandbox) {
  const std::string target = sandbox.topology().offsite.lan_host_v4.address.text();
  LT_TRY(const std::string output, run_checked(sandbox.exec(lab::Host::office_lan, {"ping", "-n", "-q", "-c", "5", "-i", "0.2", target})));
  const auto lines = split(trim(output), '\n');
  return std::string(lines[lines.size() - 2]) + "; " + std::string(lines.back());
}

Result<Iperf3Result> transfer_lan(const lab::Sandbox& sandbox) {
  return run_iperf3(sandbox, lab::Host::office_lan, sandbox.topology().offsite.lan_host_v4.address, {.seconds = 4, .omit_seconds = 2});
}

struct Carried {
  std::string ping;
  Iperf3Result transfer;
};

Result<Carried> carry_lan_traffic(const lab::Sandbox& sandbox) {
  Carried carried;
  LT_TRY(carried.ping, ping_lan(sandbox));
  say("  ping office-lan -> offsite-lan: " + carried.ping);
  LT_TRY(carried.transfer, transfer_lan(sandbox));
  say(format("  iperf3 office-lan -> offsite-lan: {:.0f} Mbit/s", mbps(carried.transfer.goodput)));
  return carried;
}

// --- the acts ---

Result<Carried> show_native_link(const lab::Sandbox& sandbox, const ScratchFolder& scratch) {
  LT_TRY(const auto folder, scratch.add("native"));
  LT_TRY(auto pair, NativePair::start(sandbox, {.folder = folder}));
  LT_TRY(const Json status, pair.status());
  say("  " + std::string(trim(status_text(status))));
  LT_TRY(auto carried, carry_lan_traffic(sandbox));
  if (!pair.end()) return fail(Errc::io, "an end of the link did not stop in good order: " + last_line(folder + "/office.log"));
  return carried;
}

Result<tuner::Report> show_sweep(const lab::Sandbox& sandbox, const ScratchFolder& scratch, std::uint64_t seed,
                                 std::size_t blocks, const std::stop_token& stop) {
  tuner::SweepOptions options;
  options.arms = tuner::default_arms({.quick = true});
  options.plan.duration = std::chrono::milliseconds(2500);
  options.plan.omit = std::chrono::milliseconds(1500);
  options.plan.idle = std::chrono::milliseconds(500);
  options.seed = seed;
  options.blocks = blocks;
  options.journal_path = scratch.path() + "/sweep.jsonl";
  options.stop = stop;
  LT_TRY(auto report, sweep_lab(sandbox, "wan", options));
  if (report.result.is_stopped) return fail(Errc::interrupted, "interrupted; nothing is left behind");
  report.result.journal_path.clear();  // it goes with the demo: no report may point to it
  return report;
}

struct ExportShown {
  std::string label;
  std::string settings;
  Carried carried;
};

Result<ExportShown> show_openvpn(const lab::Sandbox& sandbox, const ScratchFolder& scratch, const tuner::Report& report,
                                 const DemoOptions& options) {
  const auto best = report.verdict.best_of(tuner::ArmCarrier::openvpn, report.result.header);
  if (!best) return fail(Errc::io, "no OpenVPN setting carried the line");
  const tuner::Arm& arm = report.result.header.arms[*best];
  LT_TRY(const auto knobs, openvpn_knobs_of(arm));
  LT_TRY(const auto version, installed_openvpn_version());
  LT_TRY(const auto keys, OpenVpnKeys::make());
  LT_TRY(const auto folder, scratch.add("openvpn"));
  LT_TRY(auto pair, OpenVpnPair::write_and_start(sandbox, keys, knobs, version, folder));
  say("  exported \"" + arm.label + "\" as server.conf and client.conf; the installed OpenVPN " + version.text() + " runs them");
  LT_TRY(auto carried, carry_lan_traffic(sandbox));
  pair.end();
  if (!options.keep_folder.empty()) {
    LT_CHECK(run_checked({"cp", "-a", folder, options.keep_folder}));
    say("  kept in " + options.keep_folder);
  }
  return ExportShown{arm.label, tuner::canonical_text(arm), std::move(carried)};
}

Json carried_json(const Carried& carried) {
  return {{"ping", carried.ping},
          {"iperf3_mbps", mbps(carried.transfer.goodput)},
          {"inner_retransmits", carried.transfer.retransmits}};
}

}  // namespace

Result<Outcome> run_demo(const DemoOptions& options, const std::stop_token& stop) {
  const std::uint64_t seed = options.seed.value_or(tuner::fresh_seed());
  LT_TRY(const auto scratch, ScratchFolder::create("demo"));

  say(format("[1/6] a lab: two LAN hosts, two gateways, a WAN of 500 Mbit/s and 20 ms (seed {})", seed));
  LT_TRY(auto sandbox, lab::Sandbox::build({.name = "demo", .profile = "wan", .seed = seed}));
  LT_TRY(const auto iperf3_server, Iperf3Server::start(sandbox, lab::Host::offsite_lan));
  LT_CHECK(go_on(stop));

  say("[2/6] the native link: configs and keys made, both daemons started");
  LT_TRY(const auto native, show_native_link(sandbox, scratch));
  LT_CHECK(go_on(stop));

  say("[3/6] a sweep over native and OpenVPN settings, real traffic, fresh starts, random order");
  LT_TRY(const auto report, show_sweep(sandbox, scratch, seed, options.blocks, stop));

  say("[4/6] the best OpenVPN setting as a pair of files");
  LT_TRY(const auto exported, show_openvpn(sandbox, scratch, report, options));
  LT_CHECK(go_on(stop));

  say("[5/6] a ZFS dataset mirrored over the link by unmodified Syncoid, the line cut on the way");
  LT_TRY(const auto mirror_folder, scratch.add("mirror"));
  LT_TRY(const auto mirrored, show_mirror(sandbox, mirror_folder, seed, stop));
  LT_CHECK(go_on(stop));

  say("[6/6] the report\n");
  std::string text = tuner::text_of(report);
  text += format("\nLAN to LAN, real iperf3, one flow:  native defaults {:.0f} Mbit/s,  exported OpenVPN \"{}\" {:.0f} Mbit/s\n",
                 mbps(native.transfer.goodput), exported.label, mbps(exported.carried.transfer.goodput));
  text += mirrored.text();
  text += format("seed of this run: {}   again: sudo ./run demo --seed {}\n", seed, seed);
  return Outcome{{{"schema", "linktune.demo.1"},
                  {"seed", seed},
                  {"native", carried_json(native)},
                  {"sweep", tuner::json_of(report)},
                  {"openvpn", {{"arm", exported.settings}, {"carried", carried_json(exported.carried)}}},
                  {"mirror", mirrored.json()}},
                 text};
}

}  // namespace lt::app
