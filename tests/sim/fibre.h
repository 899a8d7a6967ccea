// Fibre: a function that runs on a stack of its own until it suspends itself, and goes on when it is resumed. What are
// threads in the daemon are fibres here, so that the simulation alone decides who runs when.
#pragma once

#include <functional>
#include <memory>

namespace lt::sim {

class Fibre {
 public:
  explicit Fibre(std::function<void()> body);
  ~Fibre();  // kills it
  Fibre(const Fibre&) = delete;
  Fibre& operator=(const Fibre&) = delete;

  /// Runs it until it suspends itself or ends. @pre called from outside any fibre
  void resume();
  /// From inside: back to whoever resumed it. Where it has been killed meanwhile, its stack is unwound.
  static void suspend();
  /// Unwinds its stack, as if the process had been killed: destructors run, nothing else does.
  void kill();
  [[nodiscard]] bool is_over() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lt::sim
