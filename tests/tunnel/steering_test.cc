#include "tunnel/steering.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "tunnel/bpf_program.h"

namespace lt::tunnel {
namespace {

std::map<std::uint32_t, int> shares(const SlotTable& table) {
  std::map<std::uint32_t, int> found;
  for (const std::uint32_t queue : table)
    ++found[queue];
  return found;
}

int moved(const SlotTable& before, const SlotTable& after) {
  int count = 0;
  for (std::size_t slot = 0; slot < flow_slots; ++slot)
    count += before[slot] != after[slot] ? 1 : 0;
  return count;
}

void check_even(const SlotTable& table, const std::vector<std::uint32_t>& queues) {
  const auto found = shares(table);
  REQUIRE(found.size() == queues.size());
  int least = int{flow_slots};
  int most = 0;
  for (const auto& [queue, count] : found) {
    CHECK(std::ranges::count(queues, queue) == 1);
    least = std::min(least, count);
    most = std::max(most, count);
  }
  CHECK(most - least <= 1);
}

TEST_CASE("slots are shared evenly by any number of queues", "[tunnel][steering]") {
  std::vector<std::uint32_t> queues;
  SlotTable table{};
  for (std::uint32_t queue = 1; queue <= 16; ++queue) {
    queues.push_back(queue);
    check_even(spread(SlotTable{}, queues), queues);
    table = spread(table, queues);
    check_even(table, queues);
  }
}

TEST_CASE("a queue that comes takes its share and moves nothing else", "[tunnel][steering]") {
  std::vector<std::uint32_t> queues{0, 1, 2};
  const SlotTable before = spread(SlotTable{}, queues);
  queues.push_back(7);
  const SlotTable after = spread(before, queues);
  check_even(after, queues);
  CHECK(moved(before, after) == 16);
  for (std::size_t slot = 0; slot < flow_slots; ++slot)
    CHECK((after[slot] == before[slot] || after[slot] == 7));
}

TEST_CASE("a queue that goes leaves its slots to the others, which keep theirs",
          "[tunnel][steering]") {
  const std::vector<std::uint32_t> queues{0, 1, 2, 3};
  const SlotTable before = spread(SlotTable{}, queues);
  const std::vector<std::uint32_t> left{0, 1, 3};
  const SlotTable after = spread(before, left);
  check_even(after, left);
  CHECK(moved(before, after) == 16);
}

TEST_CASE("whatever comes and goes, no slot moves that need not", "[tunnel][steering]") {
  const std::uint32_t seed = 99;
  INFO("seed " << seed);
  std::mt19937 random(seed);
  SlotTable table{};
  for (int step = 0; step < 500; ++step) {
    std::vector<std::uint32_t> queues;
    for (std::uint32_t queue = 0; queue < 17; ++queue) {
      if (random() % 2 == 0) queues.push_back(queue);
    }
    if (queues.empty()) continue;
    std::shuffle(queues.begin(), queues.end(), random);
    const SlotTable after = spread(table, queues);
    check_even(after, queues);
    // The least: who has too much gives away down to its share, who is gone gives all; of those
    // that stay, the richest keep the larger shares.
    auto had = shares(table);
    std::vector<int> counts;
    int homeless = 0;
    for (const auto& [queue, count] : had) {
      if (std::ranges::count(queues, queue) == 0) {
        homeless += count;
      } else {
        counts.push_back(count);
      }
    }
    std::ranges::sort(counts, std::greater<>());
    const int share = int{flow_slots} / static_cast<int>(queues.size());
    int larger = int{flow_slots} % static_cast<int>(queues.size());
    int least = homeless;
    for (const int count : counts) {
      const int mine = larger-- > 0 ? share + 1 : share;
      least += std::max(0, count - mine);
    }
    CHECK(moved(table, after) == least);
    CHECK(spread(after, queues) == after);
    table = after;
  }
}

TEST_CASE("steering what is no tunnel device is refused", "[tunnel][steering]") {
  const auto refused = Steering::attach(0);
  REQUIRE_FALSE(refused);
  CHECK((refused.error().code == Errc::unsupported || refused.error().code == Errc::not_permitted));
}

TEST_CASE("the assembler's instructions are those of the instruction set", "[tunnel][bpf]") {
  BpfAssembler code;
  const auto end = code.label();
  code.move(Reg::r0, 7);
  code.jump_if(Reg::r1, Condition::below, 20, end);
  code.move_wide(Reg::r2, 0x1122334455667788);
  code.load(Width::u16, Reg::r3, Reg::r10, -8);
  code.from_network(Reg::r3, 16);
  code.bind(end);
  code.exit();
  const auto program = code.finish();
  REQUIRE(program.size() == 7);
  // By hand, from the tables of the standard: opcode, registers (source above target), offset,
  // value.
  const auto check = [&](std::size_t at, int opcode, int registers, int offset,
                         std::int64_t value) {
    CAPTURE(at);
    CHECK(program[at].code == opcode);
    CHECK((program[at].src_reg << 4 | program[at].dst_reg) == registers);
    CHECK(program[at].off == offset);
    CHECK(program[at].imm == static_cast<std::int32_t>(value));
  };
  check(0, 0xb7, 0x00, 0, 7);
  check(1, 0xa5, 0x01, 4, 20);
  check(2, 0x18, 0x02, 0, 0x55667788);
  check(3, 0x00, 0x00, 0, 0x11223344);
  check(4, 0x69, 0xa3, -8, 0);
  check(5, 0xdc, 0x03, 0, 16);
  check(6, 0x95, 0x00, 0, 0);
}

}  // namespace
}  // namespace lt::tunnel
