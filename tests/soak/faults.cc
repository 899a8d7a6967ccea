#include "tests/soak/faults.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <cstdio>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "lab/netns.h"

namespace lt::soak {

using std::chrono::milliseconds;

namespace {

void last_for(milliseconds span) { std::this_thread::sleep_for(span); }  // the fault itself lasts so long

}  // namespace

Status Faults::run(lab::Host host, const Argv& argv) {
  LT_TRY(const std::string said, run_checked(sandbox_.exec(host, argv)));
  static_cast<void>(said);
  return {};
}

Status Faults::befall(std::size_t may_end) {
  // Mostly short, now and then as long as it may be.
  const milliseconds span(draw(0, 9) == 0 ? draw(5000, milliseconds(fault_longest).count()) : draw(20, 3000));
  const bool jumping_clock = draw(0, 1) == 0;
  const milliseconds pause(draw(0, 2000));
  const auto begin = [this](const char* name) { ++counts_[last_ = name]; };
  switch (draw(0, 12)) {
    case 0:
    case 1: begin("path cut"); return path_words({"blackout=on"}, span);
    case 2: begin("one way cut"); return cut_one_way(span);
    case 3: begin("loss"); return path_words({"loss=" + std::to_string(draw(1, 5)) + "%"}, span);
    case 4: begin("delay"); return path_words({"delay=" + std::to_string(draw(5, 80)) + "ms"}, span);
    case 5: begin("corruption"); return path_words({"corrupt=1%"}, span);
    case 6: begin("kill -9"); return daemons_.restart(may_end, SIGKILL, pause, jumping_clock), Status{};
    case 7: begin("SIGTERM"); return daemons_.restart(may_end, SIGTERM, pause, jumping_clock), Status{};
    case 8:
    case 9: begin("SIGSTOP"); return stop(span);
    case 10: begin("reset"); return reset(span / 4);
    case 11: begin("address change"); return move_client();
    default: begin("strangers"); return flood();
  }
}

Status Faults::path_words(const std::vector<std::string>& words, milliseconds span) {
  LT_CHECK(sandbox_.set_wan(lab::all_directions, words));
  last_for(span);
  return heal();
}

Status Faults::heal() { return sandbox_.set_wan(lab::all_directions, {"blackout=off", "loss=0%", "corrupt=0%", "delay=1ms"}); }

Status Faults::cut_one_way(milliseconds span) {
  lab::WanSettings dark;
  dark.blackout = true;
  LT_CHECK(sandbox_.set_wan(draw(0, 1) == 0 ? lab::Direction::to_office : lab::Direction::to_offsite, dark));
  last_for(span);
  return heal();
}

Status Faults::stop(milliseconds span) {
  const pid_t pid = daemons_.pid(draw(0, 1));
  ::kill(pid, SIGSTOP);
  last_for(span);
  ::kill(pid, SIGCONT);
  return {};
}

// A firewall between the sites: whatever a connection of the link says is answered by a reset.
Status Faults::reset(milliseconds span) {
  const auto rule = [&](const Argv& words) {
    Argv argv{"nft"};
    argv.insert(argv.end(), words.begin(), words.end());
    return run(lab::Host::offsite_gw, argv);
  };
  LT_CHECK(rule({"add", "table", "inet", "soak"}));
  LT_CHECK(rule({"add", "chain", "inet", "soak", "out", "{ type filter hook output priority 0 ; }"}));
  LT_CHECK(rule({"add", "rule", "inet", "soak", "out", "tcp", "dport", "5198", "reject", "with", "tcp", "reset"}));
  last_for(span);
  return rule({"delete", "table", "inet", "soak"});
}

// The client's provider gives it another address: the old one is gone at once.
Status Faults::move_client() {
  const lab::Topology& topology = sandbox_.topology();
  const std::string office = topology.office.wan_v4.address.text();
  const std::string before = client_address_;
  client_address_ = "198.51.100." + std::to_string(draw(65, 126));
  if (client_address_ == before) return {};
  char mac[18];
  const auto& bytes = topology.offsite.wan_mac;
  std::snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]);
  LT_CHECK(run(lab::Host::office_gw, {"ip", "route", "replace", client_address_ + "/32", "dev", "wan"}));
  LT_CHECK(run(lab::Host::office_gw, {"ip", "neigh", "replace", client_address_, "lladdr", mac, "dev", "wan"}));
  LT_CHECK(run(lab::Host::offsite_gw, {"ip", "address", "add", client_address_ + "/32", "dev", "wan"}));
  LT_CHECK(run(lab::Host::offsite_gw, {"ip", "route", "replace", office + "/32", "dev", "wan", "src", client_address_}));
  if (before.empty()) return {};
  LT_CHECK(run(lab::Host::offsite_gw, {"ip", "address", "delete", before + "/32", "dev", "wan"}));
  LT_CHECK(run(lab::Host::office_gw, {"ip", "neigh", "delete", before, "dev", "wan"}));
  return run(lab::Host::office_gw, {"ip", "route", "delete", before + "/32", "dev", "wan"});
}

// From the office's own LAN: some say nothing, some rubbish.
Status Faults::flood() {
  const std::string office = sandbox_.topology().office.gateway_v4.address.text();
  return lab::run_inside(sandbox_.topology().namespace_of(lab::Host::office_lan), [&]() -> Status {
    std::vector<Fd> strangers;
    for (int i = 0; i < 300; ++i) {
      strangers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(5198);
      ::inet_pton(AF_INET, office.c_str(), &address.sin_addr);
      ::connect(strangers.back().get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }
    std::this_thread::sleep_for(milliseconds(200));  // they stay for a moment
    const std::string rubbish = "GET / HTTP/1.1\r\nHost: office\r\n\r\n";
    for (std::size_t i = 0; i < strangers.size(); i += 2) {
      [[maybe_unused]] const auto sent = ::send(strangers[i].get(), rubbish.data(), rubbish.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    std::this_thread::sleep_for(milliseconds(300));
    return {};
  });
}

}  // namespace lt::soak
