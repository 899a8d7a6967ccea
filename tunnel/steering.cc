// The program of the kernel, and its table.
//
// The registers of the program, from the first instruction to the last:
//   r6  the packet (__sk_buff)      r8  where the next header begins (unit: B)
//   r7  the packet's length         r9  what the next header is
// The stack holds the IP header, the ports, and a header that is being looked at.
#include "tunnel/steering.h"

#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <functional>
#include <utility>

#include "base/assert.h"
#include "tunnel/bpf_program.h"
#include "tunnel/ip_packet.h"

namespace lt::tunnel {

namespace {

using namespace flow_rule;
using enum Reg;
using enum Condition;

constexpr std::uint8_t protocol_icmp = 1;
constexpr std::uint8_t protocol_icmpv6 = 58;

// Linux >= 4.20; in the headers of Debian 12, but not in all that we may be built with.
#ifndef TUNSETSTEERINGEBPF
#define TUNSETSTEERINGEBPF _IOR('T', 224, int)
#endif

// The stack, downwards from r10.
constexpr std::int16_t ip_at = -40;     // 40 bytes
constexpr std::int16_t ports_at = -48;  // source, destination: two u16, in the machine's order
constexpr std::int16_t part_at = -72;   // 20 bytes: a transport or extension header

class SteeringProgram {
 public:
  SteeringProgram(int map_fd, std::uint32_t express_offset, std::uint32_t slots_offset)
      : map_fd_(map_fd), express_offset_(express_offset), slots_offset_(slots_offset) {}

  std::vector<bpf_insn> assemble() {
    begin();
    judge_v4();
    judge_v6();
    judge_transport();
    answer_bulk();
    answer_unknown();
    answer_express();
    return code_.finish();
  }

 private:
  using Label = BpfAssembler::Label;

  void begin();
  void judge_v4();
  void judge_v6();
  void skip_extension();
  void judge_transport();
  void judge_udp();
  void judge_tcp();
  void answer_bulk();
  void answer_unknown();
  void answer_express();

  // Copies `bytes` at offset `from` of the packet onto the stack. @pre they are there
  void fetch(std::int16_t to, Reg from, std::int32_t bytes) {
    code_.move(r1, r6);
    code_.move(r2, from);
    code_.move(r3, r10);
    code_.add(r3, to);
    code_.move(r4, bytes);
    code_.call(BPF_FUNC_skb_load_bytes);
    code_.jump_if(r0, not_equal, 0, unknown_);
  }
  // Jumps unless `bytes` are left from r8 on. @pre r8 <= r7
  void need(std::int32_t bytes, Label otherwise) {
    code_.move(r1, r7);
    code_.subtract(r1, r8);
    code_.jump_if(r1, below, bytes, otherwise);
  }
  // Jumps if bit `index` (a register, < 64) of `set` is set.
  void jump_if_in(std::uint64_t set, Reg index, Label to) {
    code_.move_wide(r0, set);
    code_.shift_right(r0, index);
    code_.keep_bits(r0, 1);
    code_.jump_if(r0, not_equal, 0, to);
  }
  // r1 = the big-endian number of `bits` at `at` of the stack.
  void load_number(Reg target, std::int16_t at, std::int32_t bits) {
    code_.load(bits == 16 ? Width::u16 : bits == 32 ? Width::u32 : Width::u64, target, r10, at);
    code_.from_network(target, bits);
  }
  // Jumps to express if the mark (in r1: the traffic class) is an express one.
  void judge_mark() {
    code_.shift_right(r1, 2);
    jump_if_in(express_dscps, r1, express_);
  }
  // Notes the ports that stand at the beginning of `part_at`: r1 = source, r2 = destination.
  void note_ports() {
    load_number(r1, part_at, 16);
    load_number(r2, part_at + 2, 16);
    code_.store(Width::u16, r10, ports_at, r1);
    code_.store(Width::u16, r10, ports_at + 2, r2);
  }
  void mix(Reg x) {
    const auto fold = [&](std::int32_t shift) {
      code_.move(r0, x);
      code_.shift_right(r0, shift);
      code_.flip_bits(x, r0);
    };
    const auto multiply = [&](std::uint64_t by) {
      code_.move_wide(r0, by);
      code_.multiply(x, r0);
    };
    fold(mix_shift_1);
    multiply(mix_multiplier_1);
    fold(mix_shift_2);
    multiply(mix_multiplier_2);
    fold(mix_shift_3);
  }
  void hash_endpoint_v4(Reg x, std::int16_t address, std::int16_t port) {
    load_number(x, ip_at + address, 32);
    code_.load(Width::u16, r4, r10, ports_at + port);
    code_.shift_left(r4, 32);
    code_.flip_bits(x, r4);
    mix(x);
  }
  void hash_endpoint_v6(Reg x, std::int16_t address, std::int16_t port) {
    load_number(x, ip_at + address, 64);
    mix(x);
    load_number(r4, static_cast<std::int16_t>(ip_at + address + 8), 64);
    code_.flip_bits(x, r4);
    mix(x);
    code_.load(Width::u16, r4, r10, ports_at + port);
    code_.flip_bits(x, r4);
    mix(x);
  }

