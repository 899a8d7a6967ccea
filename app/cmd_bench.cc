#include "app/cmd_bench.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>

#include "app/cmd_openvpn.h"
#include "app/iperf3.h"
#include "app/lab_bench.h"
#include "base/format.h"
#include "base/text.h"
#include "tuner/probe_host.h"
#include "tuner/schedule.h"
#include "tuner/statistics.h"

namespace lt::app {

namespace {

enum class RowKind { bare, openvpn, native };

struct Row {
  std::string label;
  RowKind kind;
  configs::OpenVpnKnobs openvpn{};
  configs::NativeKnobs native{};
  std::vector<double> mbps;           // one a round
  std::vector<double> cpu_s_per_gb;   // whole machine: both gateways, both hosts and the load itself
  std::vector<std::string> failures;
};

configs::OpenVpnKnobs openvpn_tcp_defaults() {
  configs::OpenVpnKnobs knobs;
  knobs.proto = configs::OpenVpnProto::tcp;
  return knobs;
}

std::vector<Row> rows_of(const BenchOptions& options) {
  std::vector<Row> rows;
  rows.push_back({.label = "bare veth", .kind = RowKind::bare});
  if (options.with_openvpn) {
    rows.push_back({.label = "OpenVPN TCP, defaults", .kind = RowKind::openvpn, .openvpn = openvpn_tcp_defaults()});
    rows.push_back({.label = "OpenVPN TCP, 9000 recipe", .kind = RowKind::openvpn, .openvpn = configs::OpenVpnKnobs::owner_recipe()});
  }
  rows.push_back({.label = "linktune", .kind = RowKind::native});
  return rows;
}

// One fresh start of one row, measured once.
class Trial {
 public:
  Trial(const lab::Sandbox& sandbox, const OpenVpnKeys* keys, const configs::OpenVpnVersion& version)
      : sandbox_(sandbox), keys_(keys), version_(version) {}

  Status run(Row& row, const BenchOptions& options, const std::string& folder) {
    std::optional<NativePair> native;
    std::optional<OpenVpnPair> openvpn;
    switch (row.kind) {
      case RowKind::bare: break;
      case RowKind::native: {
        LT_TRY(native, NativePair::start(sandbox_, {.folder = folder, .knobs = row.native}));
        break;
      }
      case RowKind::openvpn: {
        LT_TRY(openvpn, OpenVpnPair::write_and_start(sandbox_, *keys_, row.openvpn, version_, folder));
        break;
      }
    }
    LT_TRY(const auto before, tuner::read_cpu());
    LT_TRY(const auto result, run_iperf3(sandbox_, lab::Host::office_lan, sandbox_.topology().offsite.lan_host_v4.address,
                                         {.seconds = options.seconds}));
    LT_TRY(const auto after, tuner::read_cpu());
    const double share = static_cast<double>(options.seconds) / (options.seconds + 1);  // of the CPU time, without the omitted second
    row.mbps.push_back(static_cast<double>(result.goodput.value) / 1e6);
    row.cpu_s_per_gb.push_back((after.busy_seconds - before.busy_seconds) * share / (static_cast<double>(result.received.value) / 1e9));
    if (native) native->end();
    if (openvpn) openvpn->end();
    return {};
  }

 private:
  const lab::Sandbox& sandbox_;
  const OpenVpnKeys* keys_;
  const configs::OpenVpnVersion& version_;
};

std::string cpu_model() {
  const auto text = read_file("/proc/cpuinfo", 1 << 22);
  if (!text) return "unknown";
  const auto at = text->find("model name");
  if (at == std::string::npos) return "unknown";
  const auto line = std::string_view(*text).substr(at, text->find('\n', at) - at);
  return std::string(trim(line.substr(line.find(':') + 1)));
}

// The rounds in which both rows were measured are paired: what drifts, drifts in both.
double median_ratio(const Row& ours, const Row& theirs) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(ours.mbps.size(), theirs.mbps.size()); ++i) ratios.push_back(ours.mbps[i] / theirs.mbps[i]);
  return ratios.empty() ? 0 : tuner::median(ratios);
}

