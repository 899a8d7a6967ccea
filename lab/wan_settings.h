// WanSettings: how one direction of the WAN behaves; read from words such as `rate=500mbit
// delay=10ms`. Pure values.
//
// Sizes count a packet from its IP header on (layer 3), as an access is sold: a 1500-byte packet is
// 1500 bytes of rate and of queue, whatever frames carry it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/units.h"
#include "lab/topology.h"

namespace lt::lab {

struct WanSettings {
  BitsPerSecond rate{0};    // of the line; 0: no limit
  Nanoseconds delay{0};     // one way, after the line
  Nanoseconds jitter{0};    // the delay wanders within +-jitter (wan_model.h); never above delay
  double loss{0};           // share of packets lost one by one (0 .. 1)
  double burst_share{0};    // share of packets lost in bursts (0 .. 1) ...
  double burst_packets{1};  // ... and the mean length of a burst (unit: packets, >= 1)
  double corrupt{0};        // share of packets with one flipped bit (0 .. 1)
  Bytes queue{1'000'000};   // what may wait in front of the line; more is dropped at its tail
  Bytes mtu{0};             // of an IP packet; 0: the device's own, 1500 (router.h)
  bool fragments{true};     // false: IP fragments are dropped, as some firewalls do
  bool icmp{true};          // false: ICMP is dropped, so nobody is told what is too large
  bool blackout{false};     // nothing passes, and what is under way is gone
  std::uint64_t seed{1};    // of loss, bursts, corruption and jitter

  friend bool operator==(const WanSettings&, const WanSettings&) = default;

  /// `words` over `base`: what is not named stays.
  /// @error invalid: an unknown word (the nearest is named), a value without unit or out of range,
  /// a word said twice
  [[nodiscard]] static Result<WanSettings> parse(std::span<const std::string> words,
                                                 const WanSettings& base);

  /// The same as words; parse() reads them back.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Json to_json() const;
};

/// What the emulator can hold for one direction (delay and queue together).
inline constexpr Bytes held_bytes_max{96'000'000};
inline constexpr Bytes path_mtu_min{576};  // what IPv4 hosts must take (RFC 791)
inline constexpr BitsPerSecond rate_max{100'000'000'000};
inline constexpr Nanoseconds delay_max{std::chrono::seconds(10)};

/// A named pair of settings.
struct Profile {
  std::string name;
  std::string summary;               // one line for a person
  bool raw{false};                   // a bare veth pair instead of the emulator: no settings apply
  std::array<WanSettings, 2> wan{};  // by Direction

  [[nodiscard]] WanSettings& of(Direction direction) {
    return wan[static_cast<std::size_t>(direction)];
  }
  [[nodiscard]] const WanSettings& of(Direction direction) const {
    return wan[static_cast<std::size_t>(direction)];
  }
};

[[nodiscard]] const std::vector<Profile>& all_profiles();
/// @error invalid: no such profile; the sentence names the nearest
[[nodiscard]] Result<Profile> find_profile(std::string_view name);

}  // namespace lt::lab
