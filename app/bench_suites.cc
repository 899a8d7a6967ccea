// The suites, as data: which rows meet in which scenes.
#include <array>

#include "app/bench_plan.h"
#include "base/text.h"
#include "configs/knob.h"

namespace lt::app {

namespace {

using Rows = std::vector<BenchRow>;

std::vector<tuner::Setting> settings_of(const configs::OpenVpnKnobs& knobs) {
  std::vector<tuner::Setting> settings;
  for (const auto& [name, value] : configs::describe_changes(knobs)) settings.push_back({name, value});
  return settings;
}

BenchRow bare() { return {.label = std::string(row_bare)}; }
BenchRow bare_bbr() { return {.label = std::string(row_bare_bbr), .inner = "bbr"}; }

BenchRow openvpn(std::string_view label, const configs::OpenVpnKnobs& knobs) {
  return {.label = std::string(label), .carrier = RowCarrier::openvpn, .settings = settings_of(knobs)};
}

BenchRow openvpn_defaults() {
  configs::OpenVpnKnobs knobs;
  knobs.proto = configs::OpenVpnProto::tcp;
  return openvpn(row_openvpn, knobs);
}

BenchRow openvpn_recipe() { return openvpn(row_openvpn_recipe, configs::OpenVpnKnobs::owner_recipe()); }

// The recipe with the tunnel MTU at which OpenVPN is fastest between two gateways. A packet that does not fit into the
// socket whole makes OpenVPN begin anew, and a fresh socket's buffer is smaller than this one.
BenchRow openvpn_48000() {
  configs::OpenVpnKnobs knobs = configs::OpenVpnKnobs::owner_recipe();
  knobs.tun_mtu = 48000;
  knobs.sndbuf = Bytes{2 << 20};
  return openvpn(row_openvpn_48000, knobs);
}

BenchRow openvpn_udp() { return openvpn(row_openvpn_udp, {}); }
BenchRow wireguard() { return {.label = std::string(row_wireguard), .carrier = RowCarrier::wireguard}; }

BenchRow linktune(std::string_view label = row_linktune, std::vector<tuner::Setting> settings = {}) {
  return {.label = std::string(label), .carrier = RowCarrier::linktune, .settings = std::move(settings)};
}

BenchRow with_outer(BenchRow row, const std::string& outer, std::string_view label) {
  row.outer = outer;
  row.label = label;
  return row;
}

BenchRow linktune_bbr() { return with_outer(linktune(), "bbr", row_linktune_bbr); }

Rows everybody() { return {bare(), openvpn_defaults(), openvpn_recipe(), openvpn_48000(), openvpn_udp(), wireguard(), linktune()}; }

BenchLine wan(unsigned round_trip_ms, double loss_percent) {
  return {.rate_mbit = 500, .round_trip_ms = round_trip_ms, .loss_percent = loss_percent};
}

// A scene over the WAN has its slow start, and bbr its first look for a shorter round trip, before it is measured.
BenchScene wan_scene(unsigned round_trip_ms, double loss_percent) {
  return {.line = wan(round_trip_ms, loss_percent), .seconds = 6, .omit_seconds = 3};
}

BenchSuite headline() {
  Rows lans = everybody();
  lans.push_back(linktune(row_linktune_plain, {{"offload", "off"}}));
  return {"headline", "S1 to S4 and S9: one flow on a line that only the CPU bounds", 3, {{{.path = BenchPath::lans}, lans}, {{.path = BenchPath::gateways}, everybody()}}};
}

BenchSuite wan_suite() {
  BenchSuite suite{"wan", "S5 and S6: 500 Mbit/s at 20, 80 and 200 ms, loss 0 to 1 %", 3, {}};
  for (const double loss : {0.0, 0.1, 1.0, 0.01}) {
    for (const unsigned round_trip : {20U, 80U, 200U}) {
      suite.blocks.push_back({wan_scene(round_trip, loss), {bare(), bare_bbr(), openvpn_recipe(), openvpn_udp(), wireguard(), linktune(), linktune_bbr()}});
    }
  }
  return suite;
}

BenchSuite latency() {
  BenchScene scene = wan_scene(20, 0);
  scene.round_trips = true;
  scene.seconds = 8;
  BenchScene raw{.round_trips = true};
  return {"latency", "S7: round trips idle and under load", 3,
          {{scene, {bare(), openvpn_recipe(), openvpn_udp(), wireguard(), linktune(), linktune_bbr()}}, {raw, everybody()}}};
}

BenchSuite restarts() {
  return {"restarts", "S8: 20 fresh starts", 20, {{{}, {bare(), linktune()}}}};
}

BenchSuite small_packets() {
  BenchSuite suite{"small-packets", "S10: 64-byte UDP packets a second, at most 1 % of them lost", 3, {}};
  for (const BenchPath path : {BenchPath::lans, BenchPath::gateways}) {
    suite.blocks.push_back({{.path = path, .load = BenchLoad::packets}, {bare(), openvpn_defaults(), openvpn_udp(), wireguard(), linktune()}});
  }
  return suite;
}

BenchSuite memory() {
  const Rows rows{openvpn_defaults(), openvpn_udp(), wireguard(), linktune(), linktune(row_linktune_lanes, {{"lanes", "15"}})};
  return {"memory", "S11: resident memory of the daemons, up to 16 lanes, 16 flows", 3, {{{.flows = 16, .both_ways = true}, rows}, {{.flows = 16}, rows}}};
}

BenchSuite io() {
  const Rows rows{linktune("linktune, io_uring", {{"io", "io_uring"}}), linktune("linktune, epoll", {{"io", "epoll"}})};
  return {"io", "io_uring against epoll", 5,
          {{{}, rows}, {{.path = BenchPath::gateways}, rows}, {{.flows = 4, .both_ways = true}, rows}, {{.load = BenchLoad::packets}, rows}}};
}

BenchSuite lanes() {
  Rows rows;
  for (const std::string count : {"1", "2", "4", "15"}) rows.push_back(linktune("linktune, lanes " + count, {{"lanes", count}}));
  BenchSuite suite{"lanes", "one lane against several", 3, {}};
  for (const unsigned flows : {1U, 4U, 16U}) suite.blocks.push_back({{.flows = flows}, rows});
  BenchScene lossy = wan_scene(80, 0.1);
  lossy.flows = 16;
  suite.blocks.push_back({lossy, rows});
  return suite;
}

// Every axis: paths, flows, ways and lines, inner and outer congestion controls.
BenchSuite matrix() {
  BenchSuite suite{"matrix", "every axis: hours", 3, {}};
  for (const BenchPath path : {BenchPath::lans, BenchPath::gateways}) {
    for (const unsigned flows : {1U, 4U, 16U}) {
      for (const bool both : {false, true}) suite.blocks.push_back({{.path = path, .flows = flows, .both_ways = both, .round_trips = true}, everybody()});
    }
  }
  const Rows rows{bare(), openvpn_defaults(), openvpn_recipe(), with_outer(openvpn_recipe(), "bbr", "OpenVPN TCP, 9000 recipe, bbr outside"),
                  openvpn_udp(), wireguard(), linktune(), linktune_bbr()};
  for (const std::string inner : {"cubic", "bbr"}) {
    for (const unsigned round_trip : {20U, 80U, 200U}) {
      for (const double loss : {0.0, 0.01, 0.1, 1.0}) {
        for (const unsigned flows : {1U, 4U, 16U}) {
          for (const bool both : {false, true}) {
            BenchScene scene = wan_scene(round_trip, loss);
            scene.flows = flows;
            scene.both_ways = both;
            scene.inner = inner;
            scene.round_trips = true;
            suite.blocks.push_back({scene, rows});
          }
        }
      }
    }
  }
  return suite;
}

}  // namespace

const std::vector<BenchSuite>& bench_suites() {
  static const std::vector<BenchSuite> suites{headline(), wan_suite(), latency(), restarts(), small_packets(), memory(), io(), lanes(), matrix()};
  return suites;
}

}  // namespace lt::app
