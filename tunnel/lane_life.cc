#include "tunnel/lane_life.h"

namespace lt::tunnel {

LaneLife::LaneLife(LaneTimes times, bool waits_for_turn, Instant now) {
  state_.times = times;
  state_.last_authenticated.set(now);
  state_.has_sending_turn.store(!waits_for_turn, std::memory_order_relaxed);
  state_.has_delivery_turn.store(!waits_for_turn, std::memory_order_relaxed);
}

void LaneLife::publish(Half half, std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  (half == Half::outbound ? wake_outbound_ : wake_inbound_) = std::move(wake);
}

void LaneLife::wake(Half half) {
  const std::lock_guard lock(mutex_);
  const auto& wake = half == Half::outbound ? wake_outbound_ : wake_inbound_;
  if (wake) wake();
}

void LaneLife::stop(GoodbyeReason reason, Instant now) { request_stop(reason, true, now); }

void LaneLife::request_stop(GoodbyeReason reason, bool by_owner, Instant now) {
  if (!state_.stop_requested.load(std::memory_order_acquire)) {
    state_.stop_reason.store(static_cast<std::uint8_t>(reason), std::memory_order_relaxed);
    state_.stop_at.set(now);
    if (by_owner) is_stopped_by_owner_.store(true, std::memory_order_relaxed);
    state_.stop_requested.store(true, std::memory_order_release);
  } else if (by_owner && reason != GoodbyeReason::moved && state_.is_moving()) {
    state_.stop_at.set(now);
    state_.is_hurried.store(true, std::memory_order_release);
    wake(Half::inbound);
  }
  wake(Half::outbound);
}

void LaneLife::abort(Instant now) {
  state_.abort_requested.store(true, std::memory_order_release);
  stop(GoodbyeReason::shutdown, now);
  wake(Half::inbound);
}

// --- handing over ---

// P-71
void LaneLife::hand_over_to(LaneLife& successor, std::optional<GoodbyeReason> reason, Instant now) {
  {
    const std::lock_guard lock(turn_mutex_);
    successor_ = &successor;
    passes_proof_ = reason == GoodbyeReason::moved;
    pass_on_proof();
    pass_on(Half::outbound);
    pass_on(Half::inbound);
  }
  if (reason) {
    stop(*reason, now);
  } else {
    abort(now);
  }
}

// Whom the successor would have handed over to is the successor now.
void LaneLife::forget_successor(const LaneLife& successor) {
  const std::lock_guard lock(turn_mutex_);
  if (successor_ != &successor) return;
  {
    const std::lock_guard lock_of_gone(successor.turn_mutex_);
    successor_ = successor.successor_;
  }
  pass_on(Half::outbound);
  pass_on(Half::inbound);
}

void LaneLife::take_turn(Half half) {
  const std::lock_guard lock(turn_mutex_);
  auto& turn = half == Half::outbound ? state_.has_sending_turn : state_.has_delivery_turn;
  turn.store(true, std::memory_order_release);
  wake(half);
  pass_on(half);
}

void LaneLife::finish_turn(Half half) {
  const std::lock_guard lock(turn_mutex_);
  (half == Half::outbound ? has_sent_last_ : has_delivered_last_) = true;
  pass_on_proof();
  pass_on(half);
}

// A lane that moves in good order has not been given up: what proved its path holds until the fresh one has its answer.
void LaneLife::pass_on_proof() {
  if (successor_ != nullptr && passes_proof_) successor_->state_.proven_before.set(state_.last_proof());
}

// A lane may end while it waits: its turn goes on only when it has come, or the next would overtake the one before.
void LaneLife::pass_on(Half half) {
  const bool is_over = half == Half::outbound ? has_sent_last_ : has_delivered_last_;
  const bool has_come = (half == Half::outbound ? state_.has_sending_turn : state_.has_delivery_turn).load();
  if (is_over && has_come && successor_ != nullptr) successor_->take_turn(half);
}

// --- the end ---

void LaneLife::on_inbound_end(LaneEnd end, std::string reason, Instant now) {
  inbound_end_ = end;
  inbound_reason_ = std::move(reason);
  publish(Half::inbound, nullptr);
  finish_turn(Half::inbound);
  request_stop(end == LaneEnd::bad_record ? GoodbyeReason::protocol_error : GoodbyeReason::shutdown, false, now);
}

void LaneLife::on_outbound_end() {
  if (!state_.has_said_goodbye.load(std::memory_order_acquire)) {
    state_.abort_requested.store(true, std::memory_order_release);
  }
  finish_turn(Half::outbound);
  wake(Half::inbound);
}

LaneReport LaneLife::report(LaneEnd outbound_end) const {
  const LaneEnd end = cause_of_end(outbound_end);
  if (is_moved(end)) return {LaneEnd::moved, "its traffic goes on over a fresh connection"};
  if (end == LaneEnd::dead) return {end, "no authenticated record for too long: the path is dead"};
  return {end, inbound_reason_.empty() || end != inbound_end_ ? name_of(end) : inbound_reason_};
}

// The side that found the cause names it; the other one was only told to stop.
LaneEnd LaneLife::cause_of_end(LaneEnd outbound_end) const {
  const bool is_answer = inbound_end_ == LaneEnd::peer_goodbye || inbound_end_ == LaneEnd::closed;
  const bool was_only_told = inbound_end_ == LaneEnd::local_stop ||
                             (is_answer && outbound_end == LaneEnd::local_stop && is_stopped_by_owner_.load());
  return was_only_told ? outbound_end : inbound_end_;
}

bool LaneLife::is_moved(LaneEnd end) const {
  constexpr auto moved = static_cast<std::uint8_t>(GoodbyeReason::moved);
  return (end == LaneEnd::local_stop && state_.stop_reason.load(std::memory_order_relaxed) == moved) ||
         (end == LaneEnd::peer_goodbye && state_.peer_reason.load(std::memory_order_relaxed) == moved);
}

}  // namespace lt::tunnel
