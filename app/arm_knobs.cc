#include "app/arm_knobs.h"

#include "configs/knob.h"

namespace lt::app {

namespace {

template <class Knobs>
Result<Knobs> knobs_of(const tuner::Arm& arm) {
  Knobs knobs{};
  for (const tuner::Setting& setting : arm.settings) {
    LT_CHECK(configs::set_knob(knobs, setting.name, setting.value));
  }
  LT_CHECK(configs::validate(knobs));
  return knobs;
}

}  // namespace

Result<configs::NativeKnobs> native_knobs_of(const tuner::Arm& arm) { return knobs_of<configs::NativeKnobs>(arm); }
Result<configs::OpenVpnKnobs> openvpn_knobs_of(const tuner::Arm& arm) { return knobs_of<configs::OpenVpnKnobs>(arm); }

}  // namespace lt::app
