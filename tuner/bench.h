// Bench: where trials are run. The live tunnel, the lab or a simulation; the sweep does not know
// which.
//
// Two kinds of trouble never mix. What the arm could not do is data: it comes back inside Started
// or Sample and counts against the arm. What the bench itself could not do is an error: the trial
// is tried once more, and counted apart.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "tuner/arm.h"
#include "tuner/gate.h"
#include "tuner/bare_segments.h"
#include "tuner/physics.h"
#include "tuner/sample.h"

namespace lt::tuner {

/// What is measured on one fresh start.
struct TrialPlan {
  std::vector<Load> loads{Load::up, Load::down};  // one test each, in this order
  Milliseconds duration{4'000};
  Milliseconds omit{2'000};
  Milliseconds idle{1'000};  // before the first load only
  unsigned flows{1};
  std::string congestion{"cubic"};  // of the measured flows; the tunnel's own is a knob
  unsigned echo_per_second{200};
  unsigned echo_bytes{echo_bytes_min};

  /// The tests' own time; starting the arm comes on top.
  [[nodiscard]] Milliseconds measuring_time() const;
};

/// @error invalid: names the field
[[nodiscard]] Status validate(const TrialPlan& plan);
[[nodiscard]] Json to_json(const TrialPlan& plan);
[[nodiscard]] Result<TrialPlan> trial_plan_from_json(const Json& value);

/// The outcome of a start.
struct Started {
  std::optional<Error>
      failure{};  // the arm does not carry traffic: it refused its knobs, it died, it black-holes
  Milliseconds took{0};  // from nothing to full-size traffic both ways
};

/// A fact that a number depends on: {"openvpn", "2.6.14"}, {"kernel", "Linux 6.1"}.
using Fact = Setting;

class Bench {
 public:
  virtual ~Bench() = default;

  /// Starts `arm` from nothing; nothing of an earlier arm is left. @error the bench is at fault
  [[nodiscard]] virtual Result<Started> prepare(const Arm& arm, const std::stop_token& stop) = 0;
  /// What the line itself is, with no arm on it; before the first prepare(). A bench that does not
  /// look says so in the notes. @error the bench is at fault · interrupted
  [[nodiscard]] virtual Result<Physics> physics(const std::stop_token& stop);
  /// Real traffic through what was prepared last, for correctness and not for speed. What the arm
  /// does wrong is in the outcome. A bench that checks nothing says so: one check, skipped.
  /// @error the bench is at fault · interrupted
  [[nodiscard]] virtual Result<GateOutcome> gate(const std::stop_token& stop);
  /// Measures what was prepared last. @error the bench is at fault · interrupted: `stop` was
  /// requested
  [[nodiscard]] virtual Result<Sample> measure(const TrialPlan& plan,
                                               const std::stop_token& stop) = 0;
  /// Takes the arm down, also after a prepare that failed or was interrupted. @error the bench is
  /// at fault
  [[nodiscard]] virtual Status dismantle() = 0;
  /// Versions and kernel. A sweep is only resumed where they are the same.
  [[nodiscard]] virtual std::vector<Fact> facts() const = 0;
};

/// The trial's tests against a running probe server, one after another, as one sample: what a
/// bench's measure() does once its arm is up. `data` is the server's address on the path under
/// test. `data_port` 0: the server picks one, TCP and UDP. `bare_line`: it is the bare line that is measured.
[[nodiscard]] Result<Sample> measure_by_probe(const ProbeClientOptions& client,
                                              const IpAddress& data,
                                              const std::optional<IpAddress>& source,
                                              const TrialPlan& plan, const std::stop_token& stop,
                                              std::uint16_t data_port = 0,
                                              BareSegments* bare_line = nullptr);

}  // namespace lt::tuner
