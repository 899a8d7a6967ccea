// Topology: what stands in a lab, by name and address. Pure values; nothing here touches the
// machine.
//
//   office-lan ──lan── office-gw ══════ wan ══════ offsite-gw ──lan── offsite-lan
//   192.168.10.2       .1     198.51.100.1   198.51.100.2     .1      192.168.20.2
//                          └────── ctl ──────┘
//                          192.0.2.1      192.0.2.2      never shaped: for control of measurements
//
// Each host is a network namespace. Devices are made inside them, so that the machine's own
// namespace never sees one, and two labs of different names may use the same addresses side by
// side.
//
// Sources: 198.51.100.0/24 and 192.0.2.0/24 are documentation networks (RFC 5737): no route of a
// real machine leads there.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/ip.h"
#include "base/result.h"

namespace lt::lab {

enum class Host : std::uint8_t { office_lan, office_gw, offsite_gw, offsite_lan };
inline constexpr std::array all_hosts{Host::office_lan, Host::office_gw, Host::offsite_gw,
                                      Host::offsite_lan};

/// "office-lan", "office-gw", "offsite-gw", "offsite-lan".
[[nodiscard]] std::string_view name_of(Host host);
/// @error invalid: no such host; the sentence names the nearest
[[nodiscard]] Result<Host> parse_host(std::string_view text);

/// The way of a packet over the WAN: to_offsite goes from the office's gateway to the off-site one.
enum class Direction : std::uint8_t { to_offsite, to_office };
inline constexpr std::array all_directions{Direction::to_offsite, Direction::to_office};

/// "to-offsite", "to-office".
[[nodiscard]] std::string_view name_of(Direction direction);

/// One direction, or both ("both"): what `lab set` changes.
using Directions = std::span<const Direction>;
/// @error invalid: neither "both" nor a direction; the sentence names the nearest
[[nodiscard]] Result<Directions> parse_directions(std::string_view text);

inline constexpr std::string_view lan_device = "lan";
inline constexpr std::string_view wan_device = "wan";
inline constexpr std::string_view control_device = "ctl";

inline constexpr unsigned mtu_bytes = 1500;  // of every device: what an Internet access carries

/// One site: a LAN with one host behind one gateway.
struct Site {
  Host lan_host;
  Host gateway;
  Prefix lan_host_v4, lan_host_v6;  // of device `lan` in the LAN host
  Prefix gateway_v4, gateway_v6;    // of device `lan` in the gateway
  Prefix wan_v4;                    // of device `wan` in the gateway
  Prefix control_v4;                // of device `ctl` in the gateway
  std::array<Byte, 6> wan_mac;      // fixed and known to the other side: no ARP that loss could hit
};

struct Topology {
  std::string name;  // instance: the prefix of every namespace
  Site office;
  Site offsite;

  /// The one topology there is, under an instance name. @pre check_name(name)
  [[nodiscard]] static Topology standard(std::string name);

  /// "lt-office-gw": the namespace of `host`.
  [[nodiscard]] std::string namespace_of(Host host) const;
  [[nodiscard]] const Site& site_of(Host host) const;
  /// The site that is not `site`.
  [[nodiscard]] const Site& other(const Site& site) const {
    return &site == &office ? offsite : office;
  }
};

inline constexpr std::string_view default_name = "lt";
inline constexpr std::size_t name_length_max = 32;

/// An instance name is a file's name and a namespace's: a-z, 0-9 and '-', a letter first.
/// @error invalid: it is not
[[nodiscard]] Status check_name(std::string_view name);

}  // namespace lt::lab
