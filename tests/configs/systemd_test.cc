// The service's files: what the daemon counts on stands in them, and systemd itself judges how much they expose.
#include <catch2/catch.hpp>
#include <set>

#include "base/fd.h"
#include "base/process.h"
#include "base/text.h"

using namespace lt;

namespace {

const std::string folder = std::string(LINKTUNE_SOURCE_DIR) + "/configs/systemd/";
const std::string unit_path = folder + "linktune@.service";

std::set<std::string> lines_of(const std::string& path) {
  const auto text = read_file(path, 1 << 16);
  if (!text) FAIL(text.error().text());
  std::set<std::string> lines;
  for (const std::string_view line : split(*text, '\n')) {
    if (!line.empty() && line.front() != '#') lines.emplace(line);
  }
  return lines;
}

// The figure of "Overall exposure level for ...: 1.9 OK".
double exposure_of(const std::string& answer) {
  const auto at = answer.find("exposure level");
  REQUIRE(at != std::string::npos);
  const auto colon = answer.find(": ", at);
  REQUIRE(colon != std::string::npos);
  return std::stod(answer.substr(colon + 2));
}

double judged(const std::string& path) {
  const auto judgement = run_process({"systemd-analyze", "security", "--offline=true", "--no-pager", path});
  if (!judgement) FAIL(judgement.error().text());
  return exposure_of(judgement->out);
}

}  // namespace

TEST_CASE("the unit says what the daemon counts on", "[configs][systemd]") {
  const auto unit = lines_of(unit_path);
  for (const char* line :
       {"Type=notify", "NotifyAccess=main", "Restart=always", "RestartSec=200ms", "StartLimitIntervalSec=0",
        "RestartPreventExitStatus=2 3", "WatchdogSec=10", "KillMode=mixed", "User=linktune",
        "LoadCredential=key:/etc/linktune/%i.key", "AmbientCapabilities=CAP_NET_ADMIN CAP_BPF CAP_PERFMON", "CapabilityBoundingSet=CAP_NET_ADMIN CAP_BPF CAP_PERFMON",
        "NoNewPrivileges=yes", "DeviceAllow=/dev/net/tun rw", "LimitCORE=0", "LimitMEMLOCK=infinity", "RuntimeDirectory=linktune",
        "RuntimeDirectoryPreserve=yes", "ExecStart=/usr/bin/linktune up --config /etc/linktune/%i.toml"}) {
    INFO(line);
    CHECK(unit.contains(line));
  }
  // It would hide the device (systemd.exec, PrivateDevices=).
  CHECK_FALSE(unit.contains("PrivateDevices=yes"));
}

TEST_CASE("the unit's user is made, and may read configs but no key", "[configs][systemd]") {
  const auto users = lines_of(folder + "linktune.sysusers");
  CHECK(users.contains("u linktune - \"linktune site link\" - -"));
  const auto files = lines_of(folder + "linktune.tmpfiles");
  CHECK(files.contains("z /etc/linktune/*.toml 0640 root linktune -"));
  CHECK(files.contains("z /etc/linktune/*.key 0600 root root -"));
}

TEST_CASE("systemd judges the unit's exposure as 2.0 at most", "[configs][systemd]") {
  if (!find_program("systemd-analyze")) {
    WARN("systemd-analyze is missing (apt-get install systemd): the unit's exposure was not judged");
    return;
  }
  CHECK(judged(unit_path) <= 2.0);
  // The figure is the unit's own: without one of its locks it is worse.
  std::string weaker = *read_file(unit_path, 1 << 16);
  for (const std::string lock : {"ProtectSystem=strict\n", "CapabilityBoundingSet=CAP_NET_ADMIN CAP_BPF CAP_PERFMON\n"}) {
    const auto at = weaker.find(lock);
    REQUIRE(at != std::string::npos);
    weaker.erase(at, lock.size());
  }
  const std::string copy = std::string(LINKTUNE_BINARY_DIR) + "/linktune-weaker@.service";
  REQUIRE(write_file(copy, weaker, 0600));
  CHECK(judged(copy) > 2.0);
}

TEST_CASE("the sweep agent's unit says what it counts on, and is less exposed than a plain service of root's", "[configs][systemd]") {
  const std::string path = folder + "linktune-sweep-agent@.service";
  const auto unit = lines_of(path);
  for (const char* line : {"ExecStart=/usr/bin/linktune sweep agent --config /etc/linktune/%i.toml", "Restart=always", "RestartPreventExitStatus=2 3",
                           "NoNewPrivileges=yes", "DeviceAllow=/dev/net/tun rw", "ProtectSystem=strict", "ReadWritePaths=/etc/linktune", "StateDirectory=linktune",
                           "RuntimeDirectoryPreserve=yes", "LimitCORE=0"}) {
    INFO(line);
    CHECK(unit.contains(line));
  }
  CHECK_FALSE(unit.contains("PrivateDevices=yes"));
  // It starts daemons that close a filter of their own by seccomp.
  if (!find_program("systemd-analyze")) {
    WARN("systemd-analyze is missing (apt-get install systemd): the unit's exposure was not judged");
    return;
  }
  CHECK(judged(path) <= 5.5);
}
