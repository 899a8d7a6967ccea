#include "tuner/sample.h"

#include <catch2/catch.hpp>

using namespace lt;
using namespace lt::tuner;

namespace {

ProbeResult a_result(Load load, std::uint64_t bytes, double loaded_us) {
  ProbeResult result;
  result.request.load = load;
  FlowResult flow;
  flow.bytes = Bytes{bytes};
  flow.measured = 1s;
  flow.congestion = "cubic";
  flow.retransmits = 3;
  if (load == Load::up) result.up = flow;
  if (load == Load::down) result.down = flow;
  result.idle.latency = summarise({100});
  result.loaded = {100, 90, 90, 45, summarise({loaded_us})};
  result.client_cpu = {2, 1.0, 1.0, 0, 0.5, 0};
  result.server_cpu = {2, 1.0, 0.5, 0, 0, 0};
  return result;
}

}  // namespace

TEST_CASE("a sample takes goodput by way, the longer wait and the worse loss", "[tuner][sample]") {
  const std::vector<ProbeResult> results{a_result(Load::up, 125'000'000, 5000),
                                         a_result(Load::down, 250'000'000, 2000)};
  const Sample sample = sample_of(results);
  CHECK_FALSE(sample.failure);
  CHECK(sample.up->value == 1'000'000'000);
  CHECK(sample.down->value == 2'000'000'000);
  CHECK(sample.loaded.us_p95 == 5000);
  CHECK(sample.loss_up == Approx(0.1));
  CHECK(sample.loss_down == Approx(0.5));
  CHECK(sample.retransmits == 6);
  CHECK(sample.cpu_seconds_per_gbit == Approx(3.0 / 3.0));
  CHECK(sample.cpu_share == Approx(0.5));
  CHECK(sample.steal_share == Approx(0.25));
  CHECK(sample.congestion_pinned);
}

TEST_CASE("a path failure makes the sample a failure, and another congestion control is noted",
          "[tuner][sample]") {
  std::vector<ProbeResult> results{a_result(Load::up, 1, 1)};
  results[0].up->congestion = "reno";
  CHECK_FALSE(sample_of(results).congestion_pinned);
  results[0].path_failure = Error{Errc::timed_out, "dead", 0};
  CHECK(sample_of(results).failure->code == Errc::timed_out);
}

TEST_CASE("a sample comes back from JSON as it went, and any field missing is refused",
          "[tuner][sample]") {
  const std::vector<ProbeResult> results{a_result(Load::up, 125'000'000, 5000)};
  Sample sample = sample_of(results);
  sample.start_time = 1500ms;
  sample.series_up = {1, 2, 3};
  const Json json = to_json(sample);
  const auto again = sample_from_json(*parse_json(to_line(json), "test"));
  REQUIRE(again);
  CHECK(to_json(*again) == json);
  CHECK_FALSE(again->down);
  for (const auto& [name, value] : json.items()) {
    if (name == "failure" || name == "up_bits_per_second" || name == "down_bits_per_second" ||
        name == "series_step_ms")
      continue;
    CAPTURE(name);
    Json without = json;
    without.erase(name);
    CHECK_FALSE(sample_from_json(without));
  }
  CHECK(sample_from_json(to_json(Sample::failed({Errc::io, "no", 0})))->failure->what == "no");
}

TEST_CASE("a steady series does not vary, a falling one does, a short one says nothing",
          "[tuner][sample]") {
  const std::vector<std::uint64_t> steady(60, 1000);
  std::vector<std::uint64_t> falling;
  for (std::uint64_t i = 0; i < 60; ++i)
    falling.push_back(1000 - 15 * i);
  CHECK(series_variation(steady, 0ms) == 0);
  CHECK(series_variation(falling, 0ms) > steady_variation_max);
  CHECK(series_variation(std::vector<std::uint64_t>(10, 5), 0ms) == 0);
  // What is omitted does not count.
  std::vector<std::uint64_t> late = steady;
  for (std::size_t i = 0; i < 20; ++i)
    late[i] = 0;
  CHECK(series_variation(late, 2000ms) == 0);
  CHECK(series_variation(late, 0ms) > steady_variation_max);
}
