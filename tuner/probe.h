// The probe: what a path carries, how long a packet waits on it, and what that costs.
//
// Theory of operation. One machine runs the server, the other the client. They talk over a control
// line that does NOT run through the path under test (an address of its own, or a Unix socket where
// both run on one machine): a control line behind a full queue would stop late and start late. One
// test is
//
//   client                          control                          server
//   token              ---------------------------------->   first client: welcome, others: busy
//   plan               ---------------------------------->   opens a TCP and a UDP port on the data
//   address
//                      <----------------------------------   ports, nonce
//   flows, each with the nonce      ====== data path =====   one byte back for each
//   UDP echo, idle                  ====== data path =====
//   go                 ---------------------------------->
//   TCP load up, down or both; UDP echo beside it  ===== data path =====
//   tick, twice a second  <----- both ways ----->            silence of silence_max ends the test
//   finish             ---------------------------------->
//                      <----------------------------------   what the server has measured
//
// Goodput is counted by the receiver over the receiver's time, from the first byte on, without the
// first `omit`. A receiver closes its flows when its window is over; that is what ends the sender.
// A packet lost on its way there and one lost on its way back are told apart: the server counts,
// too.
//
// Trouble with the data path is a result (`path_failure`), trouble with the control line is an
// error.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/json.h"
#include "base/log.h"
#include "base/result.h"
#include "base/units.h"

