#include "app/applied.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "app/arm_knobs.h"
#include "app/control.h"
#include "app/trial_side.h"
#include "base/fd.h"
#include "configs/toml_reader.h"
#include "configs/toml_writer.h"
#include "tuner/fields.h"
#include "tuner/probe_host.h"

namespace lt::app {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::int64_t install_delay_ms = 1'500;   // the answer to who asked goes out over the link as it was
constexpr std::int64_t install_grace_ms = 20'000;  // later than that nobody waits for it any more
constexpr milliseconds end_patience{10'000};
constexpr milliseconds supervisor_patience{2'000};
constexpr milliseconds start_patience{8'000};
constexpr milliseconds turn{50};
constexpr std::size_t config_bytes_max = std::size_t{1} << 20;
constexpr std::array<std::string_view, 4> stage_names{"prepared", "installed", "confirmed", "rolled back"};

std::int64_t boot_time_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

Result<std::string> site_of(const AppliedPlace& place) {
  LT_TRY(const auto config, configs::load_link_config(place.config_path));
  return config.site;
}

Result<std::string> state_path(const AppliedPlace& place) {
  LT_TRY(const std::string site, site_of(place));
  return place.state_directory + "/" + site + ".apply.json";
}

// Held for as long as steps are looked at and made.
Result<Fd> lock_state(const AppliedPlace& place, Tending tending) {
  std::error_code error;
  std::filesystem::create_directories(place.state_directory, error);
  Fd folder(::open(place.state_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open()) return fail_errno(errno, "cannot open " + place.state_directory);
  if (::flock(folder.get(), LOCK_EX | (tending == Tending::wait ? 0 : LOCK_NB)) == 0) return folder;
  return fail(Errc::busy, place.state_directory + " is in use");
}

Status write_applied(const AppliedPlace& place, const Applied& applied) {
  LT_TRY(const std::string path, state_path(place));
  return write_file(path, to_pretty(to_json(applied)) + "\n", 0600);
}

bool answers(const std::string& path) { return ask_daemon(path, "ping").has_value(); }

bool comes_true(const std::function<bool()>& condition, milliseconds patience) {
  const auto until = steady_clock::now() + patience;
  while (!condition()) {
    if (steady_clock::now() > until) return false;
    std::this_thread::sleep_for(turn);
  }
  return true;
}

// A config keeps the owner and the mode it had: the daemon reads it as a user of its own. Where it is a link, it stays one.
Status replace_config(const std::string& link, const std::string& text) {
  std::error_code error;
  const std::string path = std::filesystem::canonical(link, error).string();
  if (error) return fail_errno(error.value(), "cannot look at " + link);
  struct stat had {};
  if (::stat(path.c_str(), &had) != 0) return fail_errno(errno, "cannot look at " + path);
  LT_CHECK(write_file(path, text, had.st_mode & 0777U));
  if (::chown(path.c_str(), had.st_uid, had.st_gid) != 0) return fail_errno(errno, "cannot give " + path + " to its owner");
  return {};
}

Status install(const AppliedPlace& place, Applied& applied) {
  LT_TRY(const auto arm, tuner::parse_arm(applied.arm));
  LT_TRY(const auto knobs, native_knobs_of(arm));
  LT_TRY(const std::string text, read_file(applied.before, config_bytes_max));
  applied.stage = AppliedStage::installed;  // first: whoever dies below leaves something that is rolled back
  LT_CHECK(write_applied(place, applied));
  LT_CHECK(replace_config(place.config_path, configs::with_knobs(text, knobs)));
  return restart_link(place);
}

Status roll_back(const AppliedPlace& place, Applied& applied) {
  LT_TRY(const std::string text, read_file(applied.before, config_bytes_max));
  LT_CHECK(replace_config(place.config_path, text));
  const Status restarted = restart_link(place);
  applied.stage = AppliedStage::rolled_back;
  LT_CHECK(write_applied(place, applied));
  return restarted;
}

Status make_step(const AppliedPlace& place, Applied& applied) {
  switch (due_step(applied, tuner::boot_id(), boot_time_ms())) {
    case AppliedStep::none: return {};
    case AppliedStep::install: return install(place, applied);
    case AppliedStep::roll_back: return roll_back(place, applied);
    case AppliedStep::give_up: break;
  }
  applied.stage = AppliedStage::rolled_back;
  return write_applied(place, applied);
}

}  // namespace

std::string_view name_of(AppliedStage stage) { return stage_names.at(static_cast<std::size_t>(stage)); }

Json to_json(const Applied& applied) {
  return {{"schema", "linktune.applied.1"}, {"stage", std::string(name_of(applied.stage))},
          {"arm", applied.arm},             {"before", applied.before},
          {"boot", applied.boot},           {"install_at_ms", applied.install_at_ms},
          {"deadline_ms", applied.deadline_ms}, {"expected_bps", applied.expected_bps}};
}

Result<Applied> applied_from_json(const Json& value) {
  constexpr tuner::Range times{0, std::uint64_t{1} << 53};
  Applied applied;
  LT_TRY(const std::string stage, tuner::text_field(value, "stage", 32));
  const auto* const found = std::find(stage_names.begin(), stage_names.end(), stage);
  if (found == stage_names.end()) return fail(Errc::invalid, "`stage` is none");
  applied.stage = static_cast<AppliedStage>(found - stage_names.begin());
  LT_TRY(applied.arm, tuner::text_field(value, "arm", 4096));
  LT_TRY(applied.before, tuner::text_field(value, "before", 4096));
  LT_TRY(applied.boot, tuner::text_field(value, "boot", 64));
  LT_TRY(const std::uint64_t install_at, tuner::whole_field(value, "install_at_ms", times));
  LT_TRY(const std::uint64_t deadline, tuner::whole_field(value, "deadline_ms", times));
  applied.install_at_ms = static_cast<std::int64_t>(install_at);
  applied.deadline_ms = static_cast<std::int64_t>(deadline);
  LT_TRY(applied.expected_bps, tuner::number_field(value, "expected_bps"));
  return applied;
}

AppliedStep due_step(const Applied& applied, const std::string& boot, std::int64_t now_ms) {
  const bool is_same_boot = applied.boot == boot;
  switch (applied.stage) {
    case AppliedStage::prepared:
      if (!is_same_boot || now_ms > applied.install_at_ms + install_grace_ms) return AppliedStep::give_up;
      return now_ms >= applied.install_at_ms ? AppliedStep::install : AppliedStep::none;
    case AppliedStage::installed: return !is_same_boot || now_ms >= applied.deadline_ms ? AppliedStep::roll_back : AppliedStep::none;
    case AppliedStage::confirmed:
    case AppliedStage::rolled_back: break;
  }
  return AppliedStep::none;
}

Result<Applied> read_applied(const AppliedPlace& place) {
  LT_TRY(const std::string path, state_path(place));
  auto text = read_file(path, 1 << 16);
  if (!text && text.error().code == Errc::not_found) return fail(Errc::not_found, "nothing was applied here: linktune apply RESULT does");
  if (!text) return fail(text.error());
  LT_TRY(const Json json, parse_json(*text, path));
  return applied_from_json(json);
}

Status prepare_applying(const AppliedPlace& place, const tuner::Arm& arm, Seconds patience, double expected_bps) {
  if (arm.carrier != tuner::ArmCarrier::native) {
    return fail(Errc::unsupported, "`" + tuner::canonical_text(arm) + "` is not a setting of the native link: for OpenVPN write the pair with `linktune openvpn export`");
  }
  LT_TRY(const auto knobs, native_knobs_of(arm));
  LT_TRY(const Fd lock, lock_state(place, Tending::wait));
  if (const auto applied = read_applied(place); applied && (applied->stage == AppliedStage::prepared || applied->stage == AppliedStage::installed)) {
    if (due_step(*applied, tuner::boot_id(), boot_time_ms()) == AppliedStep::none) {
      return fail(Errc::busy, "`" + applied->arm + "` is on trial here already: linktune confirm keeps it, linktune rollback takes it back");
    }
  }
  LT_TRY(const std::string site, site_of(place));
  LT_TRY(const std::string text, read_file(place.config_path, config_bytes_max));
  LT_TRY(const auto wanted, configs::parse_link_config(configs::with_knobs(text, knobs), place.config_path));
  if (wanted.knobs != knobs) return fail(Errc::invalid, place.config_path + " cannot be changed by a program: write the settings of `" + tuner::canonical_text(arm) + "` below [native] by hand");
  Applied applied{.arm = tuner::canonical_text(arm), .before = place.state_directory + "/" + site + ".before.toml", .boot = tuner::boot_id(), .expected_bps = expected_bps};
  applied.install_at_ms = boot_time_ms() + install_delay_ms;
  applied.deadline_ms = applied.install_at_ms + std::chrono::duration_cast<milliseconds>(patience).count();
  LT_CHECK(write_file(applied.before, text, 0600));
  return write_applied(place, applied);
}

Status start_apply_watch(const AppliedPlace& place) {
  LT_TRY(Child watcher, Child::start({.argv = {own_program(), "apply-watch", "--config", place.config_path, "--run-dir", place.run_directory,
                                               "--state-dir", place.state_directory},
                                      .output_path = "",
                                      .lifetime = Lifetime::its_own}));
  watcher.release();
  return {};
}

Status watch_applied(const AppliedPlace& place) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) ::signal(number, SIG_IGN);
  for (;;) {
    LT_CHECK(tend_applied(place, Tending::wait));
    LT_TRY(const Applied applied, read_applied(place));
    if (applied.stage == AppliedStage::confirmed || applied.stage == AppliedStage::rolled_back) return {};
    std::this_thread::sleep_for(turn * 2);
  }
}

Status tend_applied(const AppliedPlace& place, Tending tending) {
  const auto lock = lock_state(place, tending);
  if (!lock) return lock.error().code == Errc::busy ? Status{} : fail(lock.error());
  auto applied = read_applied(place);
  if (!applied) return applied.error().code == Errc::not_found ? Status{} : fail(applied.error());
  return make_step(place, *applied);
}

Status confirm_applied(const AppliedPlace& place) {
  LT_TRY(const Fd lock, lock_state(place, Tending::wait));
  LT_TRY(Applied applied, read_applied(place));
  if (applied.stage == AppliedStage::confirmed) return {};
  if (applied.stage != AppliedStage::installed || due_step(applied, tuner::boot_id(), boot_time_ms()) != AppliedStep::none) {
    return fail(Errc::not_found, "nothing waits for a confirmation: `" + applied.arm + "` is " + std::string(name_of(applied.stage)));
  }
  applied.stage = AppliedStage::confirmed;
  return write_applied(place, applied);
}

Status roll_back_soon(const AppliedPlace& place) {
  LT_TRY(const Fd lock, lock_state(place, Tending::wait));
  LT_TRY(Applied applied, read_applied(place));
  if (applied.stage == AppliedStage::rolled_back) return fail(Errc::not_found, "`" + applied.arm + "` is rolled back already");
  const bool was_installed = applied.stage != AppliedStage::prepared;
  applied.stage = was_installed ? AppliedStage::installed : AppliedStage::rolled_back;
  applied.boot = tuner::boot_id();
  applied.deadline_ms = boot_time_ms() + install_delay_ms;
  LT_CHECK(write_applied(place, applied));
  return was_installed ? start_apply_watch(place) : Status{};
}

Status restart_link(const AppliedPlace& place) {
  LT_TRY(const std::string site, site_of(place));
  const std::string path = control_path(place.run_directory, site);
  if (answers(path)) {
    const auto asked = ask_daemon(path, "stop");
    if (!asked) return fail(asked.error());
    if (!comes_true([&] { return ::access(path.c_str(), F_OK) != 0 || !answers(path); }, end_patience)) return fail(Errc::timed_out, "the link does not end");
  }
  if (comes_true([&] { return answers(path); }, supervisor_patience)) return {};
  const std::string log = place.state_directory + "/" + site + ".link.log";
  LT_TRY(Child daemon, Child::start({.argv = {own_program(), "up", "--config", place.config_path, "--run-dir", place.run_directory},
                                     .output_path = log,
                                     .lifetime = Lifetime::its_own}));
  const bool is_up = comes_true([&] { return answers(path) || !daemon.is_running(); }, start_patience) && answers(path);
  daemon.release();
  return is_up ? Status{} : fail(Errc::timed_out, "the link does not start again: " + log + " says why");
}

}  // namespace lt::app
