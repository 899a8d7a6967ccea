// What iperf3's control connection carries: a cookie, single signed bytes, JSON behind its length.
//
// Reading is lenient in numbers (3.12 writes -1 as 18446744073709551615, and flags as true or 1) and
// strict in everything else: each type, count and size is checked.
#pragma once

#include <functional>
#include <string>

#include "base/fd.h"
#include "base/json.h"
#include "tuner/iperf3.h"

namespace lt::tuner {

enum class Iperf3State : std::int8_t {
  test_start = 1,
  test_running = 2,
  test_end = 4,
  param_exchange = 9,
  create_streams = 10,
  server_terminate = 11,
  client_terminate = 12,
  exchange_results = 13,
  display_results = 14,
  done = 16,
  access_denied = -1,
  server_error = -2,
};

/// iperf3's numbers for errors that we send (iperf_api.h).
enum class Iperf3Errno : std::int32_t {
  duration = 5,
  streams = 6,
  block_bytes = 7,
  window_bytes = 8,
  mss_bytes = 10,
  omit = 12,
  parameters = 114,
  congestion = 134,
  stream = 203,
};

inline constexpr std::size_t iperf3_cookie_bytes = 37;  // the last is 0
inline constexpr std::size_t iperf3_parameters_bytes_max = 8 << 10;
inline constexpr std::size_t iperf3_client_results_bytes_max = 256 << 10;
inline constexpr std::size_t iperf3_server_results_bytes_max = 4 << 20;  // with the server's output

using Iperf3Cookie = std::array<char, iperf3_cookie_bytes>;
[[nodiscard]] Iperf3Cookie fresh_iperf3_cookie();

[[nodiscard]] Json iperf3_parameters_json(const Iperf3Test& test);
struct Iperf3Parameters {
  Iperf3Test test;
  std::string client_version;
};
/// @error invalid: the field, and in sys_errno iperf3's own number for it
[[nodiscard]] Result<Iperf3Parameters> iperf3_parameters_from_json(const Json& value);

[[nodiscard]] Json iperf3_report_json(const Iperf3Report& report);
/// @error invalid: names the field
[[nodiscard]] Result<Iperf3Report> iperf3_report_from_json(const Json& value);

/// What a server's error number means, and what to do.
[[nodiscard]] Error iperf3_server_error(std::int32_t iperf3_errno, std::int32_t system_errno);

/// The control connection. @thread the one that made it
class Iperf3Line {
 public:
  /// @param between  called at least ten times a second while it waits; an error ends the wait
  Iperf3Line(Fd fd, std::function<Status()> between);

  [[nodiscard]] int fd() const { return fd_.get(); }

  [[nodiscard]] Status send(Iperf3State state);
  [[nodiscard]] Status send(const Iperf3Cookie& cookie);
  [[nodiscard]] Status send(const Json& value);
  [[nodiscard]] Status send_error(Iperf3Errno what, int system_errno);

  /// The next state; nothing when none has come in time. A server's error is returned as an error.
  /// @error closed · protocol: no state of iperf3
  [[nodiscard]] Result<std::optional<Iperf3State>> read_state(Milliseconds patience);
  /// @error timed_out · closed · protocol: longer than the limit, or not a JSON object
  [[nodiscard]] Result<Json> read_json(std::size_t bytes_max, Milliseconds patience);
  [[nodiscard]] Result<Iperf3Cookie> read_cookie(Milliseconds patience);

 private:
  [[nodiscard]] Status read_exactly(ByteSpan bytes, Milliseconds patience);
  /// @return false: nothing came in time
  [[nodiscard]] Result<bool> wait_readable(Milliseconds patience);
  [[nodiscard]] Status write(ByteView bytes);

  Fd fd_;
  std::function<Status()> between_;
};

}  // namespace lt::tuner
