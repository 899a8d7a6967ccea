// LinkConfig: what one site's daemon lives by. A value; read from TOML by toml_reader.h.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/result.h"
#include "base/units.h"

namespace lt::configs {

enum class IoChoice : std::uint8_t { automatic, io_uring, epoll };
enum class AeadChoice : std::uint8_t { automatic, openssl, ipsec_mb };

/// The tunable part of a native link. Each field is a row of the knob table (knob.h), which holds
/// its range, default, reason and source.
struct NativeKnobs {
  std::uint32_t mtu{1500};                  // tun device, both ends use the smaller (unit: B)
  bool offload{true};                       // super-packets through IFF_VNET_HDR
  std::uint32_t lanes{1};                   // TCP connections for bulk, flows pinned to each
  bool express{true};                       // one more for what is short and urgent
  std::uint32_t flow_queues{64};            // of the bulk lanes together, read in turn
  std::string congestion_control{"cubic"};  // TCP_CONGESTION of the lane's socket
  Bytes notsent_lowat{256_KiB};             // TCP_NOTSENT_LOWAT of the lane's socket
  std::uint32_t queue_delay{3};             // that bulk may add on the path (unit: ms); 0: any
  Packets tun_queue{1000};                  // txqueuelen of the tun device
  Bytes record_size{256_KiB};               // most plaintext put into one record
  IoChoice io{IoChoice::automatic};         // how the data plane does I/O
  AeadChoice aead{AeadChoice::automatic};   // who computes AES-GCM

  friend bool operator==(const NativeKnobs&, const NativeKnobs&) = default;
};

/// What a site lets the other one try on it, and where (docs/OPERATING.md, "A sweep between two sites").
struct SweepConfig {
  bool allow{false};              // the other site may run trials and apply their result here
  std::uint16_t port{5297};       // TCP, of the sweep agent: inside the tunnel only
  std::uint16_t trial_port{5298}; // TCP and UDP, of trials, outside of it: at the site that listens
  std::string device{"lttrial"};  // of a link under trial
  std::optional<Prefix> address{};          // own one in it; none: see trial_address()
  std::optional<IpAddress> peer_address{};  // of the other site in the tunnel; none: peer_address()

  friend bool operator==(const SweepConfig&, const SweepConfig&) = default;
};

struct LinkConfig {
  std::string site;                        // "office", "offsite": for people and file names
  std::string key_path;                    // own private key, mode 0600
  std::array<Byte, 32> peer_public_key{};  // raw Ed25519 key of the other site
  // Own key, for people; where it is set, it must fit `key_path`.
  std::optional<std::array<Byte, 32>> public_key{};
  std::optional<std::string> psk_path;  // 32 bytes in base64, the same at both sites

  // Exactly one of the two is set: one site listens, the other connects.
  std::optional<Endpoint> listen;   // host is a numeric address, "0.0.0.0" or "::"
  std::optional<Endpoint> connect;  // host may be a name

  std::string device{"lt0"};             // name of the tun device
  std::vector<Prefix> tunnel_addresses;  // own address in the tunnel, with its prefix length
  std::vector<Prefix> local_prefixes;    // networks behind this site
  std::vector<Prefix> peer_prefixes;     // networks behind the other site: routed into the tunnel

  NativeKnobs knobs;
  SweepConfig sweep{};

  friend bool operator==(const LinkConfig&, const LinkConfig&) = default;
};

/// Something wrong in a config: the key it stands at ("networks.peer[1]"; a section where a key is
/// missing), and one sentence with its cure.
struct Fault {
  std::string key;
  std::string what;
};

/// Everything that is wrong with `config`, in the order of its keys; empty when it can be used.
[[nodiscard]] std::vector<Fault> faults_of(const LinkConfig& config);

/// @error invalid: every fault, one a line
[[nodiscard]] Status validate(const LinkConfig& config);

/// The other host of a tunnel network of two or four addresses; nothing: it does not follow.
[[nodiscard]] std::optional<IpAddress> peer_address(const std::vector<Prefix>& tunnel_addresses);
/// This site's address in a link under trial: 10.78.0.1/24 where it listens, .2 where it connects, unless
/// the config says otherwise. @error invalid: it lies in a network of the site, or of the other one
[[nodiscard]] Result<Prefix> trial_address(const LinkConfig& config);

/// A public key as people pass it on: "ltpub-" and 44 characters of base64. @error invalid: says
/// what is wrong
[[nodiscard]] Result<std::array<Byte, 32>> parse_public_key(std::string_view text);
[[nodiscard]] std::string public_key_text(const std::array<Byte, 32>& key);

/// A site's name: what file names, certificates and messages may hold.
[[nodiscard]] bool is_site_name(std::string_view text);

}  // namespace lt::configs
