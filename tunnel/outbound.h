// The walk LAN -> WAN. Functions stand in the order a packet meets them.
//
//   O1 ingest   TUN -> a slot           from its queues in turn, up to a burst at once; stops while the lane is blocked
//   O2 admit    the slot -> a packet we may carry, or a drop, counted by reason
//   O3 pack     small packets are copied together; a large one becomes a record where it lies
//   O4 seal     the record is sealed in place; the ratchet steps here
//   O5 send     all records of a round in one call
//
// One thread owns it, with its port, its key and its counters. A round that is being sent and a round that is being
// filled are the two that exist: what does not fit waits in the TUN's queues, whose length is a knob (back-pressure).
// Nothing is dropped after admission (W-1), nothing here logs, blocks elsewhere, allocates or throws (W-5).
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "crypto/random.h"
#include "tunnel/ack_thinner.h"
#include "tunnel/admission.h"
#include "tunnel/drop_reason.h"
#include "tunnel/flow_turns.h"
#include "tunnel/io_port.h"
#include "tunnel/lane_state.h"
#include "tunnel/limits.h"
#include "tunnel/packing.h"
#include "tunnel/queue_governor.h"
#include "tunnel/raw_memory.h"
#include "tunnel/sealing.h"
#include "tunnel/segmentation.h"
#include "tunnel/slow_start.h"
#include "tunnel/tcp_stream.h"
#include "tunnel/virtio.h"

namespace lt::tunnel {

struct OutboundOptions {
  std::vector<int> tun_queues;  // read in turn; at least one
  int socket_fd{-1};
  const Admission* admission{nullptr};
  std::size_t record_bytes_max{0};  // plaintext that packing puts together (unit: B)
  std::uint32_t tun_mtu{0};         // agreed; PING and PONG are padded to it (unit: B)
  std::chrono::nanoseconds queue_target{0};  // delay that bulk may add on the path; 0: as much as it likes
  bool waits_with_reno{false};              // @pre may_wait_with_reno(socket_fd). See slow_start.h
  bool thins_acks{false};                    // on a lossy line: see ack_thinner.h
  std::size_t unsent_most{0};                // that waits in the socket (unit: B); 0: the socket is left as it is
};

template <IoPort Io>
class Outbound {
 public:
  Outbound(const OutboundOptions& options, Sealer sealer, LaneState& state, DropCounters& drops, Io& io)
      : options_(options),
        sealer_(std::move(sealer)),
        state_(state),
        drops_(drops),
        io_(io),
        slots_(slots_beside_waiting + options.tun_queues.size()),
        turns_(options.tun_queues.size()),
        governor_(options.queue_target) {
    LT_ASSERT(!options_.tun_queues.empty());
    for (std::size_t i = slots_.size(); i > turns_.size(); --i) free_slots_.push_back(i - 1);
    for (Round& round : rounds_) round.prepare(arena_bytes(), slots_.size());
    ping_.resize(std::max<std::size_t>(options.tun_mtu, stamp_bytes));
  }

  /// Runs until the lane ends. @return why; `local_stop` also when the peer's end is handled by the inbound side
  LaneEnd run();

 private:
  static constexpr std::size_t burst_small_max = 32;  // while packets are small
  static constexpr std::size_t slots_beside_waiting = 2 * burst_small_max + 2;  // each queue may have a read that waits
  static constexpr std::size_t packet_at = 64;  // room for both headers, and the packet on a cache line
  static constexpr std::uint64_t send_tag = 1000;
  static constexpr auto batch_time = std::chrono::milliseconds(2);
  static constexpr auto rate_window = std::chrono::milliseconds(20);  // longer than a full socket holds the sender up
  static constexpr auto progress_look = std::chrono::milliseconds(100);  // while a lane that ends drains

  struct Slot {
    VnetHeader vnet;
    FlowTurns::Turn turn;
    bool is_free{true};
    std::array<iovec, 2> vectors;
    RawMemory memory{packet_at + packet_bytes_max + tag_bytes};  // 8 MiB in all; those in use are few, and the same
    [[nodiscard]] Byte* packet() const { return memory.bytes().data() + packet_at; }
  };