  int map_fd_;
  std::uint32_t express_offset_;
  std::uint32_t slots_offset_;
  BpfAssembler code_;
  Label express_ = code_.label();
  Label bulk_ = code_.label();  // by what stands at ports_at
  Label unknown_ = code_.label();
  Label v6_ = code_.label();
  Label transport_ = code_.label();
};

void SteeringProgram::begin() {
  code_.move(r6, r1);
  code_.load(Width::u32, r7, r6, offsetof(__sk_buff, len));
  code_.store(Width::u32, r10, ports_at, 0);
  code_.jump_if(r7, below, ipv4_header_bytes, unknown_);
  code_.move(r8, 0);
  fetch(ip_at, r8, ipv4_header_bytes);
  code_.load(Width::u8, r1, r10, ip_at);
  code_.shift_right(r1, 4);
  code_.jump_if(r1, equal, 6, v6_);
  code_.jump_if(r1, not_equal, 4, unknown_);
}

void SteeringProgram::judge_v4() {
  code_.load(Width::u8, r8, r10, ip_at);
  code_.keep_bits(r8, 0x0f);
  code_.shift_left(r8, 2);
  code_.jump_if(r8, below, ipv4_header_bytes, bulk_);
  code_.jump_if(r8, above, r7, bulk_);
  load_number(r1, ip_at + 6, 16);
  code_.keep_bits(r1, 0x3fff);
  code_.jump_if(r1, not_equal, 0, bulk_);
  code_.load(Width::u8, r1, r10, ip_at + 1);
  judge_mark();
  code_.load(Width::u8, r9, r10, ip_at + 9);
  code_.jump_if(r9, equal, protocol_icmp, express_);
  code_.jump(transport_);
}

void SteeringProgram::judge_v6() {
  code_.bind(v6_);
  code_.jump_if(r7, below, ipv6_header_bytes, unknown_);
  code_.move(r8, 0);
  fetch(ip_at, r8, ipv6_header_bytes);
  code_.load(Width::u8, r9, r10, ip_at + 6);
  code_.move(r8, ipv6_header_bytes);

  const Label behind = code_.label();
  for (unsigned headers = 0; headers <= extension_headers_max; ++headers) {
    const Label low = code_.label();
    const Label extension = code_.label();
    code_.jump_if(r9, below, 64, low);
    code_.jump_if(r9, below, 128, behind);
    code_.jump_if(r9, at_least, 192, behind);
    code_.move(r1, r9);
    code_.add(r1, -128);
    jump_if_in(extensions_from_128, r1, extension);
    code_.jump(behind);
    code_.bind(low);
    jump_if_in(extensions_low, r9, extension);
    code_.jump(behind);
    code_.bind(extension);
    if (headers < extension_headers_max) skip_extension();
  }
  code_.jump(bulk_);  // too many of them

  code_.bind(behind);
  load_number(r1, ip_at, 16);
  code_.shift_right(r1, 4);
  code_.keep_bits(r1, 0xff);
  judge_mark();
  code_.jump_if(r9, equal, protocol_icmpv6, express_);
  code_.jump(transport_);
}

void SteeringProgram::skip_extension() {
  code_.jump_if(r9, equal, next_fragment, bulk_);
  need(8, bulk_);
  fetch(part_at, r8, 8);
  code_.load(Width::u8, r2, r10, part_at + 1);
  const Label in_words = code_.label();
  const Label measured = code_.label();
  code_.jump_if(r9, equal, next_authentication, in_words);
  code_.add(r2, 1);
  code_.shift_left(r2, 3);
  code_.jump(measured);
  code_.bind(in_words);
  code_.add(r2, 2);
  code_.shift_left(r2, 2);
  code_.bind(measured);
  code_.move(r1, r7);
  code_.subtract(r1, r8);
  code_.jump_if(r2, above, r1, bulk_);
  code_.load(Width::u8, r9, r10, part_at);
  code_.add(r8, r2);
}

void SteeringProgram::judge_transport() {
  code_.bind(transport_);
  const Label tcp = code_.label();
  code_.jump_if(r9, equal, protocol_tcp, tcp);
  code_.jump_if(r9, not_equal, protocol_udp, bulk_);
  judge_udp();
  code_.bind(tcp);
  judge_tcp();
}

void SteeringProgram::judge_udp() {
  need(udp_header_bytes, bulk_);
  fetch(part_at, r8, udp_header_bytes);
  note_ports();
  for (const Reg port : {r1, r2}) {
    code_.jump_if(port, equal, port_dns, express_);
    code_.jump_if(port, equal, port_ntp, express_);
  }
  code_.jump(bulk_);
}

void SteeringProgram::judge_tcp() {
  need(tcp_header_bytes_min, bulk_);
  fetch(part_at, r8, tcp_header_bytes_min);
  code_.load(Width::u8, r3, r10, part_at + 12);  // the header's length, in words
  code_.shift_right(r3, 4);
  code_.shift_left(r3, 2);
  code_.move(r4, r7);
  code_.subtract(r4, r8);
  code_.jump_if(r3, below, tcp_header_bytes_min, bulk_);
  code_.jump_if(r3, above, r4, bulk_);
  note_ports();
  code_.jump_if(r1, equal, port_dns, express_);
  code_.jump_if(r2, equal, port_dns, express_);
  code_.jump_if(r3, not_equal, r4, bulk_);  // a payload
  code_.load(Width::u8, r1, r10, part_at + 13);
  code_.keep_bits(r1, tcp_deciding);
  for (const std::int32_t quiet : {int{tcp_ack}, int{tcp_syn}, tcp_syn | tcp_ack})
    code_.jump_if(r1, equal, quiet, express_);
}

// r1 + r2: the sum of both ends.
void SteeringProgram::answer_bulk() {
  code_.bind(bulk_);
  const Label is_v6 = code_.label();
  const Label hashed = code_.label();
  code_.load(Width::u8, r1, r10, ip_at);
  code_.shift_right(r1, 4);
  code_.jump_if(r1, equal, 6, is_v6);
  hash_endpoint_v4(r1, 12, 0);
  hash_endpoint_v4(r2, 16, 2);
  code_.jump(hashed);
  code_.bind(is_v6);
  hash_endpoint_v6(r1, 8, 0);
  hash_endpoint_v6(r2, 24, 2);
  code_.bind(hashed);
  code_.add(r1, r2);
  code_.shift_right(r1, 32);
  code_.keep_bits(r1, flow_slots - 1);
  code_.shift_left(r1, 2);
  code_.move_map_value(r2, map_fd_, slots_offset_);
  code_.add(r2, r1);
  code_.load(Width::u32, r0, r2, 0);
  code_.exit();
}

void SteeringProgram::answer_unknown() {
  code_.bind(unknown_);
  code_.move_map_value(r2, map_fd_, slots_offset_);
  code_.load(Width::u32, r0, r2, 0);
  code_.exit();
}

void SteeringProgram::answer_express() {
  code_.bind(express_);
  code_.move_map_value(r2, map_fd_, express_offset_);
  code_.load(Width::u32, r0, r2, 0);
  code_.exit();
}

static_assert((flow_slots & (flow_slots - 1)) == 0, "the program takes a hash modulo by its bits");

std::uint32_t read(std::uint32_t& entry) {
  return std::atomic_ref(entry).load(std::memory_order_relaxed);
}

void write(std::uint32_t& entry, std::uint32_t queue) {
  std::atomic_ref(entry).store(queue, std::memory_order_relaxed);
}

}  // namespace

SlotTable spread(const SlotTable& table, std::span<const std::uint32_t> queues) {
  LT_ASSERT(!queues.empty());
  struct Share {
    std::uint32_t queue;
    std::size_t slots;  // that it has, then: that it may still keep or take
  };
  std::vector<Share> shares;
  for (const std::uint32_t queue : queues)
    shares.push_back({queue, static_cast<std::size_t>(std::ranges::count(table, queue))});
  // Where the slots do not go evenly into the queues, the larger shares are for those that have
  // the most already.
  std::ranges::stable_sort(shares, std::greater<>(), &Share::slots);
  for (std::size_t i = 0; i < shares.size(); ++i)
    shares[i].slots = flow_slots / shares.size() + (i < flow_slots % shares.size() ? 1 : 0);

  SlotTable result = table;
  std::vector<std::size_t> homeless;
  for (std::size_t slot = 0; slot < flow_slots; ++slot) {
    const auto home = std::ranges::find(shares, table[slot], &Share::queue);
    if (home == shares.end() || home->slots == 0) {
      homeless.push_back(slot);
    } else {
      --home->slots;
    }
  }
  for (const std::size_t slot : homeless) {
    const auto poorest = std::ranges::max_element(shares, {}, &Share::slots);
    result[slot] = poorest->queue;
    --poorest->slots;
  }
  return result;
}

Result<Steering> Steering::attach(int tun_fd) {
  LT_TRY(Fd map, create_bpf_table("linktune_slots", sizeof(Table)));
  void* const memory =
      ::mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0);
  if (memory == MAP_FAILED) {
    return fail(Error{Errc::unsupported, "this kernel does not let us map a table (bpf)", errno});
  }
  Steering steering(Fd(), std::move(map), static_cast<Table*>(memory));
  const auto program =
      SteeringProgram(steering.map_.get(), offsetof(Table, express), offsetof(Table, slots))
          .assemble();
  LT_TRY(steering.program_, load_socket_filter("linktune_steer", program));
  int fd = steering.program_.get();
  if (::ioctl(tun_fd, TUNSETSTEERINGEBPF, &fd) != 0) {
    return fail(Error{Errc::unsupported, "this kernel does not let a program steer a tunnel device",
                      errno});
  }
  return steering;
}

