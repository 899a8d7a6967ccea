#include "tests/sim/fibre.h"

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <vector>

#include "base/assert.h"
#include "base/sanitizers.h"

// The sanitizers have to be told when the stack changes under them.
#if LT_HAS_ADDRESS_SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif
#if LT_HAS_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace lt::sim {

namespace context = boost::context::detail;

namespace {

struct Killed {};

constexpr std::size_t stack_bytes = 256 * 1024;

using Stack = std::unique_ptr<std::byte[]>;

// Stacks are kept: a simulation makes and ends thousands of fibres.
std::vector<Stack>& spare_stacks() {
  static thread_local std::vector<Stack> stacks;
  return stacks;
}

Stack take_stack() {
  auto& spare = spare_stacks();
  if (spare.empty()) return Stack(new std::byte[stack_bytes]);
  Stack stack = std::move(spare.back());
  spare.pop_back();
  return stack;
}

}  // namespace

struct Fibre::State {
  std::function<void()> body;
  Stack stack{take_stack()};
  context::fcontext_t inside{nullptr};
  context::fcontext_t outside{nullptr};
  bool is_over{false};
  bool is_killed{false};
#if LT_HAS_ADDRESS_SANITIZER
  void* fake_stack_inside{nullptr};
  void* fake_stack_outside{nullptr};
  const void* bottom_outside{nullptr};
  std::size_t size_outside{0};
#endif
#if LT_HAS_THREAD_SANITIZER
  void* tsan_inside{__tsan_create_fiber(0)};
  void* tsan_outside{nullptr};
#endif

  ~State() {
#if LT_HAS_THREAD_SANITIZER
    __tsan_destroy_fiber(tsan_inside);
#endif
    spare_stacks().push_back(std::move(stack));
  }

  static State*& current() {
    static thread_local State* running = nullptr;
    return running;
  }

  void enter() {
    State* const before = std::exchange(current(), this);
    LT_ASSERT(before == nullptr);
#if LT_HAS_THREAD_SANITIZER
    tsan_outside = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(tsan_inside, 0);
#endif
#if LT_HAS_ADDRESS_SANITIZER
    __sanitizer_start_switch_fiber(&fake_stack_outside, stack.get(), stack_bytes);
#endif
    inside = context::jump_fcontext(inside, this).fctx;
#if LT_HAS_ADDRESS_SANITIZER
    __sanitizer_finish_switch_fiber(fake_stack_outside, nullptr, nullptr);
#endif
    current() = nullptr;
  }

  void leave() {
#if LT_HAS_THREAD_SANITIZER
    __tsan_switch_to_fiber(tsan_outside, 0);
#endif
#if LT_HAS_ADDRESS_SANITIZER
    __sanitizer_start_switch_fiber(is_over ? nullptr : &fake_stack_inside, bottom_outside, size_outside);
#endif
    outside = context::jump_fcontext(outside, this).fctx;
    arrived();
  }

  void arrived() {
#if LT_HAS_ADDRESS_SANITIZER
    __sanitizer_finish_switch_fiber(fake_stack_inside, &bottom_outside, &size_outside);
#endif
  }

  static void begin(context::transfer_t from) {
    auto* const self = static_cast<State*>(from.data);
    self->outside = from.fctx;
    self->arrived();
    try {
      if (!self->is_killed) self->body();
    } catch (const Killed&) {  // its stack is unwound by now
    }
    self->is_over = true;
    self->leave();
  }
};

Fibre::Fibre(std::function<void()> body) : state_(std::make_unique<State>()) {
  state_->body = std::move(body);
  state_->inside = context::make_fcontext(state_->stack.get() + stack_bytes, stack_bytes, State::begin);
}

Fibre::~Fibre() { kill(); }

void Fibre::resume() {
  if (!state_->is_over) state_->enter();
}

void Fibre::suspend() {
  State* const self = State::current();
  LT_ASSERT(self != nullptr);
  self->leave();
  if (self->is_killed) throw Killed();
}

void Fibre::kill() {
  state_->is_killed = true;
  resume();
  LT_ASSERT(state_->is_over);
}

bool Fibre::is_over() const { return state_->is_over; }

}  // namespace lt::sim
