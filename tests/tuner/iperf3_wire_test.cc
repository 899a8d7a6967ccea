// What iperf3's control connection may say, and every way to say it wrongly. No real peer here:
// tests/tuner/iperf3_test.cc has those.
#include "tuner/iperf3_wire.h"

#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "tuner/iperf3_streams.h"

using namespace lt;
using namespace lt::tuner;
using Catch::Matchers::Contains;

namespace {

// As iperf3 3.12 with -P 2 -t 1 -O 1 writes it.
Json parameters_of_3_12() {
  return *parse_json(
      R"({"tcp":true,"omit":1,"time":1,"num":0,"blockcount":0,"parallel":2,"len":131072,"pacing_timer":1000,"client_version":"3.12"})",
      "the test");
}

// As its server answers, with -1 as it prints it.
Json results_of_3_12() {
  return *parse_json(
      R"({"cpu_util_total":12.5,"cpu_util_user":0.5,"cpu_util_system":12,"sender_has_retransmits":18446744073709551615,
          "congestion_used":"cubic","streams":[{"id":1,"bytes":1000,"retransmits":18446744073709551615,"jitter":0,
          "errors":0,"packets":0,"start_time":0,"end_time":1.000123}]})",
      "the test");
}

// Both ends of a control connection, the far one as a plain descriptor.
struct Ends {
  Ends() {
    std::array<int, 2> raw{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, raw.data()) == 0);
    near = std::make_unique<Iperf3Line>(Fd(raw[0]), [] { return Status(); });
    far = Fd(raw[1]);
  }
  void say(std::string_view bytes) const {
    REQUIRE(::send(far.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  }
  std::unique_ptr<Iperf3Line> near;
  Fd far;
};

std::string with_length(std::string_view text) {
  Writer writer;
  writer.u32(static_cast<std::uint32_t>(text.size())).append(text);
  return std::string(as_text(writer.view()));
}

}  // namespace

TEST_CASE("the parameters of a 3.12 client are read as it means them", "[tuner][iperf3]") {
  const auto read = iperf3_parameters_from_json(parameters_of_3_12());
  REQUIRE(read);
  CHECK(read->client_version == "3.12");
  const Iperf3Test& test = read->test;
  CHECK_FALSE(test.is_udp);
  CHECK(test.load == Load::up);
  CHECK(test.streams == 2);
  CHECK(test.seconds == 1);
  CHECK(test.omit_seconds == 1);
  CHECK(test.block() == 131072);
  CHECK_FALSE(test.has_wide_counters);
}

