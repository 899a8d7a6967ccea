#include "tuner/largest_mtu.h"

#include <catch2/catch.hpp>

using namespace lt;
using namespace lt::tuner;

namespace {

MtuTrial up_to(std::uint32_t largest) {
  return [largest](std::uint32_t mtu) -> Result<bool> { return mtu <= largest; };
}

// A bench whose device takes any MTU and whose gate knows better.
class Ladder final : public Bench {
 public:
  explicit Ladder(std::uint32_t largest) : largest_(largest) {}
  Result<Started> prepare(const Arm& arm, const std::stop_token&) override {
    ++prepared;
    arm_ = arm;
    return Started{};
  }
  Result<GateOutcome> gate(const std::stop_token&) override {
    GateOutcome outcome;
    if (skips) {
      outcome.add({"full_size", GateVerdict::skipped, "nothing was sent"});
      return outcome;
    }
    const bool fits = std::stoul(arm_.settings.back().value) <= largest_;
    outcome.add({"full_size", fits ? GateVerdict::passed : GateVerdict::failed, "as simulated"});
    return outcome;
  }
  Result<Sample> measure(const TrialPlan&, const std::stop_token&) override { return Sample{}; }
  Status dismantle() override {
    ++dismantled;
    return {};
  }
  std::vector<Fact> facts() const override { return {}; }

  bool skips{false};
  int prepared{0};
  int dismantled{0};

 private:
  std::uint32_t largest_;
  Arm arm_;
};

}  // namespace

TEST_CASE("the largest MTU is found to the byte, wherever it lies", "[tuner][mtu]") {
  for (const std::uint32_t largest : {576U, 577U, 1448U, 1500U, 8999U, 65'510U, 65'511U}) {
    const auto found = find_largest_mtu(576, 65'511, up_to(largest));
    REQUIRE(found);
    CHECK(found->largest == largest);
    if (largest < 65'511) CHECK(found->too_large == largest + 1);
    CHECK(found->trials <= 19);
  }
}

TEST_CASE("one start is enough where the largest works", "[tuner][mtu]") {
  const auto found = find_largest_mtu(576, 65'511, up_to(65'511));
  REQUIRE(found);
  CHECK(found->trials == 1);
  CHECK_FALSE(found->too_large);
}

TEST_CASE("where not even the smallest works, none is named", "[tuner][mtu]") {
  const auto found = find_largest_mtu(576, 65'511, up_to(100));
  REQUIRE(found);
  CHECK_FALSE(found->largest);
  CHECK(found->trials == 2);
}

TEST_CASE("a bench that breaks ends the search with its error", "[tuner][mtu]") {
  const auto found = find_largest_mtu(
      576, 9000, [](std::uint32_t) -> Result<bool> { return fail(Errc::io, "broken"); });
  REQUIRE_FALSE(found);
  CHECK(found.error().what == "broken");
}

TEST_CASE("the search on a bench asks the gate, and takes down each arm that it started",
          "[tuner][mtu]") {
  Ladder bench(20'000);
  const auto found =
      find_largest_mtu(bench, *parse_arm("openvpn proto=tcp tun_mtu=1500"), 1500, 65'511, {});
  REQUIRE(found);
  CHECK(found->largest == 20'000U);
  CHECK(bench.prepared == bench.dismantled);
  CHECK(static_cast<unsigned>(bench.prepared) == found->trials);
}

TEST_CASE("an MTU whose gate checked nothing does not count as working", "[tuner][mtu]") {
  Ladder bench(65'535);
  bench.skips = true;
  const auto found = find_largest_mtu(bench, *parse_arm("native"), 1500, 9000, {});
  REQUIRE(found);
  CHECK_FALSE(found->largest);
}
