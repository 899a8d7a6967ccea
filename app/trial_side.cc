#include "app/trial_side.h"

#include <signal.h>

#include <filesystem>
#include <thread>

#include "app/control.h"
#include "base/fd.h"
#include "base/text.h"
#include "configs/openvpn_output.h"

namespace lt::app {

namespace {

constexpr std::uint32_t ping_headers = 28;  // of IPv4 and ICMP (unit: B)

// Read before anything else runs: an upgrade puts another file in its place, and the kernel then calls this one deleted.
const std::string path_at_start = [] {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string("linktune") : path.string();
}();

}  // namespace

std::string own_program() { return path_at_start; }

std::string last_line(const std::string& path) {
  const auto text = read_file(path, 1 << 20);
  if (!text) return {};
  const std::string_view lines = trim(*text);
  const auto at = lines.rfind('\n');
  return printable(at == std::string_view::npos ? lines : lines.substr(at + 1), 200);
}

Result<TrialSide> TrialSide::start_native(const Enter& enter, const std::string& config, const std::string& folder,
                                          const std::string& site) {
  TrialSide side;
  side.who_ = "the " + site + " end of the link";
  side.log_ = folder + "/" + site + ".log";
  side.says_up_ = [path = control_path(folder, site)] {
    const auto status = ask_daemon(path, "status");
    return status && status->contains("state") && (*status)["state"] == "up";
  };
  LT_TRY(side.child_, Child::start({.argv = enter({own_program(), "up", "--config", config, "--run-dir", folder}),
                                    .output_path = side.log_}));
  return side;
}

Result<TrialSide> TrialSide::start_openvpn(const Enter& enter, const std::string& program, const std::string& config,
                                           const std::string& log, const std::string& who) {
  const auto path = find_program(program);
  if (!path) {
    return fail(Errc::not_found, "openvpn is not installed: sudo apt-get install openvpn (or sweep the native link only)");
  }
  TrialSide side;
  side.who_ = who;
  side.log_ = log;
  side.says_up_ = [log] {
    const auto text = read_file(log, 16 << 20);
    return text && configs::openvpn_has_started(*text);
  };
  LT_TRY(side.child_, Child::start({.argv = enter({*path, "--config", config}), .output_path = log}));
  return side;
}

Result<bool> TrialSide::is_ready() {
  if (!child_.is_running()) return fail(Errc::closed, who_ + " ended: " + last_words());
  return says_up_();
}

std::string TrialSide::last_words() const { return last_line(log_); }

Status wait_for_sides(std::span<TrialSide* const> sides, const std::function<bool()>& is_carried,
                      std::chrono::milliseconds patience, const std::string& what) {
  const auto until = std::chrono::steady_clock::now() + patience;
  for (;;) {
    bool are_ready = true;
    for (TrialSide* const side : sides) {
      LT_TRY(const bool is_ready, side->is_ready());
      are_ready = are_ready && is_ready;
    }
    if (are_ready && is_carried()) return {};
    if (std::chrono::steady_clock::now() > until) return fail(Errc::timed_out, what + ": " + sides.back()->last_words());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

bool carries_packet(const Enter& enter, const IpAddress& target, std::uint32_t bytes) {
  const auto ping = run_process(enter({"ping", "-n", "-q", "-c", "1", "-W", "1", "-M", "do", "-s",
                                       std::to_string(bytes - ping_headers), target.text()}),
                                {.deadline = std::chrono::seconds(3)});
  return ping && ping->exit_code == 0;
}

}  // namespace lt::app
