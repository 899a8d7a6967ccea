// Space: which arms a sweep tries when nobody names any, what the line rules out, and what lies
// round an arm.
//
// The bare line, the incumbent and each carrier's defaults are always in. The rest are the settings
// that have mattered in the field or in our own measurements, each with its reason; physics puts
// the line's own sizes among them and takes out what cannot work. What is taken out is said.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "configs/openvpn_writer.h"
#include "tuner/arm.h"
#include "tuner/physics.h"

namespace lt::tuner {

struct SpaceOptions {
  bool quick{false};  // a handful that shows the main effects, for a demonstration
  bool with_native{true};
  bool with_openvpn{true};
  bool with_wireguard{false};      // only where both ends have it
  std::optional<Arm> incumbent{};  // what the owner runs now
  std::optional<Physics> physics{};
  std::optional<configs::OpenVpnVersion> openvpn_version{};  // the older one of both ends
  bool has_dco{false};                                       // a kernel data channel at both ends
};

/// No two arms are the same; the bare line is first, then those that show the main effects, then the rest, the carriers
/// in turns: who has time for some only takes them from the front.
[[nodiscard]] std::vector<Arm> default_arms(const SpaceOptions& options);

/// Why `arm` cannot work on this line, however fast it were; nothing: it may work. Facts that are
/// not known rule nothing out.
[[nodiscard]] std::optional<std::string> ruled_out(const Arm& arm, const Physics& physics);

/// What physics took out of the space, with the reason: "openvpn udp 9000: ...".
[[nodiscard]] std::vector<std::string> ruled_out_arms(const SpaceOptions& options);

/// The screen round an arm: each differs from it in one knob (or in one knob and those that only
/// act with it), takes another value that a sweep tries, and can work on this line. Knobs that do
/// nothing on this arm are left out. Empty for the bare line.
[[nodiscard]] std::vector<Arm> neighbours_of(const Arm& arm, const SpaceOptions& options);

/// What `arm` can reach at most, each way, by the line's rate and the arm's headers, and why.
[[nodiscard]] Bound bound_of(const Arm& arm, const Physics& physics);

}  // namespace lt::tuner
