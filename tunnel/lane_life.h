// LaneLife: how the two halves of a lane stop, hand over and end. No socket, no clock, no thread of its own: `Lane` runs
// the halves as two threads, a simulation step by step.
//
// A half runs, ends, and says so here. What it says wakes the other half, and gives the successor its turn: a lane that
// takes over reads its TUN queue, and delivers, only when its predecessor has done so for the last time.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "tunnel/lane_state.h"

namespace lt::tunnel {

struct LaneReport {
  LaneEnd end{LaneEnd::running};
  std::string reason;  // one sentence, for the log
};

class LaneLife {
 public:
  enum class Half : std::uint8_t { outbound, inbound };

  /// @param waits_for_turn  it is the successor of a lane that will hand_over_to() it
  LaneLife(LaneTimes times, bool waits_for_turn, Instant now);

  [[nodiscard]] LaneState& state() { return state_; }
  [[nodiscard]] const LaneState& state() const { return state_; }

  /// How a half is woken while it runs; nothing: it no longer does. @thread the half's
  void publish(Half half, std::function<void()> wake);
  /// @thread any
  void wake(Half half);

  /// Asks it to end with GOODBYE(`reason`). @thread any
  void stop(GoodbyeReason reason, Instant now);
  /// Ends it without a word. @thread any
  void abort(Instant now);
  /// Ends it, with GOODBYE(`reason`) or without a word; each direction of `successor` then takes its turn.
  /// @pre `successor` lives until both halves of this have ended, or until forget_successor(), which is called for lanes
  ///      that are gone in the order in which they came
  /// @thread the owner's
  void hand_over_to(LaneLife& successor, std::optional<GoodbyeReason> reason, Instant now);
  void forget_successor(const LaneLife& successor);

  /// The inbound half has delivered its last packet; the outbound half is asked to end. @thread inbound
  void on_inbound_end(LaneEnd end, std::string reason, Instant now);
  /// The outbound half has sent its last record; the inbound half, without a GOODBYE, ends at once. @thread outbound
  void on_outbound_end();
  /// Why the lane has ended. @pre both halves have ended
  [[nodiscard]] LaneReport report(LaneEnd outbound_end) const;

 private:
  void request_stop(GoodbyeReason reason, bool by_owner, Instant now);
  void take_turn(Half half);
  void finish_turn(Half half);
  void pass_on(Half half);  // @pre turn_mutex_ is held
  void pass_on_proof();     // @pre turn_mutex_ is held
  [[nodiscard]] LaneEnd cause_of_end(LaneEnd outbound_end) const;
  [[nodiscard]] bool is_moved(LaneEnd end) const;

  LaneState state_;
  std::mutex mutex_;  // guards the two functions: each is there while its half runs
  std::function<void()> wake_outbound_;
  std::function<void()> wake_inbound_;
  mutable std::mutex turn_mutex_;  // guards the three below; taken before those of the successor, and before `mutex_`
  LaneLife* successor_{nullptr};
  bool has_sent_last_{false};
  bool has_delivered_last_{false};
  bool passes_proof_{false};  // guarded likewise

  LaneEnd inbound_end_{LaneEnd::running};  // written by inbound before it ends
  std::string inbound_reason_;
  std::atomic<bool> is_stopped_by_owner_{false};
};

}  // namespace lt::tunnel
