// What a sweep has found, put into a site's config, on trial: it goes again by itself unless it is confirmed in time.
//
//     prepared --(a moment later)--> installed --(confirm)--> confirmed --(rollback)--> rolled back
//                                        '-----(deadline, rollback, another boot)----------'
//
// The state is a file, STATE_DIR/SITE.apply.json, and every step can be made twice: who finds one due makes it. A
// watcher of its own does it in time, and outlives command, daemon and agent; the agent looks every second, and so
// heals what even a killed watcher leaves. Steps are made under a lock on STATE_DIR.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "base/units.h"
#include "tuner/arm.h"

namespace lt::app {

inline constexpr const char* default_state_directory = "/var/lib/linktune";

struct AppliedPlace {
  std::string config_path;
  std::string run_directory;
  std::string state_directory{default_state_directory};
};

enum class AppliedStage : std::uint8_t { prepared, installed, confirmed, rolled_back };
[[nodiscard]] std::string_view name_of(AppliedStage stage);

/// Times in ms of the machine's own clock, which counts while it sleeps and begins again with each boot.
struct Applied {
  AppliedStage stage{AppliedStage::prepared};
  std::string arm;     // canonical text
  std::string before;  // the file with the config as it was
  std::string boot;
  std::int64_t install_at_ms{0};
  std::int64_t deadline_ms{0};
  double expected_bps{0};  // of the slower way, as measured; 0: not known
};

[[nodiscard]] Json to_json(const Applied& applied);
[[nodiscard]] Result<Applied> applied_from_json(const Json& value);

enum class AppliedStep : std::uint8_t { none, install, give_up, roll_back };
/// What is due. @param boot, now_ms  of the machine now
[[nodiscard]] AppliedStep due_step(const Applied& applied, const std::string& boot, std::int64_t now_ms);

/// Keeps the config as it was, and what is to become of it. @param expected_bps  for confirm; 0: not known
/// @error busy: something is on trial already · unsupported: only native settings can be applied · invalid: the config
[[nodiscard]] Status prepare_applying(const AppliedPlace& place, const tuner::Arm& arm, Seconds patience, double expected_bps = 0);
/// Starts the watcher, which outlives this program.
[[nodiscard]] Status start_apply_watch(const AppliedPlace& place);
/// `linktune apply-watch`: makes each step when it is due, until none will be.
[[nodiscard]] Status watch_applied(const AppliedPlace& place);

enum class Tending : std::uint8_t { wait, if_free };
/// Makes what is due.
[[nodiscard]] Status tend_applied(const AppliedPlace& place, Tending tending);

/// @error not_found: nothing is on trial; it was rolled back, perhaps
[[nodiscard]] Status confirm_applied(const AppliedPlace& place);
/// Lets the watcher roll back at once, so that who asks over the link gets an answer. @error not_found: nothing to take back
[[nodiscard]] Status roll_back_soon(const AppliedPlace& place);
/// @error not_found: nothing was ever applied
[[nodiscard]] Result<Applied> read_applied(const AppliedPlace& place);

/// Ends the site's daemon and sees that one runs again: its supervisor's, or else one started here.
[[nodiscard]] Status restart_link(const AppliedPlace& place);

}  // namespace lt::app