  // The records that go out in one call.
  struct Round {
    std::vector<iovec> records;
    std::vector<std::size_t> slots;  // that hold records of it
    RawMemory arena;                 // small packets and control records, one record behind the other
    std::size_t arena_used{0};
    std::size_t segmented{0};        // of arena_reserve
    std::size_t wire_bytes{0};

    void prepare(std::size_t arena_size, std::size_t slot_count) {
      arena = RawMemory(arena_size);
      records.reserve(2 * slot_count);
      slots.reserve(slot_count);
    }
    [[nodiscard]] bool empty() const { return records.empty(); }
    [[nodiscard]] ByteSpan arena_left() { return arena.bytes().subspan(arena_used); }
  };

  // A burst of small packets and those that were waited for, software segments of one packet, and the control records of
  // a round.
  [[nodiscard]] std::size_t arena_bytes() const {
    return (burst_small_max + turns_.size()) * (pack_copy_bytes_max + item_header_bytes + record_overhead_bytes) +
           (pongs_per_round_max + 2) * (options_.tun_mtu + 64) + arena_reserve +  // PONGs, a PING, a GOODBYE
           (burst_small_max + turns_.size() + AckThinner::flows_max) * (AckThinner::ack_bytes_max + item_header_bytes + record_overhead_bytes);
  }
  static constexpr std::size_t pongs_per_round_max = 2;
  static constexpr std::size_t batch_bytes_least = 16 << 10;
  static constexpr std::size_t batch_bytes_most = 1 << 20;
  static constexpr std::size_t arena_reserve = 4 * packet_bytes_max;

  [[nodiscard]] bool may_read(Instant now);
  [[nodiscard]] bool post_reads();
  void adapt_burst();
  void ingest(std::size_t slot_index, int result, Instant now);
  void carry(std::size_t slot_index, PacketMeta meta, ByteSpan packet, Instant now);
  void count(PacketMeta meta, ByteView packet);
  [[nodiscard]] bool waits_as_ack(PacketMeta meta, ByteView packet, Instant now);
  void release_acks(Instant now);
  void carry_ack(PacketMeta meta, ByteView ack, Instant now);
  void pack(PacketMeta meta, ByteView packet, Instant now);
  void close_pack(Instant now);
  void segment_and_pack(PacketMeta meta, ByteSpan packet, Instant now);
  void seal(RecordType type, ByteSpan record, Instant now);
  void append(SealedRecord record);
  void add_control(RecordType type, ByteView payload, Instant now);
  void add_due_control(Instant now);
  void start_send();
  void finish_send(int result, Instant now);
  void learn_batch(std::size_t sent_bytes, Instant now);
  void take_completions(std::span<const Completion> completions, Instant now);
  LaneEnd say_goodbye(Instant now);
  bool drain();
  [[nodiscard]] Instant drained_until(Instant now);
  [[nodiscard]] std::size_t take_slot(const FlowTurns::Turn& turn);
  void free_slot(std::size_t slot_index);
  void govern(Instant now);
  void limit_socket();
  // Reads that were left out of a batch are posted as soon as it has been carried out.
  [[nodiscard]] Instant next_wake(bool has_posted) const { return has_posted && turns_.has_left_out() ? Instant{} : next_deadline(); }
  // Before its turn a lane hears nothing, and is not silent for that.
  [[nodiscard]] bool can_die() const { return state_.is_listening.load(std::memory_order_acquire); }
  // While a send is under way no PING is added, so a due one is no reason to wake up.
  [[nodiscard]] Instant next_deadline() const {
    const Instant dead_at = can_die() ? state_.dead_at() : io_.now() + std::chrono::seconds(1);
    if (!is_sending_) return std::min({next_ping_, dead_at, options_.thins_acks ? acks_.due() : dead_at});
    return watches_path() ? std::min(governor_.next_sample(), dead_at) : dead_at;
  }
  [[nodiscard]] bool watches_path() const { return governor_.is_on() || (slow_start_ && !slow_start_->has_ended()); }
  Round& filling() { return rounds_[filling_]; }
  Round& sending() { return rounds_[1 - filling_]; }

