// Interrupt: SIGINT and SIGTERM as a stop request, for commands that have something to take down.
//
// The signals are blocked in every thread made afterwards and waited for in one of its own, so nothing runs inside a
// signal handler. Children start with all signals unblocked (base/process.cc).
#pragma once

#include <stop_token>
#include <thread>

namespace lt::app {

class Interrupt {
 public:
  /// @pre no other thread of the program runs yet
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }
  [[nodiscard]] bool is_requested() const { return source_.stop_requested(); }

 private:
  std::stop_source source_;
  std::jthread waiter_;
};

}  // namespace lt::app
