#include "lab/lab_state.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/json.h"
#include "base/text.h"
#include "lab/netns.h"
#include "lab/sites.h"

namespace lt::lab {

namespace {

constexpr std::size_t state_bytes_max = 64 * 1024;
constexpr int end_patience_ms = 2000;
const std::string run_directory = "/run/linktune";
const std::string labs_directory = run_directory + "/lab";

std::string state_path(const std::string& name) {
  return state_directory(name) + "/state.json";
}

std::string_view name_of(Keeper keeper) {
  switch (keeper) {
    case Keeper::program:
      return "program";
    case Keeper::emulator:
      return "emulator";
    case Keeper::nobody:
      return "nobody";
  }
  return "?";
}

Status make_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return fail_errno(errno, "cannot make " + path);
  return {};
}

template <class T>
std::optional<T> get(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end()) return std::nullopt;
  if constexpr (std::is_same_v<T, std::string>) {
    if (found->is_string()) return found->template get<std::string>();
  } else if constexpr (std::is_same_v<T, bool>) {
    if (found->is_boolean()) return found->template get<bool>();
  } else {
    if (found->is_number_unsigned()) return found->template get<T>();
  }
  return std::nullopt;
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  for (const std::string_view word : split(text, ' '))
    words.emplace_back(word);
  return words;
}

std::optional<LabState> state_of(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  LabState state;
  const auto name = get<std::string>(json, "name");
  const auto profile = get<std::string>(json, "profile");
  const auto seed = get<std::uint64_t>(json, "seed");
  const auto keeper = get<std::string>(json, "keeper");
  const auto standing = get<bool>(json, "standing");
  const auto pid = get<pid_t>(json, "owner_pid");
  const auto ticks = get<std::uint64_t>(json, "owner_start_ticks");
  if (!name || !profile || !seed || !keeper || !standing || !pid || !ticks) return std::nullopt;
  auto known = find_profile(*profile);
  if (!known) return std::nullopt;
  for (const Direction direction : all_directions) {
    const auto text = get<std::string>(json, std::string(name_of(direction)).c_str());
    if (!text) return std::nullopt;
    const auto settings = WanSettings::parse(words_of(*text), WanSettings{});
    if (!settings) return std::nullopt;
    known->of(direction) = *settings;
  }
  state = {.name = *name,
           .profile = *known,
           .seed = *seed,
           .keeper = Keeper::program,
           .standing = *standing,
           .owner = {*pid, *ticks}};
  for (const Keeper possible : {Keeper::program, Keeper::emulator, Keeper::nobody}) {
    if (name_of(possible) == *keeper) state.keeper = possible;
  }
  return state;
}

// Ends `process` if it is still the one that was meant.
void end_process(const ProcessId& process) {
  const Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  if (!handle.is_open() || !process.is_alive())
    return;  // asked with the handle held: no other can take its number now
  for (const int number : {SIGTERM, SIGKILL}) {
    ::syscall(SYS_pidfd_send_signal, handle.get(), number, nullptr, 0);
    pollfd polled{handle.get(), POLLIN, 0};
    if (::poll(&polled, 1, end_patience_ms) > 0) return;
  }
}

Status make_directories(const std::string& name) {
  LT_CHECK(make_directory(run_directory, 0755));
  LT_CHECK(make_directory(labs_directory, 0755));
  return make_directory(state_directory(name), 0700);
}

}  // namespace

std::optional<ProcessId> ProcessId::of(pid_t pid) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!text) return std::nullopt;
  const auto name_end = text->rfind(')');  // the name may hold blanks and brackets
  if (name_end == std::string::npos) return std::nullopt;
  const auto fields = split(std::string_view(*text).substr(name_end + 2), ' ');
  constexpr std::size_t start_time = 22 - 3;  // the field behind the name is the third
  if (fields.size() <= start_time || fields[0] == "Z" || fields[0] == "X") return std::nullopt;
  const auto ticks = parse_u64(fields[start_time]);
  return ticks ? std::optional(ProcessId{pid, *ticks}) : std::nullopt;
}

ProcessId ProcessId::self() {
  return of(::getpid()).value_or(ProcessId{::getpid(), 0});
}

bool ProcessId::is_alive() const {
  return pid > 0 && of(pid) == *this;
}

std::string state_directory(const std::string& name) {
  return labs_directory + "/" + name;
}
std::string control_path(const std::string& name) {
  return state_directory(name) + "/control.sock";
}
std::string log_path(const std::string& name) {
  return state_directory(name) + "/emulator.log";
}

Result<LabState> read_state(const std::string& name) {
  LT_CHECK(check_name(name));
  const auto text = read_file(state_path(name), state_bytes_max);
  if (!text && text.error().code == Errc::not_permitted)
    return fail(Errc::not_permitted, "the lab " + name + " is root's: run this with sudo");
  if (!text)
    return fail(
        Errc::not_found,
        "no lab called " + name + " stands: start it with `linktune lab up --name " + name + "`");
  LT_TRY(const Json json, parse_json(*text, state_path(name)));
  auto state = state_of(json);
  if (!state || state->name != name)
    return fail(Errc::invalid, state_path(name) + " is damaged: `linktune lab down --name " + name +
                                   "` removes the lab");
  return *state;
}

Status write_state(const LabState& state) {
  LT_CHECK(make_directories(state.name));
  Json json{{"name", state.name},
            {"profile", state.profile.name},
            {"seed", state.seed},
            {"keeper", name_of(state.keeper)},
            {"standing", state.standing},
            {"owner_pid", static_cast<std::uint64_t>(state.owner.pid)},
            {"owner_start_ticks", state.owner.start_ticks}};
  for (const Direction direction : all_directions)
    json[std::string(name_of(direction))] = state.profile.of(direction).text();
  return write_file(state_path(state.name), to_line(json) + "\n", 0600);
}

Result<BuildLock> BuildLock::take() {
  LT_CHECK(make_directory(run_directory, 0755));
  LT_CHECK(make_directory(labs_directory, 0755));
  Fd directory(::open(labs_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open()) return fail_errno(errno, "cannot open " + labs_directory);
  while (::flock(directory.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return fail_errno(errno, "cannot lock " + labs_directory);
  }
  return BuildLock(std::move(directory));
}

Status clear_leftovers(const BuildLock& lock, const Topology& topology) {
  const std::string& name = topology.name;
  if (::access(state_directory(name).c_str(), F_OK) == 0) {
    const auto state = read_state(name);
    if (state && !state->is_leftover()) {
      return fail(Errc::exists,
                  "a lab called " + name +
                      " stands already: take it down with `linktune lab down --name " + name +
                      "`, or give this one another name with --name");
    }
    LT_CHECK(remove_lab(lock, topology));
  }
  for (const Host host : all_hosts) {
    const std::string taken = topology.namespace_of(host);
    if (namespace_exists(taken)) {
      return fail(Errc::exists, "a network namespace called " + taken +
                                    " is there that no lab has made: remove it (ip netns del " +
                                    taken + "), or give the lab another name with --name");
    }
  }
  return {};
}

Status remove_lab(const BuildLock&, const Topology& topology) {
  const auto state = read_state(topology.name);
  if (state && state->keeper == Keeper::emulator && state->owner != ProcessId::self())
    end_process(state->owner);
  LT_CHECK(remove_sites(topology));
  std::error_code ignored;
  std::filesystem::remove_all(state_directory(topology.name), ignored);
  if (ignored)
    return fail_errno(ignored.value(), "cannot remove " + state_directory(topology.name));
  return {};
}

}  // namespace lt::lab