  OutboundOptions options_;
  Sealer sealer_;
  LaneState& state_;
  DropCounters& drops_;
  Io& io_;

  std::vector<Slot> slots_;              // one of each queue, for the read that waits on it, then those of all
  std::vector<std::size_t> free_slots_;  // of all; the last freed is the first used: it is still in the cache
  std::array<Round, 2> rounds_;
  std::size_t filling_{0};
  bool is_sending_{false};
  std::size_t pack_begin_{0};  // of the open record in the filling round's arena
  std::size_t pack_end_{0};    // equal to pack_begin_: no record is open

  std::size_t burst_{1};
  std::size_t burst_posted_{0};
  std::size_t burst_got_{0};
  std::size_t burst_largest_{0};
  Instant window_since_{};
  std::size_t window_bytes_{0};                // sent since then
  std::size_t batch_bytes_{batch_bytes_most};  // that a batch may bring
  std::size_t batch_bytes_best_{0};            // since the governor's last sample
  std::size_t unsent_{0};                      // what the socket may hold now
  std::size_t reads_under_way_{0};
  std::size_t reads_at_once_{0};  // of these, those that do not wait
  Instant reads_paused_until_{};
  FlowTurns turns_;

  std::vector<Byte> ping_;
  RawMemory segments_{packet_bytes_max};
  Instant next_ping_{};
  AckThinner acks_;
  QueueGovernor governor_;
  std::optional<SlowStart> slow_start_;
  Instant progress_at_{};       // while the lane ends: when the peer was last seen to have more
  std::uint64_t delivered_{0};
  LaneEnd end_{LaneEnd::running};
};

template <IoPort Io>
LaneEnd Outbound<Io>::run() {
  Instant now = io_.now();
  next_ping_ = now;  // the first PING proves the path at once
  if (options_.waits_with_reno) {
    slow_start_.emplace();
    run_control(options_.socket_fd, SlowStart::begins_with);
  }
  while (end_ == LaneEnd::running) {
    if (state_.abort_requested.load(std::memory_order_acquire)) return LaneEnd::local_stop;
    if (state_.stop_requested.load(std::memory_order_acquire)) return say_goodbye(now);
    if (can_die() && now >= state_.dead_at()) return LaneEnd::dead;
    govern(now);
    add_due_control(now);
    release_acks(now);
    if (!is_sending_ && !filling().empty()) start_send();
    const bool has_posted = may_read(now) && post_reads();

    const auto completions = io_.wait(next_wake(has_posted));
    if (!completions) return LaneEnd::failed;
    now = io_.now();
    take_completions(*completions, now);
  }
  return end_;
}

template <IoPort Io>
void Outbound<Io>::take_completions(std::span<const Completion> completions, Instant now) {
  for (const Completion& completion : completions) {
    if (completion.tag == send_tag) {
      finish_send(completion.result, now);
    } else {
      ingest(static_cast<std::size_t>(completion.tag), completion.result, now);
    }
  }
  close_pack(now);
}

// Back-pressure stands here: while a round waits to be sent, nothing more is read.
template <IoPort Io>
bool Outbound<Io>::may_read(Instant now) {
  return reads_at_once_ == 0 && filling().empty() && now >= reads_paused_until_ &&
         state_.has_sending_turn.load(std::memory_order_acquire);
}

// --- O1 ingest ---

// As many as the last batch has brought, and twice as many once all of them came.
template <IoPort Io>
void Outbound<Io>::adapt_burst() {
  const std::size_t burst_max = burst_largest_ <= pack_copy_bytes_max ? burst_small_max : batch_packets_max;
  burst_ = burst_got_ >= burst_posted_ ? std::min(burst_ * 2, burst_max) : std::clamp<std::size_t>(burst_got_, 1, burst_max);
  burst_posted_ = burst_got_ = burst_largest_ = 0;
}

// @return whether there was one to post, and a slot for it
template <IoPort Io>
bool Outbound<Io>::post_reads() {
  turns_.begin_batch();
  if (burst_posted_ > 0) adapt_burst();
  std::size_t expected = 0;
  while (burst_posted_ < burst_ && expected < batch_bytes_ && !free_slots_.empty()) {
    const auto turn = turns_.next();
    if (!turn) break;
    const std::size_t index = take_slot(*turn);
    Slot& slot = slots_[index];
    slot.turn = *turn;
    slot.vectors = {iovec{&slot.vnet, sizeof slot.vnet}, iovec{slot.packet(), packet_bytes_max}};
    io_.read(index, options_.tun_queues[turn->queue], slot.vectors, turn->waits ? ReadMode::waiting : ReadMode::now);
    ++reads_under_way_;
    if (!turn->waits) ++reads_at_once_;
    ++burst_posted_;
    expected += turn->charged;
  }
  return burst_posted_ > 0;
}

// Reads wait on every queue all the time. A slot of its own lets a queue of small packets touch no memory of a large one's.
template <IoPort Io>
std::size_t Outbound<Io>::take_slot(const FlowTurns::Turn& turn) {
  std::size_t index = turn.queue;
  if (!turn.waits || !slots_[index].is_free) {
    index = free_slots_.back();
    free_slots_.pop_back();
  }
  slots_[index].is_free = false;
  return index;
}

template <IoPort Io>
void Outbound<Io>::free_slot(std::size_t slot_index) {
  slots_[slot_index].is_free = true;
  if (slot_index >= turns_.size()) free_slots_.push_back(slot_index);
}

template <IoPort Io>
void Outbound<Io>::ingest(std::size_t slot_index, int result, Instant now) {
  Slot& slot = slots_[slot_index];
  --reads_under_way_;
  if (!slot.turn.waits) --reads_at_once_;
  if (result <= static_cast<int>(vnet_header_bytes)) {
    turns_.took_nothing(slot.turn);
    free_slot(slot_index);
    // The interface is down, or was taken away for a moment: wait for it rather than end.
    if (result != -EAGAIN && result != -EINTR && result != -ECANCELED) {
      drops_.count(DropReason::device_error);
      reads_paused_until_ = now + std::chrono::milliseconds(100);
    }
    return;
  }
  ++burst_got_;
  const ByteSpan packet(slot.packet(), static_cast<std::size_t>(result) - vnet_header_bytes);
  burst_largest_ = std::max(burst_largest_, packet.size());
  turns_.took(slot.turn, packet.size());

  const auto meta = describe(slot.vnet, packet);
  if (!meta) {
    drops_.count(meta.error());
    return free_slot(slot_index);
  }
  carry(slot_index, *meta, packet, now);
}

// --- O2 admit, O3 pack ---

template <IoPort Io>
void Outbound<Io>::carry(std::size_t slot_index, PacketMeta meta, ByteSpan packet, Instant now) {
  if (const auto reason = options_.admission->admit_outbound(meta, packet)) {  // P-61, P-62
    drops_.count(*reason);
    return free_slot(slot_index);
  }
  if (waits_as_ack(meta, packet, now)) return free_slot(slot_index);
  count(meta, packet);

  if (needs_segmentation(meta)) {  // P-36
    segment_and_pack(meta, packet, now);
    return free_slot(slot_index);
  }
  if (packet.size() <= pack_copy_bytes_max) {
    pack(meta, packet, now);
    return free_slot(slot_index);
  }
  close_pack(now);  // order: what came before goes before. P-35: a packet is in one record, whole
  pack_item_header(std::span<Byte, item_header_bytes>(packet.data() - item_header_bytes, item_header_bytes), meta, packet.size());
  filling().slots.push_back(slot_index);
  seal(RecordType::data,
       ByteSpan(packet.data() - item_header_bytes - record_header_bytes,
                packet.size() + item_header_bytes + record_overhead_bytes),
       now);
}

template <IoPort Io>
void Outbound<Io>::count(PacketMeta meta, ByteView packet) {
  DirectionCounters::add(state_.outbound.packets, 1);
  DirectionCounters::add(state_.outbound.packet_bytes, packet.size());
  if (is_super(meta.kind)) DirectionCounters::add(state_.outbound.super_packets, 1);
}

template <IoPort Io>
bool Outbound<Io>::waits_as_ack(PacketMeta meta, ByteView packet, Instant now) {
  if (!options_.thins_acks) return false;
  const std::chrono::nanoseconds round_trip(state_.smoothed_rtt_ns.load(std::memory_order_relaxed));
  return acks_.holds(
      meta, packet, AckThinner::spacing(round_trip), now,
      [&](PacketMeta ack_meta, ByteView ack) { carry_ack(ack_meta, ack, now); },
      [&] { drops_.count(DropReason::ack_superseded); });
}

// Once a round, so that the arena has room for all of them.
template <IoPort Io>
void Outbound<Io>::release_acks(Instant now) {
  if (is_sending_ || !options_.thins_acks) return;
  acks_.release_due(now, [&](PacketMeta meta, ByteView ack) { carry_ack(meta, ack, now); });
  close_pack(now);
}

template <IoPort Io>
void Outbound<Io>::carry_ack(PacketMeta meta, ByteView ack, Instant now) {
  count(meta, ack);
  pack(meta, ack, now);
}

template <IoPort Io>
void Outbound<Io>::pack(PacketMeta meta, ByteView packet, Instant now) {
  Round& round = filling();
  const std::size_t item_bytes = item_header_bytes + packet.size();
  const std::size_t open_bytes = pack_end_ - pack_begin_;
  if (open_bytes != 0 && open_bytes - record_header_bytes + item_bytes > options_.record_bytes_max) close_pack(now);
  if (pack_end_ == pack_begin_) {
    pack_begin_ = round.arena_used;
    pack_end_ = pack_begin_ + record_header_bytes;
  }
  LT_ASSERT(pack_end_ + item_bytes + tag_bytes <= round.arena.bytes().size());  // arena_bytes() covers a whole round
  Byte* const at = round.arena.bytes().data() + pack_end_;
  pack_item_header(std::span<Byte, item_header_bytes>(at, item_header_bytes), meta, packet.size());
  std::memcpy(at + item_header_bytes, packet.data(), packet.size());
  pack_end_ += item_bytes;
}

template <IoPort Io>
void Outbound<Io>::close_pack(Instant now) {
  if (pack_end_ == pack_begin_) return;
  Round& round = filling();
  const std::size_t record_bytes = pack_end_ - pack_begin_ + tag_bytes;
  const ByteSpan record = round.arena.bytes().subspan(pack_begin_, record_bytes);
  round.arena_used = pack_begin_ + record_bytes;
  pack_begin_ = pack_end_ = round.arena_used;
  seal(RecordType::data, record, now);
}

// GRO on the LAN may merge very small segments; the peer refuses such super-packets, so they are cut up here.
template <IoPort Io>
void Outbound<Io>::segment_and_pack(PacketMeta meta, ByteSpan packet, Instant now) {
  DirectionCounters::add(state_.outbound.segmented, 1);
  std::size_t& used = filling().segmented;  // the rest of the arena is for what else the burst has brought
  const auto cut = segment(meta, packet, segments_.bytes(), [&](ByteView piece) {
    const std::size_t cost = piece.size() + item_header_bytes + record_overhead_bytes;
    if (used + cost > arena_reserve) {
      drops_.count(DropReason::device_full);
      return;
    }
    used += cost;
    pack(PacketMeta{}, piece, now);
  });
  if (!cut) drops_.count(cut.error());
}

// --- O4 seal ---

template <IoPort Io>
void Outbound<Io>::seal(RecordType type, ByteSpan record, Instant now) {
  if (sealer_.wants_ratchet(now)) {
    constexpr std::array<Byte, key_update_bytes> nothing{};
    Round& round = filling();
    const ByteSpan update = round.arena_left().first(key_update_bytes + record_overhead_bytes);
    std::copy(nothing.begin(), nothing.end(), update.begin() + record_header_bytes);
    round.arena_used += update.size();
    pack_begin_ = pack_end_ = round.arena_used;
    auto sealed = sealer_.seal(RecordType::key_update, update);
    if (!sealed) {
      end_ = LaneEnd::failed;
      return;
    }
    append(*sealed);
    sealer_.ratchet(now);
    DirectionCounters::add(state_.outbound.ratchets, 1);
  }
  auto sealed = sealer_.seal(type, record);
  if (!sealed) {
    end_ = LaneEnd::failed;
    return;
  }
  append(*sealed);
}

template <IoPort Io>
void Outbound<Io>::append(SealedRecord record) {
  const ByteView bytes = record.bytes();
  filling().records.push_back({const_cast<Byte*>(bytes.data()), bytes.size()});
  filling().wire_bytes += bytes.size();
}

// --- control records ---

template <IoPort Io>
void Outbound<Io>::add_control(RecordType type, ByteView payload, Instant now) {
  close_pack(now);
  Round& round = filling();
  const ByteSpan record = round.arena_left().first(payload.size() + record_overhead_bytes);
  std::copy(payload.begin(), payload.end(), record.begin() + record_header_bytes);
  round.arena_used += record.size();
  pack_begin_ = pack_end_ = round.arena_used;
  seal(type, record, now);
}

template <IoPort Io>
void Outbound<Io>::add_due_control(Instant now) {
  if (is_sending_) return;  // the round being filled is bounded; what is due waits for the next
  // P-42. Counted, since PINGs may come faster than their answers are sealed: the arena has room for this many.
  for (std::size_t i = 0; i < pongs_per_round_max; ++i) {
    const auto stamp = state_.pongs_wanted.pop();
    if (!stamp) break;
    store_be64(ping_.data(), *stamp);
    add_control(RecordType::pong, ping_, now);
  }
  if (now < next_ping_) return;
  store_be64(ping_.data(), static_cast<std::uint64_t>(now.time_since_epoch().count()));
  add_control(RecordType::ping, ping_, now);
  Byte jitter = 0;
  crypto::fill_random(ByteSpan(&jitter, 1));
  next_ping_ = now + state_.times.ping / 5 * 4 + state_.times.ping / 5 * 2 * jitter / 255;  // P-41
}

// --- O5 send ---

template <IoPort Io>
void Outbound<Io>::start_send() {
  filling_ = 1 - filling_;
  pack_begin_ = pack_end_ = filling().arena_used;
  is_sending_ = true;
  DirectionCounters::add(state_.outbound.records, sending().records.size());
  DirectionCounters::add(state_.outbound.wire_bytes, sending().wire_bytes);
  io_.send(send_tag, options_.socket_fd, sending().records);
}

template <IoPort Io>
void Outbound<Io>::finish_send(int result, Instant now) {
  Round& round = sending();
  is_sending_ = false;
  if (result < 0 || static_cast<std::size_t>(result) != round.wire_bytes) {
    end_ = LaneEnd::closed;
    return;
  }
  learn_batch(round.wire_bytes, now);
  for (const std::size_t slot : round.slots) free_slot(slot);
  round.slots.clear();
  round.records.clear();
  round.arena_used = 0;
  round.segmented = 0;
  round.wire_bytes = 0;
}

// What is read waits for the line in the order it was read in, whoever's it is: no more is read at once than the line has
// lately taken in batch_time.
template <IoPort Io>
void Outbound<Io>::learn_batch(std::size_t sent_bytes, Instant now) {
  window_bytes_ += sent_bytes;
  const auto time = now - window_since_;
  if (time < rate_window) return;
  const double taken = static_cast<double>(window_bytes_) * (std::chrono::duration<double>(batch_time) / time);
  batch_bytes_ = std::clamp(static_cast<std::size_t>(taken), batch_bytes_least, batch_bytes_most);
  batch_bytes_best_ = std::max(batch_bytes_best_, batch_bytes_);
  window_since_ = now;
  window_bytes_ = 0;
}

// The queue in front of the line is kept short from here, since nobody else knows what is bulk and what the path bears.
template <IoPort Io>
void Outbound<Io>::govern(Instant now) {
  if (!watches_path() || now < governor_.next_sample()) return;
  const auto sample = io_.path(options_.socket_fd);
  if (!sample) {
    governor_ = QueueGovernor(std::chrono::nanoseconds(0));  // no TCP below
    slow_start_.reset();
    return;
  }
  if (const auto cap = governor_.take(*sample, now)) cap_pacing(options_.socket_fd, *cap);
  if (slow_start_) {
    if (const auto control = slow_start_->take(*sample)) run_control(options_.socket_fd, *control);
  }
  if (governor_.is_on()) limit_socket();
}

// What waits in the socket has left its turn behind: two batches keep the line busy until this thread runs again.
template <IoPort Io>
void Outbound<Io>::limit_socket() {
  const std::size_t best = std::exchange(batch_bytes_best_, 0);
  if (options_.unsent_most == 0 || best == 0) return;
  const std::size_t wanted = std::min(2 * best, options_.unsent_most);
  if (wanted > unsent_ / 4 * 3 && wanted <= unsent_) return;
  unsent_ = wanted;
  limit_unsent(options_.socket_fd, unsent_);
}

// --- the end ---

// What has been read goes before GOODBYE; what has not stays in the TUN's queue for whoever reads it next.
template <IoPort Io>
LaneEnd Outbound<Io>::say_goodbye(Instant now) {
  progress_at_ = now;
  if (reads_under_way_ > 0) {
    for (const int queue : options_.tun_queues) io_.cancel_reads(queue);
  }
  if (!drain()) return LaneEnd::local_stop;
  acks_.release_all(now, [&](PacketMeta meta, ByteView ack) { carry_ack(meta, ack, now); });
  close_pack(now);
  if (!filling().empty()) {
    start_send();
    if (!drain()) return LaneEnd::local_stop;
  }
  std::array<Byte, goodbye_bytes> payload{state_.stop_reason.load(std::memory_order_relaxed)};
  store_be64(payload.data() + 1, sealer_.counter());
  add_control(RecordType::goodbye, payload, io_.now());  // P-47: the last record
  start_send();
  if (drain()) {
    state_.goodbye_at.set(io_.now());
    state_.has_said_goodbye.store(true, std::memory_order_release);
  }
  return LaneEnd::local_stop;
}

// Waits for the send and the reads under way. @return false: they did not end in time, or the lane did
template <IoPort Io>
bool Outbound<Io>::drain() {
  while (is_sending_ || reads_under_way_ > 0) {
    const Instant now = io_.now();
    const Instant until = drained_until(now);
    if (now >= until || end_ != LaneEnd::running || state_.abort_requested.load(std::memory_order_acquire)) return false;
    const auto completions = io_.wait(std::min(until, now + progress_look));
    if (!completions) return false;
    take_completions(*completions, io_.now());
  }
  return end_ == LaneEnd::running;
}

// A slow line may hold seconds of what was sent. While bytes arrive at the peer its time is not up. P-76
template <IoPort Io>
Instant Outbound<Io>::drained_until(Instant now) {
  const auto path = io_.path(options_.socket_fd);
  if (path && path->delivered != delivered_) {
    delivered_ = path->delivered;
    progress_at_ = now;
  }
  return state_.patience_ends(progress_at_, path ? drain_round_trips * path->rtt : std::chrono::nanoseconds(0));
}

}  // namespace lt::tunnel
