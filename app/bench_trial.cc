#include "app/bench_trial.h"

#include <future>
#include <thread>

#include "app/carrier_memory.h"
#include "app/cmd_openvpn.h"
#include "app/lab_bench.h"
#include "app/native_pair.h"
#include "app/packet_rate.h"
#include "app/wireguard_pair.h"
#include "base/text.h"
#include "tuner/probe_host.h"

namespace lt::app {

namespace {

using namespace std::chrono_literals;

constexpr auto idle_time = 2s;
constexpr auto look_before = 300ms;  // is the machine doing something else?
constexpr auto packet_step = 400ms;
constexpr auto margin = 250ms;  // CPU time is counted from this long after the omitted time to as long before the end

std::string cpu_model() {
  const auto text = read_file("/proc/cpuinfo", 1 << 22);
  const auto at = text ? text->find("model name") : std::string::npos;
  if (at == std::string::npos) return "unknown";
  const auto line = std::string_view(*text).substr(at, text->find('\n', at) - at);
  return std::string(trim(line.substr(line.find(':') + 1)));
}

std::string iperf3_version() {
  const auto said = run_process({"iperf3", "--version"}, {.deadline = 3s});
  return said ? printable(split(said->out, '\n').front(), 40) : "absent";
}

tuner::Arm arm_of(const BenchRow& row) {
  tuner::Arm arm{.label = row.label, .settings = row.settings};
  arm.carrier = row.carrier == RowCarrier::openvpn ? tuner::ArmCarrier::openvpn : tuner::ArmCarrier::native;
  if (row.carrier == RowCarrier::linktune) arm.settings.push_back({"congestion_control", row.outer});
  return arm;
}

// A carrier while it runs; it ends with this object.
struct Running {
  std::optional<NativePair> native{};
  std::optional<OpenVpnPair> openvpn{};
  std::optional<WireGuardPair> wireguard{};

