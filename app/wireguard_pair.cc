#include "app/wireguard_pair.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "app/native_pair.h"
#include "base/text.h"

namespace lt::app {

namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t wireguard_port = 51820;
constexpr auto start_patience = 10s;

// Keys that everybody may know: between two namespaces of one machine they guard nothing.
struct WireGuardEnd {
  lab::Host host;
  const char* device;
  const char* address;
  const char* private_key;
  const char* public_key;
};

constexpr WireGuardEnd office_end{lab::Host::office_gw, "ltwgoffice", wireguard_office_address,
                                  "77076d0a7318a57d3c16c17251b26645df4c2f92ebc0992ac177fba51db92c2a",
                                  "f8a9535a2d2ff605e8e144d54f4ef5c62313a2055dbb21fddd3fd9c299eb015d"};
constexpr WireGuardEnd offsite_end{lab::Host::offsite_gw, "ltwgoffsite", wireguard_offsite_address,
                                   "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
                                   "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"};

std::string socket_path(const WireGuardEnd& end) { return std::string("/var/run/wireguard/") + end.device + ".sock"; }

// One request and its answer, which ends with an empty line. Source: "Cross-Platform Userspace Implementation", wireguard.com/xplatform
Status ask(const WireGuardEnd& end, const std::string& request) {
  const std::string path = socket_path(end);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.is_open() || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno(errno, "cannot reach wireguard-go at " + path);
  }
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return fail_errno(errno, "cannot write to " + path);
  }
  std::string answer;
  while (answer.find("\n\n") == std::string::npos && answer.size() < 65536) {
    pollfd polled{socket.get(), POLLIN, 0};
    std::array<char, 1024> part{};
    if (::poll(&polled, 1, 2000) <= 0) return fail(Errc::timed_out, "wireguard-go does not answer");
    const auto count = ::recv(socket.get(), part.data(), part.size(), 0);
    if (count <= 0) break;
    answer.append(part.data(), static_cast<std::size_t>(count));
  }
  if (answer.find("errno=0\n") != std::string::npos) return {};
  return fail(Errc::rejected, "wireguard-go refuses its settings: " + printable(trim(answer), 80));
}

std::string settings_of(const WireGuardEnd& end, const WireGuardEnd& peer, const lab::Topology& topology) {
  const lab::Site& far = topology.site_of(peer.host);
  std::string text = std::string("set=1\nprivate_key=") + end.private_key + "\nlisten_port=" + std::to_string(wireguard_port) +
                     "\nreplace_peers=true\npublic_key=" + peer.public_key + "\nendpoint=" +
                     Endpoint{far.wan_v4.address.text(), wireguard_port}.text() + "\nreplace_allowed_ips=true\nallowed_ip=" + peer.address +
                     "/32\n";
  for (const Prefix& lan : {far.gateway_v4.network(), far.gateway_v6.network()}) text += "allowed_ip=" + lan.text() + "\n";
  return text + "\n";
}

// Address, MTU and routes: what `wg-quick` would do.
Status set_device_up(const lab::Sandbox& sandbox, const WireGuardEnd& end, const WireGuardEnd& peer, std::uint32_t mtu) {
  const lab::Topology& topology = sandbox.topology();
  const lab::Site& far = topology.site_of(peer.host);
  const std::string device = end.device;
  for (const Argv& words : {Argv{"ip", "addr", "add", std::string(end.address) + "/24", "dev", device},
                            Argv{"ip", "link", "set", device, "mtu", std::to_string(mtu), "up"},
                            Argv{"ip", "route", "add", far.gateway_v4.network().text(), "dev", device},
                            Argv{"ip", "-6", "route", "add", far.gateway_v6.network().text(), "dev", device}}) {
    LT_TRY(const std::string said, run_checked(sandbox.exec(end.host, words)));
  }
  return {};
}

bool answers(const lab::Sandbox& sandbox) {
  const auto ping = run_process(sandbox.exec(lab::Host::office_gw, {"ping", "-n", "-q", "-c", "1", "-W", "1", wireguard_offsite_address}), {.deadline = 3s});
  return ping && ping->exit_code == 0;
}

template <class Condition>
Status wait_until(Condition done, Child& child, const std::string& log, const char* what) {
  const auto until = std::chrono::steady_clock::now() + start_patience;
  while (!done()) {
    if (!child.is_running()) return fail(Errc::closed, "wireguard-go ended: " + last_line(log));
    if (std::chrono::steady_clock::now() > until) return fail(Errc::timed_out, std::string("wireguard-go ") + what);
    std::this_thread::sleep_for(20ms);
  }
  return {};
}

Result<Child> start_end(const lab::Sandbox& sandbox, const WireGuardEnd& end, const WireGuardEnd& peer, const std::string& program,
                        const std::string& log, std::uint32_t mtu) {
  LT_TRY(Child child, Child::start({.argv = sandbox.exec(end.host, {program, "-f", end.device}), .output_path = log}));
  LT_CHECK(wait_until([&] { return ::access(socket_path(end).c_str(), F_OK) == 0; }, child, log, "opened no socket"));
  LT_CHECK(ask(end, settings_of(end, peer, sandbox.topology())));
  LT_CHECK(set_device_up(sandbox, end, peer, mtu));
  return child;
}

}  // namespace

Result<std::string> find_wireguard_go() {
  const char* const named = std::getenv("WIREGUARD_GO");
  if (named == nullptr || *named == '\0') {
    return fail(Errc::unsupported, "WIREGUARD_GO names no wireguard-go; Debian's own is from before its offloads, take the one of bookworm-backports");
  }
  const auto program = find_program(named);
  if (!program) return fail(Errc::unsupported, "WIREGUARD_GO=" + printable(named, 200) + " is no program");
  return *program;
}

std::string wireguard_go_version(const std::string& program) {
  const auto said = run_process({program, "--version"}, {.deadline = 3s});
  if (!said) return "unknown";
  const auto lines = split(said->out, '\n');
  const auto words = split(lines.front(), ' ');
  return words.size() < 2 ? "unknown" : printable(words[1], 40);
}

Result<WireGuardPair> WireGuardPair::start(const lab::Sandbox& sandbox, const std::string& program, const std::string& folder,
                                           std::uint32_t mtu) {
  for (const WireGuardEnd* end : {&office_end, &offsite_end}) ::unlink(socket_path(*end).c_str());  // of one that was killed
  WireGuardPair pair;
  const std::string log = folder + "/wireguard-office.log";
  LT_TRY(pair.office_, start_end(sandbox, office_end, offsite_end, program, log, mtu));
  LT_TRY(pair.offsite_, start_end(sandbox, offsite_end, office_end, program, folder + "/wireguard-offsite.log", mtu));
  LT_CHECK(wait_until([&] { return answers(sandbox); }, pair.office_, log, "carried nothing"));
  return pair;
}

void WireGuardPair::end() {
  office_.signal(SIGTERM);
  offsite_.signal(SIGTERM);
  office_.end(std::chrono::seconds(4));
  offsite_.end(std::chrono::seconds(4));
}

}  // namespace lt::app
