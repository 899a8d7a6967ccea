// The walk WAN -> LAN. Functions stand in the order a record meets them.
//
//   I1 receive  the WAN -> bytes in one buffer
//   I2 cut      bytes -> sealed records; the header is judged before the body is waited for
//   I3 open     in place; a record that does not open ends the lane
//   I4 unpack   record -> items; an item that lies about its length ends the lane
//   I5 admit    item -> a packet that may enter this LAN, or a drop, counted by reason
//   I6 deliver  the packet, behind a header that we made ourselves, into the TUN
//
// A fault from the WAN costs the lane, a fault of one packet costs that packet (W-2).
// One thread owns it, with its port, its key and its counters.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <string>

#include "tunnel/admission.h"
#include "tunnel/drop_reason.h"
#include "tunnel/framing.h"
#include "tunnel/io_port.h"
#include "tunnel/lane_state.h"
#include "tunnel/limits.h"
#include "tunnel/packing.h"
#include "tunnel/raw_memory.h"
#include "tunnel/sealing.h"
#include "tunnel/segmentation.h"
#include "tunnel/virtio.h"

namespace lt::tunnel {

struct InboundOptions {
  int tun_fd{-1};
  bool tun_offload{false};  // the TUN takes super-packets and unfinished checksums
  int socket_fd{-1};
  const Admission* admission{nullptr};
  std::size_t record_limit{0};  // agreed: most plaintext in a record (unit: B)
  std::uint32_t tun_mtu{0};     // agreed (unit: B)
};

template <IoPort Io>
class Inbound {
 public:
  /// @param wake_outbound  called when a PONG is due; must be cheap and callable from this thread
  Inbound(const InboundOptions& options, Opener opener, LaneState& state, DropCounters& drops, Io& io,
          std::function<void()> wake_outbound)
      : options_(options),
        opener_(std::move(opener)),
        state_(state),
        drops_(drops),
        io_(io),
        wake_outbound_(std::move(wake_outbound)),
        buffer_(receive_buffer_bytes(options.record_limit)) {}

  /// Runs until the lane ends. @param early_records  bytes that came with the last of the handshake
  LaneEnd run(ByteView early_records);

  /// The sentence behind `bad_record`. After run().
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  static constexpr std::uint64_t receive_tag = 1000;
  // What one receive may bring: enough for several super-packets, little enough to stay in the cache.
  static constexpr std::size_t receive_bytes_max = 256 * 1024;
  static constexpr auto settle_patience = std::chrono::milliseconds(100);

  struct Delivery {
    VnetHeader vnet;
    std::array<iovec, 2> vectors;
    PacketMeta meta;
    ByteSpan packet;
  };

  void await_turn();
  [[nodiscard]] bool has_been_stopped(Instant now) const;
  [[nodiscard]] Instant stopped_until(Instant now) const;
  [[nodiscard]] Instant next_deadline() const;
  void receive();
  void settle();
  void walk(Instant now);
  void cut_and_open(Instant now);
  void take_record(RecordType type, ByteSpan payload, Instant now);
  void take_pong(ByteView payload, Instant now);
  void take_ping(ByteView payload, Instant now);
  void take_data(ByteSpan payload);
  void unpack();
  void deliver(const Item& item);
  void finish_delivery(std::size_t index, int result, Instant now);
  void deliver_segmented(PacketMeta meta, ByteSpan packet);
  void write_now(ByteView packet);
  void end_lane(LaneEnd end, std::string reason) {
    end_ = end;
    reason_ = std::move(reason);
  }

  InboundOptions options_;
  Opener opener_;
  LaneState& state_;
  DropCounters& drops_;
  Io& io_;
  std::function<void()> wake_outbound_;

  ReceiveBuffer buffer_;
  bool is_receiving_{false};
  Instant received_at_{};   // when bytes came last
  bool wants_bytes_{true};  // everything whole in the buffer has been walked
  ItemCursor items_;        // of the record being unpacked

  std::array<Delivery, deliveries_max> deliveries_;
  std::size_t deliveries_used_{0};
  std::size_t deliveries_under_way_{0};

  RawMemory segments_{packet_bytes_max};
  unsigned refusals_{0};  // good super-packets the kernel refused within a second (B-27)
  Instant refusals_since_{};
  bool kernel_takes_super_packets_{true};

