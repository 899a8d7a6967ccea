// The shape of a path: the largest packet that it carries each way, whether fragments survive, and
// how many full-size packets it loses.
//
// Theory of operation. Both ends send UDP datagrams that must not be fragmented, of many sizes, and
// tell each other over the control line which ones arrived. Nothing else is believed: no ICMP
// message, no path MTU that the kernel has learned. (A router that drops what is too large and says
// nothing, or whose words a firewall eats, is what this is for.)
//
//   client                            control                          server
//   path {data, port}    ---------------------------------->   opens a UDP port on the data address
//                        <----------------------------------   path_port {udp, nonce}
//   datagrams of round n              ===== data path =====
//   path_seen n          ---------------------------------->
//                        <----------------------------------   the numbers that arrived
//   path_send n {sizes}  ---------------------------------->   datagrams of round n
//                                     ===== data path =====
//                        <----------------------------------   the numbers its kernel refused
//   path_end             ---------------------------------->   closes the port
//
// A size that does not arrive is sent again before it counts as too large: loss must not look like
// an MTU. The search is pure (tuner/size_search.h). Bounded by path_time_max for each way, and by
// path_datagrams_max for both together.
#pragma once

#include <vector>

#include "tuner/probe.h"

namespace lt::tuner {

inline constexpr std::string_view path_shape_schema = "linktune.path-shape/1";
inline constexpr unsigned path_version = 1;  // what a server's welcome says it understands
inline constexpr unsigned path_round_max = 128;         // datagrams of one round
inline constexpr unsigned path_datagrams_max = 4'096;   // of each end, in one conversation
inline constexpr unsigned path_loss_packets_max = 128;  // full-size datagrams that loss is told from
inline constexpr unsigned path_sizes_max = 512;  // that a request asks for by name
inline constexpr Milliseconds path_time_max{30'000};    // for the search of one way
inline constexpr Milliseconds path_gap_max{10};         // between two datagrams of a round

/// What IP and UDP put before the payload (RFC 791, RFC 8200, RFC 768).
[[nodiscard]] constexpr unsigned datagram_overhead_bytes(Family family) {
  return family == Family::v4 ? 28 : 48;
}
/// The largest UDP payload of a packet: 65,535 bytes in all for IPv4, behind the header for IPv6.
[[nodiscard]] constexpr unsigned udp_payload_max(Family family) {
  return family == Family::v4 ? 65'507 : 65'527;
}

struct PathRequest {
  IpAddress data{};                   // the server's address on the path
  std::uint16_t data_port{0};         // UDP port there; 0: the server picks
  std::optional<IpAddress> source{};  // the client's own address on that path; none: by route
  std::vector<unsigned> sizes{};  // payloads that must pass as well, each by itself (path_sizes_max)
  unsigned loss_packets{100};         // full-size datagrams each way, 200 a second; 0: none
  unsigned expected_bytes{0};         // payload that the path should carry, tried with the first; 0: none known
};

/// @error invalid: the addresses are of two families, or none of a host; too many packets
[[nodiscard]] Status validate(const PathRequest& request);

/// How many of these datagrams arrived.
struct Arrivals {
  std::uint64_t sent{0};
  std::uint64_t arrived{0};

  [[nodiscard]] double loss() const;  // 0..1; 0 when nothing was sent
};

/// One way of a path.
struct WayShape {
  unsigned payload_bytes{0};  // largest unfragmented UDP payload that arrived; 0: none did
  bool is_exact{false};       // one byte more was tried and did not arrive, time and again
  Arrivals full_size;         // datagrams of payload_bytes
  Arrivals fragmented;        // datagrams of about twice the MTU, sent in fragments; none sent: the MTU
                              // leaves nothing to fragment

  std::vector<unsigned> sizes_lost;  // of the request's sizes: sent time and again, never arrived.
                                     // Not in the JSON: only a gate asks for them

  /// The path MTU. 0 when nothing arrived. (unit: B)
  [[nodiscard]] unsigned mtu(Family family) const;
  /// Whether fragments survive: most of them arrived. Nothing: there was nothing to fragment.
  [[nodiscard]] std::optional<bool> carries_fragments() const;
};

struct PathShape {
  PathRequest request;
  std::optional<Error> path_failure;  // the path carries no UDP; the rest is then empty
  WayShape up;
  WayShape down;

  [[nodiscard]] Family family() const { return request.data.family; }
  /// The smaller of both ways: what a packet may have that is answered in kind. (unit: B)
  [[nodiscard]] unsigned mtu() const;
};

[[nodiscard]] Json to_json(const PathShape& shape);
/// @error invalid: not a shape of this schema
[[nodiscard]] Result<PathShape> path_shape_from_json(const Json& value);
[[nodiscard]] std::string text_of(const PathShape& shape);

/// Takes the shape of one path. The server is a ProbeServer, the same that serves tests.
/// @error as run_probe · unsupported: the server is older and cannot do this
[[nodiscard]] Result<PathShape> probe_path(const ProbeClientOptions& options,
                                           const PathRequest& request,
                                           const std::stop_token& stop = {});

}  // namespace lt::tuner
