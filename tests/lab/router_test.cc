#include "lab/router.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

using namespace lt;
using namespace lt::lab;

namespace {

constexpr std::size_t ip_at = 14;

// A frame with an IPv4 packet of `total` bytes whose payload counts up.
std::vector<Byte> frame_of(std::uint16_t total, std::uint16_t flags = 0, Byte protocol = 17) {
  std::vector<Byte> frame(ip_at + total);
  for (Byte i = 0; i < 12; ++i)
    frame[i] = i < 6 ? Byte{0xbb} : Byte{0xaa};
  store_be16(frame.data() + 12, 0x0800);
  frame[ip_at] = 0x45;
  store_be16(frame.data() + ip_at + 2, total);
  store_be16(frame.data() + ip_at + 4, 0x1234);
  store_be16(frame.data() + ip_at + 6, flags);
  frame[ip_at + 8] = 64;
  frame[ip_at + 9] = protocol;
  store_be32(frame.data() + ip_at + 12, 0xc6336401);
  store_be32(frame.data() + ip_at + 16, 0xc6336402);
  for (std::size_t i = ip_at + 20; i < frame.size(); ++i)
    frame[i] = static_cast<Byte>(i * 7);
  return frame;
}

WanSettings with(std::vector<std::string> words) {
  const auto settings = WanSettings::parse(words, WanSettings{});
  REQUIRE(settings);
  return *settings;
}

// The one's complement sum of what carries its own checksum is all ones (RFC 1071).
bool sums_up(ByteView data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < data.size(); i += 2)
    sum += load_be16(data.data() + i);
  if (data.size() % 2 == 1) sum += std::uint32_t{data.back()} << 8U;
  while (sum > 0xffff)
    sum = (sum & 0xffffU) + (sum >> 16U);
  return sum == 0xffff;
}

constexpr std::uint16_t df = 0x4000;
constexpr std::uint16_t mf = 0x2000;

}  // namespace

TEST_CASE("a usual line passes every packet for what it is", "[lab][router]") {
  const WanSettings usual;
  for (const std::uint16_t flags : {std::uint16_t{0}, df, mf, std::uint16_t{100}})
    CHECK(judge(frame_of(1500, flags), usual) == Ruling::pass);
  CHECK(judge(frame_of(84, 0, 1), usual) == Ruling::pass);
}

TEST_CASE("a packet above the path's MTU is cut, or dropped where it may not be", "[lab][router]") {
  const WanSettings narrow = with({"mtu=1492"});
  CHECK(judge(frame_of(1492), narrow) == Ruling::pass);
  CHECK(judge(frame_of(1493), narrow) == Ruling::cut);
  CHECK(judge(frame_of(1492, df), narrow) == Ruling::pass);
  CHECK(judge(frame_of(1493, df), narrow) == Ruling::too_large);
  CHECK(judge(frame_of(1493), with({"mtu=1492", "fragments=drop"})) == Ruling::fragment);
}

TEST_CASE("fragments are known by either sign of one", "[lab][router]") {
  const WanSettings strict = with({"fragments=drop"});
  CHECK(judge(frame_of(1500, mf), strict) == Ruling::fragment);
  CHECK(judge(frame_of(500, 185), strict) == Ruling::fragment);
  CHECK(judge(frame_of(1500, df), strict) == Ruling::pass);
}

TEST_CASE("where ICMP is dropped nothing else is", "[lab][router]") {
  const WanSettings silent = with({"icmp=drop"});
  CHECK(judge(frame_of(84, 0, 1), silent) == Ruling::icmp);
  CHECK(judge(frame_of(84, 0, 6), silent) == Ruling::pass);
}

TEST_CASE("what is no whole IPv4 packet passes unjudged", "[lab][router]") {
  const WanSettings strict = with({"mtu=576", "fragments=drop", "icmp=drop"});
  auto arp = frame_of(1500, mf, 1);
  store_be16(arp.data() + 12, 0x0806);
  CHECK(judge(arp, strict) == Ruling::pass);
  auto cut_off = frame_of(1500, mf, 1);
  cut_off.resize(600);  // its header says more
  CHECK(judge(cut_off, strict) == Ruling::pass);
  for (std::size_t bytes = 0; bytes < 34; ++bytes)
    CHECK(judge(ByteView(arp).first(bytes), strict) == Ruling::pass);
}

TEST_CASE("the pieces of a packet are the packet", "[lab][router]") {
  const std::uint16_t total = GENERATE(as<std::uint16_t>{}, 1493, 1500, 1173, 5000);
  const std::uint16_t flags = GENERATE(as<std::uint16_t>{}, 0, 0x2000, 0x2005);
  const auto frame = frame_of(total, flags);
  const auto pieces = cut(frame, Bytes{600});
  std::vector<Byte> payload;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const ByteView ip = ByteView(pieces[i]).subspan(ip_at);
    const std::uint16_t said = load_be16(ip.data() + 6);
    CHECK(ip.size() <= 600);
    CHECK(load_be16(ip.data() + 2) == ip.size());
    CHECK(load_be16(ip.data() + 4) == 0x1234);
    CHECK(sums_up(ip.first(20)));
    CHECK((said & 0x1fffU) * 8U == (flags & 0x1fffU) * 8U + payload.size());
    CHECK(((said & mf) != 0) == (i + 1 < pieces.size() || (flags & mf) != 0));
    payload.insert(payload.end(), ip.begin() + 20, ip.end());
  }
  CHECK(std::equal(payload.begin(), payload.end(), frame.begin() + ip_at + 20, frame.end()));
}

TEST_CASE("the sender of a packet that is too large is told the MTU, and which packet it was",
          "[lab][router]") {
  const auto frame = frame_of(1500, df);
  const auto answer = too_large_answer(frame, Bytes{1492});
  REQUIRE(answer);
  const ByteView ip = ByteView(*answer).subspan(ip_at);
  CHECK(
      std::equal(answer->begin(), answer->begin() + 6, frame.begin() + 6));  // to whom it came from
  CHECK(load_be32(ip.data() + 16) == 0xc6336401);
  CHECK(load_be16(ip.data() + 2) == ip.size());
  CHECK(ip[9] == 1);
  CHECK(ip[20] == 3);
  CHECK(ip[21] == 4);
  CHECK(load_be16(ip.data() + 26) == 1492);
  CHECK(sums_up(ip.first(20)));
  CHECK(sums_up(ip.subspan(20)));
  CHECK(std::equal(ip.begin() + 28, ip.end(), frame.begin() + ip_at));
}

TEST_CASE("nobody is told about an ICMP error or a later fragment", "[lab][router]") {
  auto error = frame_of(1500, df, 1);
  error[ip_at + 20] = 3;
  CHECK_FALSE(too_large_answer(error, Bytes{1492}));
  error[ip_at + 20] = 8;  // an echo request
  CHECK(too_large_answer(error, Bytes{1492}));
  CHECK_FALSE(too_large_answer(frame_of(1500, df | 5), Bytes{1492}));
}
