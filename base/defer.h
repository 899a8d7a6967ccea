// LT_DEFER: runs its statement when the scope ends.
#pragma once

#include <utility>

namespace lt {

template <class Action>
class Deferred {
 public:
  explicit Deferred(Action action) : action_(std::move(action)) {}
  ~Deferred() { action_(); }
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;

 private:
  Action action_;
};

}  // namespace lt

#define LT_DEFER_NAMED(name, statement) \
  const ::lt::Deferred name([&] { statement; })
#define LT_DEFER_JOIN(a, b) a##b
#define LT_DEFER_AT(counter, statement) LT_DEFER_NAMED(LT_DEFER_JOIN(lt_defer_, counter), statement)
#define LT_DEFER(statement) LT_DEFER_AT(__COUNTER__, statement)
