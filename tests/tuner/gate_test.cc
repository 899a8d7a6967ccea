#include "tuner/gate.h"

#include <catch2/catch.hpp>

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
