// What a bench measures: rows (a carrier and its settings) in scenes (a path, a line, a load), gathered in suites.
// Pure values; nothing here starts anything.
//
// A block is one scene with its rows, each started once from nothing, in an order drawn anew. Rows are compared
// within their blocks only: what drifts, drifts in all of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "tuner/arm.h"

namespace lt::app {

enum class RowCarrier : std::uint8_t { bare, openvpn, wireguard, linktune };

struct BenchRow {
  std::string label;  // what a reader calls it; unique within a scene
  RowCarrier carrier{RowCarrier::bare};
  std::vector<tuner::Setting> settings{};  // knobs by short name; all others at their defaults
  std::string outer{"cubic"};              // congestion control of the tunnel's own TCP, where it has one
  std::string inner{};                     // of the measured flows, instead of the scene's
};

// The rows that verdicts speak of, by label.
inline constexpr std::string_view row_bare = "bare";
inline constexpr std::string_view row_bare_bbr = "bare, bbr inside";
inline constexpr std::string_view row_openvpn = "OpenVPN TCP, defaults";
inline constexpr std::string_view row_openvpn_recipe = "OpenVPN TCP, 9000 recipe";
inline constexpr std::string_view row_openvpn_48000 = "OpenVPN TCP, tun-mtu 48000";
inline constexpr std::string_view row_openvpn_udp = "OpenVPN UDP";
inline constexpr std::string_view row_wireguard = "wireguard-go";
inline constexpr std::string_view row_linktune = "linktune";
inline constexpr std::string_view row_linktune_bbr = "linktune, bbr outside";
inline constexpr std::string_view row_linktune_plain = "linktune, no offload";
inline constexpr std::string_view row_linktune_lanes = "linktune, 15 lanes and express";

/// gateways: from one gateway's own program to the other's. lans: from a host with MTU 1500 behind one gateway to one
/// behind the other.
enum class BenchPath : std::uint8_t { gateways, lans };

/// tcp: bulk, with round trips beside it where the scene wants them. packets: 64-byte UDP, as many a second as pass.
enum class BenchLoad : std::uint8_t { tcp, packets };

/// The line between the gateways. Rate 0: a bare veth pair, which only the CPU bounds.
struct BenchLine {
  unsigned rate_mbit{0};
  unsigned round_trip_ms{0};
  double loss_percent{0};  // of packets, each way

  [[nodiscard]] bool is_raw() const { return rate_mbit == 0; }
  /// For the emulator; the queue holds one product of rate and round trip.
  [[nodiscard]] std::vector<std::string> words() const;
};

struct BenchScene {
  BenchPath path{BenchPath::lans};
  BenchLine line{};
  BenchLoad load{BenchLoad::tcp};
  unsigned flows{1};
  bool both_ways{false};
  std::string inner{"cubic"};  // congestion control of the measured flows
  bool round_trips{false};     // ping and UDP echo, idle and under load
  unsigned seconds{3};         // measured
  unsigned omit_seconds{1};    // left out before: slow start, queues that fill

  /// "LAN to LAN, 500 Mbit/s 20 ms 0.1 % loss, 1 flow, one way, cubic inside": names the scene; times are not part of it.
  /// What is watched beside the load is: it is a load too.
  [[nodiscard]] std::string text() const;
};

struct BenchBlock {
  BenchScene scene;
  std::vector<BenchRow> rows;
};

/// How long a block takes, about (unit: s): for budgets.
[[nodiscard]] double seconds_of(const BenchBlock& block);

struct BenchSuite {
  std::string_view name;
  std::string_view about;
  unsigned rounds;  // unless said otherwise
  std::vector<BenchBlock> blocks;
};

/// headline, wan, latency, restarts, small-packets, memory, io, lanes, matrix.
[[nodiscard]] const std::vector<BenchSuite>& bench_suites();
/// @error invalid: no such suite; names the nearest
[[nodiscard]] Result<BenchSuite> find_bench_suite(std::string_view name);

/// Only the scenes whose text holds one of `words` (any, when there are none), and of them the rows whose label begins
/// with one of `labels` (likewise). @error invalid: nothing is left; the sentence shows what there is
[[nodiscard]] Status narrow(BenchSuite& suite, const std::vector<std::string>& words, const std::vector<std::string>& labels);

[[nodiscard]] Json to_json(const BenchScene& scene);
[[nodiscard]] Result<BenchScene> bench_scene_from_json(const Json& value);
[[nodiscard]] Json to_json(const BenchRow& row);
[[nodiscard]] Result<BenchRow> bench_row_from_json(const Json& value);

}  // namespace lt::app