Steering::Steering(Steering&& other) noexcept
    : program_(std::move(other.program_)),
      map_(std::move(other.map_)),
      table_(std::exchange(other.table_, nullptr)) {}

Steering& Steering::operator=(Steering&& other) noexcept {
  std::swap(program_, other.program_);
  std::swap(map_, other.map_);
  std::swap(table_, other.table_);
  return *this;
}

Steering::~Steering() {
  if (table_ != nullptr) ::munmap(table_, sizeof(Table));
}

void Steering::steer_express_to(std::uint32_t queue) noexcept {
  write(table_->express, queue);
}

void Steering::steer_slot(std::size_t slot, std::uint32_t queue) noexcept {
  LT_ASSERT(slot < flow_slots);
  write(table_->slots[slot], queue);
}

void Steering::spread_over(std::span<const std::uint32_t> queues) {
  const SlotTable wanted = spread(slots(), queues);
  for (std::size_t slot = 0; slot < flow_slots; ++slot)
    steer_slot(slot, wanted[slot]);
}

std::uint32_t Steering::express_queue() const noexcept {
  return read(table_->express);
}

SlotTable Steering::slots() const noexcept {
  SlotTable copy{};
  for (std::size_t slot = 0; slot < flow_slots; ++slot)
    copy[slot] = read(table_->slots[slot]);
  return copy;
}

std::uint32_t Steering::queue_of(FlowClass flow) const noexcept {
  if (flow.urgency == Urgency::express) return express_queue();
  return read(table_->slots[slot_of(flow.flow_hash)]);
}

}  // namespace lt::tunnel
