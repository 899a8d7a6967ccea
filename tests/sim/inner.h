// Inner connections: what two programs of the two LANs have between them, as their kernels see it. One message at a time
// goes to and fro; what is not answered is sent again, after a wait that doubles, and after the 15th time in vain the
// connection is reset: Linux' tcp_retries2.
#pragma once

#include <vector>

#include "tests/sim/world.h"

namespace lt::sim {

class InnerConnections {
 public:
  InnerConnections(World& world, std::size_t count) : world_(world), all_(count) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t queue = i % world.options().lanes;
      all_[i].there = world.add_flow({.side = 0, .queue = queue, .packet_bytes = 400, .interval = std::chrono::hours(1)});
      all_[i].back = world.add_flow({.side = 1, .queue = queue, .packet_bytes = 100, .interval = std::chrono::hours(1)});
      by_flow_.resize(all_[i].back + 1, count);
      by_flow_[all_[i].there] = by_flow_[all_[i].back] = i;
    }
    world_.on_delivery = [this](std::uint32_t flow) { on_delivery(flow); };
    for (std::size_t i = 0; i < count; ++i) send(i);
  }
  ~InnerConnections() { world_.on_delivery = nullptr; }
  InnerConnections(const InnerConnections&) = delete;
  InnerConnections& operator=(const InnerConnections&) = delete;

  [[nodiscard]] std::uint64_t resets() const {
    std::uint64_t count = 0;
    for (const auto& each : all_) count += each.is_reset ? 1U : 0U;
    return count;
  }
  [[nodiscard]] std::vector<std::uint64_t> turns() const {
    std::vector<std::uint64_t> turns;
    for (const auto& each : all_) turns.push_back(each.turns);
    return turns;
  }

 private:
  static constexpr unsigned tries_max = 15;
  struct Inner {
    std::uint32_t there{0};
    std::uint32_t back{0};
    std::uint64_t turns{0};
    std::uint64_t timer{0};
    unsigned tries{0};
    nanoseconds wait{};
    bool is_reset{false};
  };

  void send(std::size_t index) {
    Inner& inner = all_[index];
    inner.tries = 0;
    inner.wait = std::chrono::milliseconds(200) + 2 * world_.options().round_trip;
    transmit(index);
  }
  void transmit(std::size_t index) {
    Inner& inner = all_[index];
    world_.send_now(inner.there);
    const std::uint64_t timer = ++inner.timer;
    world_.schedule().after(inner.wait, [this, index, timer] { on_timer(index, timer); });
  }
  void on_timer(std::size_t index, std::uint64_t timer) {
    Inner& inner = all_[index];
    if (timer != inner.timer || inner.is_reset) return;
    if (++inner.tries > tries_max) {
      inner.is_reset = true;
      return;
    }
    inner.wait = std::min<nanoseconds>(2 * inner.wait, std::chrono::seconds(120));
    transmit(index);
  }
  void on_delivery(std::uint32_t flow) {
    if (flow >= by_flow_.size() || by_flow_[flow] >= all_.size()) return;
    const std::size_t index = by_flow_[flow];
    Inner& inner = all_[index];
    if (inner.is_reset) return;
    if (flow == inner.there) return world_.send_now(inner.back);
    ++inner.turns;
    ++inner.timer;  // answered
    world_.schedule().after(std::chrono::seconds(2), [this, index] { send(index); });
  }

  World& world_;
  std::vector<Inner> all_;
  std::vector<std::size_t> by_flow_;
};

}  // namespace lt::sim
