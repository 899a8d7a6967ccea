#include "tuner/evidence.h"

#include <algorithm>

namespace lt::tuner {

std::string_view name_of(Method method) {
  switch (method) {
    case Method::ranking:
      return "ranking";
    case Method::staged:
      return "staged";
  }
  return "unknown";
}

std::string sentence_of(const LargestMtuRecord& record) {
  const std::string whose = "the largest MTU of \"" + record.arm.label + "\"";
  if (record.failure) return whose + " is not known: " + record.failure->text();
  const std::string trials = std::to_string(record.trials) + (record.trials == 1 ? " start" : " starts");
  if (!record.largest) return whose + " was not found: none that was tried works (" + trials + ")";
  std::string text = whose + " is " + std::to_string(*record.largest) + ", found by sending (" + trials + ")";
  if (record.too_large) text += "; " + std::to_string(*record.too_large) + " does not work";
  return text;
}

std::string_view name_of(UnitStatus status) {
  switch (status) {
    case UnitStatus::measured:
      return "measured";
    case UnitStatus::arm_failed:
      return "arm_failed";
    case UnitStatus::harness_failed:
      return "harness_failed";
  }
  return "unknown";
}

std::optional<std::size_t> SweepHeader::place_of(const Arm& arm) const {
  const std::string text = canonical_text(arm);
  const auto found = std::find_if(arms.begin(), arms.end(), [&](const Arm& other) {
    return canonical_text(other) == text;
  });
  if (found == arms.end()) return std::nullopt;
  return static_cast<std::size_t>(found - arms.begin());
}

const Addition* Evidence::addition_of(Stage stage) const {
  const auto found = std::find_if(additions.begin(), additions.end(),
                                  [&](const Addition& each) { return each.stage == stage; });
  return found == additions.end() ? nullptr : &*found;
}

const GateRecord* Evidence::gate_of(std::size_t arm) const {
  const auto found = std::find_if(gates.begin(), gates.end(),
                                  [&](const GateRecord& each) { return each.arm == arm; });
  return found == gates.end() ? nullptr : &*found;
}

std::size_t Evidence::blocks_of(Stage stage) const {
  return static_cast<std::size_t>(std::count_if(
      blocks.begin(), blocks.end(), [&](const Block& block) { return block.stage == stage; }));
}

Milliseconds Evidence::elapsed() const {
  Milliseconds sum = physics ? physics->took : Milliseconds(0);
  if (largest_mtu) sum += largest_mtu->took;
  for (const GateRecord& gate : gates)
    sum += gate.took;
  Nanoseconds of_units{0};
  for (const Unit& unit : units) {
    if (blocks[unit.block].stage != Stage::recheck)
      of_units += Nanoseconds(unit.stop_ns - unit.start_ns);
  }
  return sum + std::chrono::duration_cast<Milliseconds>(of_units);
}

}  // namespace lt::tuner
