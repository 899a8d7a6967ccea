// OpenVpnKnobs: the tunable part of an OpenVPN pair. A value; each field is a row of the knob table
// (knob.h).
//
// `OpenVpnKnobs{}` is what OpenVPN 2.6 does when nobody tunes it. An empty optional writes no line,
// so that OpenVPN or the kernel decides. Facts behind each option: OpenVPN 2.6 manual and sources,
// as named in the table.
#pragma once

#include <cstdint>
#include <optional>

#include "base/units.h"

namespace lt::configs {

enum class OpenVpnProto : std::uint8_t { udp, tcp };

/// server: `mode server`, the only one where tcp-queue-limit acts. p2p: two equal ends,
/// back-pressure instead of a queue.
enum class OpenVpnMode : std::uint8_t { server, p2p };

enum class OpenVpnCipher : std::uint8_t { aes_256_gcm, aes_128_gcm, chacha20_poly1305 };

struct OpenVpnKnobs {
  OpenVpnProto proto{OpenVpnProto::udp};
  OpenVpnMode mode{OpenVpnMode::server};
  OpenVpnCipher cipher{OpenVpnCipher::aes_256_gcm};
  std::uint32_t tun_mtu{1500};  // written at both ends (unit: B)
  std::optional<std::uint32_t>
      mssfix{};  // unset: 1492 with the headers at tun-mtu 1500; 0: off (unit: B)
  std::optional<std::uint32_t> fragment{};  // unset: off; udp only (unit: B)
  std::optional<Packets> txqueuelen{};      // unset: the system's own, 500
  Packets tcp_queue_limit{64};              // server to client, mode server and tcp only
  std::optional<Packets>
      bcast_buffers{};      // unset: 256, or as many as tcp-queue-limit needs; set: literally this
  bool tcp_nodelay{false};  // tcp only; always on from 2.7.6
  std::optional<Bytes> sndbuf{};  // unset: the kernel's autotuning
  std::optional<Bytes> rcvbuf{};  // unset: the kernel's autotuning
  bool fast_io{false};            // udp only, below 2.7
  bool dco{true};                 // kernel data channel where there is one, from 2.6

  /// The widely copied jumbo recipe, literally: its tcp-queue-limit 256 stands on the default 256
  /// bcast-buffers.
  [[nodiscard]] static OpenVpnKnobs owner_recipe();

  friend bool operator==(const OpenVpnKnobs&, const OpenVpnKnobs&) = default;
};

}  // namespace lt::configs
