#include "app/cmd_lab.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <string_view>

#include "lab/running.h"
#include "lab/topology.h"
#include "lab/wan_settings.h"

namespace lt::app {

namespace {

// The file behind /proc/self/exe, so that a list of processes shows the program's name.
Result<std::string> resolve_program(const std::string& path) {
  std::array<char, 4096> target;
  const auto length = ::readlink(path.c_str(), target.data(), target.size());
  if (length <= 0 || static_cast<std::size_t>(length) == target.size()) return path;
  return std::string(target.data(), static_cast<std::size_t>(length));
}

std::string count(const Json& counters, const char* name) {
  return std::to_string(counters.value(name, std::uint64_t{0}));
}

std::string direction_text(const std::string& name, const Json& report) {
  const Json counters = report.value("counters", Json::object());
  const Json emulator = report.value("emulator", Json::object());
  const std::uint64_t lost = counters.value("packets_lost_single", std::uint64_t{0}) +
                             counters.value("packets_lost_burst", std::uint64_t{0});
  std::string text = name + ": " + report.value("words", std::string()) + "\n";
  text += "  packets: in " + count(counters, "packets_in") + ", out " +
          count(counters, "packets_out") + ", lost " + std::to_string(lost) + ", dropped " +
          count(counters, "packets_dropped_queue") + ", in black-outs " +
          count(counters, "packets_blackout") + ", corrupted " +
          count(counters, "packets_corrupted") + ", under way " + count(counters, "packets_held") +
          "\n";
  const std::uint64_t unasked = counters.value("packets_dropped_storage", std::uint64_t{0}) +
                                emulator.value("device_dropped", std::uint64_t{0}) +
                                emulator.value("device_refused", std::uint64_t{0});
  const std::uint64_t late = emulator.value("late_packets", std::uint64_t{0});
  if (unasked > 0 || late > 0) {
    text += "  beware: the emulator did not keep up: " + std::to_string(unasked) +
            " packets dropped unasked, " + std::to_string(late) +
            " delivered more than 1 ms late\n";
  }
  return text;
}

}  // namespace

Result<Json> lab_up(const LabUpOptions& options) {
  LT_TRY(const std::string program, resolve_program(options.program));
  return lab::up({.name = options.name,
                  .profile = options.profile,
                  .settings = options.settings,
                  .seed = options.seed,
                  .congestion_control = options.congestion_control},
                 program);
}

Status lab_down(const std::string& name) {
  return lab::down(name);
}

Status lab_exec(const std::string& name, const std::string& host, const Argv& argv) {
  LT_TRY(const lab::Host inside, lab::parse_host(host));
  return lab::exec(name, inside, argv);
}

Result<Json> lab_set(const std::string& name, const std::string& direction,
                     const std::vector<std::string>& words) {
  LT_TRY(const lab::Directions directions, lab::parse_directions(direction));
  return lab::set(name, directions, words);
}

Result<Json> lab_status(const std::string& name) {
  return lab::status(name);
}

Status lab_emulate(const std::string& name, int ready_fd) {
  return lab::emulate(name, ready_fd);
}

std::string lab_text(const Json& status) {
  const std::string name = status.value("name", std::string());
  const lab::Topology topology = lab::Topology::standard(name);
  std::string text = "lab " + name + ", profile " + status.value("profile", std::string());
  text += status.value("running", false)
              ? "\n"
              : ": its emulator has ended; `linktune lab up --name " + name + "` builds it anew\n";
  for (const lab::Site* const site : {&topology.office, &topology.offsite}) {
    text += "  " + topology.namespace_of(site->lan_host) + " " + site->lan_host_v4.address.text() +
            "  --  " + topology.namespace_of(site->gateway) + " " +
            site->gateway_v4.address.text() + ", on the WAN " + site->wan_v4.address.text() + "\n";
  }
  const Json directions = status.value("directions", Json::object());
  for (const auto& [direction, report] : directions.items())
    text += direction_text(direction, report);
  return text;
}

std::string lab_help() {
  std::string text = "Profiles:\n";
  for (const lab::Profile& profile : lab::all_profiles()) {
    std::array<char, 32> name{};
    std::snprintf(name.data(), name.size(), "  %-18s", profile.name.c_str());
    text += name.data() + profile.summary + "\n";
  }
  return text +
         "Settings of the WAN, each direction by itself or both:\n"
         "  rate=500mbit       of the line; unlimited: as fast as the machine\n"
         "  delay=10ms         one way\n"
         "  jitter=1ms         the delay wanders within +-1 ms; order is kept\n"
         "  loss=0.1%          share of packets lost one by one\n"
         "  burst=0.5%/8       share lost in bursts, of 8 packets in the mean\n"
         "  corrupt=0.01%      share with one flipped bit\n"
         "  queue=1MB          what may wait before the line; the rest is dropped\n"
         "  mtu=1492           largest packet; longer ones are cut, or their sender is told\n"
         "  fragments=drop     fragments vanish, as behind some firewalls\n"
         "  icmp=drop          nobody is told anything: with mtu= a black hole\n"
         "  blackout=on        nothing passes\n"
         "  seed=7             the same seed, the same fate for the n-th packet\n";
}

}  // namespace lt::app