namespace lt::tuner {

inline constexpr std::string_view probe_schema = "linktune.probe/1";
inline constexpr std::uint16_t probe_control_port = 5299;  // our own choice; unassigned by IANA

// Limits of one test; a server refuses what lies outside.
inline constexpr unsigned probe_flows_max = 64;
inline constexpr Milliseconds probe_duration_min{100};
inline constexpr Milliseconds probe_duration_max{300'000};
inline constexpr Milliseconds probe_omit_max{60'000};
inline constexpr Milliseconds probe_idle_max{10'000};
inline constexpr unsigned echo_per_second_min = 10;
inline constexpr unsigned echo_per_second_max = 10'000;
inline constexpr unsigned echo_bytes_min = 64;
inline constexpr unsigned echo_bytes_max = 65'000;
inline constexpr Milliseconds series_step{100};    // width of one entry of a series
inline constexpr Milliseconds silence_max{6'000};  // a peer this silent has vanished
inline constexpr Milliseconds stall_max{
    3'000};  // a path that stands still for this long under load fails the test
inline constexpr Milliseconds path_patience{
    4'000};  // a path that carries nothing for this long is dead

/// Where the TCP load flows, seen from the client.
enum class Load : std::uint8_t { up, down, both };

[[nodiscard]] std::string_view name_of(Load load);
[[nodiscard]] std::optional<Load> load_from_name(std::string_view name);

/// One test.
struct ProbeRequest {
  IpAddress data{};                   // the server's address on the path under test
  std::uint16_t data_port{0};         // TCP and UDP port there; 0: the server picks
  std::optional<IpAddress> source{};  // the client's own address on that path; none: by route
  Milliseconds duration{4'000};       // measured time under load
  Milliseconds omit{2'000};           // left out before it: slow start and filling queues
  Milliseconds idle{1'000};           // echo before the load; 0: none
  unsigned flows{1};                  // TCP connections for each direction
  Load load{Load::up};
  std::string congestion{"cubic"};  // TCP_CONGESTION at both ends
  std::uint32_t segment_bytes_max{0};  // TCP_MAXSEG at this end, which bounds both ways; 0: as the system finds it
  unsigned echo_per_second{200};
  unsigned echo_bytes{echo_bytes_min};  // UDP payload
};

/// @error invalid: outside the limits above; the sentence names the field
[[nodiscard]] Status validate(const ProbeRequest& request);
[[nodiscard]] Json to_json(const ProbeRequest& request);
[[nodiscard]] Result<ProbeRequest> probe_request_from_json(const Json& value);

/// Round-trip times (unit: us).
struct Latency {
  std::uint64_t count{0};
  double us_min{0};
  double us_p50{0};
  double us_p95{0};
  double us_p99{0};
  double us_max{0};
  double us_mean{0};

  /// Round trips per minute, one after another: 60 s / mean. 0 when nothing came back.
  /// @source draft-ietf-ippm-responsiveness; statistics.md 1.3
  [[nodiscard]] double per_minute() const { return us_mean > 0 ? 60e6 / us_mean : 0; }
};

/// @param microseconds  in any order
[[nodiscard]] Latency summarise(std::vector<double> microseconds);

/// UDP echo of one phase. Each way has its own loss.
struct EchoResult {
  std::uint64_t sent{0};      // by the client
  std::uint64_t arrived{0};   // at the server
  std::uint64_t replied{0};   // by the server
  std::uint64_t returned{0};  // at the client
  Latency latency;

  [[nodiscard]] double loss_up() const;    // share of what the client sent, 0..1
  [[nodiscard]] double loss_down() const;  // share of what the server sent, 0..1
};

/// TCP of one direction.
struct FlowResult {
  Bytes bytes;              // received within the measured time
  Nanoseconds measured{0};  // the receiver's own time
  std::vector<std::uint64_t>
      series;  // bytes received in each series_step from the first byte on, omitted part too
  std::uint64_t retransmits{0};  // segments, within the measured time, by the sender's TCP_INFO
  double rtt_us{0};              // smoothed, at the end, by the sender's TCP_INFO
  std::string congestion;        // as read back from the sender's sockets
  unsigned flows{0};
  unsigned flows_lost{0};  // ended before the measured time was over

  [[nodiscard]] BitsPerSecond goodput() const;
  /// The longest time without a byte, from the first byte on.
  [[nodiscard]] Milliseconds longest_stall() const;
};

/// CPU time of one end within its measured time (unit: s).
struct CpuUse {
  unsigned cpus{0};
  double window_seconds{0};
  double busy_seconds{0};
  double softirq_seconds{0};
  double steal_seconds{0};
  double process_seconds{0};
};

struct ProbeResult {
  ProbeRequest request;
  std::optional<Error>
      path_failure;  // the path under test did not carry the test; the rest may be empty
  bool is_starved{false};  // it failed since connections opened, and not a byte passed on them
  std::optional<FlowResult> up;
  std::optional<FlowResult> down;
  EchoResult idle;
  EchoResult loaded;
  CpuUse client_cpu;
  CpuUse server_cpu;
  bool same_machine{false};  // both ends run on one kernel: their machine time is the same time
  std::string client_kernel;
  std::string server_kernel;

  /// CPU seconds of the whole machine, both ends, for each 10^9 bits of payload. 0 when nothing
  /// flowed.
  [[nodiscard]] double cpu_seconds_per_gbit() const;
};

[[nodiscard]] Json to_json(const ProbeResult& result);
/// @error invalid: not a result of this schema
[[nodiscard]] Result<ProbeResult> probe_result_from_json(const Json& value);

/// Where the control line is: a TCP endpoint, or a Unix socket (which crosses network namespaces).
struct ControlAddress {
  std::optional<Endpoint> tcp{};
  std::string unix_path{};  // when tcp is not set

  /// "10.99.0.2:5299" or "unix:/run/linktune/probe.sock". @error invalid: neither
  [[nodiscard]] static Result<ControlAddress> parse(std::string_view text);
  [[nodiscard]] std::string text() const;
};

/// What a stranger lacks: 16 to 128 hexadecimal digits, kept in a file or the environment, never in
/// argv. It keeps strangers off; it does not hide the control line. Where that line crosses a
/// network that is not trusted, run it through the link.
struct ProbeToken {
  std::string hex{};

  [[nodiscard]] static ProbeToken random();
  /// @error invalid: not 16 to 128 hexadecimal digits
  [[nodiscard]] static Result<ProbeToken> parse(std::string_view text);
  /// From a file of mode 0600 or stricter. @error not_permitted: others may read it · not_found
  [[nodiscard]] static Result<ProbeToken> load(const std::string& path);
};

struct ProbeServerOptions {
  ControlAddress control{};
  std::optional<ProbeToken>
      token{};  // none: whoever reaches the control address may test (the lab only)
  std::optional<IpAddress>
      data{};        // the only data address a client may ask for; none: any address of ours
  bool once{false};  // end after the first client
};

/// Serves one client at a time; others are told `busy`. Opens no port but the control port until a
/// client with the token asks for one, and answers no datagram without the test's nonce, with more
/// than it got.
class ProbeServer {
 public:
  /// Binds the control address. @error busy: the port is taken · invalid: the address is not ours
  [[nodiscard]] static Result<ProbeServer> create(const ProbeServerOptions& options, Log& log);

  ProbeServer(ProbeServer&&) noexcept;
  ~ProbeServer();

  /// The control address, with the port that was bound when port 0 was asked for.
  [[nodiscard]] const ControlAddress& address() const;

  /// Serves until `stop` is requested (or the first client has gone, with `once`).
  /// A client's fault ends that client and is logged. @error io: the listener itself is broken
  [[nodiscard]] Status serve(const std::stop_token& stop);

 private:
  struct State;
  explicit ProbeServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct ProbeClientOptions {
  ControlAddress control{};
  std::optional<ProbeToken> token{};
  Milliseconds connect_patience{5'000};
};

/// Runs one test from end to end. Bounded: at most path_patience + idle + omit + duration + 2 *
/// silence_max. The sockets belong to the calling thread's network namespace.
/// @error unreachable, timed_out: no server, or it vanished · busy: it serves somebody else ·
/// rejected: it refused
///        · unsupported: the congestion control is not to be had; the sentence says where, and the
///        cure · interrupted: `stop` was requested · protocol: it is no probe server
[[nodiscard]] Result<ProbeResult> run_probe(const ProbeClientOptions& options,
                                            const ProbeRequest& request,
                                            const std::stop_token& stop = {});

}  // namespace lt::tuner
