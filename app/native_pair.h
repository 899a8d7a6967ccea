// NativePair: both daemons of a native link, started inside a lab and ended with this object.
#pragma once

#include <string>

#include "app/trial_side.h"
#include "configs/link_config.h"
#include "lab/sandbox.h"

namespace lt::app {

/// Where a pair under trial stands: a link of its own beside any other, told apart by device, port and addresses.
struct TrialPlace {
  std::string device{"lttrial"};
  std::uint16_t port{5298};
  Prefix office{*Prefix::parse("10.78.0.1/30")};
  Prefix offsite{*Prefix::parse("10.78.0.2/30")};
};

struct NativePairOptions {
  std::string folder;  // configs, keys, logs and control sockets go here; it is the caller's to remove
  configs::NativeKnobs knobs{};
  TrialPlace place{};
  std::chrono::milliseconds patience{std::chrono::seconds(15)};
};

class NativePair {
 public:
  /// Starts both and waits until each says that it is up: full-size payload went both ways.
  /// @error timed_out: they did not join; the sentence holds the last line of a log
  [[nodiscard]] static Result<NativePair> start(const lab::Sandbox& sandbox, const NativePairOptions& options);

  /// What `linktune status` says of the office's end.
  [[nodiscard]] Result<Json> status() const;
  /// SIGTERM to both, and wait. @return whether both ended in good order
  bool end();

  [[nodiscard]] const std::string& office_config() const { return office_config_; }

 private:
  NativePair() = default;

  std::string folder_;
  std::string office_config_;
  TrialSide office_;
  TrialSide offsite_;
};

}  // namespace lt::app
