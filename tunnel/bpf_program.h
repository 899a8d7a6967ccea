// BpfAssembler: eBPF programs written in C++, instruction by instruction, with named registers and
// labels. Only what our programs need. There is no compiler for them in the build and no loader in
// the package: a program of ours is a function, next to the code that says the same in C++.
// Source: Linux Documentation/bpf/standardization/instruction-set.rst; ADR
// docs/adr/0016-steering-by-ebpf.md.
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace lt::tunnel {

/// r0 is a result; r1..r5 are arguments, lost in a call; r6..r9 survive it; r10 is the end of the
/// stack, read only.
enum class Reg : std::uint8_t { r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10 };

enum class Width : std::uint8_t { u8 = BPF_B, u16 = BPF_H, u32 = BPF_W, u64 = BPF_DW };

enum class Condition : std::uint8_t {
  equal = BPF_JEQ,
  not_equal = BPF_JNE,
  below = BPF_JLT,  // unsigned, as all of these
  above = BPF_JGT,
  at_least = BPF_JGE,
};

class BpfAssembler {
 public:
  /// A place in the program, to jump to; bound once, before or after the jumps. Jumps go forward
  /// only: a program without loops ends.
  class Label {
    friend class BpfAssembler;
    explicit Label(std::size_t index) : index_(index) {}
    std::size_t index_;
  };
  [[nodiscard]] Label label();
  void bind(Label label);

  void load(Width width, Reg target, Reg base, std::int16_t offset);
  void store(Width width, Reg base, std::int16_t offset, std::int32_t value);
  void store(Width width, Reg base, std::int16_t offset, Reg source);
  void move(Reg target, Reg source);
  void move(Reg target, std::int32_t value);
  void move_wide(Reg target, std::uint64_t value);
  /// The address of byte `offset` of the only value of array `map_fd`.
  void move_map_value(Reg target, int map_fd, std::uint32_t offset);

  void add(Reg target, Reg source) { math(BPF_ADD, target, source); }
  void add(Reg target, std::int32_t value) { math(BPF_ADD, target, value); }
  void subtract(Reg target, Reg source) { math(BPF_SUB, target, source); }
  void multiply(Reg target, Reg source) { math(BPF_MUL, target, source); }
  void keep_bits(Reg target, std::int32_t mask) { math(BPF_AND, target, mask); }
  void flip_bits(Reg target, Reg source) { math(BPF_XOR, target, source); }
  void shift_left(Reg target, std::int32_t bits) { math(BPF_LSH, target, bits); }
  void shift_right(Reg target, std::int32_t bits) { math(BPF_RSH, target, bits); }
  void shift_right(Reg target, Reg bits) { math(BPF_RSH, target, bits); }
  /// From network order, as loaded, to a number. `bits`: 16, 32, 64; those above become zero.
  void from_network(Reg target, std::int32_t bits);

  void jump(Label to);
  void jump_if(Reg left, Condition condition, std::int32_t right, Label to);
  void jump_if(Reg left, Condition condition, Reg right, Label to);
  void call(std::int32_t kernel_function);
  void exit();

  /// @pre every label is bound
  [[nodiscard]] std::vector<bpf_insn> finish();

 private:
  struct Jump {
    std::size_t at;
    std::size_t label;
  };
  void emit(unsigned code, Reg target, Reg source, std::int16_t offset, std::int32_t value);
  void math(unsigned operation, Reg target, Reg source);
  void math(unsigned operation, Reg target, std::int32_t value);
  void aim(Label to);

  std::vector<bpf_insn> program_;
  std::vector<std::ptrdiff_t> bound_;  // by label; -1: not yet
  std::vector<Jump> jumps_;
};

/// An array of one value, in memory that this process may map.
/// @error not_permitted, unsupported
[[nodiscard]] Result<Fd> create_bpf_table(const char* name, std::uint32_t value_bytes);

/// Has the kernel check `program` and keep it.
/// @error not_permitted
/// @error unsupported    the kernel refuses it; the last line of its reasons is in the sentence
[[nodiscard]] Result<Fd> load_socket_filter(const char* name, std::span<const bpf_insn> program);

}  // namespace lt::tunnel
