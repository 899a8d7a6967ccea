// Arm: one thing a sweep tries - a carrier and the knobs that differ from its defaults.
//
// Knobs travel as text by their short name in the knob table (configs/knob.h): who starts the arm
// parses them there. An arm's identity is its canonical text; the journal keeps that text and its
// hash.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace lt::tuner {

/// bare: the line itself, with no tunnel on it: the control that shows drift.
/// wireguard: the kernel's or wireguard-go, for comparison; its one knob is `mtu`.
enum class ArmCarrier : std::uint8_t { bare, native, openvpn, wireguard };

[[nodiscard]] std::string_view name_of(ArmCarrier carrier);
[[nodiscard]] std::optional<ArmCarrier> carrier_from_name(std::string_view name);

struct Setting {
  std::string name;   // "tun_mtu", "proto"
  std::string value;  // "9000", "tcp", "256KiB", "unset"

  friend auto operator<=>(const Setting&, const Setting&) = default;
};

struct Arm {
  std::string label{};  // short, for tables: "tcp 9000 short queue"
  ArmCarrier carrier{ArmCarrier::bare};
  std::vector<Setting> settings{};  // all others are at their defaults
  std::string why{};                // why it is worth trying, for people
};

inline constexpr std::size_t arms_max = 256;
inline constexpr std::size_t settings_max = 32;
inline constexpr std::size_t label_length_max = 40;

/// "openvpn mssfix=0 proto=tcp tun_mtu=9000": sorted by name, the same for the same arm always.
[[nodiscard]] std::string canonical_text(const Arm& arm);
/// 16 hexadecimal digits of the canonical text. @source FNV-1a, 64 bits (RFC 9923)
[[nodiscard]] std::string hash_of(const Arm& arm);
/// An arm from its canonical text, in any order; its label is the text. @error invalid
[[nodiscard]] Result<Arm> parse_arm(std::string_view text);
/// @error invalid: a name or value with other characters than a knob has, a knob set twice, a bare
/// arm with knobs
[[nodiscard]] Status validate(const Arm& arm);

[[nodiscard]] Json to_json(const Arm& arm);
[[nodiscard]] Result<Arm> arm_from_json(const Json& value);

}  // namespace lt::tuner
