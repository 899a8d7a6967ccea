// DropReason: why a single packet was not carried. A drop costs one packet, is counted, and never
// logged per packet.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace lt::tunnel {

enum class DropReason : std::uint8_t {
  too_short,                // less than an IPv4 or IPv6 header
  bad_version,              // neither 4 nor 6
  bad_header_length,        // IHL, extension header or TCP data offset beyond what is there
  bad_length,               // the length field disagrees with the bytes given
  ip_options,               // IPv4 options: source routes, record route, router alert
  routing_header,           // IPv6 routing header of type 0, or with segments left
  too_many_headers,         // more IPv6 extension headers than extension_headers_max
  source_not_allowed,       // not an address of the site the packet comes from
  destination_not_allowed,  // not an address of the site the packet goes to
  routing_loop,             // the link's own connection, read from its own device
  over_mtu,                 // larger than the device's MTU; a super-packet: one of its segments is
  bad_offload,              // the offload description does not fit the packet
  gso_size_too_small,       // would burst into thousands of segments
  gso_size_too_large,       // segments larger than the MTU
  fragment_with_offload,    // a fragment has no checksum or segments of its own
  pool_empty,               // no free slot to read into
  device_full,              // the device takes no more at the moment
  device_down,              // the device is not up
  device_error,             // the device refused it otherwise
  ack_superseded,           // a newer ACK of its flow says all that it said (ack_thinner.h)
};

inline constexpr std::size_t drop_reason_count = std::size_t(DropReason::ack_superseded) + 1;

/// The enumerator's own name, for counters shown to people and in JSON.
[[nodiscard]] std::string_view name_of(DropReason reason) noexcept;

/// A value, or the reason why there is none. Allocates nothing.
template <class T>
using OrDrop = tl::expected<T, DropReason>;

[[nodiscard]] inline tl::unexpected<DropReason> drop(DropReason reason) noexcept {
  return tl::unexpected<DropReason>(reason);
}

/// How many packets were dropped, by reason.
/// @thread one thread counts; any thread reads. The atomics only keep a reader from seeing half a
/// number.
class DropCounters {
 public:
  using Snapshot = std::array<std::uint64_t, drop_reason_count>;

  /// @thread the counting one
  void count(DropReason reason, std::uint64_t packets = 1) noexcept {
    auto& counter = counters_[std::size_t(reason)];
    counter.store(counter.load(std::memory_order_relaxed) + packets, std::memory_order_relaxed);
  }

  /// @thread any
  [[nodiscard]] std::uint64_t of(DropReason reason) const noexcept {
    return counters_[std::size_t(reason)].load(std::memory_order_relaxed);
  }
  /// @thread any
  [[nodiscard]] Snapshot snapshot() const noexcept;
  /// The sum over all reasons. @thread any
  [[nodiscard]] std::uint64_t total() const noexcept;

 private:
  std::array<std::atomic<std::uint64_t>, drop_reason_count> counters_{};
};

}  // namespace lt::tunnel
