#include "tunnel/drop_reason.h"

namespace lt::tunnel {

std::string_view name_of(DropReason reason) noexcept {
  using enum DropReason;
  switch (reason) {
    case too_short:
      return "too_short";
    case bad_version:
      return "bad_version";
    case bad_header_length:
      return "bad_header_length";
    case bad_length:
      return "bad_length";
    case ip_options:
      return "ip_options";
    case routing_header:
      return "routing_header";
    case too_many_headers:
      return "too_many_headers";
    case source_not_allowed:
      return "source_not_allowed";
    case destination_not_allowed:
      return "destination_not_allowed";
    case routing_loop:
      return "routing_loop";
    case over_mtu:
      return "over_mtu";
    case bad_offload:
      return "bad_offload";
    case gso_size_too_small:
      return "gso_size_too_small";
    case gso_size_too_large:
      return "gso_size_too_large";
    case fragment_with_offload:
      return "fragment_with_offload";
    case pool_empty:
      return "pool_empty";
    case device_full:
      return "device_full";
    case device_down:
      return "device_down";
    case device_error:
      return "device_error";
    case ack_superseded:
      return "ack_superseded";
  }
  return "unknown";
}

DropCounters::Snapshot DropCounters::snapshot() const noexcept {
  Snapshot copy{};
  for (std::size_t i = 0; i < drop_reason_count; ++i) {
    copy[i] = counters_[i].load(std::memory_order_relaxed);
  }
  return copy;
}

std::uint64_t DropCounters::total() const noexcept {
  std::uint64_t sum = 0;
  for (const std::uint64_t value : snapshot())
    sum += value;
  return sum;
}

}  // namespace lt::tunnel
