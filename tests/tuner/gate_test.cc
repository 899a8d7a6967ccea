#include "tuner/gate.h"

#include <catch2/catch.hpp>
#include <set>

#include "tuner/gate_walk.h"

using namespace lt;
using namespace lt::tuner;

TEST_CASE("the first check that fails is the gate's failure", "[tuner][gate]") {
  GateOutcome outcome;
  outcome.add({"full_size", GateVerdict::passed, "9000 bytes both ways"});
  outcome.add({"udp_sizes", GateVerdict::skipped, "no time was left"});
  CHECK_FALSE(outcome.failure);
  outcome.add({"stall", GateVerdict::failed, "nothing arrived for 3.2 s"});
  outcome.add({"reassembly", GateVerdict::failed, "4 datagrams lost"});
  REQUIRE(outcome.failure);
  CHECK(outcome.failure->what == "stall: nothing arrived for 3.2 s");
  CHECK(outcome.count(GateVerdict::passed) == 1);
  CHECK(outcome.count(GateVerdict::failed) == 2);
}

TEST_CASE("a gate's outcome comes back from its JSON", "[tuner][gate]") {
  GateOutcome outcome;
  outcome.add({"stall", GateVerdict::failed, "nothing arrived for 3.2 s"});
  const auto again = gate_outcome_from_json(to_json(outcome));
  REQUIRE(again);
  CHECK(to_json(*again) == to_json(outcome));
}

TEST_CASE("a gate's outcome that contradicts itself is refused", "[tuner][gate]") {
  GateOutcome outcome;
  outcome.add({"stall", GateVerdict::failed, "nothing arrived for 3.2 s"});
  Json json = to_json(outcome);
  json["failure"] = nullptr;
  CHECK_FALSE(gate_outcome_from_json(json));
  json = to_json(outcome);
  json["checks"][0]["verdict"] = "passed";
  CHECK_FALSE(gate_outcome_from_json(json));
  json["checks"][0]["verdict"] = "perhaps";
  CHECK_FALSE(gate_outcome_from_json(json));
  json["checks"] = 3;
  CHECK_FALSE(gate_outcome_from_json(json));
}

TEST_CASE("no datagram of the gate is larger than the device carries whole", "[tuner][gate]") {
  CHECK(gate_udp_sizes(576U, Family::v4).back() == 548);
  CHECK(gate_udp_sizes(1280U, Family::v6).back() == 1232);
  CHECK(gate_udp_sizes(1427U, Family::v4).back() == 1399);
  for (const auto mtu : {std::optional<std::uint32_t>{1428}, std::optional<std::uint32_t>{9000}, std::optional<std::uint32_t>{}})
    CHECK(gate_udp_sizes(mtu, Family::v4).back() == gate_udp_bytes_max);
}

TEST_CASE("the sizes of the gate leave every remainder of a cipher's block", "[tuner][gate]") {
  const auto sizes = gate_udp_sizes(1428U, Family::v4);
  CHECK(sizes.front() == gate_udp_bytes_min);
  std::set<unsigned> remainders;
  for (const unsigned size : sizes) remainders.insert(size % 16);
  CHECK(remainders.size() == 16);
}

TEST_CASE("a device too small for any datagram of the gate is sent the smallest", "[tuner][gate]") {
  CHECK(gate_udp_sizes(10U, Family::v4) == std::vector<unsigned>{gate_udp_bytes_min});
}
