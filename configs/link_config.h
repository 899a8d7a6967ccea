// LinkConfig: what one site's daemon lives by. A value; read from TOML by toml_reader.h.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/result.h"
#include "base/units.h"

namespace lt::configs {

enum class IoChoice : std::uint8_t { automatic, io_uring, epoll };

/// The tunable part of a native link. Each field is a row of the knob table (knob.h), which holds its
/// range, default, reason and source.
struct NativeKnobs {
  std::uint32_t mtu{1500};                  // tun device, both ends use the smaller (unit: B)
  bool offload{true};                       // super-packets through IFF_VNET_HDR
  std::string congestion_control{"cubic"};  // TCP_CONGESTION of the lane's socket
  Bytes notsent_lowat{256_KiB};             // TCP_NOTSENT_LOWAT of the lane's socket
  Packets tun_queue{500};                   // txqueuelen of the tun device
  Bytes record_size{256_KiB};               // most plaintext put into one record
  IoChoice io{IoChoice::automatic};         // how the data plane does I/O

  friend bool operator==(const NativeKnobs&, const NativeKnobs&) = default;
};

struct LinkConfig {
  std::string site;                         // "office", "offsite": for people and file names
  std::string key_path;                     // own private key, mode 0600
  std::array<Byte, 32> peer_public_key{};   // raw Ed25519 key of the other site
  std::optional<std::string> psk_path;      // 32 bytes in base64, the same at both sites

  // Exactly one of the two is set: one site listens, the other connects.
  std::optional<Endpoint> listen;           // host is a numeric address, "0.0.0.0" or "::"
  std::optional<Endpoint> connect;          // host may be a name

  std::string device{"lt0"};                // name of the tun device
  std::vector<Prefix> tunnel_addresses;     // own address in the tunnel, with its prefix length
  std::vector<Prefix> local_prefixes;       // networks behind this site
  std::vector<Prefix> peer_prefixes;        // networks behind the other site: routed into the tunnel

  NativeKnobs knobs;
};

}  // namespace lt::configs
