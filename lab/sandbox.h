// Sandbox: a whole lab that lives and dies with this object. For tests, benchmarks and the demo.
// (A lab that outlives the program that started it: running.h.)
//
// Its destructor removes everything: namespaces, devices, what runs in them, the state file.
// Signals are the caller's: catch SIGINT and SIGTERM, and let the object go out of scope. After a
// SIGKILL the next lab of that name, or `linktune lab down`, removes what is left.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/process.h"
#include "base/result.h"
#include "lab/topology.h"
#include "lab/wan_emulator.h"
#include "lab/wan_settings.h"

namespace lt::lab {

struct SandboxOptions {
  /// Several labs stand side by side under different names.
  std::string name{default_name};
  std::string profile{"wan"};
  /// Words for both directions, over the profile's: {"loss=1%"}.
  std::vector<std::string> settings{};
  /// Of both directions; absent: drawn, and told by seed().
  std::optional<std::uint64_t> seed{};
  /// The namespaces' default; absent: cubic, where the machine allows it.
  std::optional<std::string> congestion_control{};
};

/// The profile with the words and the seed of `options` applied, drawing a seed if none is said.
/// @error invalid: the name, the profile or a word; or words for the raw profile, which has no
/// settings
[[nodiscard]] Result<Profile> resolve(const SandboxOptions& options);

class Sandbox {
 public:
  /// Stands when it returns, usually in a fifth of a second.
  /// @error not_permitted · not_found: the machine lacks something; the sentence says what to do
  /// @error exists: a lab of that name stands · invalid: an option · io
  [[nodiscard]] static Result<Sandbox> build(const SandboxOptions& options);

  Sandbox(Sandbox&&) noexcept;
  Sandbox& operator=(Sandbox&&) noexcept;
  ~Sandbox();

  [[nodiscard]] const Topology& topology() const;
  [[nodiscard]] std::uint64_t seed() const;

  /// The argument vector that runs `argv` inside `host`: for run_process and Child.
  [[nodiscard]] Argv exec(Host host, const Argv& argv) const;

  /// In force when it returns. @error unsupported: the raw profile has no settings. @thread any
  [[nodiscard]] Status set_wan(Direction direction, const WanSettings& settings);
  [[nodiscard]] Status set_wan(Directions directions, const std::vector<std::string>& words);
  /// @error unsupported: the raw profile has no emulator. @thread any
  [[nodiscard]] Result<WanReport> report(Direction direction) const;
  /// As `linktune lab status --json`. @thread any
  [[nodiscard]] Result<Json> status() const;

  /// Lets the LANs reach each other over the bare WAN, unprotected; off at the beginning. For
  /// measuring the line itself.
  [[nodiscard]] Status route_in_clear(bool on);

  /// The congestion control of connections between the gateways whose programs name none, from now
  /// on. By route: a namespace's own default may only be what the machine allows to all.
  /// @error unsupported: the kernel has none of that name
  [[nodiscard]] Status pin_congestion_control(const std::string& name);

 private:
  struct Inner;
  explicit Sandbox(std::unique_ptr<Inner> inner);
  std::unique_ptr<Inner> inner_;
};

}  // namespace lt::lab
