#include "tuner/stage.h"

namespace lt::tuner {

std::string_view name_of(Stage stage) {
  switch (stage) {
    case Stage::ranking:
      return "ranking";
    case Stage::calibration:
      return "calibration";
    case Stage::search:
      return "search";
    case Stage::screen:
      return "screen";
    case Stage::confirmation:
      return "confirmation";
    case Stage::recheck:
      return "recheck";
  }
  return "unknown";
}

std::optional<Stage> stage_from_name(std::string_view name) {
  for (const Stage stage : {Stage::ranking, Stage::calibration, Stage::search, Stage::screen,
                            Stage::confirmation, Stage::recheck}) {
    if (name_of(stage) == name) return stage;
  }
  return std::nullopt;
}

}  // namespace lt::tuner
