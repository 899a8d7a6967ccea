// The iperf3 protocol in both roles, written from its description: our client against a stock
// server, our server for a stock client. A second witness beside our own probe, and a way to measure
// against machines that have no linktune.
//
// Theory of operation (the server's answers in capitals are single signed bytes):
//
//   client                              control, TCP                     server
//   cookie, 37 bytes       ---------------------------------->
//                          <----------------------------------   PARAM_EXCHANGE (or ACCESS_DENIED)
//   parameters, JSON       ---------------------------------->
//                          <----------------------------------   CREATE_STREAMS
//   streams: TCP with the cookie, UDP with a hello   ========>   one after another
//                          <----------------------------------   TEST_START, TEST_RUNNING
//   load up, down or both            ===== streams =====
//   TEST_END               ---------------------------------->   closes its streams
//                          <----------------------------------   EXCHANGE_RESULTS
//   results, JSON          ---------------------------------->
//                          <----------------------------------   results, DISPLAY_RESULTS
//   IPERF_DONE             ---------------------------------->
//
// What this cannot do and our probe can: latency under load, one-way loss, a control line outside
// the path, anything kept from a reader (the protocol has neither encryption nor integrity).
//
// Each end counts for itself and leaves out the first `omit` seconds. The receiver's figure is the
// goodput. Source: iperf3.md 2 to 8, checked against iperf3 3.12.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/log.h"
#include "base/result.h"
#include "base/units.h"
#include "tuner/probe.h"

namespace lt::tuner {

inline constexpr std::string_view iperf3_schema = "linktune.iperf3/1";
inline constexpr std::uint16_t iperf3_port = 5201;  // iperf3's own choice

// What iperf3 itself allows (iperf3.md 4); a server refuses what lies outside.
inline constexpr unsigned iperf3_streams_max = 128;
inline constexpr unsigned iperf3_seconds_max = 86'400;
inline constexpr unsigned iperf3_omit_seconds_max = 600;
inline constexpr unsigned iperf3_block_bytes_max = 1 << 20;
inline constexpr unsigned iperf3_datagram_bytes_min = 16;
inline constexpr unsigned iperf3_datagram_bytes_max = 65'507;
inline constexpr unsigned iperf3_mss_max = 32'767;
inline constexpr unsigned iperf3_window_bytes_max = 512U << 20;
inline constexpr unsigned iperf3_block_bytes = 128U << 10;       // TCP, unless told otherwise
inline constexpr unsigned iperf3_datagram_bytes = 1'448;         // UDP: fits behind 1500 bytes and PPPoE
inline constexpr BitsPerSecond iperf3_datagram_rate{1'048'576};  // UDP, unless told otherwise

/// One test, as the client asks for it.
struct Iperf3Test {
  bool is_udp{false};
  Load load{Load::up};  // down: iperf3's reverse; both: its bidirectional
  unsigned streams{1};  // each way
  unsigned seconds{10};  // 0: until the client says so (it counts bytes or blocks)
  unsigned omit_seconds{0};
  unsigned block_bytes{0};        // of a write, or of a datagram; 0: the default
  BitsPerSecond rate{0};          // of each stream; 0: as fast as it goes
  BitsPerSecond pacing_rate{0};   // of each stream, by the kernel (fq); 0: none
  unsigned mss_bytes{0};          // 0: the kernel's
  unsigned window_bytes{0};       // socket buffers; 0: the kernel's own sizing
  bool no_delay{false};
  std::string congestion;         // TCP_CONGESTION at both ends; empty: each end's default
  unsigned type_of_service{0};
  bool may_not_fragment{false};   // UDP over IPv4
  bool has_wide_counters{true};   // UDP: numbers of 64 bits
  bool wants_server_output{false};

