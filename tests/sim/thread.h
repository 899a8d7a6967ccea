// Thread: one of a daemon's threads, run as a fibre when the simulation says so: a little late, sometimes much, and not
// at all while its daemon is stopped.
#pragma once

#include <functional>

#include "base/clock.h"
#include "tests/sim/dice.h"
#include "tests/sim/fibre.h"
#include "tests/sim/schedule.h"

namespace lt::sim {

/// How a daemon's threads get on: its clock, and whether they run.
struct Pace {
  Schedule* schedule{nullptr};
  Dice* dice{nullptr};
  std::chrono::nanoseconds clock_offset{0};     // of the daemon's clock from the simulation's
  std::chrono::nanoseconds latency_max{50'000};  // of a thread that may run, until it does
  double stall_chance{0};                       // that it is not 50 us but up to 20 ms
  bool is_stopped{false};                       // SIGSTOP
  std::uint64_t spins{0};                       // turns of a thread that had nothing to do
  [[nodiscard]] Instant now() const { return schedule->now() + clock_offset; }
  [[nodiscard]] std::chrono::nanoseconds draw_latency() {
    if (stall_chance > 0 && dice->chance(stall_chance)) return dice->between(std::chrono::nanoseconds(0), std::chrono::milliseconds(20));
    return dice->between(std::chrono::nanoseconds(0), latency_max);
  }
};

/// Lives as long as the simulation; its fibre only as long as the daemon.
class Thread {
 public:
  Thread(Pace& pace, std::function<void()> body) : pace_(&pace), fibre_(std::make_unique<Fibre>(std::move(body))) {}

  [[nodiscard]] Instant now() const { return pace_->now(); }

  /// It has something to do: it will run.
  void ready() {
    if (fibre_ == nullptr || is_ready_) return;
    is_ready_ = true;
    if (pace_->is_stopped) return;
    pace_->schedule->after(pace_->draw_latency(), [this] { run(); });
  }
  /// After its daemon was stopped.
  void go_on() {
    if (fibre_ == nullptr) return;
    is_ready_ = false;
    ready();
  }
  /// From inside: until ready() or `until`.
  void wait(Instant until) {
    wait_until_ = until;
    is_waiting_ = true;
    set_alarm();
    Fibre::suspend();
    is_waiting_ = false;
  }
  void maybe_preempt() {
    if (!pace_->dice->chance(0.02)) return;
    wait(now() + pace_->draw_latency());
  }
  /// From inside: wait() ended for nothing. Many in a row at one moment is a spin.
  void note_idle_return() {
    idle_returns_ = now() == idle_at_ ? idle_returns_ + 1 : 0;
    idle_at_ = now();
    if (idle_returns_ > 20) {
      ++pace_->spins;
      wait(now() + std::chrono::milliseconds(1));  // time stands still for a thread that spins
    }
  }
  void kill() { fibre_.reset(); }
  [[nodiscard]] bool is_over() const { return fibre_ == nullptr || fibre_->is_over(); }

 private:
  void run() {
    if (!is_ready_ || pace_->is_stopped) return;
    is_ready_ = false;
    if (fibre_ != nullptr) fibre_->resume();
  }
  void set_alarm() {
    const Instant when = wait_until_ - pace_->clock_offset;
    if (has_alarm_ && alarm_at_ <= when) return;
    has_alarm_ = true;
    alarm_at_ = when;
    pace_->schedule->at(when, [this, when] { on_alarm(when); });
  }
  void on_alarm(Instant when) {
    if (!has_alarm_ || alarm_at_ != when) return;
    has_alarm_ = false;
    if (fibre_ == nullptr || !is_waiting_) return;
    if (now() >= wait_until_) return ready();
    set_alarm();
  }

  Pace* pace_;
  std::unique_ptr<Fibre> fibre_;
  Instant wait_until_{};
  Instant alarm_at_{};
  bool has_alarm_{false};
  bool is_waiting_{false};
  bool is_ready_{false};
  Instant idle_at_{};
  unsigned idle_returns_{0};
};

}  // namespace lt::sim
