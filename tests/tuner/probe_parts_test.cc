#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdio>

#include "base/fd.h"
#include "tuner/probe_echo.h"
#include "tuner/probe_host.h"
#include "tuner/probe_socket.h"

using namespace lt;
using namespace lt::tuner;

TEST_CASE("a flow's greeting comes back as it went, and any flipped fixed byte is refused",
          "[tuner][probe]") {
  const FlowGreeting greeting{0x0123456789abcdef, true, 63};
  const auto raw = greeting.encode();
  const auto again = FlowGreeting::decode(raw);
  REQUIRE(again);
  CHECK(again->nonce == greeting.nonce);
  CHECK(again->is_up);
  CHECK(again->flow == 63);
  for (const std::size_t at : {0U, 1U, 2U, 3U, 5U, 6U, 7U}) {
    auto broken = raw;
    broken[at] ^= 0x80;
    CHECK_FALSE(FlowGreeting::decode(broken));
  }
  for (std::size_t length = 0; length < raw.size(); ++length)
    CHECK_FALSE(FlowGreeting::decode(ByteView(raw).first(length)));
  std::vector<Byte> longer(raw.begin(), raw.end());
  longer.push_back(0);
  CHECK_FALSE(FlowGreeting::decode(longer));
}

TEST_CASE("an echo packet comes back as it went, padded or not, and nothing else is taken",
          "[tuner][probe]") {
  std::array<Byte, 64> raw{};
  EchoPacket packet{42, EchoPhase::loaded, 7, 123456789, 987654321};
  packet.encode(raw);
  const auto again = EchoPacket::decode(raw);
  REQUIRE(again);
  CHECK(again->nonce == 42);
  CHECK(again->phase == EchoPhase::loaded);
  CHECK(again->number == 7);
  CHECK(again->client_ns == 123456789);
  CHECK(again->server_ns == 987654321);
  for (std::size_t length = 0; length < EchoPacket::bytes; ++length)
    CHECK_FALSE(EchoPacket::decode(ByteView(raw).first(length)));
  for (const std::size_t at : {0U, 3U, 5U, 6U, 7U, 20U, 23U}) {
    auto broken = raw;
    broken[at] ^= 1;
    CHECK_FALSE(EchoPacket::decode(broken));
  }
  raw[4] = 2;
  CHECK_FALSE(EchoPacket::decode(raw));
}

TEST_CASE("busy CPU time leaves out idle, waiting and stolen time", "[tuner][probe]") {
  const auto reading = parse_proc_stat("cpu  100 20 300 4000 50 6 70 8 90 10\ncpu0 1 2 3\n", 100);
  REQUIRE(reading);
  CHECK(reading->busy_seconds == Approx(4.96));
  CHECK(reading->softirq_seconds == Approx(0.70));
  CHECK(reading->steal_seconds == Approx(0.08));
  CHECK_FALSE(parse_proc_stat("", 100));
  CHECK_FALSE(parse_proc_stat("cpu  1 2 3\n", 100));
  CHECK_FALSE(parse_proc_stat("intr 1 2 3 4 5 6 7 8 9\n", 100));
}

TEST_CASE("this machine can be asked for its CPU time and congestion controls", "[tuner][probe]") {
  const auto reading = read_cpu();
  REQUIRE(reading);
  CHECK(reading->busy_seconds > 0);
  CHECK_FALSE(boot_id().empty());
  CHECK_FALSE(congestion_controls().empty());
}

TEST_CASE("a control address is a numeric endpoint or an absolute socket path", "[tuner][probe]") {
  CHECK(ControlAddress::parse("10.0.0.1:5299")->tcp->port == 5299);
  CHECK(ControlAddress::parse("[fd00::1]:1")->text() == "[fd00::1]:1");
  CHECK(ControlAddress::parse("unix:/run/p.sock")->unix_path == "/run/p.sock");
  CHECK_FALSE(ControlAddress::parse(""));
  CHECK_FALSE(ControlAddress::parse("10.0.0.1"));
  CHECK_FALSE(ControlAddress::parse("10.0.0.1:0"));
  CHECK_FALSE(ControlAddress::parse("unix:"));
  CHECK_FALSE(ControlAddress::parse("unix:relative"));
  CHECK_FALSE(ControlAddress::parse("unix:/" + std::string(107, 'x')));
}

TEST_CASE("a token is hexadecimal, long enough, and kept from others' eyes", "[tuner][probe]") {
  CHECK(ProbeToken::random().hex.size() == 32);
  CHECK(ProbeToken::random().hex != ProbeToken::random().hex);
  CHECK(ProbeToken::parse(" 0123456789abcdef\n")->hex == "0123456789abcdef");
  CHECK_FALSE(ProbeToken::parse("0123456789abcde"));
  CHECK_FALSE(ProbeToken::parse("0123456789abcdeg"));
  CHECK_FALSE(ProbeToken::parse(std::string(130, 'a')));

  const std::string path = std::string(LINKTUNE_BINARY_DIR) + "/probe_token_test";
  REQUIRE(write_file(path, "0123456789abcdef\n", 0600));
  CHECK(ProbeToken::load(path));
  REQUIRE(::chmod(path.c_str(), 0640) == 0);
  const auto loose = ProbeToken::load(path);
  REQUIRE_FALSE(loose);
  CHECK(loose.error().code == Errc::not_permitted);
  CHECK(loose.error().what.find("chmod 600") != std::string::npos);
  std::remove(path.c_str());
  CHECK(ProbeToken::load(path).error().code == Errc::not_found);
}

TEST_CASE("a congestion control that the kernel lacks is refused with the ones it has",
          "[tuner][probe]") {
  const auto socket = listen_tcp(*IpAddress::parse("127.0.0.1"), 0, "nosuchcc");
  REQUIRE_FALSE(socket);
  CHECK(socket.error().code == Errc::unsupported);
  CHECK(socket.error().what.find("cubic") != std::string::npos);
}
