#include "lab/carrier.h"

#include "base/text.h"

namespace lt::lab {

Json describe(const LabState& state) {
  return {{"schema", "linktune.lab.1"},
          {"name", state.name},
          {"profile", state.profile.name},
          {"seed", state.seed},
          {"owner_pid", state.keeper == Keeper::nobody ? Json() : Json(state.owner.pid)},
          {"running", !state.is_leftover()}};
}

Result<std::unique_ptr<Carrier>> Carrier::start(const LabState& state) {
  LT_TRY(WanEmulator emulator,
         WanEmulator::start(Topology::standard(state.name), state.profile.wan));
  std::unique_ptr<Carrier> carrier(new Carrier(state, std::move(emulator)));
  LT_TRY(ControlServer control,
         ControlServer::start(control_path(state.name), [raw = carrier.get()](const Json& request) {
           return raw->answer(request);
         }));
  carrier->control_.emplace(std::move(control));
  return carrier;
}

Status Carrier::set(Directions directions, const std::vector<std::string>& words) {
  const std::lock_guard lock(setting_);
  std::array<WanSettings, all_directions.size()> changed;
  for (std::size_t i = 0; i < directions.size(); ++i) {  // all are checked before one is changed
    LT_TRY(changed[i], WanSettings::parse(words, emulator_.report(directions[i]).settings));
  }
  for (std::size_t i = 0; i < directions.size(); ++i)
    emulator_.set(directions[i], changed[i]);
  return {};
}

void Carrier::set(Direction direction, const WanSettings& settings) {
  const std::lock_guard lock(setting_);
  emulator_.set(direction, settings);
}

Json Carrier::status() const {
  Json status = describe(state_);
  for (const Direction direction : all_directions) {
    status["directions"][std::string(name_of(direction))] = emulator_.report(direction).to_json();
  }
  return status;
}

Result<Json> Carrier::answer(const Json& request) {
  if (!request.is_object()) return fail(Errc::protocol, "a request is an object");
  const Json op = request.value("op", Json());
  if (op == "status") return status();
  if (op != "set") return fail(Errc::protocol, "op is status or set");
  const Json direction = request.value("direction", Json());
  const Json words = request.value("words", Json());
  if (!direction.is_string() || !words.is_array())
    return fail(Errc::protocol, "set needs a direction and words");
  std::vector<std::string> texts;
  for (const Json& word : words) {
    if (!word.is_string()) return fail(Errc::protocol, "a word is a text");
    texts.push_back(word.get<std::string>());
  }
  LT_TRY(const Directions directions, parse_directions(direction.get<std::string>()));
  LT_CHECK(set(directions, texts));
  return status();
}

}  // namespace lt::lab
