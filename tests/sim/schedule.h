// Schedule: the only clock of a simulation, and what is to happen when. Two things due at the same moment happen in the
// order in which they were planned.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "base/clock.h"

namespace lt::sim {

class Schedule {
 public:
  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  [[nodiscard]] std::size_t planned() const { return heap_.size(); }

  /// @param task  a small closure of plain values
  template <class Task>
  void at(Instant when, Task task) {
    static_assert(std::is_trivially_copyable_v<Task> && sizeof(Task) <= sizeof(Entry::storage));
    Entry entry{std::max(when, now_), ++sequence_, [](const void* stored) {
                  Task copy = *static_cast<const Task*>(stored);
                  copy();
                }, {}};
    std::memcpy(entry.storage, &task, sizeof task);
    heap_.push_back(entry);
    std::push_heap(heap_.begin(), heap_.end(), Later());
  }
  template <class Task>
  void after(std::chrono::nanoseconds wait, Task task) {
    at(now_ + wait, task);
  }

  /// Lets the next thing happen, if it is due before `until`; else moves the clock there. @return false: nothing was
  bool step(Instant until) {
    if (heap_.empty() || heap_.front().when > until) {
      now_ = std::max(now_, until);
      return false;
    }
    std::pop_heap(heap_.begin(), heap_.end(), Later());
    const Entry entry = heap_.back();
    heap_.pop_back();
    now_ = entry.when;
    ++steps_;
    entry.run(entry.storage);
    return true;
  }

 private:
  struct Entry {
    Instant when;
    std::uint64_t sequence;
    void (*run)(const void*);
    alignas(8) unsigned char storage[56];
  };
  struct Later {
    bool operator()(const Entry& left, const Entry& right) const {
      return left.when != right.when ? left.when > right.when : left.sequence > right.sequence;
    }
  };

  Instant now_{std::chrono::hours(24)};
  std::uint64_t sequence_{0};
  std::uint64_t steps_{0};
  std::vector<Entry> heap_;
};

}  // namespace lt::sim
