// Running: one allowed pipeline as children, with the ends that its session reads and writes. Children
// are started from argument vectors; they die with the thread that started them. Never blocks.
#pragma once

#include <vector>

#include "base/fd.h"
#include "base/process.h"
#include "base/result.h"
#include "mirror/command_text.h"

namespace lt::mirror {

class Running {
 public:
  /// @error not_found: a program is not installed · io
  [[nodiscard]] static Result<Running> start(const Pipeline& pipeline);

  Running(Running&&) noexcept = default;
  Running& operator=(Running&&) noexcept = default;

  [[nodiscard]] Fd& input() { return input_; }    // write; closed: no more input
  [[nodiscard]] Fd& output() { return output_; }  // read
  [[nodiscard]] Fd& errors() { return errors_; }  // read
  [[nodiscard]] const Fd& input() const { return input_; }
  [[nodiscard]] const Fd& output() const { return output_; }
  [[nodiscard]] const Fd& errors() const { return errors_; }
  [[nodiscard]] int pid_of(std::size_t stage) const { return members_[stage].child.pid(); }

  /// A descriptor for each child that turns readable at its end.
  [[nodiscard]] std::vector<int> end_fds() const;
  /// Whether all children have ended; takes note of their ends.
  [[nodiscard]] bool has_ended();
  /// Of the last stage. @pre has_ended()
  [[nodiscard]] int exit_status() const { return exit_status_; }
  /// Whether somebody has stopped one of them.
  [[nodiscard]] bool is_stopped() const;
  void signal(int number);

 private:
  struct Member {
    Child child;
    Fd end;
  };
  Running() = default;

  std::vector<Member> members_;
  Fd input_;
  Fd output_;
  Fd errors_;
  int exit_status_{0};
};

}  // namespace lt::mirror
