// What the two threads of a lane tell each other and the link: atomics, each written by one thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/ring.h"
#include "tunnel/limits.h"
#include "tunnel/wire.h"

namespace lt::tunnel {

/// Why a lane has ended. The link counts each; all but local_stop lead to a reconnect.
enum class LaneEnd : std::uint8_t {
  running,            // it has not
  local_stop,         // we were asked to
  peer_goodbye,       // the peer said so
  closed,             // the connection ended without GOODBYE: a crash, a reset, a cut stream
  bad_record,         // a record did not open, or what it held broke the rules
  dead,               // no authenticated record for too long
  failed,             // our own system calls failed
  moved,              // its traffic goes on over a fresh connection
};

[[nodiscard]] constexpr const char* name_of(LaneEnd end) {
  switch (end) {
    case LaneEnd::running: return "running";
    case LaneEnd::local_stop: return "local_stop";
    case LaneEnd::peer_goodbye: return "peer_goodbye";
    case LaneEnd::closed: return "closed";
    case LaneEnd::bad_record: return "bad_record";
    case LaneEnd::dead: return "dead";
    case LaneEnd::failed: return "failed";
    case LaneEnd::moved: return "moved";
  }
  return "unknown";
}

/// Counts of one direction. Written by its thread, read by any.
struct DirectionCounters {
  std::atomic<std::uint64_t> packets{0};        // carried; a super-packet counts once
  std::atomic<std::uint64_t> packet_bytes{0};   // of IP packets (unit: B)
  std::atomic<std::uint64_t> records{0};
  std::atomic<std::uint64_t> wire_bytes{0};     // of records, header and tag included (unit: B)
  std::atomic<std::uint64_t> ratchets{0};
  std::atomic<std::uint64_t> super_packets{0};
  std::atomic<std::uint64_t> segmented{0};      // super-packets that had to be cut up in software

  static void add(std::atomic<std::uint64_t>& counter, std::uint64_t by) {
    counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);  // one writer
  }
};

/// A moment that one thread writes and others read.
class SharedInstant {
 public:
  void set(Instant when) { ticks_.store(when.time_since_epoch().count(), std::memory_order_relaxed); }
  [[nodiscard]] Instant get() const { return Instant(Instant::duration(ticks_.load(std::memory_order_relaxed))); }

 private:
  std::atomic<Instant::rep> ticks_{0};
};

/// The lane's clocks. Turned down in tests only.
struct LaneTimes {
  std::chrono::nanoseconds ping{ping_interval};         // give or take a fifth
  std::chrono::nanoseconds dead{lane_dead_after};
  std::chrono::nanoseconds patience{goodbye_patience};  // of an end that has been stopped, for the other
  std::chrono::nanoseconds drain{drain_longest};        // and of one that moves, whatever progress it makes
};

struct LaneState {
  LaneTimes times;  // set before the threads start

  // Written by inbound.
  SharedInstant last_authenticated;  // the last record that opened
  std::atomic<bool> is_listening{false};  // its turn to deliver has come, and last_authenticated says so
  SharedInstant last_pong;           // the last answer to a PING of ours: full size went there and came back
  std::atomic<std::int64_t> rtt_ns{0};           // of the last PONG (unit: ns); 0: none yet
  std::atomic<std::int64_t> smoothed_rtt_ns{0};  // RFC 6298's average (unit: ns)
  std::atomic<std::uint8_t> peer_reason{0};      // of the peer's GOODBYE; 0: none yet
  Ring<std::uint64_t, 2> pongs_wanted;  // stamps to be echoed; a full ring drops: no amplification
  DirectionCounters inbound;

  // Written by the lane that hands over, under its lock: its own proof, until this one has one.
  SharedInstant proven_before;

  // Written by outbound.
  DirectionCounters outbound;
  SharedInstant goodbye_at;  // when it had said GOODBYE
  std::atomic<bool> has_said_goodbye{false};

  // Written by the link: set once, then the outbound thread is woken.
  SharedInstant stop_at;  // when stop_requested was set
  std::atomic<bool> stop_requested{false};
  std::atomic<std::uint8_t> stop_reason{static_cast<std::uint8_t>(GoodbyeReason::shutdown)};
  std::atomic<bool> is_hurried{false};       // the process itself is to end: no time for a slow line
  std::atomic<bool> abort_requested{false};  // end without a word

  // A lane that takes over from another one reads its TUN queue, and delivers, only when that one has done so for the
  // last time: no packet overtakes one that left before it. Written by the predecessor, or the link.
  std::atomic<bool> has_sending_turn{true};
  std::atomic<bool> has_delivery_turn{true};

  /// Whether its traffic goes on over another connection: then all that it carries still counts.
  [[nodiscard]] bool is_moving() const {
    constexpr auto moved = static_cast<std::uint8_t>(GoodbyeReason::moved);
    return !is_hurried.load(std::memory_order_acquire) && (stop_reason.load(std::memory_order_relaxed) == moved ||
                                                           peer_reason.load(std::memory_order_acquire) == moved);
  }
  /// How long an end that was stopped waits. One that moves: as long as bytes pass, and no longer than LaneTimes::drain,
  /// since how fast they pass is the peer's to choose.
  /// @param progress_at  when a byte passed last
  /// @param lull         how long none may pass on this path, if that is longer than the patience
  [[nodiscard]] Instant patience_ends(Instant progress_at, std::chrono::nanoseconds lull = {}) const {
    const Instant stopped = stop_at.get();
    if (!is_moving()) return stopped + times.patience;
    return std::min(std::max(stopped, progress_at) + std::max(times.patience, lull), stopped + times.drain);
  }
  /// When the peer was last heard. Before its turn a lane listens to nobody, and is not deaf for that.
  [[nodiscard]] Instant heard_at(Instant now) const {
    return is_listening.load(std::memory_order_acquire) ? last_authenticated.get() : now;
  }

  /// Whether full size ever went there and came back on this connection itself.
  [[nodiscard]] bool has_proof() const { return last_pong.get() != Instant(); }
  /// When the path was last proven: full size went there and came back, here or on the lane whose traffic goes on here. P-63
  [[nodiscard]] Instant last_proof() const { return std::max(last_pong.get(), proven_before.get()); }

  /// How long a PING is on its way there and back: the last one that came back, or one that has not yet.
  [[nodiscard]] std::chrono::nanoseconds answer_delay(Instant now) const {
    const std::chrono::nanoseconds last(rtt_ns.load(std::memory_order_relaxed));
    return last_pong.get() == Instant() ? last : std::max<std::chrono::nanoseconds>(last, now - last_pong.get());
  }

  /// When this lane is to be given up, unless a record opens before. P-46
  [[nodiscard]] Instant dead_at() const {
    const auto round_trips = lane_dead_round_trips * std::chrono::nanoseconds(smoothed_rtt_ns.load(std::memory_order_relaxed));
    return last_authenticated.get() + std::max<std::chrono::nanoseconds>(times.dead, round_trips);
  }
};

}  // namespace lt::tunnel
