#include "tuner/probe_json.h"

#include <catch2/catch.hpp>

#include "base/json.h"

using namespace lt;
using namespace lt::tuner;

namespace {

ProbeRequest a_request() {
  ProbeRequest request;
  request.data = *IpAddress::parse("10.9.0.2");
  return request;
}

ProbeResult a_result() {
  ProbeResult result;
  result.request = a_request();
  result.request.source = IpAddress::parse("10.9.0.1");
  FlowResult flow;
  flow.bytes = Bytes{125'000'000};
  flow.measured = 1s;
  flow.series = {1, 2, 3};
  flow.retransmits = 4;
  flow.rtt_us = 250.5;
  flow.congestion = "cubic";
  flow.flows = 2;
  result.up = flow;
  result.idle = {100, 99, 99, 98, summarise({1, 2, 3})};
  result.client_cpu = {2, 1.0, 0.5, 0.1, 0, 0.2};
  result.server_cpu = {2, 1.0, 0.7, 0.1, 0, 0.3};
  result.client_kernel = "Linux 6.1";
  result.server_kernel = "Linux 6.2";
  return result;
}

}  // namespace

TEST_CASE("a result comes back from JSON as it went", "[tuner][probe]") {
  const ProbeResult result = a_result();
  const Json json = to_json(result);
  const auto again = probe_result_from_json(*parse_json(to_line(json), "test"));
  REQUIRE(again);
  CHECK(to_json(*again) == json);
  CHECK(json["schema"] == "linktune.probe/1");
  CHECK(json["up"]["bits_per_second"] == 1'000'000'000);
  CHECK(json["down"].is_null());
}

TEST_CASE("a result with a path failure keeps the reason", "[tuner][probe]") {
  ProbeResult result = a_result();
  result.path_failure = Error{Errc::timed_out, "no way", 0};
  const auto again = probe_result_from_json(to_json(result));
  REQUIRE(again);
  REQUIRE(again->path_failure);
  CHECK(again->path_failure->code == Errc::timed_out);
}

TEST_CASE("a result that lacks any field, or has it of another type, is refused",
          "[tuner][probe]") {
  const Json json = to_json(a_result());
  for (const auto& [name, value] : json.items()) {
    // Absent optional parts read as absent; derived numbers are not read.
    if (name == "path_failure" || name == "up" || name == "down" || name == "cpu_seconds_per_gbit")
      continue;
    CAPTURE(name);
    Json without = json;
    without.erase(name);
    CHECK_FALSE(probe_result_from_json(without));
    Json wrong = json;
    wrong[name] = Json::array();
    CHECK_FALSE(probe_result_from_json(wrong));
  }
  Json other_schema = json;
  other_schema["schema"] = "linktune.probe/2";
  CHECK_FALSE(probe_result_from_json(other_schema));
}

TEST_CASE("a request outside its limits is refused by the name of the field", "[tuner][probe]") {
  const auto refused = [](auto change) {
    ProbeRequest request = a_request();
    change(request);
    return !validate(request) && !probe_request_from_json(to_json(request));
  };
  CHECK(validate(a_request()));
  CHECK(refused([](ProbeRequest& r) { r.duration = 99ms; }));
  CHECK(refused([](ProbeRequest& r) { r.duration = 300'001ms; }));
  CHECK(refused([](ProbeRequest& r) { r.omit = 60'001ms; }));
  CHECK(refused([](ProbeRequest& r) { r.idle = 10'001ms; }));
  CHECK(refused([](ProbeRequest& r) { r.flows = 0; }));
  CHECK(refused([](ProbeRequest& r) { r.flows = 65; }));
  CHECK(refused([](ProbeRequest& r) { r.echo_per_second = 9; }));
  CHECK(refused([](ProbeRequest& r) { r.echo_per_second = 10'001; }));
  CHECK(refused([](ProbeRequest& r) { r.echo_bytes = 63; }));
  CHECK(refused([](ProbeRequest& r) { r.echo_bytes = 65'001; }));
  CHECK(refused([](ProbeRequest& r) { r.congestion = ""; }));
  CHECK(refused([](ProbeRequest& r) { r.congestion = "cubic; reboot"; }));
  CHECK(refused([](ProbeRequest& r) { r.congestion = "a-name-of-16-cha"; }));
  CHECK(refused([](ProbeRequest& r) { r.data = *IpAddress::parse("0.0.0.0"); }));
  CHECK(refused([](ProbeRequest& r) { r.data = *IpAddress::parse("::"); }));
  CHECK(refused([](ProbeRequest& r) { r.data = *IpAddress::parse("224.0.0.1"); }));
  CHECK(refused([](ProbeRequest& r) { r.source = IpAddress::parse("::1"); }));
}

TEST_CASE("latency is summed up in any order, and none is all zero", "[tuner][probe]") {
  const Latency latency = summarise({300, 100, 200});
  CHECK(latency.count == 3);
  CHECK(latency.us_min == 100);
  CHECK(latency.us_p50 == 200);
  CHECK(latency.us_max == 300);
  CHECK(latency.per_minute() == Approx(300'000));
  CHECK(summarise({}).per_minute() == 0);
}

TEST_CASE("loss is told apart by way, and duplicates are no negative loss", "[tuner][probe]") {
  const EchoResult echo{100, 90, 90, 81, {}};
  CHECK(echo.loss_up() == Approx(0.1));
  CHECK(echo.loss_down() == Approx(0.1));
  CHECK(EchoResult{}.loss_up() == 0);
  CHECK(EchoResult{10, 11, 11, 12, {}}.loss_up() == 0);
}

TEST_CASE("one machine's CPU time is counted once, two machines' is added", "[tuner][probe]") {
  ProbeResult result = a_result();
  CHECK(result.cpu_seconds_per_gbit() == Approx(1.2));
  result.same_machine = true;
  CHECK(result.cpu_seconds_per_gbit() == Approx(0.5));
  result.up.reset();
  CHECK(result.cpu_seconds_per_gbit() == 0);
}

TEST_CASE("a stall is the longest time without a byte", "[tuner][probe]") {
  FlowResult flow;
  CHECK(flow.longest_stall() == 0ms);
  flow.series = {0, 5, 0, 0, 0, 7, 0, 0};
  CHECK(flow.longest_stall() == 300ms);
}
