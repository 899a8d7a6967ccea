#include "tuner/largest_mtu.h"

namespace lt::tuner {

Result<MtuFound> find_largest_mtu(std::uint32_t low, std::uint32_t high, const MtuTrial& works) {
  MtuFound found;
  const auto try_one = [&](std::uint32_t mtu) -> Result<bool> {
    ++found.trials;
    LT_TRY(const bool did, works(mtu));
    if (did) {
      found.largest = mtu;
    } else {
      found.too_large = mtu;
    }
    return did;
  };
  LT_TRY(const bool all_work, try_one(high));
  if (all_work || low == high) return found;
  LT_TRY(const bool any_works, try_one(low));
  if (!any_works) return found;
  while (*found.too_large - *found.largest > 1) {
    LT_TRY(const bool did, try_one(*found.largest + (*found.too_large - *found.largest) / 2));
    static_cast<void>(did);  // try_one has moved one of the ends
  }
  return found;
}

namespace {

Result<bool> passes_gate(Bench& bench, const Arm& arm, const std::stop_token& stop) {
  LT_TRY(const Started started, bench.prepare(arm, stop));
  if (started.failure) return false;
  LT_TRY(const GateOutcome outcome, bench.gate(stop));
  return !outcome.failure && outcome.count(GateVerdict::passed) > 0;
}

}  // namespace

Result<MtuFound> find_largest_mtu(Bench& bench, const Arm& arm, std::uint32_t low,
                                  std::uint32_t high, const std::stop_token& stop) {
  if (arm.carrier == ArmCarrier::bare)
    return fail(Errc::invalid, "the bare line has no MTU to set");
  const std::string knob = mtu_knob_of(arm);
  return find_largest_mtu(low, high, [&](std::uint32_t mtu) -> Result<bool> {
    Arm trial = arm;
    std::erase_if(trial.settings, [&](const Setting& setting) { return setting.name == knob; });
    trial.settings.push_back({knob, std::to_string(mtu)});
    const auto passed = passes_gate(bench, trial, stop);
    LT_CHECK(bench.dismantle());
    return passed;
  });
}

std::string mtu_knob_of(const Arm& arm) {
  return arm.carrier == ArmCarrier::openvpn ? "tun_mtu" : "mtu";
}

}  // namespace lt::tuner