Outcome conclude(const std::vector<Row>& rows, const BenchOptions& options, const std::string& openvpn_version) {
  const Row& ours = rows.back();
  Json table = Json::array();
  std::string text = format(
      "\n{} CPUs {}, {}, linktune {}, OpenVPN {}\n"
      "LAN host to LAN host over two gateways on this machine, 1500-byte networks, one TCP flow (cubic), profile raw;\n"
      "{} rounds of {} s, every row freshly started in each, in random order (seed {})\n\n"
      "{:<26} {:>10} {:>10} {:>10} {:>8} {:>11} {:>14}\n",
      tuner::cpu_count(), cpu_model(), tuner::kernel_version(), LINKTUNE_VERSION, openvpn_version, options.rounds, options.seconds,
      options.seed, "", "Mbit/s", "p5", "p95", "spread", "CPU s/GB", "linktune is");
  for (const Row& row : rows) {
    if (row.mbps.empty()) {
      text += format("{:<26} failed: {}\n", row.label, row.failures.empty() ? "not measured" : row.failures.back());
      table.push_back({{"label", row.label}, {"failures", row.failures}});
      continue;
    }
    const double ratio = median_ratio(ours, row);
    text += format("{:<26} {:>10.0f} {:>10.0f} {:>10.0f} {:>7.1f}% {:>11.2f} {:>13.2f}x\n", row.label, tuner::median(row.mbps),
                   tuner::quantile(row.mbps, 0.05), tuner::quantile(row.mbps, 0.95), 100 * tuner::relative_spread(row.mbps),
                   tuner::median(row.cpu_s_per_gb), ratio);
    table.push_back({{"label", row.label},
                     {"mbps", row.mbps},
                     {"mbps_median", tuner::median(row.mbps)},
                     {"restart_spread", tuner::relative_spread(row.mbps)},
                     {"cpu_s_per_gb", tuner::median(row.cpu_s_per_gb)},
                     {"linktune_ratio", ratio},
                     {"failures", row.failures}});
  }
  text += "\nspread is (p95 - p5) / median over the restarts; ratios are medians of the rounds' own ratios.\n";
  return {{{"schema", "linktune.bench.1"},
           {"cpus", tuner::cpu_count()},
           {"cpu", cpu_model()},
           {"kernel", tuner::kernel_version()},
           {"linktune", LINKTUNE_VERSION},
           {"openvpn", openvpn_version},
           {"seed", options.seed},
           {"rounds", options.rounds},
           {"seconds", options.seconds},
           {"rows", table}},
          text};
}

}  // namespace

Result<Outcome> run_bench(const BenchOptions& options, const std::stop_token& stop) {
  std::optional<OpenVpnKeys> keys;
  configs::OpenVpnVersion version;
  if (options.with_openvpn) {
    LT_TRY(version, installed_openvpn_version());
    LT_TRY(keys, OpenVpnKeys::make());
  }
  LT_TRY(auto sandbox, lab::Sandbox::build({.name = "bench", .profile = "raw"}));
  LT_CHECK(sandbox.route_in_clear(true));  // for the bare row; a tunnel's routes go before these
  LT_TRY(const auto folder, ScratchFolder::create("bench"));
  LT_TRY(const auto server, Iperf3Server::start(sandbox, lab::Host::offsite_lan));

  std::vector<Row> rows = rows_of(options);
  Trial trial(sandbox, keys ? &*keys : nullptr, version);
  unsigned starts = 0;
  for (unsigned round = 0; round < options.rounds; ++round) {
    for (const std::size_t index : tuner::block_order(options.seed, round, rows.size())) {
      if (stop.stop_requested()) return fail(Errc::interrupted, "interrupted; nothing is left behind");
      Row& row = rows[index];
      LT_TRY(const auto trial_folder, folder.add("start-" + std::to_string(++starts)));
      const auto measured = trial.run(row, options, trial_folder);
      if (!measured) row.failures.push_back(measured.error().text());
      std::fprintf(stderr, "round %2u/%u  %-26s %s\n", round + 1, options.rounds, row.label.c_str(),
                   measured ? format("{:.0f} Mbit/s", row.mbps.back()).c_str() : measured.error().text().c_str());
    }
  }
  return conclude(rows, options, keys ? version.text() : "not measured");
}

}  // namespace lt::app
