#include "tunnel/doorkeeper.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>

namespace lt::tunnel {
namespace {

using namespace std::chrono_literals;

constexpr Instant start{1000s};

IpAddress v4(unsigned number) {
  return *IpAddress::parse("198." + std::to_string(18 + number / 65536) + "." +
                           std::to_string(number / 256 % 256) + "." + std::to_string(number % 256));
}

// A door through which many come at a time that nobody minds.
DoorLimits patient() {
  return {.arrivals_per_second = 1e9, .arrivals_burst = 1e9};
}

TEST_CASE("the door has the limits of the protocol", "[tunnel][doorkeeper][P-55][P-73]") {
  const DoorLimits limits;
  CHECK(limits.places == 32);
  CHECK(limits.reserved == 8);
  CHECK(limits.per_source == 4);
  CHECK(limits.arrivals_per_second == 20);
  CHECK(limits.arrivals_burst == 20);
}

TEST_CASE("one source has four places, IPv6 by its /64, and each that is left can be taken again",
          "[tunnel][doorkeeper][P-55]") {
  const bool is_v6 = GENERATE(false, true);
  const auto source = [&](unsigned i) {
    return is_v6 ? *IpAddress::parse("2001:db8:1:2::" + std::to_string(i)) : v4(1);
  };
  Doorkeeper door(patient());
  for (ConnectionId id = 1; id <= 4; ++id)
    CHECK(door.arrive(id, source(static_cast<unsigned>(id)), start).is_admitted);
  CHECK_FALSE(door.arrive(5, source(5), start).is_admitted);
  CHECK(door.arrive(6, is_v6 ? *IpAddress::parse("2001:db8:1:3::1") : v4(2), start).is_admitted);
  CHECK(door.count() == 5);
  door.left(2);
  door.left(2);  // twice changes nothing
  door.left(77);
  CHECK(door.count() == 4);
  CHECK(door.arrive(7, source(7), start).is_admitted);
  CHECK_FALSE(door.arrive(8, source(8), start).is_admitted);
}

TEST_CASE("a source may arrive twenty times at once, then twenty times a second",
          "[tunnel][doorkeeper][P-73]") {
  Doorkeeper door;
  ConnectionId id = 0;
  const auto admitted = [&](unsigned count, Instant now) {
    unsigned taken = 0;
    for (unsigned i = 0; i < count; ++i) {
      if (!door.arrive(++id, v4(1), now).is_admitted) continue;
      ++taken;
      door.left(id);
    }
    return taken;
  };
  CHECK(admitted(100, start) == 20);
  CHECK(admitted(100, start) == 0);
  CHECK(admitted(100, start + 500ms) == 10);
  CHECK(admitted(100, start + 1500ms) == 20);
  CHECK(admitted(100, start + 1h) == 20);  // no more than the burst, however long it was away
  unsigned taken = 0;
  for (int ms = 1; ms <= 10'000; ++ms) taken += admitted(1, start + 2h + ms * 1ms);
  CHECK(taken >= 218);
  CHECK(taken <= 220);
  CHECK(door.arrive(++id, v4(2), start + 2h).is_admitted);  // another source is not concerned
}

TEST_CASE("where all places of strangers are taken the eldest that has not knocked gives way",
          "[tunnel][doorkeeper][P-73]") {
  Doorkeeper door(patient());
  for (ConnectionId id = 1; id <= 24; ++id) {
    const auto verdict = door.arrive(id, v4(static_cast<unsigned>(id)), start);
    CHECK(verdict.is_admitted);
    CHECK_FALSE(verdict.gives_way);
  }
  door.knocked(1);
  door.knocked(3);
  const auto first = door.arrive(100, v4(100), start);
  CHECK(first.is_admitted);
  CHECK(first.gives_way == 2);
  CHECK(door.arrive(101, v4(101), start).gives_way == 4);
  CHECK(door.count() == 24);
  for (ConnectionId id = 5; id <= 24; ++id) door.knocked(id);
  door.knocked(100);
  door.knocked(101);
  CHECK_FALSE(door.arrive(102, v4(102), start).is_admitted);  // all have knocked: nobody has to leave
  CHECK(door.count() == 24);
  door.left(1);
  const auto last = door.arrive(103, v4(103), start);
  CHECK(last.is_admitted);
  CHECK_FALSE(last.gives_way);
}

TEST_CASE("eight places are kept for who was the peer before", "[tunnel][doorkeeper][P-73]") {
  Doorkeeper door(patient());
  door.remember(v4(1));
  door.remember(v4(2));
  ConnectionId id = 0;
  for (unsigned i = 0; i < 24; ++i) {
    REQUIRE(door.arrive(++id, v4(100 + i), start).is_admitted);
    door.knocked(id);
  }
  REQUIRE_FALSE(door.arrive(++id, v4(99), start).is_admitted);
  for (unsigned i = 0; i < 8; ++i) {
    const auto verdict = door.arrive(++id, v4(1 + i / 4), start);
    CHECK(verdict.is_admitted);
    CHECK_FALSE(verdict.gives_way);
  }
  CHECK(door.count() == 32);
  CHECK_FALSE(door.arrive(++id, v4(1), start).is_admitted);  // four places are four
}

TEST_CASE("a former peer never has to give way to a stranger", "[tunnel][doorkeeper][P-73]") {
  Doorkeeper door(patient());
  door.remember(v4(1));
  REQUIRE(door.arrive(1, v4(1), start).is_admitted);
  for (ConnectionId id = 2; id < 2000; ++id) {
    const auto verdict = door.arrive(id, v4(static_cast<unsigned>(id)), start);
    CHECK(verdict.is_admitted);
    if (verdict.gives_way == ConnectionId{1}) FAIL("the peer had to leave for stranger " << id);
  }
  CHECK(door.count() == 25);
}

TEST_CASE("only the last few peers are remembered", "[tunnel][doorkeeper][P-73]") {
  Doorkeeper door(patient());
  for (unsigned peer = 1; peer <= 5; ++peer) door.remember(v4(peer));
  door.remember(v4(5));  // anew: it takes no second place
  for (ConnectionId id = 1; id <= 24; ++id) {
    REQUIRE(door.arrive(id, v4(static_cast<unsigned>(100 + id)), start).is_admitted);
    door.knocked(id);
  }
  CHECK_FALSE(door.arrive(30, v4(1), start).is_admitted);  // the fifth last is forgotten
  for (unsigned peer = 2; peer <= 5; ++peer)
    CHECK(door.arrive(30 + peer, v4(peer), start).is_admitted);
}

TEST_CASE("among two thousand strangers a second an honest peer gets in each time",
          "[tunnel][doorkeeper][P-55][P-73]") {
  const bool is_known = GENERATE(false, true);
  constexpr unsigned seed = 73;
  INFO("seed " << seed << (is_known ? ", a former peer" : ", never seen before"));
  std::minstd_rand random(seed);
  Doorkeeper door;
  const IpAddress peer = *IpAddress::parse("203.0.113.5");
  if (is_known) door.remember(peer);
  ConnectionId id = 0;
  std::set<ConnectionId> gone;
  std::set<ConnectionId> attempts;
  unsigned refused = 0;
  // 20 s long; each stranger keeps its place until it has to give way, some knock in vain.
  for (unsigned i = 0; i < 40'000; ++i) {
    const Instant now = start + i * 500us;
    const auto verdict = door.arrive(++id, v4(static_cast<unsigned>((random() >> 4) % 100000)), now);
    if (verdict.gives_way) gone.insert(*verdict.gives_way);
    if (door.count() > 32) FAIL(door.count() << " are at the door");
    if (i % 1000 != 999) continue;
    // The peer's own: its knock is here within the time of ten strangers.
    const ConnectionId own = ++id;
    const auto taken = door.arrive(own, peer, now);
    if (taken.gives_way) gone.insert(*taken.gives_way);
    refused += taken.is_admitted ? 0U : 1U;
    for (unsigned k = 0; k < 10; ++k) {
      const auto next = door.arrive(++id, v4(static_cast<unsigned>((random() >> 4) % 100000)), now);
      if (next.gives_way) gone.insert(*next.gives_way);
    }
    door.knocked(own);
    attempts.insert(own);
    // It is a lane when a hundred more have come.
    for (unsigned k = 0; k < 100; ++k) {
      const auto next = door.arrive(++id, v4(static_cast<unsigned>((random() >> 4) % 100000)), now);
      if (next.gives_way) gone.insert(*next.gives_way);
    }
    door.left(own);
  }
  CHECK(refused == 0);
  CHECK(attempts.size() == 40);
  for (const ConnectionId own : attempts) CHECK_FALSE(gone.contains(own));
  CHECK(gone.size() > 30'000);
}

TEST_CASE("a flood from more sources than are remembered still finds each source's own bound",
          "[tunnel][doorkeeper][P-73]") {
  // Memory is bounded: what is remembered of a source goes only when it would be full again, or
  // when there are more than 4096 at a time.
  Doorkeeper door;
  ConnectionId id = 0;
  const auto come_and_go = [&](unsigned source, Instant now) {
    const auto verdict = door.arrive(++id, v4(source), now);
    if (verdict.is_admitted) door.left(id);
    return verdict.is_admitted;
  };
  for (unsigned i = 0; i < 20; ++i) CHECK(come_and_go(70'000, start));
  CHECK_FALSE(come_and_go(70'000, start));
  // 4000 others later it is still known.
  for (unsigned source = 0; source < 4000; ++source) CHECK(come_and_go(source, start));
  CHECK_FALSE(come_and_go(70'000, start));
  // 50,000 at one moment: each is served, and none makes the door slow or great.
  for (unsigned source = 0; source < 50'000; ++source) {
    if (!come_and_go(100'000 + source, start + 1ms)) FAIL("source " << source << " is refused");
  }
  CHECK(door.count() == 0);
}

}  // namespace
}  // namespace lt::tunnel
