// Carrier: a lab's emulator with its control socket; what a Sandbox holds, and what the background
// emulator is.
#pragma once

#include <memory>
#include <mutex>

#include "base/json.h"
#include "base/result.h"
#include "lab/control.h"
#include "lab/lab_state.h"
#include "lab/wan_emulator.h"

namespace lt::lab {

/// Name, profile, seed, keeper and owner of a lab; the beginning of every status.
[[nodiscard]] Json describe(const LabState& state);

class Carrier {
 public:
  /// @pre the state file is written (its directory holds the control socket), and build_sites()
  /// done
  [[nodiscard]] static Result<std::unique_ptr<Carrier>> start(const LabState& state);

  /// @thread any
  [[nodiscard]] Status set(Directions directions, const std::vector<std::string>& words);
  void set(Direction direction, const WanSettings& settings);
  [[nodiscard]] WanReport report(Direction direction) const { return emulator_.report(direction); }
  [[nodiscard]] Json status() const;

 private:
  Carrier(LabState state, WanEmulator emulator)
      : state_(std::move(state)), emulator_(std::move(emulator)) {}
  [[nodiscard]] Result<Json> answer(const Json& request);

  LabState state_;
  WanEmulator emulator_;
  std::mutex setting_;  // a change is read, altered and written by one at a time
  std::optional<ControlServer> control_;
};

}  // namespace lt::lab