  void end() {
    if (native) native->end();
    if (openvpn) openvpn->end();
    if (wireguard) wireguard->end();
  }
};

Result<Running> start(lab::Sandbox& sandbox, const BenchPrograms& programs, const BenchRow& row, const std::string& folder) {
  Running running;
  switch (row.carrier) {
    case RowCarrier::bare: break;
    case RowCarrier::linktune: {
      LT_TRY(const auto knobs, native_knobs_of(arm_of(row)));
      LT_TRY(running.native, NativePair::start(sandbox, {.folder = folder, .knobs = knobs}));
      break;
    }
    case RowCarrier::openvpn: {
      if (!programs.openvpn_keys) return fail(Errc::unsupported, programs.openvpn_absence);
      LT_TRY(const auto knobs, openvpn_knobs_of(arm_of(row)));
      LT_CHECK(sandbox.pin_congestion_control(row.outer));  // it names none itself
      LT_TRY(running.openvpn, OpenVpnPair::write_and_start(sandbox, *programs.openvpn_keys, knobs, programs.openvpn_version, folder));
      break;
    }
    case RowCarrier::wireguard: {
      if (programs.wireguard.empty()) return fail(Errc::unsupported, programs.wireguard_absence);
      LT_TRY(running.wireguard, WireGuardPair::start(sandbox, programs.wireguard, folder));
      break;
    }
  }
  return running;
}

// CPU time of the machine in the middle of a load, between two moments (unit: s a second; all CPUs).
struct CpuWindow {
  double busy_per_second{0};
  double steal_share{0};
};

Result<CpuWindow> watch_cpu(std::chrono::milliseconds begin, std::chrono::milliseconds length) {
  std::this_thread::sleep_for(begin);
  const auto from = std::chrono::steady_clock::now();
  LT_TRY(const auto before, tuner::read_cpu());
  std::this_thread::sleep_for(length);
  LT_TRY(const auto after, tuner::read_cpu());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
  return CpuWindow{(after.busy_seconds - before.busy_seconds) / seconds,
                   (after.steal_seconds - before.steal_seconds) / seconds / tuner::cpu_count()};
}

// "10.0.2.2 via 10.0.1.1 dev lan src 10.0.1.2 uid 0 \ cache" -> from "via" to before "uid": what a route of its own needs.
Argv words_of_route(std::string_view said) {
  Argv words;
  for (const std::string_view word : split(said, ' ')) {
    if (word == "uid" || word == "cache" || word == "\\") break;
    if (!word.empty()) words.emplace_back(word);
  }
  if (!words.empty()) words.erase(words.begin());
  return words;
}

// iperf3 names its congestion control when it has connected. A socket that began with bbr, because that is the machine's
// default, keeps the kernel's pacing timer for ever: a tenth of two CPUs. So the route names it too, for one load.
Status pin_load(const lab::Sandbox& sandbox, lab::Host from, const IpAddress& to, const std::string& congestion) {
  LT_TRY(const std::string said, run_checked(sandbox.exec(from, {"ip", "-o", "route", "get", to.text()})));
  Argv words{"ip", "route", "replace", to.text()};
  for (const std::string& word : words_of_route(said)) words.push_back(word);
  words.insert(words.end(), {"congctl", congestion});
  LT_TRY(const std::string none, run_checked(sandbox.exec(from, words)));
  return {};
}

// The tunnel's own connection may go to the same address. A route whose device is gone is gone too.
void unpin_load(const lab::Sandbox& sandbox, lab::Host from, const IpAddress& to) {
  if (!run_process(sandbox.exec(from, {"ip", "route", "del", to.text()}), {.deadline = 5s})) return;
}

}  // namespace

Result<BenchPrograms> BenchPrograms::find() {
  BenchPrograms programs;
  if (const auto version = installed_openvpn_version()) {
    programs.openvpn_version = *version;
    LT_TRY(programs.openvpn_keys, OpenVpnKeys::make());
  } else {
    programs.openvpn_absence = version.error().text();
  }
  if (const auto program = find_wireguard_go()) {
    programs.wireguard = *program;
  } else {
    programs.wireguard_absence = program.error().text();
  }
  return programs;
}

Json bench_facts(const BenchPrograms& programs) {
  return {{"linktune", LINKTUNE_VERSION},
          {"build", LINKTUNE_BUILD},
          {"kernel", tuner::kernel_version()},
          {"cpu", cpu_model()},
          {"cpus", std::to_string(tuner::cpu_count())},
          {"openvpn", programs.openvpn_keys ? programs.openvpn_version.text() : "absent"},
          {"wireguard_go", programs.wireguard.empty() ? "absent" : wireguard_go_version(programs.wireguard)},
          {"iperf3", iperf3_version()}};
}

Result<BenchStage> BenchStage::build(const std::string& lab_name, const BenchScene& scene, const BenchPrograms& programs) {
  const lab::SandboxOptions options{.name = lab_name, .profile = scene.line.is_raw() ? "raw" : "wan", .settings = scene.line.words()};
  LT_TRY(auto sandbox, lab::Sandbox::build(options));
  LT_CHECK(sandbox.route_in_clear(true));  // for the bare row; a tunnel's routes go before these
  LT_TRY(auto folder, ScratchFolder::create("bench"));
  BenchStage stage(scene, programs, std::move(sandbox), std::move(folder));
  if (scene.load == BenchLoad::tcp) {
    LT_TRY(auto server, Iperf3Server::start(stage.sandbox_, stage.far()));
    stage.iperf3_.emplace(std::move(server));
  }
  return stage;
}

lab::Host BenchStage::near() const { return scene_.path == BenchPath::lans ? lab::Host::office_lan : lab::Host::office_gw; }
lab::Host BenchStage::far() const { return scene_.path == BenchPath::lans ? lab::Host::offsite_lan : lab::Host::offsite_gw; }

IpAddress BenchStage::address_of_far(RowCarrier carrier) const {
  const lab::Site& site = sandbox_.topology().offsite;
  if (scene_.path == BenchPath::lans) return site.lan_host_v4.address;
  switch (carrier) {
    case RowCarrier::bare: return site.wan_v4.address;
    case RowCarrier::linktune: return TrialPlace{}.offsite.address;
    case RowCarrier::openvpn: return *IpAddress::parse(openvpn_offsite_address);
    case RowCarrier::wireguard: return *IpAddress::parse(wireguard_offsite_address);
  }
  return site.wan_v4.address;
}

Result<BenchSample> BenchStage::measure(const BenchRow& row) {
  LT_TRY(const auto folder, folder_.add("start-" + std::to_string(++starts_)));
  LT_TRY(const CpuWindow before, watch_cpu(0ms, look_before));
  LT_TRY(auto running, start(sandbox_, programs_, row, folder));
  const IpAddress to = address_of_far(row.carrier);
  BenchSample sample;
  sample.busy_before = before.busy_per_second / tuner::cpu_count();
  if (scene_.load == BenchLoad::packets) {
    LT_CHECK(measure_packets(to, sample));
  } else {
    LT_CHECK(measure_tcp(row, to, sample));
  }
  if (row.carrier != RowCarrier::bare) {
    LT_TRY(sample.resident_mib, largest_resident_mib(sandbox_));
  }
  running.end();
  return sample;
}

Status BenchStage::measure_idle(const IpAddress& to, const EchoHost& echo, BenchSample& sample) {
  auto pings = std::async(std::launch::async, [&] { return ping_for(sandbox_, near(), to, idle_time); });
  const auto echoes = echo.ask(sandbox_, near(), to, tuner::EchoPhase::idle, idle_time);
  LT_TRY(sample.ping_idle, pings.get());
  if (!echoes) return fail(echoes.error());
  sample.echo_idle = *echoes;
  return {};
}

// The load, and beside it what is watched under load: each in a thread of its own, begun when the omitted time is over.
Status BenchStage::measure_tcp(const BenchRow& row, const IpAddress& to, BenchSample& sample) {
  const std::chrono::seconds omit(scene_.omit_seconds);
  const std::chrono::milliseconds watched = std::chrono::seconds(scene_.seconds) - 2 * margin;
  std::optional<EchoHost> echo;
  std::future<Result<RoundTrips>> pings;
  std::future<Result<RoundTrips>> echoes;
  if (scene_.round_trips) {
    LT_TRY(echo, EchoHost::start(sandbox_, far()));
    LT_CHECK(measure_idle(to, *echo, sample));
    pings = std::async(std::launch::async, [&] {
      std::this_thread::sleep_for(omit + margin);
      return ping_for(sandbox_, near(), to, watched);
    });
    echoes = std::async(std::launch::async, [&] {
      std::this_thread::sleep_for(omit + margin);
      return echo->ask(sandbox_, near(), to, tuner::EchoPhase::loaded, watched);
    });
  }
  const std::string congestion = row.inner.empty() ? scene_.inner : row.inner;
  LT_CHECK(pin_load(sandbox_, near(), to, congestion));
  auto cpu = std::async(std::launch::async, [&] { return watch_cpu(omit + margin, watched); });
  const auto result = run_iperf3(sandbox_, near(), to,
                                 {.seconds = scene_.seconds,
                                  .omit_seconds = scene_.omit_seconds,
                                  .flows = scene_.flows,
                                  .both_ways = scene_.both_ways,
                                  .congestion = congestion});
  unpin_load(sandbox_, near(), to);
  const auto window = cpu.get();
  const auto loaded_pings = pings.valid() ? std::optional(pings.get()) : std::nullopt;
  const auto loaded_echoes = echoes.valid() ? std::optional(echoes.get()) : std::nullopt;
  if (!result) return fail(result.error());
  if (!window) return fail(window.error());
  sample.mbps = static_cast<double>(result->goodput.value + result->goodput_back.value) / 1e6;
  if (scene_.both_ways) sample.mbps_back = static_cast<double>(result->goodput_back.value) / 1e6;
  sample.retransmits = static_cast<double>(result->retransmits);
  sample.cpu_s_per_gb = window->busy_per_second / (*sample.mbps / 8000);
  sample.steal = window->steal_share;
  if (loaded_pings) {
    LT_TRY(sample.ping_loaded, *loaded_pings);
    LT_TRY(sample.echo_loaded, *loaded_echoes);
  }
  return {};
}

Status BenchStage::measure_packets(const IpAddress& to, BenchSample& sample) {
  LT_TRY(const PacketRate rate, search_rate([&](double per_second) { return offer_packets(sandbox_, near(), far(), to, per_second, packet_step); }));
  sample.packets_per_s = rate.sustained;
  sample.packets_per_s_max = rate.best;
  return {};
}

}  // namespace lt::app
