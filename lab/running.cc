#include "lab/running.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>

#include "base/defer.h"
#include "base/pipe.h"
#include "base/text.h"
#include "lab/carrier.h"
#include "lab/control.h"
#include "lab/lab_state.h"
#include "lab/netns.h"
#include "lab/sites.h"

namespace lt::lab {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds ready_patience{10'000};
constexpr std::string_view ready_word = "ok";

// In a child of a child: nobody's, of no terminal. Only async-signal-safe calls from here to exec.
[[noreturn]] void become_emulator(char* const* argv, int log, int ready) {
  ::setsid();
  if (::fork() != 0) ::_exit(0);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, 0);
  ::dup2(log, 1);
  ::dup2(log, 2);
  ::dup2(ready, 3);
  ::fcntl(3, F_SETFD, 0);  // when it was 3 already
  ::close_range(4, ~0U, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execv(argv[0], argv);
  ::_exit(127);
}

Status spawn_emulator(const std::string& program, const std::string& name, const Fd& ready) {
  const Fd log(::open(log_path(name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log.is_open()) return fail_errno(errno, "cannot open " + log_path(name));
  Argv words{program, "lab", "emulate", "--name", name, "--ready-fd", "3"};
  std::vector<char*> argv;
  for (std::string& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "cannot start the emulator");
  if (child == 0) become_emulator(argv.data(), log.get(), ready.get());
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return {};
}

// What the emulator says of its start; it closes its end when it has said it, or has died.
Status await_ready(const Fd& ready) {
  const auto deadline = std::chrono::steady_clock::now() + ready_patience;
  std::string said;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd polled{ready.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&polled, 1, static_cast<int>(left.count())) == 0) {
      return fail(Errc::timed_out, "the emulator did not start in time");
    }
    std::array<char, 1024> chunk;
    const auto count = ::read(ready.get(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    said.append(chunk.data(), static_cast<std::size_t>(count));
  }
  if (said == ready_word) return {};
  return fail(Errc::io, said.empty() ? "the emulator ended before it carried anything" : said);
}

Status raise_emulator(const std::string& program, const std::string& name) {
  LT_TRY(Pipe ready, make_pipe());
  LT_CHECK(spawn_emulator(program, name, ready.write_end));
  ready.write_end.reset();
  return await_ready(ready.read_end);
}

Status raise_lab(const SandboxOptions& options, const Topology& topology, LabState& state,
                 const std::string& program) {
  LT_CHECK(write_state(state));
  LT_CHECK(build_sites(topology, options.congestion_control));
  if (!state.profile.raw) return raise_emulator(program, options.name);
  LT_CHECK(build_raw_wan(topology));
  state.standing = true;
  return write_state(state);
}

Result<LabState> standing(const std::string& name) {
  LT_TRY(LabState state, read_state(name));
  if (state.is_leftover()) {
    return fail(Errc::closed, "the emulator of the lab " + name +
                                  " has ended: `linktune lab up --name " + name +
                                  "` builds it anew");
  }
  return state;
}

Result<std::unique_ptr<Carrier>> carry(const std::string& name) {
  LT_TRY(LabState state, read_state(name));
  state.owner = ProcessId::self();
  LT_CHECK(write_state(state));
  LT_TRY(auto carrier, Carrier::start(state));
  state.standing = true;
  LT_CHECK(write_state(state));
  return carrier;
}

void say(const Fd& ready, std::string_view words) {
  static_cast<void>(!::write(ready.get(), words.data(), words.size()));
}

}  // namespace

Result<Json> up(const SandboxOptions& options, const std::string& program) {
  LT_TRY(const Profile profile, resolve(options));
  LT_CHECK(check_machine(!profile.raw));
  const Topology topology = Topology::standard(options.name);
  LT_TRY(const BuildLock lock, BuildLock::take());
  LT_CHECK(clear_leftovers(lock, topology));
  LabState state{.name = options.name,
                 .profile = profile,
                 .seed = profile.of(Direction::to_offsite).seed,
                 .keeper = profile.raw ? Keeper::nobody : Keeper::emulator,
                 .standing = false,
                 .owner = ProcessId::self()};
  const Status raised = raise_lab(options, topology, state, program);
  if (raised) return status(options.name);
  // Of the two failures the first is the one to tell.
  static_cast<void>(remove_lab(lock, topology));
  return fail(with_context(raised.error(), "cannot build the lab"));
}

Status down(const std::string& name) {
  LT_CHECK(check_name(name));
  LT_CHECK(check_machine(false));
  LT_TRY(const BuildLock lock, BuildLock::take());
  const auto state = read_state(name);
  if (!state && state.error().code == Errc::not_found &&
      ::access(state_directory(name).c_str(), F_OK) != 0) {
    return fail(Errc::not_found, "no lab called " + name + " stands");
  }
  if (state && state->keeper == Keeper::program && state->owner.is_alive()) {
    return fail(Errc::busy, "the lab " + name + " belongs to process " +
                                std::to_string(state->owner.pid) +
                                ", which still runs: end that first");
  }
  return remove_lab(lock, Topology::standard(name));
}

Status exec(const std::string& name, Host host, const Argv& argv) {
  LT_CHECK(check_machine(false));
  LT_TRY(const LabState state, read_state(name));
  if (argv.empty())
    return fail(Errc::invalid, "nothing to run: `linktune lab exec HOST -- COMMAND`");
  const auto ip = find_program("ip");
  if (!ip)
    return fail(Errc::not_found, "the program ip is not installed: apt-get install iproute2");
  Argv words{*ip, "netns", "exec", Topology::standard(state.name).namespace_of(host)};
  words.insert(words.end(), argv.begin(), argv.end());
  std::vector<char*> raw;
  for (std::string& word : words)
    raw.push_back(word.data());
  raw.push_back(nullptr);
  ::execv(ip->c_str(), raw.data());
  return fail_errno(errno, "cannot run " + *ip);
}

Result<Json> set(const std::string& name, Directions directions,
                 const std::vector<std::string>& words) {
  LT_TRY(const LabState state, standing(name));
  if (state.profile.raw)
    return fail(Errc::unsupported,
                "the profile raw is a bare veth pair without settings: choose another profile");
  const std::string_view which = directions.size() == 1 ? name_of(directions.front()) : "both";
  return ask(control_path(name), {{"op", "set"}, {"direction", which}, {"words", words}});
}

Result<Json> status(const std::string& name) {
  LT_TRY(const LabState state, read_state(name));
  if (state.profile.raw || state.is_leftover()) return describe(state);
  return ask(control_path(name), {{"op", "status"}});
}

Status emulate(const std::string& name, int ready_fd) {
  Fd ready(ready_fd);
  sigset_t ending;
  ::sigemptyset(&ending);
  ::sigaddset(&ending, SIGTERM);
  ::sigaddset(&ending, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  auto carrier = carry(name);
  if (!carrier) {
    say(ready, carrier.error().text());
    return fail(carrier.error());
  }
  say(ready, ready_word);
  ready.reset();
  int received = 0;
  while (::sigwait(&ending, &received) != 0) {
  }
  return {};
}

}  // namespace lt::lab
