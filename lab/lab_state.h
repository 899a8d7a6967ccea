// LabState: what a lab leaves on the machine while it stands, so that a later program finds it, or
// what is left of it.
//
//   /run/linktune/lab/NAME/state.json      who owns it, with what settings; written first
//   /run/linktune/lab/NAME/control.sock    of the emulator
//   /run/linktune/lab/NAME/emulator.log    of an emulator in the background
//   /run/netns/NAME-office-lan ...         the namespaces
//
// States: (nothing) -> building -> standing -> (nothing). An owner that has ended without removing
// its lab leaves *leftovers*; whoever builds or takes down a lab of that name removes them first. A
// namespace without a state file is not ours and is never removed.
#pragma once

#include <sys/types.h>

#include <array>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "lab/topology.h"
#include "lab/wan_settings.h"

namespace lt::lab {

/// A process that is never mistaken for another of the same number.
struct ProcessId {
  pid_t pid{0};
  std::uint64_t start_ticks{0};  // since boot: field 22 of /proc/PID/stat

  [[nodiscard]] static std::optional<ProcessId> of(pid_t pid);
  [[nodiscard]] static ProcessId self();
  [[nodiscard]] bool is_alive() const;
  friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

enum class Keeper : std::uint8_t {
  program,   // a Sandbox within some program: the lab lives as long as that one
  emulator,  // an emulator of its own in the background
  nobody,    // profile raw, without a process: it stands until it is taken down
};

struct LabState {
  std::string name;
  Profile profile;
  std::uint64_t seed{1};
  Keeper keeper{Keeper::program};
  bool standing{false};  // false: still being built
  ProcessId owner;       // the builder, until the emulator takes over

  [[nodiscard]] bool is_leftover() const {
    return !(standing && keeper == Keeper::nobody) && !owner.is_alive();
  }
};

[[nodiscard]] std::string state_directory(const std::string& name);
[[nodiscard]] std::string control_path(const std::string& name);
[[nodiscard]] std::string log_path(const std::string& name);

/// @error not_found: no lab of that name · invalid: the file is damaged (take_down removes such a
/// lab all the same)
[[nodiscard]] Result<LabState> read_state(const std::string& name);
[[nodiscard]] Status write_state(const LabState& state);

/// Held while a lab is built or taken down: one at a time on the machine. Released when it goes.
class BuildLock {
 public:
  /// Waits for the program that holds it.
  [[nodiscard]] static Result<BuildLock> take();

 private:
  explicit BuildLock(Fd directory) : directory_(std::move(directory)) {}
  Fd directory_;
};

/// Makes way for a new lab: removes leftovers of that name.
/// @error exists: a lab of that name stands, or a namespace bears the name that is not ours
[[nodiscard]] Status clear_leftovers(const BuildLock& lock, const Topology& topology);

/// Ends the lab's emulator if it has one of its own, ends what runs in the namespaces, removes
/// namespaces and state.
[[nodiscard]] Status remove_lab(const BuildLock& lock, const Topology& topology);

}  // namespace lt::lab
