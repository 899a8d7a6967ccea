#include "tunnel/bpf_program.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string_view>

#include "base/assert.h"

namespace lt::tunnel {

namespace {

std::uint8_t number_of(Reg reg) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(reg) & 0x0f);
}

}  // namespace

BpfAssembler::Label BpfAssembler::label() {
  bound_.push_back(-1);
  return Label(bound_.size() - 1);
}

void BpfAssembler::bind(Label label) {
  LT_ASSERT(bound_[label.index_] < 0);
  bound_[label.index_] = static_cast<std::ptrdiff_t>(program_.size());
}

void BpfAssembler::emit(unsigned code, Reg target, Reg source, std::int16_t offset,
                        std::int32_t value) {
  bpf_insn instruction{};
  instruction.code = static_cast<std::uint8_t>(code);
  instruction.dst_reg = number_of(target) & 0x0f;
  instruction.src_reg = number_of(source) & 0x0f;
  instruction.off = offset;
  instruction.imm = value;
  program_.push_back(instruction);
}

void BpfAssembler::load(Width width, Reg target, Reg base, std::int16_t offset) {
  emit(BPF_LDX | BPF_MEM | static_cast<unsigned>(width), target, base, offset, 0);
}

void BpfAssembler::store(Width width, Reg base, std::int16_t offset, std::int32_t value) {
  emit(BPF_ST | BPF_MEM | static_cast<unsigned>(width), base, Reg::r0, offset, value);
}

void BpfAssembler::store(Width width, Reg base, std::int16_t offset, Reg source) {
  emit(BPF_STX | BPF_MEM | static_cast<unsigned>(width), base, source, offset, 0);
}

void BpfAssembler::move(Reg target, Reg source) {
  emit(BPF_ALU64 | BPF_MOV | BPF_X, target, source, 0, 0);
}

void BpfAssembler::move(Reg target, std::int32_t value) {
  emit(BPF_ALU64 | BPF_MOV | BPF_K, target, Reg::r0, 0, value);
}

// Two instructions; the second holds the upper half.
void BpfAssembler::move_wide(Reg target, std::uint64_t value) {
  emit(BPF_LD | BPF_DW | BPF_IMM, target, Reg::r0, 0, static_cast<std::int32_t>(value));
  emit(0, Reg::r0, Reg::r0, 0, static_cast<std::int32_t>(value >> 32));
}

void BpfAssembler::move_map_value(Reg target, int map_fd, std::uint32_t offset) {
  emit(BPF_LD | BPF_DW | BPF_IMM, target, Reg(BPF_PSEUDO_MAP_VALUE), 0, map_fd);
  emit(0, Reg::r0, Reg::r0, 0, static_cast<std::int32_t>(offset));
}

void BpfAssembler::math(unsigned operation, Reg target, Reg source) {
  emit(BPF_ALU64 | operation | BPF_X, target, source, 0, 0);
}

void BpfAssembler::math(unsigned operation, Reg target, std::int32_t value) {
  emit(BPF_ALU64 | operation | BPF_K, target, Reg::r0, 0, value);
}

void BpfAssembler::from_network(Reg target, std::int32_t bits) {
  emit(BPF_ALU | BPF_END | BPF_TO_BE, target, Reg::r0, 0, bits);
}

void BpfAssembler::aim(Label to) {
  jumps_.push_back({program_.size(), to.index_});
}

void BpfAssembler::jump(Label to) {
  aim(to);
  emit(BPF_JMP | BPF_JA, Reg::r0, Reg::r0, 0, 0);
}

void BpfAssembler::jump_if(Reg left, Condition condition, std::int32_t right, Label to) {
  aim(to);
  emit(BPF_JMP | BPF_K | static_cast<unsigned>(condition), left, Reg::r0, 0, right);
}

void BpfAssembler::jump_if(Reg left, Condition condition, Reg right, Label to) {
  aim(to);
  emit(BPF_JMP | BPF_X | static_cast<unsigned>(condition), left, right, 0, 0);
}

void BpfAssembler::call(std::int32_t kernel_function) {
  emit(BPF_JMP | BPF_CALL, Reg::r0, Reg::r0, 0, kernel_function);
}

void BpfAssembler::exit() {
  emit(BPF_JMP | BPF_EXIT, Reg::r0, Reg::r0, 0, 0);
}

std::vector<bpf_insn> BpfAssembler::finish() {
  for (const Jump& jump : jumps_) {
    // Distances count from the instruction behind the jump.
    const std::ptrdiff_t distance = bound_[jump.label] - static_cast<std::ptrdiff_t>(jump.at) - 1;
    LT_ASSERT(distance >= 0 && distance <= std::numeric_limits<std::int16_t>::max());
    program_[jump.at].off = static_cast<std::int16_t>(distance);
  }
  return std::move(program_);
}

namespace {

int call_bpf(int command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

std::uint64_t address_of(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}

// BPF_OBJ_NAME_LEN - 1 characters, shown by `bpftool`.
template <std::size_t N>
void set_name(char (&field)[N], const char* name) {
  std::strncpy(field, name, N - 1);
}

tl::unexpected<Error> fail_bpf(int error, const std::string& what) {
  if (error == EPERM || error == EACCES) {
    return fail(Error{Errc::not_permitted,
                      "not permitted to " + what + "; run as root or with CAP_BPF", error});
  }
  return fail(Error{Errc::unsupported, "this kernel does not let us " + what, error});
}

// The verifier ends with a line of statistics; its reason stands before.
std::string last_reason(std::string_view log) {
  std::string_view found;
  while (!log.empty()) {
    const std::string_view line = log.substr(0, log.find('\n'));
    if (!line.empty() && !line.starts_with("processed ")) found = line;
    log.remove_prefix(std::min(line.size() + 1, log.size()));
  }
  return std::string(found);
}

}  // namespace

Result<Fd> create_bpf_table(const char* name, std::uint32_t value_bytes) {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = sizeof(std::uint32_t);
  attributes.value_size = value_bytes;
  attributes.max_entries = 1;
  // Not BPF_F_RDONLY_PROG: the kernel takes such a table for constants and maps it read-only.
  attributes.map_flags = BPF_F_MMAPABLE;
  set_name(attributes.map_name, name);
  Fd map(call_bpf(BPF_MAP_CREATE, attributes));
  if (!map.is_open()) return fail_bpf(errno, "share a table with a program of its own (bpf)");
  return map;
}

Result<Fd> load_socket_filter(const char* name, std::span<const bpf_insn> program) {
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insns = address_of(program.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(program.size());
  attributes.license = address_of("Apache-2.0");  // no function that we call asks for the GPL
  set_name(attributes.prog_name, name);
  Fd loaded(call_bpf(BPF_PROG_LOAD, attributes));
  if (loaded.is_open()) return loaded;
  const int error = errno;
  const std::string what = std::string("load the program ") + name + " (bpf)";
  if (error == EPERM) return fail_bpf(error, what);

  std::vector<char> log(1 << 20);
  attributes.log_level = 1;
  attributes.log_buf = address_of(log.data());
  attributes.log_size = static_cast<std::uint32_t>(log.size());
  const Fd again(call_bpf(BPF_PROG_LOAD, attributes));
  return fail(Error{Errc::unsupported,
                    "this kernel does not let us " + what + ": " + last_reason(log.data()), error});
}

}  // namespace lt::tunnel
