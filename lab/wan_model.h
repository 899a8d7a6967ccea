// WanModel: what one direction of a WAN does to packets, as a pure function of their sizes, their
// times and a seed.
//
// Theory of operation. A packet passes three places, always in order:
//
//   offer() --> queue ----------> line ---------> flight --> take()
//               waits, bounded    size / rate     delay + jitter(t)
//               in bytes
//
// - The queue drops at its tail: what would not fit is dropped when it is offered.
// - The line sends one packet at a time. Its times are computed, not awaited: a caller that looks
//   late finds the same times, so a sleepy caller does not slow the line. A new rate holds from the
//   next packet on the line.
// - The flight adds the delay. Jitter is a function of time alone: a path of straight pieces
//   between random knots, drawn within +-jitter, never falling faster than time passes; so it
//   reorders nothing and does not depend on how many packets there are, as the queues of a real
//   path would have it.
// - Fate falls at the end of the flight, in order: lost (single or burst), corrupted, or delivered.
// - Black-out: what is offered or held while it is on is gone.
//
// Loss by the model of Gilbert and Elliott: in the good state packets are lost with probability
// `loss`, in the bad one all are; the bad state holds `burst_share` of the packets and lasts
// `burst_packets` in the mean.
//
// The law: in == out + lost + dropped + blackout + held, at every moment.
//
// Not here: storage of packets (frame_store.h), devices and threads (wan_emulator.h).
// Sources: E. N. Gilbert, Bell System Technical Journal 39 (1960); E. O. Elliott, ibid. 42 (1963).
// @thread one at a time; allocates only when it is made
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/units.h"
#include "lab/router.h"
#include "lab/wan_settings.h"

namespace lt::lab {

/// What became of the packets of one direction since it was made. Bytes are of layer 3.
struct WanCounters {
  std::uint64_t packets_in{0}, bytes_in{0};      // offered
  std::uint64_t packets_out{0}, bytes_out{0};    // delivered, the corrupted among them
  std::uint64_t packets_lost_single{0};          // lost one by one
  std::uint64_t packets_lost_burst{0};           // lost in bursts
  std::uint64_t packets_dropped_queue{0};        // the queue was full
  std::uint64_t packets_dropped_storage{0};      // the emulator's memory was full: not asked for
  std::uint64_t packets_too_large{0};            // above the path's MTU, and not to be fragmented
  std::uint64_t packets_dropped_fragment{0};     // where fragments are dropped
  std::uint64_t packets_dropped_icmp{0};         // where ICMP is dropped
  std::uint64_t packets_blackout{0};             // gone in a black-out
  std::uint64_t packets_corrupted{0};            // delivered with one flipped bit
  std::uint64_t packets_held{0}, bytes_held{0};  // under way now

  [[nodiscard]] std::uint64_t packets_lost() const {
    return packets_lost_single + packets_lost_burst;
  }
  [[nodiscard]] std::uint64_t packets_dropped() const {
    return packets_dropped_queue + packets_dropped_storage + packets_too_large +
           packets_dropped_fragment + packets_dropped_icmp;
  }
  /// The law of conservation.
  [[nodiscard]] bool conserved() const {
    return packets_in ==
           packets_out + packets_lost() + packets_dropped() + packets_blackout + packets_held;
  }
  [[nodiscard]] Json to_json() const;
};

enum class Offer : std::uint8_t { accepted, refused };
enum class Fate : std::uint8_t { delivered, lost };

/// The oldest held packet leaves; the caller removes it from its own storage too.
struct Departure {
  Fate fate;
  Instant due;                        // when it left: not later than the `now` of take()
  std::optional<std::uint64_t> flip;  // corrupted: flip bit (flip mod payload bits)
};

class WanModel {
 public:
  /// `direction` is mixed into the seed: the two directions of one seed meet different fates.
  WanModel(const WanSettings& settings, Direction direction, Instant now);

  /// New settings from `now` on. The random sequences go on, unless the seed changes: then they
  /// begin anew.
  void set(const WanSettings& settings, Instant now);
  [[nodiscard]] const WanSettings& settings() const { return settings_; }

  /// A packet of `size` arrives. Refused: it is counted and must not be stored.
  [[nodiscard]] Offer offer(Bytes size, Instant now);
  /// A packet arrived for which the caller has no room: counted as dropped.
  void refuse_for_storage(Bytes size);
  /// A packet arrived that a router drops for what it is: counted. @pre neither pass nor cut
  void refuse_by_router(Bytes size, Ruling ruling);

  /// The oldest packet, if its time has come. Call until it yields nothing.
  [[nodiscard]] std::optional<Departure> take(Instant now);
  /// Not before this moment will take() yield anything; nothing: not before the next offer() or
  /// set().
  [[nodiscard]] std::optional<Instant> next_event() const;

  [[nodiscard]] const WanCounters& counters() const { return counters_; }

  static constexpr std::size_t packets_held_max = std::size_t{1} << 18;

 private:
  struct Held {
    Instant when;  // waiting: its arrival; flying: when it is due
    std::uint32_t bytes;
  };
  [[nodiscard]] Held& at(std::uint64_t position) { return ring_[position % packets_held_max]; }
  [[nodiscard]] const Held& at(std::uint64_t position) const {
    return ring_[position % packets_held_max];
  }

  void reseed();
  void advance(Instant now);
  [[nodiscard]] Nanoseconds jitter_at(Instant when) const;
  [[nodiscard]] Fate draw_fate();

  WanSettings settings_;
  Direction direction_;
  Instant epoch_;  // where jitter's time begins
  Instant line_free_at_;
  Instant last_due_;  // order: nothing is due before what went ahead
  // Positions count packets since the beginning: [head_, line_) flies, [line_, tail_) waits.
  std::vector<Held> ring_;
  std::uint64_t head_{0}, line_{0}, tail_{0};
  std::uint64_t waiting_bytes_{0};
  bool in_burst_{false};
  // One sequence for each purpose: a change of one does not shift the others.
  Random loss_, burst_, corrupt_;
  WanCounters counters_;
};

}  // namespace lt::lab
