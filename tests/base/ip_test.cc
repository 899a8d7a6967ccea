#include "base/ip.h"

#include <catch2/catch.hpp>
#include <random>

namespace lt {
namespace {

TEST_CASE("numeric addresses of both families are read, and written in their one form",
          "[base][ip]") {
  const std::pair<const char*, const char*> forms[] = {
      {"10.77.0.1", "10.77.0.1"},
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"fd00::1", "fd00::1"},
      {"FD00:0:0:0:0:0:0:1", "fd00::1"},
      {"::", "::"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"::ffff:1.2.3.4", "::ffff:1.2.3.4"}};
  for (const auto& [text, form] : forms) {
    INFO(text);
    const auto address = IpAddress::parse(text);
    REQUIRE(address);
    CHECK(address->text() == form);
    CHECK(IpAddress::parse(form) == address);
  }
}

TEST_CASE("what is no address in numbers is refused", "[base][ip]") {
  for (const char* bad :
       {"", " ", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.-4", "1.2.3.4 ", " 1.2.3.4", "01.2.3.4x",
        "0x7f.1", "localhost", "fd00::1::2", "fd00", ":::", "12345::", "fe80::1%eth0", "[fd00::1]",
        "10.0.0.1/8", "1.2.3.4:80"}) {
    INFO(bad);
    CHECK_FALSE(IpAddress::parse(bad));
  }
  CHECK_FALSE(IpAddress::parse(std::string_view("10.0.0.1\0.9", 10)));
}

TEST_CASE("raw bytes and addresses are one", "[base][ip]") {
  const std::array<Byte, 4> v4{192, 0, 2, 1};
  CHECK(IpAddress::from_v4(v4).text() == "192.0.2.1");
  CHECK(IpAddress::from_v4(v4).raw().size() == 4);
  CHECK(IpAddress::from_v4(v4).bit_length() == 32);
  std::array<Byte, 16> v6{0x20, 1, 0x0d, 0xb8};
  CHECK(IpAddress::from_v6(v6).text() == "2001:db8::");
  CHECK(IpAddress::from_v6(v6).raw().size() == 16);
  CHECK(*IpAddress::parse("0.0.0.0") != *IpAddress::parse("::"));
}

TEST_CASE("prefixes need a length within their family", "[base][ip]") {
  for (const char* good : {"10.0.0.0/0", "10.0.0.0/32", "10.1.2.3/16", "::/0", "fd00::/128"}) {
    INFO(good);
    const auto prefix = Prefix::parse(good);
    REQUIRE(prefix);
    CHECK(prefix->text() == good);
  }
  for (const char* bad : {"10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8",
                          "10.0.0.0/8 ", "10.0.0.0/8/8", "/8", "x/8", "fd00::/129",
                          "10.0.0.0/4294967304", "10.0.0.0/99999999999999999999"}) {
    INFO(bad);
    CHECK_FALSE(Prefix::parse(bad));
  }
}

TEST_CASE("a network is its prefix without host bits", "[base][ip]") {
  const auto network = [](const char* text) { return Prefix::parse(text)->network().text(); };
  CHECK(network("10.1.2.3/16") == "10.1.0.0/16");
  CHECK(network("10.1.255.255/17") == "10.1.128.0/17");
  CHECK(network("255.255.255.255/0") == "0.0.0.0/0");
  CHECK(network("10.1.2.3/32") == "10.1.2.3/32");
  CHECK(network("fd00:1:2:3:ffff::1/63") == "fd00:1:2:2::/63");
  CHECK(Prefix::parse("10.1.2.3/16")->has_host_bits());
  CHECK_FALSE(Prefix::parse("10.1.0.0/16")->has_host_bits());
}

TEST_CASE("a prefix contains exactly the addresses that share its bits", "[base][ip]") {
  constexpr unsigned seed = 12;
  INFO("seed " << seed);
  std::minstd_rand random(seed);
  for (int round = 0; round < 2000; ++round) {
    const bool is_v4 = random() % 2 == 0;
    std::array<Byte, 16> raw{};
    for (Byte& byte : raw)
      byte = static_cast<Byte>(random() >> 8);
    const IpAddress base =
        is_v4 ? IpAddress::from_v4(std::span(raw).first<4>()) : IpAddress::from_v6(raw);
    const unsigned length = static_cast<unsigned>(random() >> 4) % (base.bit_length() + 1);
    const Prefix prefix{base, length};
    // Flip one bit: outside of the length it stays within, inside it does not.
    const unsigned bit = static_cast<unsigned>(random() >> 4) % base.bit_length();
    IpAddress other = base;
    other.bytes[bit / 8] ^= static_cast<Byte>(0x80U >> bit % 8);
    INFO(prefix.text() << " and " << other.text());
    CHECK(prefix.contains(base));
    CHECK(prefix.contains(other) == (bit >= length));
    CHECK(prefix.contains(other.raw()) == (bit >= length));
    CHECK(prefix.overlaps({other, base.bit_length()}) == (bit >= length));
    CHECK(Prefix{other, base.bit_length()}.overlaps(prefix) == (bit >= length));
  }
}

TEST_CASE("families never meet", "[base][ip]") {
  CHECK_FALSE(Prefix::parse("0.0.0.0/0")->contains(*IpAddress::parse("::")));
  CHECK_FALSE(Prefix::parse("::/0")->contains(*IpAddress::parse("0.0.0.0")));
  CHECK_FALSE(Prefix::parse("::/0")->overlaps(*Prefix::parse("0.0.0.0/0")));
}

TEST_CASE("endpoints are read with host and port, and written so that they are read again",
          "[base][ip]") {
  for (const char* good :
       {"203.0.113.5:5198", "[2001:db8::1]:5198", "gw.example.org:1", "host:65535"}) {
    INFO(good);
    const auto endpoint = Endpoint::parse(good);
    REQUIRE(endpoint);
    CHECK(endpoint->text() == good);
  }
  CHECK(Endpoint::parse("[2001:db8::1]:5198")->host == "2001:db8::1");
  for (const char* bad :
       {"", ":", "host", "host:", ":80", "host:0", "host:65536", "host:-1", "host:80 ", "host:x",
        "2001:db8::1:80", "[]:80", "[2001:db8::1]", "host:99999999999999999999"}) {
    INFO(bad);
    CHECK_FALSE(Endpoint::parse(bad));
  }
}

}  // namespace
}  // namespace lt
