// Admission: which packets may pass between the two sites. Rooms O2 and I5.
//
// Both directions ask both questions: is the source one of the sending site's addresses, and is the
// destination one of the receiving site's? A site's addresses are its prefixes and its address in
// the tunnel. Never carried, whatever the prefixes say: multicast, broadcast, loopback, link-local,
// unspecified, reserved. Deliberately not here: firewalling, transit (a peer as exit to the
// Internet), splitting of large packets. Source: security.md B-11, B-12, B-16..B-20, 11.4.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "tunnel/drop_reason.h"
#include "tunnel/ip_packet.h"
#include "tunnel/packet_meta.h"

namespace lt::tunnel {

/// The link's own TCP connection, seen from this site: the peer's outer address, and the port of
/// the listening side.
struct OuterConnection {
  IpAddress peer;
  std::uint16_t port{0};

  friend bool operator==(const OuterConnection&, const OuterConnection&) = default;
};

struct AdmissionOptions {
  std::vector<Prefix> local_prefixes;  // networks behind this site
  std::vector<Prefix> peer_prefixes;   // networks behind the other one
  std::vector<Prefix>
      tunnel_addresses;     // own addresses in the tunnel, with the tunnel's prefix length
  std::uint32_t mtu{1500};  // of the device (unit: B)
};

/// Prefixes of both families, laid out for the question "is this address in one of them?".
class PrefixSet {
 public:
  void add(const Prefix& prefix);
  /// @param raw 4 or 16 bytes
  [[nodiscard]] bool contains(ByteView raw) const noexcept;
  /// Whether `raw` is the all-ones address of one of the IPv4 networks: a directed broadcast.
  [[nodiscard]] bool is_broadcast(ByteView raw) const noexcept;

 private:
  struct V4 {
    std::uint32_t network;
    std::uint32_t mask;
  };
  struct V6 {
    std::uint64_t network_high;
    std::uint64_t network_low;
    std::uint64_t mask_high;
    std::uint64_t mask_low;
  };
  std::vector<V4> v4_;
  std::vector<V6> v6_;
};

/// A value; each direction holds a copy of its own and changes it only on its own thread.
class Admission {
 public:
  /// @pre options.mtu <= 65535; the prefixes are networks that do not overlap
  /// (configs/link_config.h validates)
  explicit Admission(const AdmissionOptions& options);

  /// P-62. Judges a packet read from our own device. A small gso_size is no fault here: the sender
  /// cuts such packets up.
  /// @return why it is dropped, or nothing: it is admitted
  /// @thread outbound; allocates nothing
  [[nodiscard]] std::optional<DropReason> admit_outbound(PacketMeta meta,
                                                         ByteView packet) const noexcept;

  /// P-56, P-59, P-60. Judges a packet that the peer sent.
  /// @thread inbound; allocates nothing
  [[nodiscard]] std::optional<DropReason> admit_inbound(PacketMeta meta,
                                                        ByteView packet) const noexcept;

  /// Sets the connection whose packets must not come out of the device: the loop guard. Changes
  /// with each reconnect.
  void set_outer(std::optional<OuterConnection> outer) { outer_ = outer; }
  /// The MTU that both sites agreed on (unit: B).
  void set_mtu(std::uint32_t mtu) { mtu_ = mtu; }

 private:
  [[nodiscard]] bool is_local(ByteView address) const noexcept;
  [[nodiscard]] bool is_peer(ByteView address) const noexcept;
  [[nodiscard]] bool is_outer(const IpPacket& packet) const noexcept;

  PrefixSet local_;   // local prefixes
  PrefixSet own_;     // own tunnel addresses, as hosts
  PrefixSet peer_;    // peer prefixes
  PrefixSet tunnel_;  // the tunnel's networks
  std::uint32_t mtu_;
  std::optional<OuterConnection> outer_;
};

}  // namespace lt::tunnel