  unsigned pings_in_second_{0};
  Instant pings_since_{};

  LaneEnd end_{LaneEnd::running};
  std::string reason_;
};

template <IoPort Io>
LaneEnd Inbound<Io>::run(ByteView early_records) {
  std::copy(early_records.begin(), early_records.end(), buffer_.free_space().begin());
  buffer_.received(early_records.size());
  DirectionCounters::add(state_.inbound.wire_bytes, early_records.size());
  await_turn();
  if (end_ == LaneEnd::running) walk(io_.now());
  while (end_ == LaneEnd::running) {
    if (wants_bytes_ && !is_receiving_) receive();
    const auto completions = io_.wait(next_deadline());
    if (!completions) return LaneEnd::failed;
    const Instant now = io_.now();
    for (const Completion& completion : *completions) {
      if (completion.tag != receive_tag) {
        finish_delivery(static_cast<std::size_t>(completion.tag), completion.result, now);
        continue;
      }
      is_receiving_ = false;
      if (completion.result <= 0) {  // P-50
        end_lane(LaneEnd::closed, completion.result == 0 ? "the stream ended without GOODBYE" : "the connection broke");
        continue;
      }
      buffer_.received(static_cast<std::size_t>(completion.result));
      received_at_ = now;
      DirectionCounters::add(state_.inbound.wire_bytes, static_cast<std::uint64_t>(completion.result));
    }
    if (end_ == LaneEnd::running && has_been_stopped(now)) end_ = LaneEnd::local_stop;
    if (end_ == LaneEnd::running) walk(now);
  }
  settle();
  return end_;
}

// P-72: while a predecessor still delivers, nothing is received: the kernel keeps it.
template <IoPort Io>
void Inbound<Io>::await_turn() {
  while (!state_.has_delivery_turn.load(std::memory_order_acquire)) {
    if (state_.abort_requested.load(std::memory_order_acquire) || has_been_stopped(io_.now())) {
      end_ = LaneEnd::local_stop;
      return;
    }
    if (!io_.wait(next_deadline())) {
      end_ = LaneEnd::failed;
      return;
    }
  }
  received_at_ = io_.now();
  state_.last_authenticated.set(received_at_);  // until now no record could open
  state_.is_listening.store(true, std::memory_order_release);
}

template <IoPort Io>
bool Inbound<Io>::has_been_stopped(Instant now) const {
  if (state_.abort_requested.load(std::memory_order_acquire)) return true;
  return state_.stop_requested.load(std::memory_order_acquire) && now >= stopped_until(now);
}

// After our GOODBYE the peer's last records still come, for as long as our patience lasts. P-47, P-76
template <IoPort Io>
Instant Inbound<Io>::stopped_until(Instant now) const {
  // Until ours is said the outbound half decides, and before its turn this one has had nothing to wait for.
  const bool is_early = !state_.has_said_goodbye.load(std::memory_order_acquire) ||
                        !state_.is_listening.load(std::memory_order_acquire);
  return state_.patience_ends(is_early ? now : std::max(state_.goodbye_at.get(), received_at_));
}

template <IoPort Io>
Instant Inbound<Io>::next_deadline() const {
  const Instant idle = io_.now() + std::chrono::seconds(1);
  if (!state_.stop_requested.load(std::memory_order_acquire)) return idle;
  return std::min(idle, stopped_until(io_.now()));
}

// What was admitted before the end is still delivered: a TUN takes or refuses a packet at once.
template <IoPort Io>
void Inbound<Io>::settle() {
  const Instant until = io_.now() + settle_patience;
  while (deliveries_under_way_ > 0 && io_.now() < until) {
    const auto completions = io_.wait(until);
    if (!completions) return;
    const Instant now = io_.now();
    for (const Completion& completion : *completions) {
      if (completion.tag != receive_tag) finish_delivery(static_cast<std::size_t>(completion.tag), completion.result, now);
    }
  }
}

// --- I1 receive ---

template <IoPort Io>
void Inbound<Io>::receive() {
  // Moving what is left would pull the memory from under a delivery.
  if (deliveries_under_way_ == 0) buffer_.make_room(options_.record_limit + record_overhead_bytes);
  ByteSpan space = buffer_.free_space();
  if (space.empty()) return;
  space = space.first(std::min(space.size(), receive_bytes_max));
  is_receiving_ = true;
  io_.receive(receive_tag, options_.socket_fd, space);
}

// Walks all that is here, or as far as there are places for deliveries.
template <IoPort Io>
void Inbound<Io>::walk(Instant now) {
  if (deliveries_under_way_ == 0) deliveries_used_ = 0;
  wants_bytes_ = false;
  while (end_ == LaneEnd::running && !wants_bytes_) {
    if (!items_.at_end()) {
      if (deliveries_used_ == deliveries_max) return;
      unpack();
    } else {
      cut_and_open(now);
    }
  }
}

// --- I2 cut, I3 open ---

template <IoPort Io>
void Inbound<Io>::cut_and_open(Instant now) {
  auto found = buffer_.next_record(options_.record_limit);  // P-28
  if (!found) return end_lane(LaneEnd::bad_record, found.error().what);
  if (!*found) {
    wants_bytes_ = true;
    return;
  }
  const auto [type, record] = **found;
  auto payload = opener_.open(record);
  if (!payload) return end_lane(LaneEnd::bad_record, payload.error().what);  // P-30
  state_.last_authenticated.set(now);
  DirectionCounters::add(state_.inbound.records, 1);
  take_record(type, *payload, now);
}

template <IoPort Io>
void Inbound<Io>::take_record(RecordType type, ByteSpan payload, Instant now) {
  switch (type) {
    case RecordType::data: return take_data(payload);
    case RecordType::ping: return take_ping(payload, now);
    case RecordType::pong: return take_pong(payload, now);
    case RecordType::key_update: {
      if (payload.size() != key_update_bytes || payload[0] != 0) {  // P-39
        return end_lane(LaneEnd::bad_record, "a malformed KEYUPDATE");
      }
      const auto stepped = opener_.ratchet(now);
      if (!stepped) return end_lane(LaneEnd::bad_record, stepped.error().what);
      DirectionCounters::add(state_.inbound.ratchets, 1);
      return;
    }
    case RecordType::goodbye:  // P-48, and P-49: the walk ends here
      if (payload.size() != goodbye_bytes || payload[0] < static_cast<Byte>(GoodbyeReason::shutdown) ||
          payload[0] > static_cast<Byte>(GoodbyeReason::replaced)) {
        return end_lane(LaneEnd::bad_record, "a malformed GOODBYE");
      }
      state_.peer_reason.store(payload[0], std::memory_order_release);
      return end_lane(LaneEnd::peer_goodbye, "reason " + std::to_string(payload[0]));
  }
}

template <IoPort Io>
void Inbound<Io>::take_ping(ByteView payload, Instant now) {
  if (payload.size() < stamp_bytes) return end_lane(LaneEnd::bad_record, "a PING without a stamp");  // P-44
  if (now - pings_since_ >= std::chrono::seconds(1)) {
    pings_since_ = now;
    pings_in_second_ = 0;
  }
  // P-43
  if (++pings_in_second_ > pings_per_second_max) return end_lane(LaneEnd::bad_record, "a flood of PING records");
  if (state_.pongs_wanted.push(load_be64(payload.data()))) wake_outbound_();
}

template <IoPort Io>
void Inbound<Io>::take_pong(ByteView payload, Instant now) {
  if (payload.size() < stamp_bytes) return end_lane(LaneEnd::bad_record, "a PONG without a stamp");
  // In unsigned arithmetic: the stamp is whatever the peer says.
  const auto ticks = static_cast<std::uint64_t>(now.time_since_epoch().count()) - load_be64(payload.data());
  const auto round_trip = Instant::duration(static_cast<std::int64_t>(ticks));
  // P-45, P-63: only a stamp of ours counts, and only at full size: anything else is no evidence.
  if (round_trip < std::chrono::nanoseconds(0) || round_trip > std::chrono::minutes(1)) return;
  if (payload.size() < options_.tun_mtu) return;
  state_.last_pong.set(now);
  const std::int64_t sample = round_trip.count();
  const std::int64_t before = state_.smoothed_rtt_ns.load(std::memory_order_relaxed);
  state_.rtt_ns.store(sample, std::memory_order_relaxed);
  state_.smoothed_rtt_ns.store(before == 0 ? sample : before + (sample - before) / 8, std::memory_order_relaxed);
}

// --- I4 unpack, I5 admit ---

// All items are judged before the first is delivered: of a faulty record nothing reaches the LAN. P-33, P-34
template <IoPort Io>
void Inbound<Io>::take_data(ByteSpan payload) {
  for (ItemCursor judged(payload); !judged.at_end();) {
    if (const auto item = judged.next(); !item) return end_lane(LaneEnd::bad_record, item.error().what);
  }
  items_ = ItemCursor(payload);
}

template <IoPort Io>
void Inbound<Io>::unpack() {
  const auto item = items_.next();
  if (!item) return end_lane(LaneEnd::bad_record, item.error().what);
  if (const auto reason = options_.admission->admit_inbound(item->meta, item->packet)) {  // P-56, P-61
    drops_.count(*reason);
    return;
  }
  deliver(*item);
}

// --- I6 deliver ---

template <IoPort Io>
void Inbound<Io>::deliver(const Item& item) {
  const auto rebuilt = rebuild(item.meta, item.packet, options_.tun_mtu);
  if (!rebuilt) return drops_.count(rebuilt.error());
  DirectionCounters::add(state_.inbound.packets, 1);
  DirectionCounters::add(state_.inbound.packet_bytes, item.packet.size());
  if (is_super(item.meta.kind)) DirectionCounters::add(state_.inbound.super_packets, 1);

  const bool is_plain = item.meta.kind == PacketKind::plain;
  if (!options_.tun_offload && !is_plain) return deliver_segmented(item.meta, item.packet);
  if (is_super(item.meta.kind) && !kernel_takes_super_packets_) {
    return deliver_segmented(item.meta, item.packet);
  }
  const std::size_t index = deliveries_used_++;
  Delivery& delivery = deliveries_[index];
  delivery.meta = item.meta;
  delivery.packet = item.packet;
  delivery.vnet = *rebuilt;
  delivery.vectors = {iovec{&delivery.vnet, sizeof delivery.vnet}, iovec{item.packet.data(), item.packet.size()}};
  ++deliveries_under_way_;
  io_.write(index, options_.tun_fd, delivery.vectors);
}

template <IoPort Io>
void Inbound<Io>::finish_delivery(std::size_t index, int result, Instant now) {
  --deliveries_under_way_;
  if (result >= 0) return;
  const Delivery& delivery = deliveries_[index];
  if (result != -EINVAL || !is_super(delivery.meta.kind)) {
    return drops_.count(result == -EAGAIN || result == -ENOBUFS || result == -ENOMEM ? DropReason::device_full
                                                                                     : DropReason::device_error);
  }
  // Some kernels refuse good super-packets under load (B-27): cut them up, and after the third in a second all.
  if (now - refusals_since_ > std::chrono::seconds(1)) {
    refusals_since_ = now;
    refusals_ = 0;
  }
  if (++refusals_ >= 3) kernel_takes_super_packets_ = false;
  deliver_segmented(delivery.meta, delivery.packet);
}

template <IoPort Io>
void Inbound<Io>::deliver_segmented(PacketMeta meta, ByteSpan packet) {
  if (!is_super(meta.kind)) {
    if (const auto reason = complete_checksum(meta, packet)) return drops_.count(*reason);
    return write_now(packet);
  }
  DirectionCounters::add(state_.inbound.segmented, 1);
  const auto cut = segment(meta, packet, segments_.bytes(), [this](ByteView piece) { write_now(piece); });
  if (!cut) drops_.count(cut.error());
}

// The slow path: one packet, one call, whatever the port. A TUN takes a packet at once or not at all.
template <IoPort Io>
void Inbound<Io>::write_now(ByteView packet) {
  VnetHeader plain{};
  std::array<iovec, 2> vectors{iovec{&plain, sizeof plain},
                               iovec{const_cast<Byte*>(packet.data()), packet.size()}};
  if (::writev(options_.tun_fd, vectors.data(), static_cast<int>(vectors.size())) < 0) {
    drops_.count(errno == EAGAIN || errno == ENOBUFS ? DropReason::device_full : DropReason::device_error);
  }
}

}  // namespace lt::tunnel