TEST_CASE("what our client asks for is what our server reads", "[tuner][iperf3]") {
  Iperf3Test test;
  test.is_udp = GENERATE(false, true);
  test.load = GENERATE(Load::up, Load::down, Load::both);
  test.streams = 128;
  test.seconds = 86400;
  test.omit_seconds = 600;
  test.block_bytes = 65507;
  test.rate = {40'000'000'000};
  test.pacing_rate = {1'000'000'000};
  test.mss_bytes = 32767;
  test.window_bytes = 512U << 20;
  test.no_delay = true;
  test.congestion = "bbr";
  test.type_of_service = 255;
  test.may_not_fragment = test.is_udp;
  test.has_wide_counters = test.is_udp;
  test.wants_server_output = true;
  const Json json = iperf3_parameters_json(test);
  const auto read = iperf3_parameters_from_json(json);
  REQUIRE(read);
  CHECK(to_line(iperf3_parameters_json(read->test)) == to_line(json));
  CHECK(to_line(json).size() < iperf3_parameters_bytes_max);
}

TEST_CASE("wrong parameters are refused with their name and iperf3's own number", "[tuner][iperf3]") {
  struct Wrong {
    const char* field;
    Json value;
    Iperf3Errno number;
  };
  using enum Iperf3Errno;
  const std::vector<Wrong> table{
      {"tcp", false, parameters},
      {"tcp", "yes", parameters},
      {"tcp", nullptr, parameters},
      {"udp", true, parameters},  // both
      {"omit", -1, omit},
      {"omit", 601, omit},
      {"omit", Json::array(), omit},
      {"time", 86401, duration},
      {"time", -1, duration},
      {"time", 1e300, duration},
      {"time", "10", duration},
      {"parallel", 0, streams},
      {"parallel", 129, streams},
      {"parallel", UINT64_MAX, streams},
      {"parallel", {{"x", 1}}, streams},
      {"len", -5, block_bytes},
      {"len", (1 << 20) + 1, block_bytes},
      {"MSS", 87, mss_bytes},
      {"MSS", 32768, mss_bytes},
      {"MSS", "1400", mss_bytes},
      {"window", (512U << 20) + 1, window_bytes},
      {"window", -1, window_bytes},
      {"bandwidth", "fast", parameters},
      {"bandwidth", -2, parameters},
      {"fqrate", 1e19, parameters},
      {"TOS", 256, parameters},
      {"congestion", 5, parameters},
      {"congestion", "CUBIC; reboot", congestion},
      {"congestion", std::string(100, 'a'), parameters},
      {"reverse", "true", parameters},
      {"bidirectional", Json::array({1}), parameters},
      {"nodelay", "on", parameters},
      {"get_server_output", {}, parameters},
      {"client_version", 3.12, parameters},
      {"client_version", std::string(1000, '3'), parameters},
  };
  for (const Wrong& wrong : table) {
    if (wrong.field == std::string("get_server_output")) continue;  // null is absent: allowed
    Json value = parameters_of_3_12();
    value[wrong.field] = wrong.value;
    INFO(to_line(value));
    const auto read = iperf3_parameters_from_json(value);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == Errc::invalid);
    CHECK(read.error().sys_errno == static_cast<int>(wrong.number));
    CHECK_FALSE(read.error().what.empty());
  }
  Json udp = *parse_json(R"({"udp":true,"time":1,"len":15})", "the test");
  CHECK_FALSE(iperf3_parameters_from_json(udp));
  udp["len"] = 65508;
  CHECK_FALSE(iperf3_parameters_from_json(udp));
  udp["len"] = 65507;
  CHECK(iperf3_parameters_from_json(udp).has_value());
  CHECK_FALSE(iperf3_parameters_from_json(Json::array()));
  CHECK_FALSE(iperf3_parameters_from_json(Json::object()));
  CHECK_FALSE(iperf3_parameters_from_json(*parse_json(R"({"sctp":true})", "the test")));
}

TEST_CASE("minus one is read from all the ways in which iperf3 prints it", "[tuner][iperf3]") {
  for (const Json& minus_one : {Json(-1), Json(UINT64_MAX), Json(18446744073709551615.0)}) {
    Json value = results_of_3_12();
    value["streams"][0]["retransmits"] = minus_one;
    const auto read = iperf3_report_from_json(value);
    REQUIRE(read);
    CHECK(read->streams[0].retransmits == -1);
  }
}

TEST_CASE("results come back from their own text", "[tuner][iperf3]") {
  const auto read = iperf3_report_from_json(results_of_3_12());
  REQUIRE(read);
  CHECK(read->has_retransmits == -1);
  CHECK(read->congestion == "cubic");
  CHECK(read->cpu_percent == 12.5);
  REQUIRE(read->streams.size() == 1);
  CHECK(read->streams[0].bytes == 1000);
  CHECK(read->streams[0].seconds == Approx(1.000123));
  const auto again = iperf3_report_from_json(iperf3_report_json(*read));
  REQUIRE(again);
  CHECK(to_line(iperf3_report_json(*again)) == to_line(iperf3_report_json(*read)));
}

TEST_CASE("wrong results are refused", "[tuner][iperf3]") {
  const auto refused = [](auto bend) {
    Json value = results_of_3_12();
    bend(value);
    INFO(to_line(value));
    CHECK_FALSE(iperf3_report_from_json(value));
  };
  for (const char* field : {"id", "bytes", "retransmits", "errors", "packets"}) {
    refused([&](Json& v) { v["streams"][0].erase(field); });
    refused([&](Json& v) { v["streams"][0][field] = "7"; });
    refused([&](Json& v) { v["streams"][0][field] = Json::object(); });
    refused([&](Json& v) { v["streams"][0][field] = 1e300; });
  }
  refused([](Json& v) { v["streams"][0]["id"] = 0; });
  refused([](Json& v) { v["streams"][0]["id"] = 258; });
  refused([](Json& v) { v["streams"][0]["bytes"] = -2; });
  refused([](Json& v) { v["streams"][0]["jitter"] = "0"; });
  refused([](Json& v) { v["streams"][0]["end_time"] = Json::array(); });
  refused([](Json& v) { v["streams"] = 1; });
  refused([](Json& v) { v["streams"][0] = 1; });
  refused([](Json& v) { v.erase("streams"); });
  refused([](Json& v) {
    const Json one = v["streams"][0];
    for (int i = 0; i < 256; ++i) v["streams"].push_back(one);
  });
  refused([](Json& v) { v["cpu_util_total"] = "12"; });
  refused([](Json& v) { v["sender_has_retransmits"] = 2; });
  refused([](Json& v) { v["congestion_used"] = 1; });
  CHECK_FALSE(iperf3_report_from_json(Json(7)));
}

TEST_CASE("a stream is numbered as iperf3 does, without the second", "[tuner][iperf3]") {
  CHECK(iperf3_stream_id(0) == 1);
  CHECK(iperf3_stream_id(1) == 3);
  CHECK(iperf3_stream_id(2) == 4);
  CHECK(iperf3_stream_id(255) == 257);
}

TEST_CASE("a datagram's head comes back from its bytes, in both widths", "[tuner][iperf3]") {
  for (const bool is_wide : {false, true}) {
    std::vector<Byte> raw(Iperf3Datagram::bytes(is_wide));
    const Iperf3Datagram datagram{7, 999'999, is_wide ? 5'000'000'000U : 4'000'000'000U};
    datagram.encode(raw, is_wide);
    const auto read = Iperf3Datagram::decode(raw, is_wide);
    REQUIRE(read);
    CHECK(read->seconds == 7);
    CHECK(read->microseconds == 999'999);
    CHECK(read->number == datagram.number);
    raw.pop_back();
    CHECK_FALSE(Iperf3Datagram::decode(raw, is_wide));
  }
}

TEST_CASE("a gap is a loss, and a late arrival takes it back", "[tuner][iperf3]") {
  Iperf3Sequence sequence;
  const auto hear = [&](std::uint64_t number) { sequence.arrived({1, 0, number}, 1s); };
  hear(1);
  hear(2);
  CHECK(sequence.lost() == 0);
  hear(6);
  CHECK(sequence.lost() == 3);
  hear(4);
  CHECK(sequence.lost() == 2);
  CHECK(sequence.highest() == 6);
  hear(UINT64_MAX);  // no test sends so many
  CHECK(sequence.highest() == 6);
  CHECK(sequence.lost() == 2);
}

TEST_CASE("jitter is the smoothed change of the way's time, as RFC 1889 says", "[tuner][iperf3]") {
  Iperf3Sequence sequence;
  sequence.arrived({10, 0, 1}, 20s);
  CHECK(sequence.jitter_seconds() == 0);
  sequence.arrived({10, 1000, 2}, 20s + 17ms);  // 16 ms longer on its way
  CHECK(sequence.jitter_seconds() == Approx(0.001));
  sequence.arrived({10, 2000, 3}, 20s + 18ms);  // as long as the last
  CHECK(sequence.jitter_seconds() == Approx(0.001 * 15 / 16));
  sequence.forget_jitter();
  CHECK(sequence.jitter_seconds() == 0);
}

TEST_CASE("a control connection takes states, JSON and a cookie, and nothing else", "[tuner][iperf3]") {
  Ends ends;
  ends.say("\x09\x01");
  CHECK(ends.near->read_state(1s).value() == Iperf3State::param_exchange);
  CHECK(ends.near->read_state(1s).value() == Iperf3State::test_start);
  CHECK_FALSE(ends.near->read_state(0ms).value());
  ends.say(with_length(R"({"a":1})"));
  CHECK(ends.near->read_json(100, 1s).value()["a"] == 1);
  ends.say(std::string(36, 'a') + '\0');
  CHECK(ends.near->read_cookie(1s).value()[0] == 'a');
}

TEST_CASE("bytes that are no state of iperf3 name the likely mistake", "[tuner][iperf3]") {
  const int raw = GENERATE(0, 3, 5, 6, 7, 8, 15, 17, 'H', 0x80, 0xfd);
  Ends ends;
  ends.say(std::string(1, static_cast<char>(raw)));
  const auto read = ends.near->read_state(1s);
  REQUIRE_FALSE(read);
  CHECK(read.error().code == Errc::protocol);
  CHECK_THAT(read.error().what, Contains("5201"));
}

TEST_CASE("JSON that is none, empty, too long or cut off ends the conversation", "[tuner][iperf3]") {
  const auto refused = [](std::string_view bytes, Errc code) {
    Ends ends;
    ends.say(bytes);
    ends.far.reset();
    const auto read = ends.near->read_json(100, 1s);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == code);
  };
  refused(with_length("[1]"), Errc::protocol);
  refused(with_length("{"), Errc::protocol);
  refused(with_length(std::string(100, '[')), Errc::protocol);
  refused(with_length(""), Errc::protocol);
  refused(with_length(std::string(101, ' ')), Errc::protocol);
  refused("\xff\xff\xff\xff{}", Errc::protocol);
  const std::string whole = with_length(R"({"a":1})");
  for (std::size_t length = 0; length < whole.size(); ++length)
    refused(std::string_view(whole).substr(0, length), Errc::closed);
  refused(std::string(37, 'a'), Errc::protocol);  // a cookie where JSON should be
}

TEST_CASE("a cookie without its end is none", "[tuner][iperf3]") {
  Ends ends;
  ends.say(std::string(37, 'a'));
  CHECK(ends.near->read_cookie(1s).error().code == Errc::protocol);
  const Iperf3Cookie cookie = fresh_iperf3_cookie();
  CHECK(std::string(cookie.data()).size() == 36);
  CHECK(cookie != fresh_iperf3_cookie());
}

TEST_CASE("a peer that goes silent in the middle of a word ends the wait in time", "[tuner][iperf3]") {
  Ends ends;
  ends.say(with_length(R"({"a":1})").substr(0, 6));
  CHECK(ends.near->read_json(100, 100ms).error().code == Errc::timed_out);
}

TEST_CASE("a server's error says what it means and what to do", "[tuner][iperf3]") {
  struct Row {
    int number;
    Errc code;
    const char* cure;
  };
  const auto row = GENERATE(values<Row>({{121, Errc::busy, "try again"},
                                         {142, Errc::not_permitted, "without them"},
                                         {134, Errc::unsupported, "choose one of its own"},
                                         {114, Errc::rejected, "version"},
                                         {27, Errc::rejected, "lower"},
                                         {37, Errc::rejected, "shorter"},
                                         {9999, Errc::rejected, "9999"},
                                         {-1, Errc::rejected, "-1"}}));
  Ends ends;
  Writer writer;
  writer.u8(0xfe).u32(static_cast<std::uint32_t>(row.number)).u32(98);
  ends.say(as_text(writer.view()));
  const auto read = ends.near->read_state(1s);
  REQUIRE_FALSE(read);
  CHECK(read.error().code == row.code);
  CHECK_THAT(read.error().what, Contains(row.cure));
}

TEST_CASE("our error reaches the other end as its number", "[tuner][iperf3]") {
  Ends ends;
  REQUIRE(ends.near->send_error(Iperf3Errno::congestion, 2));
  std::array<Byte, 9> raw{};
  REQUIRE(::recv(ends.far.get(), raw.data(), raw.size(), 0) == 9);
  CHECK(raw[0] == 0xfe);
  CHECK(load_be32(raw.data() + 1) == 134);
  CHECK(load_be32(raw.data() + 5) == 2);
}

TEST_CASE("a test outside the limits is refused before anything is said", "[tuner][iperf3]") {
  const auto refused = [](auto bend, const char* field) {
    Iperf3Test test;
    bend(test);
    const Status status = validate(test);
    REQUIRE_FALSE(status);
    CHECK(status.error().code == Errc::invalid);
    CHECK_THAT(status.error().what, Contains(field));
  };
  refused([](Iperf3Test& t) { t.streams = 0; }, "streams");
  refused([](Iperf3Test& t) { t.streams = 129; }, "streams");
  refused([](Iperf3Test& t) { t.seconds = 86401; }, "time");
  refused([](Iperf3Test& t) { t.omit_seconds = 601; }, "omitted");
  refused([](Iperf3Test& t) { t.block_bytes = (1 << 20) + 1; }, "block");
  refused([](Iperf3Test& t) { t.is_udp = true, t.block_bytes = 15; }, "datagram");
  refused([](Iperf3Test& t) { t.is_udp = true, t.block_bytes = 65508; }, "datagram");
  refused([](Iperf3Test& t) { t.mss_bytes = 87; }, "MSS");
  refused([](Iperf3Test& t) { t.window_bytes = (512U << 20) + 1; }, "window");
  refused([](Iperf3Test& t) { t.congestion = "../x"; }, "congestion");
  refused([](Iperf3Test& t) { t.type_of_service = 256; }, "type of service");
  CHECK(validate(Iperf3Test{}).has_value());
}
