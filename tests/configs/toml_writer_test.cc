#include "configs/toml_writer.h"

#include <catch2/catch.hpp>
#include <random>

#include "base/text.h"
#include "configs/knob.h"
#include "configs/toml_reader.h"

namespace lt::configs {

namespace {

LinkConfig office() {
  LinkConfig config;
  config.site = "office";
  config.key_path = "/etc/linktune/office.key";
  config.peer_public_key.fill(7);
  config.listen = Endpoint{"0.0.0.0", 5198};
  config.tunnel_addresses = {*Prefix::parse("10.77.0.1/30")};
  config.local_prefixes = {*Prefix::parse("10.1.0.0/16")};
  config.peer_prefixes = {*Prefix::parse("10.2.0.0/16"), *Prefix::parse("10.3.0.0/24")};
  return config;
}

}  // namespace

TEST_CASE("a config comes back from its own text", "[configs][toml]") {
  LinkConfig config = office();
  SECTION("as it is") {}
  SECTION("connecting, with all that is optional") {
    config.listen.reset();
    config.connect = Endpoint{"2001:db8::5", 443};
    config.public_key.emplace().fill(9);
    config.psk_path = "/etc/linktune/a \"quoted\\\" name.psk";
    config.device = "backup-link.0";
    config.tunnel_addresses.push_back(*Prefix::parse("fd00:77::1/64"));
    config.peer_prefixes.push_back(*Prefix::parse("fd00:2::/48"));
    config.local_prefixes.clear();
  }
  SECTION("with every knob away from its default") {
    config.knobs = {.mtu = 9000,
                    .offload = false,
                    .lanes = 15,
                    .express = false,
                    .congestion_control = "bbr",
                    .notsent_lowat = Bytes{131073},
                    .queue_delay = 10,
                    .tun_queue = Packets{64},
                    .record_size = 1_MiB,
                    .io = IoChoice::io_uring,
                    .aead = AeadChoice::ipsec_mb};
  }
  REQUIRE(validate(config).has_value());
  const std::string text = write_link_config(config);
  INFO(text);
  const auto read = parse_link_config(text, "/etc/linktune/office.toml");
  if (!read) FAIL(read.error().text());
  CHECK(*read == config);
  CHECK(write_link_config(*read) == text);
}

TEST_CASE("random knobs come back from their own text", "[configs][toml]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20; ++round) {
    LinkConfig config = office();
    for (const Knob& knob : knobs(Carrier::native)) {
      if (knob.max == 0) continue;
      const std::uint64_t value = std::uniform_int_distribution(knob.min, knob.max)(random);
      REQUIRE(set_knob(config.knobs, knob.name, std::to_string(value)).has_value());
    }
    const auto read = parse_link_config(write_link_config(config), "/etc/linktune/office.toml");
    if (!read) FAIL(read.error().text());
    CHECK(*read == config);
  }
}

TEST_CASE("every line of a written config has a reason above it", "[configs][toml]") {
  const std::string text = write_link_config(office());
  std::string_view before;
  for (const std::string_view line : split(trim(text), '\n')) {
    INFO(line);
    if (!line.empty() && line.front() != '#' && line.front() != '[')
      CHECK(before.starts_with("# "));
    before = line;
  }
}

}  // namespace lt::configs
