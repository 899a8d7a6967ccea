// The control line of the probe: JSON objects, one a line, each step with a deadline. The door of
// Boost.Asio.
//
// One thread drives a line (and the listener it came from): whoever reads or writes it also lets
// the listener answer others, so that a second client hears `busy` at once and not when the first
// has gone.
#pragma once

#include <memory>
#include <optional>

#include "base/json.h"
#include "tuner/probe.h"

namespace lt::tuner {

inline constexpr std::size_t control_line_bytes_max = 512
                                                      << 10;   // a result with the longest series
inline constexpr std::size_t control_ask_bytes_max = 4 << 10;  // anything a client says
inline constexpr std::size_t control_others_max = 16;          // strangers told `busy` at one time

/// One connection. @thread the one that made it
class ControlLine {
 public:
  /// @error unreachable · timed_out · not_found: no such host or socket
  [[nodiscard]] static Result<ControlLine> connect(const ControlAddress& address,
                                                   Milliseconds patience);

  ControlLine(ControlLine&&) noexcept;
  ControlLine& operator=(ControlLine&&) noexcept;
  ~ControlLine();

  /// The next line, or nothing when none has come within `patience`; calling again goes on waiting.
  /// @error closed: the peer has gone · protocol: not a JSON object, or longer than the limit
  [[nodiscard]] Result<std::optional<Json>> read(Milliseconds patience);
  /// @error closed · timed_out: the peer does not read
  [[nodiscard]] Status write(const Json& object);
  /// Who is at the other end, for the log.
  [[nodiscard]] std::string peer() const;

  struct State;
  explicit ControlLine(std::shared_ptr<State> state);

 private:
  std::shared_ptr<State> state_;
};

class ControlListener {
 public:
  /// @error busy: the port is taken · invalid: the address is not ours
  [[nodiscard]] static Result<ControlListener> listen(const ControlAddress& address);

  ControlListener(ControlListener&&) noexcept;
  ~ControlListener();

  /// The next client, or nothing when none has come within `patience`.
  /// While the line that was returned last lives, whoever else comes is told `busy`.
  [[nodiscard]] Result<std::optional<ControlLine>> accept(Milliseconds patience);
  [[nodiscard]] const ControlAddress& address() const;

  struct State;

 private:
  explicit ControlListener(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace lt::tuner
