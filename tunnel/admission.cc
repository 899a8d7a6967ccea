#include "tunnel/admission.h"

#include <algorithm>

#include "tunnel/offload.h"

namespace lt::tunnel {

namespace {

// The first `length` of 64 bits.
std::uint64_t mask64(unsigned length) noexcept {
  return length == 0 ? 0 : ~std::uint64_t{0} << (64 - std::min(length, 64U));
}

// Addresses that never cross a link between sites (IANA special-purpose registries, RFC 6890).
bool is_never_carried(ByteView raw) noexcept {
  if (raw.size() == 4) {
    const Byte first = raw[0];
    return first == 0 || first == 127 || first >= 224 || (first == 169 && raw[1] == 254);
  }
  const std::uint64_t high = load_be64(raw.data());
  const std::uint64_t low = load_be64(raw.data() + 8);
  if (raw[0] == 0xff || (raw[0] == 0xfe && (raw[1] & 0xc0) == 0x80)) return true;
  // ::, ::1 and IPv4 in IPv6's clothes (::a.b.c.d, ::ffff:a.b.c.d): the latter would evade the IPv4
  // prefixes.
  return high == 0 && (low >> 32 == 0 || low >> 32 == 0xffff);
}

}  // namespace

void PrefixSet::add(const Prefix& prefix) {
  const ByteView raw = prefix.address.raw();
  if (prefix.address.family == Family::v4) {
    const auto mask = static_cast<std::uint32_t>(mask64(prefix.length) >> 32);
    v4_.push_back({load_be32(raw.data()) & mask, mask});
    return;
  }
  const std::uint64_t high = mask64(prefix.length);
  const std::uint64_t low = prefix.length > 64 ? mask64(prefix.length - 64) : 0;
  v6_.push_back({load_be64(raw.data()) & high, load_be64(raw.data() + 8) & low, high, low});
}

bool PrefixSet::contains(ByteView raw) const noexcept {
  if (raw.size() == 4) {
    const std::uint32_t address = load_be32(raw.data());
    return std::any_of(v4_.begin(), v4_.end(),
                       [&](const V4& one) { return (address & one.mask) == one.network; });
  }
  const std::uint64_t high = load_be64(raw.data());
  const std::uint64_t low = load_be64(raw.data() + 8);
  return std::any_of(v6_.begin(), v6_.end(), [&](const V6& one) {
    return (high & one.mask_high) == one.network_high && (low & one.mask_low) == one.network_low;
  });
}

bool PrefixSet::is_broadcast(ByteView raw) const noexcept {
  if (raw.size() != 4) return false;
  const std::uint32_t address = load_be32(raw.data());
  return std::any_of(v4_.begin(), v4_.end(), [&](const V4& one) {
    // A /31 and a /32 have no broadcast address (RFC 3021).
    return ~one.mask > 1 && address == (one.network | ~one.mask);
  });
}

Admission::Admission(const AdmissionOptions& options) : mtu_(options.mtu) {
  for (const Prefix& prefix : options.local_prefixes)
    local_.add(prefix);
  for (const Prefix& prefix : options.peer_prefixes)
    peer_.add(prefix);
  for (const Prefix& address : options.tunnel_addresses) {
    own_.add({address.address, address.address.bit_length()});
    tunnel_.add(address);
  }
}

bool Admission::is_local(ByteView address) const noexcept {
  return local_.contains(address) || own_.contains(address);
}

// What is local is never the peer's, even where a wide peer prefix covers it.
bool Admission::is_peer(ByteView address) const noexcept {
  return (peer_.contains(address) || tunnel_.contains(address)) && !is_local(address);
}

bool Admission::is_outer(const IpPacket& packet) const noexcept {
  return outer_ && packet.protocol == protocol_tcp && packet.transport_header_bytes != 0 &&
         (packet.destination_port() == outer_->port || packet.source_port() == outer_->port) &&
         std::ranges::equal(packet.destination(), outer_->peer.raw());
}

std::optional<DropReason> Admission::admit_outbound(PacketMeta meta,
                                                    ByteView packet) const noexcept {
  const auto view = parse_ip(packet);
  if (!view) return view.error();
  const ByteView source = view->source();
  const ByteView destination = view->destination();
  if (is_outer(*view)) return DropReason::routing_loop;
  if (is_never_carried(source) || !is_local(source) || local_.is_broadcast(source)) return DropReason::source_not_allowed;
  if (is_never_carried(destination) || !is_peer(destination) || peer_.is_broadcast(destination) ||
      tunnel_.is_broadcast(destination)) {
    return DropReason::destination_not_allowed;
  }
  if (segment_bytes(meta, *view) > mtu_) return DropReason::over_mtu;
  return find_offload_fault(meta, *view);
}

std::optional<DropReason> Admission::admit_inbound(PacketMeta meta,
                                                   ByteView packet) const noexcept {
  const auto view = parse_ip(packet);
  if (!view) return view.error();
  const ByteView source = view->source();
  const ByteView destination = view->destination();
  if (is_never_carried(source) || !is_peer(source) || peer_.is_broadcast(source) ||
      tunnel_.is_broadcast(source)) {
    return DropReason::source_not_allowed;
  }
  if (is_never_carried(destination) || !is_local(destination) || local_.is_broadcast(destination)) {
    return DropReason::destination_not_allowed;
  }
  if (const auto fault = find_offload_fault(meta, *view)) return fault;
  if (is_super(meta.kind) && meta.gso_size < gso_size_min) return DropReason::gso_size_too_small;
  if (segment_bytes(meta, *view) > mtu_) return DropReason::over_mtu;
  return std::nullopt;
}

}  // namespace lt::tunnel
