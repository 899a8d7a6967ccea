// The control line as a client uses it: it ticks while it waits, and ends with a silent server.
#pragma once

#include <algorithm>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "tuner/probe_control.h"

namespace lt::tuner {

/// What the server says of itself.
struct Welcome {
  std::string boot_id;
  std::string kernel;
  unsigned path{0};  // the version of path shapes that it knows; 0: none
};

class Conversation {
 public:
  Conversation(ControlLine line, std::stop_token stop)
      : line_(std::move(line)), stop_(std::move(stop)) {}

  /// Connects and shows the token. @error as run_probe
  [[nodiscard]] static Result<std::pair<Conversation, Welcome>> begin(
      const ProbeClientOptions& options, const std::stop_token& stop);

  [[nodiscard]] Status say(const Json& words) { return line_.write(words); }
  /// Waits for a line that has `word`. @error what the server reports as its error
  [[nodiscard]] Result<Json> expect(std::string_view word);

  /// Lets the line live until `done`.
  template <class Done>
  [[nodiscard]] Status wait(Done done) {
    last_heard_ = std::chrono::steady_clock::now();
    while (!done())
      LT_CHECK(listen_only(turn));
    return {};
  }
  /// Lets the line live for this long.
  [[nodiscard]] Status pause(Milliseconds time);

 private:
  static constexpr Milliseconds turn{50};  // how often it looks at its clock and its stop token

  [[nodiscard]] Status listen_only(Milliseconds patience);
  [[nodiscard]] Result<std::optional<Json>> turn_once(Milliseconds patience);

  ControlLine line_;
  std::stop_token stop_;
  Instant last_heard_{};
  Instant last_tick_{std::chrono::steady_clock::now()};
};

}  // namespace lt::tuner
