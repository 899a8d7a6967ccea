// Links of several lanes over loopback TCP, with real threads.
#include "tests/tunnel/link_ends.h"

namespace lt::tunnel {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = LinkEventKind;

// The queues of a device of several: each a TUN of its own, as the lanes see it.
struct Queues {
  std::vector<FakeTun> tuns;
  explicit Queues(std::size_t count) : tuns(count) {}
  [[nodiscard]] std::vector<std::vector<int>> fds() const {
    std::vector<std::vector<int>> all;
    for (const FakeTun& tun : tuns) all.push_back({tun.fd()});
    return all;
  }
};

LinkOptions with_lanes(LinkOptions options, const Queues& queues, IoBackend io) {
  options.tun_queues = queues.fds();
  options.tun_offload = true;
  options.lanes = static_cast<std::uint8_t>(queues.tuns.size());
  options.express = queues.tuns.size() > 1;
  options.io = io;
  return options;
}

// One packet each way over each lane. A packet that is lost with a lane is sent again.
void exchange_all(const Queues& from, const Queues& to, bool is_to_offsite, bool may_lose) {
  for (std::size_t i = 0; i < from.tuns.size(); ++i) {
    INFO("queue " << i);
    PacketSpec spec = is_to_offsite ? to_offsite() : to_office();
    spec.identification = static_cast<std::uint16_t>(i);
    const auto packet = build(spec);
    const Instant until = now() + patience;
    bool has_come = false;
    while (!has_come && now() < until) {
      REQUIRE(from.tuns[i].put({}, packet));
      const auto arrived = to.tuns[i].take(may_lose ? now() + milliseconds(300) : until);
      has_come = arrived && arrived->bytes == packet;
      if (!may_lose) REQUIRE(has_come);
    }
    CHECK(has_come);
  }
}

auto has_lanes(std::size_t count) {
  return [count](const LinkSnapshot& snapshot) { return snapshot.lanes.size() == count; };
}

TEST_CASE("a link of 1, 2, 4 or 16 lanes brings all of them up and carries packets over each",
          "[tunnel][link][lanes][P-64][P-74]") {
  const std::size_t count = GENERATE(1U, 2U, 4U, 16U);
  const IoBackend io = GENERATE(from_range(backends()));
  INFO(count << " lanes, " << testing::name_of(io));
  const Queues at_office(count);
  const Queues at_offsite(count);
  RunningLink server(with_lanes(listening(), at_offsite, io));
  RunningLink client(with_lanes(connecting(server.link->listen_port()), at_office, io));
  client.wait_until(has_lanes(count));
  server.wait_until(has_lanes(count));
  const LinkSnapshot seen = client.link->snapshot();
  CHECK(seen.sessions == 1);
  CHECK(seen.joins == count - 1);
  CHECK(seen.lanes_agreed == count);
  CHECK(seen.has_express == (count > 1));
  for (std::size_t i = 0; i < count; ++i) {
    CHECK(seen.lanes[i].index == i);
    CHECK(seen.lanes[i].is_express == (count > 1 && i == count - 1));
  }
  exchange_all(at_office, at_offsite, true, false);
  exchange_all(at_offsite, at_office, false, false);
  CHECK(client.stop() < seconds(2));
  CHECK(server.stop() < seconds(2));
  CHECK(client.has_run_well());
  CHECK(server.has_run_well());
  CHECK(client.link->snapshot().outbound.packets == count);
  CHECK(server.link->snapshot().inbound.packets == count);
  CHECK(client.link->snapshot().inbound.packets == count);
}

TEST_CASE("ends that want different numbers of lanes agree on the smaller",
          "[tunnel][link][lanes][P-74]") {
  const Queues four(4);
  const Queues two(2);
  RunningLink server(with_lanes(listening(), two, IoBackend::epoll));
  RunningLink client(with_lanes(connecting(server.link->listen_port()), four, IoBackend::epoll));
  client.wait_until(has_lanes(2));
  server.wait_until(has_lanes(2));
  CHECK(client.link->snapshot().lanes_agreed == 2);
  CHECK(server.link->snapshot().has_express);
}

TEST_CASE("one lane of several that is lost is joined anew, the others and the session stay",
          "[tunnel][link][lanes][P-51][P-70]") {
  const IoBackend io = GENERATE(from_range(backends()));
  INFO(testing::name_of(io));
  const Queues at_office(3);
  const Queues at_offsite(3);
  RunningLink server(with_lanes(listening(), at_offsite, io));
  RunningLink client(with_lanes(connecting(server.link->listen_port()), at_office, io));
  client.wait_until(has_lanes(3));
  server.wait_until(has_lanes(3));
  const std::size_t seen = client.event_count();
  // The client's socket of lane 1 is found by its port, and shut down behind the lane's back.
  int cut = 0;
  const std::string victim = server.link->snapshot().lanes[1].peer;
  for (int fd = 3; fd < 1024 && cut == 0; ++fd) {
    sockaddr_in local{};
    socklen_t length = sizeof local;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length) != 0) continue;
    if (local.sin_family != AF_INET) continue;
    if ("127.0.0.1:" + std::to_string(ntohs(local.sin_port)) != victim) continue;
    ::shutdown(fd, SHUT_RDWR);
    ++cut;
  }
  REQUIRE(cut == 1);
  client.wait_for(Kind::lane_ended, seen);
  client.wait_for(Kind::lane_up, seen);
  client.wait_until(has_lanes(3));
  server.wait_until(has_lanes(3));
  exchange_all(at_office, at_offsite, true, true);
  exchange_all(at_offsite, at_office, false, true);
  CHECK(client.link->snapshot().sessions == 1);
  CHECK(server.link->snapshot().sessions == 1);
  CHECK(client.link->snapshot().lanes[0].age > client.link->snapshot().lanes[1].age);
}

TEST_CASE("lanes are renewed while packets flow, and not one is lost or overtaken",
          "[tunnel][link][lanes][P-69][P-71][P-72]") {
  const IoBackend io = GENERATE(from_range(backends()));
  constexpr unsigned seed = 69;
  INFO(testing::name_of(io) << ", seed " << seed);
  const Queues at_office(1);
  const Queues at_offsite(1);
  LinkOptions for_server = with_lanes(listening(), at_offsite, io);
  for_server.times.lane.patience = patience;
  RunningLink server(std::move(for_server));
  LinkOptions for_client = with_lanes(connecting(server.link->listen_port()), at_office, io);
  for_client.times.lane.patience = patience;
  for_client.times.lane_age = milliseconds(150);
  for_client.times.reach = milliseconds(1);
  RunningLink client(std::move(for_client));
  client.wait_until(has_lanes(1));
  server.wait_until(has_lanes(1));
  std::atomic<bool> is_over{false};
  Flow there{at_office.tuns[0], at_offsite.tuns[0], true, seed, 1 << 30, &is_over};
  Flow back{at_offsite.tuns[0], at_office.tuns[0], false, seed + 1, 1 << 30, &is_over};
  std::thread flow_there([&] { there.run(); });
  std::thread flow_back([&] { back.run(); });
  client.wait_until([](const LinkSnapshot& snapshot) { return snapshot.joins >= 12; });
  is_over = true;
  flow_there.join();
  flow_back.join();
  CHECK(there.fault == "");
  CHECK(back.fault == "");
  const LinkSnapshot seen = client.link->snapshot();
  CHECK(seen.sessions == 1);
  CHECK(seen.lane_ends.at("moved") >= 11);
  CHECK(seen.lane_ends.size() == 1);
}

}  // namespace
}  // namespace lt::tunnel