  [[nodiscard]] unsigned block() const;
};

/// @error invalid: outside the limits above; the sentence names the field
[[nodiscard]] Status validate(const Iperf3Test& test);

/// What one end has counted of one stream, without the omitted time.
struct Iperf3Count {
  unsigned id{0};
  std::uint64_t bytes{0};
  std::int64_t retransmits{-1};  // -1: not known, or the receiver
  double jitter_seconds{0};      // UDP, the receiver's
  std::int64_t errors{0};        // UDP: datagrams lost, with those of the omitted time
  std::uint64_t packets{0};      // UDP: sent, or the highest number received; with the omitted time
  std::int64_t omitted_errors{0};
  std::uint64_t omitted_packets{0};
  double seconds{0};
};

/// What one end says at the end of a test.
struct Iperf3Report {
  double cpu_percent{0};  // of one CPU
  double cpu_user_percent{0};
  double cpu_system_percent{0};
  std::int64_t has_retransmits{-1};  // 1: the sender counts them; 0: it cannot; -1: no sender
  std::string congestion;
  std::vector<Iperf3Count> streams;
  std::string output;  // the server's own words, if they were asked for
};

/// One way of a test: each figure from the end that knows it.
struct Iperf3Way {
  unsigned streams{0};
  std::uint64_t bytes_sent{0};
  std::uint64_t bytes_received{0};
  double seconds_sent{0};
  double seconds_received{0};
  std::int64_t retransmits{-1};
  double jitter_ms{0};           // UDP: mean of the streams
  std::uint64_t packets{0};      // UDP
  std::uint64_t packets_lost{0};
  std::vector<std::uint64_t> series;  // bytes of each second at this end, omitted ones too

  [[nodiscard]] BitsPerSecond sent() const;
  [[nodiscard]] BitsPerSecond goodput() const;  // the receiver's
  [[nodiscard]] double loss() const;            // 0..1
};

struct Iperf3Result {
  Iperf3Test test;
  std::string server;
  std::optional<Iperf3Way> up;
  std::optional<Iperf3Way> down;
  std::string congestion;  // of our streams, as read back; empty for UDP
  std::string server_congestion;
  double cpu_percent{0};
  double server_cpu_percent{0};
  std::string server_output;  // printable
};

[[nodiscard]] Json to_json(const Iperf3Result& result);
[[nodiscard]] std::string text_of(const Iperf3Result& result);

struct Iperf3ClientOptions {
  Endpoint server{};
  std::optional<Family> family{};     // of a server's name; none: as the resolver says
  std::optional<IpAddress> source{};  // none: by route
  Milliseconds connect_patience{5'000};
};

/// Runs one test against any iperf3 server. Asked to stop, it tells the server.
/// @error unreachable, timed_out: no server, or it vanished · busy: it serves somebody else ·
/// rejected: it refused, with its reason · protocol: it is no iperf3 server · unsupported: the
/// congestion control is not to be had · interrupted: `stop` was requested
[[nodiscard]] Result<Iperf3Result> run_iperf3_test(const Iperf3ClientOptions& options,
                                                   const Iperf3Test& test,
                                                   const std::stop_token& stop = {});

struct Iperf3ServerOptions {
  std::optional<IpAddress> address{};  // none: any of this host
  std::uint16_t port{iperf3_port};     // 0: any free one
  bool once{false};                    // end after the first client
};

/// Serves iperf3 clients, one test at a time; others are denied, as iperf3 does. Whoever reaches the
/// port may test: it is for tests between people who know each other, and never starts by itself.
class Iperf3Server {
 public:
  /// @error busy: the port is taken · not_found: the address is not ours
  [[nodiscard]] static Result<Iperf3Server> create(const Iperf3ServerOptions& options, Log& log);
  Iperf3Server(Iperf3Server&&) noexcept;
  ~Iperf3Server();

  [[nodiscard]] std::uint16_t port() const;
  /// Serves until `stop` is requested, or until one client has gone with `once`. A client's fault
  /// ends that client and is logged. @return tests that were carried to their end
  /// @error io: the listener itself is broken
  [[nodiscard]] Result<std::uint64_t> serve(const std::stop_token& stop);

 private:
  struct State;
  explicit Iperf3Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace lt::tuner
