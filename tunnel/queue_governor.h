// QueueGovernor: keeps the queue that a lane builds in front of the line's bottleneck short. Pure: no socket, no clock.
//
// A sender that fills a line fills the buffer before it, too, and everything else on the line waits in that buffer, the
// express lane and the neighbours included. The governor sees the round trip rise above its floor, reads off at what rate
// the line delivers, and caps the lane's pacing there:
//
//   cruise   the cap creeps up until the queue stands above the target
//   drain    the cap drops below what is delivered until a quarter of the target is reached, then cruise from just below there
//   yield    the queue stays although we send far less, twice in a row: it is not ours. Or the line loses packets while
//            no queue stands, so that what it delivers says little of what it bears. The cap is lifted for a while, on a
//            lossy line for as long as it is lossy, and a lane neither starves beside senders that fill every buffer nor
//            pays for each loss with its rate
//
// Its parts are known: delay as the signal (Jacobson 1988, Brakmo's Vegas 1994, RFC 6817), the delivery rate as the
// measure (BBR, draft-cheng-iccrg-delivery-rate-estimation), a cumulative sum as the proof of a change (Page 1954), and
// giving up against buffer-filling senders (Copa 2018).
// Source: tailscale/wireguard-go#96 (queues of a tunnel cost 10 ms); RFC 6817.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "tunnel/path_sample.h"

namespace lt::tunnel {

class QueueGovernor {
 public:
  static constexpr std::uint64_t no_cap = ~std::uint64_t{0};

  /// @param target  the delay that bulk may add (unit: ns); 0: never caps
  explicit QueueGovernor(std::chrono::nanoseconds target) : target_(target) {}

  [[nodiscard]] bool is_on() const { return target_.count() > 0; }
  /// When the next sample is wanted: about once a round trip.
  [[nodiscard]] Instant next_sample() const { return next_sample_; }
  /// @return the new cap of the pacing (unit: B/s; no_cap: none), if it changes
  [[nodiscard]] std::optional<std::uint64_t> take(const PathSample& sample, Instant now);

  [[nodiscard]] std::uint64_t cap() const { return cap_; }
  [[nodiscard]] std::chrono::nanoseconds floor() const { return floor_; }

 private:
  enum class Phase : std::uint8_t { cruise, drain, yield };
  struct Past {
    Instant at{};
    std::uint64_t delivered{0};
    std::uint64_t cap{no_cap};  // from then on
  };

  struct Reading {
    const PathSample& sample;
    Instant now;
    std::chrono::nanoseconds queue;  // what the round trip is longer than its floor and its wavering explain
    double delivered;                // lately (unit: B/s)
  };

  void cruise(const Reading& reading);
  void drain(const Reading& reading);
  void yield(const Reading& reading);
  void start_drain(const Reading& reading, unsigned wanted_drained);
  void lower_knee(double rate, const Reading& reading);
  void resume(Instant now);
  void take_for_longer_path(const Reading& reading);
  void give_way(Instant now);
  void set_cap(double rate);
  [[nodiscard]] double drain_share(const Reading& reading) const;
  [[nodiscard]] double creep() const;

  void learn_floor(std::chrono::nanoseconds rtt, Instant now);
  void begin_floor(std::chrono::nanoseconds rtt, Instant now);
  [[nodiscard]] std::chrono::nanoseconds floor_depth() const;
  void learn_wavering(const PathSample& sample);
  void weigh(const Reading& reading);
  [[nodiscard]] std::chrono::nanoseconds alarm() const;
  [[nodiscard]] bool is_proven() const;

  void remember(const PathSample& sample, Instant now);
  void forget();
  [[nodiscard]] std::optional<double> delivery_rate() const;
  [[nodiscard]] std::uint64_t least_cap() const;
  void note_rate(const Reading& reading);
  [[nodiscard]] double best_rate() const;
  [[nodiscard]] double line_rate(const Reading& reading) const;
  void note_growth(double rate);
  [[nodiscard]] bool is_growing() const;

  void count_losses(const PathSample& sample);
  [[nodiscard]] bool loses_at_random() const;
  void judge_losses_anew() { calm_lost_ = calm_delivered_ = 0; }

  std::chrono::nanoseconds target_;
  Instant next_sample_{};
  Phase phase_{Phase::cruise};
  std::uint64_t cap_{no_cap};
  double knee_{0};             // what the line delivered when its queue was full (unit: B/s)
  double widest_{0};           // and the most that it did since it was last seen to be narrower (unit: B/s)
  bool was_narrower_{false};   // than the cap, in this drain
  unsigned calm_{0};           // samples since the queue last stood
  unsigned standing_{0};       // samples in a row with a queue above the target
  Instant since_{};            // of drain, or of yield
  // Now and then the queue is drained to its end, or the floor would creep up to the queue that we keep ourselves.
  bool is_deep_{false};
  Instant deep_at_{};
  unsigned drained_{0};          // samples near the floor in this drain
  unsigned wanted_drained_{0};
  Instant drained_at_{};         // the last sample of it
  std::chrono::nanoseconds drain_from_{0};  // the queue that it began with
  std::chrono::nanoseconds due_fall_{0};    // by how much it must have become shorter, if it was ours
  Instant longer_at_{};          // when a queue that did not go was last taken for a longer path

  // The floor is the least round trip of the last one to two windows.
  std::chrono::nanoseconds floor_{0};
  std::chrono::nanoseconds floor_next_{0};
  Instant floor_window_{};

  // What the round trip wavers by from one sample to the next without a queue: on a radio line the least of many lies
  // far below the mean, and many lie far above it.
  std::array<std::chrono::nanoseconds, 15> misses_{};
  std::size_t miss_count_{0};  // of all time
  unsigned samples_{0};
  std::chrono::nanoseconds wavering_{0};                   // the standard deviation
  std::array<std::chrono::nanoseconds, 2> rtts_before_{};  // the newest first

  // By how much, in sum, the queue was longer than wavering explains (Page's CUSUM test), and since when: from there on
  // the line was full.
  std::chrono::nanoseconds evidence_{0};
  Past full_since_{};
  unsigned full_for_{0};  // samples
  std::uint64_t full_lost_{0};

  // The rate that the last quarter of growth has reached, and for how many samples it has not grown by another.
  double grown_to_{0};
  unsigned full_{0};

  // The best delivery rate of the last second or two: one that was measured across a loss or a pause of the sender says
  // nothing of the line.
  std::array<double, 8> best_{};
  std::size_t best_at_{0};
  Instant best_since_{};

  // Losses while no queue stood.
  bool is_lossy_{false};  // why it yields
  std::uint64_t lost_before_{0};
  std::uint64_t delivered_before_{0};  // by the sample before (unit: B)
  unsigned queue_gone_for_{0};  // samples
  std::uint64_t calm_lost_{0};
  std::uint64_t calm_delivered_{0};

  std::array<Past, 6> past_{};
  std::size_t past_count_{0};
};

}  // namespace lt::tunnel
