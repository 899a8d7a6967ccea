#include "tunnel/flow_turns.h"

#include <algorithm>
#include <utility>

namespace lt::tunnel {

FlowTurns::FlowTurns(std::size_t queues) : queues_(queues) { due_.reserve(queues); }

void FlowTurns::begin_batch() {
  due_.clear();
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    Queue& queue = queues_[i];
    if (queue.is_awaited) {
      queue.was_empty = true;
      continue;
    }
    queue.is_read = false;
    due_.push_back(i);
  }
  left_out_ = due_.size();
}

std::optional<FlowTurns::Turn> FlowTurns::next() {
  if (due_.empty()) return std::nullopt;
  const auto least = std::ranges::min_element(due_, {}, [this](std::size_t i) { return queues_[i].count; });
  Queue& queue = queues_[*least];
  const Turn turn{.queue = *least, .charged = queue.expected, .waits = !queue.is_read};
  count_ = std::max(count_, queue.count);
  queue.count += turn.charged;
  queue.is_read = true;
  if (turn.waits) {
    queue.is_awaited = true;
    --left_out_;
  }
  return turn;
}

void FlowTurns::end_read(const Turn& turn) {
  Queue& queue = queues_[turn.queue];
  queue.count -= turn.charged;
  if (turn.waits) queue.is_awaited = false;
}

void FlowTurns::took(const Turn& turn, std::size_t packet_bytes) {
  end_read(turn);
  Queue& queue = queues_[turn.queue];
  if (turn.waits && std::exchange(queue.was_empty, false)) queue.count = std::max(queue.count, count_);
  queue.count += packet_bytes;
  queue.expected = packet_bytes;
}

void FlowTurns::took_nothing(const Turn& turn) { end_read(turn); }

}  // namespace lt::tunnel
