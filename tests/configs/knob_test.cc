#include "configs/knob.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>
#include <set>

#include "base/text.h"

namespace lt::configs {

TEST_CASE("every knob has a reason, a source and a name of its own", "[configs][knob]") {
  std::set<std::string_view> names;
  for (const Knob& knob : knobs()) {
    INFO(knob.name);
    CHECK(names.insert(knob.name).second);
    CHECK(knob.why.size() > 20);
    CHECK(knob.source.size() > 10);
    CHECK(knob.name.starts_with(knob.carrier == Carrier::native ? "native." : "openvpn."));
    CHECK(knob.sweep.size() >= 1);
    CHECK((knob.type == KnobType::choice || knob.type == KnobType::name) ==
          (knob.choices.size() > 0));
    const bool is_number = knob.type == KnobType::integer || knob.type == KnobType::bytes ||
                           knob.type == KnobType::packets;
    CHECK(is_number == (knob.max > knob.min));
    CHECK(is_number == !knob.unit.empty());
  }
}

TEST_CASE("defaults and sweep values lie within their knob's range", "[configs][knob]") {
  for (const Knob& knob : knobs()) {
    INFO(knob.name);
    CHECK(parse_value(knob, default_text(knob)).has_value());
    for (const std::string_view text : knob.sweep) {
      INFO(text);
      const auto value = parse_value(knob, text);
      REQUIRE(value.has_value());
      CHECK(value_text(knob, *value) == text);
    }
  }
}

TEST_CASE("every field of both structs has a row", "[configs][knob]") {
  // A field without a row would keep its default when all rows are copied by text.
  NativeKnobs native{.mtu = 9000,
                     .offload = false,
                     .lanes = 4,
                     .express = false,
                     .congestion_control = "bbr",
                     .notsent_lowat = 128_KiB,
                     .queue_delay = 10,
                     .tun_queue = Packets{64},
                     .record_size = 68_KiB,
                     .io = IoChoice::epoll,
                     .aead = AeadChoice::openssl};
  NativeKnobs native_copy;
  for (const auto& [name, text] : describe(native))
    REQUIRE(set_knob(native_copy, name, text).has_value());
  CHECK(native_copy == native);
  CHECK(describe_changes(native).size() == 11);

  OpenVpnKnobs openvpn{.proto = OpenVpnProto::tcp,
                       .mode = OpenVpnMode::p2p,
                       .cipher = OpenVpnCipher::chacha20_poly1305,
                       .tun_mtu = 9000,
                       .mssfix = 0,
                       .fragment = 1300,
                       .txqueuelen = Packets{15000},
                       .tcp_queue_limit = Packets{256},
                       .bcast_buffers = Packets{512},
                       .tcp_nodelay = true,
                       .sndbuf = 1_MiB,
                       .rcvbuf = 2_MiB,
                       .fast_io = true,
                       .dco = false};
  OpenVpnKnobs openvpn_copy;
  for (const auto& [name, text] : describe(openvpn))
    REQUIRE(set_knob(openvpn_copy, name, text).has_value());
  CHECK(openvpn_copy == openvpn);
  CHECK(describe_changes(openvpn).size() == 14);
  CHECK(describe_changes(OpenVpnKnobs{}).empty());
}

TEST_CASE("a knob is set by its short name, its full name and with dashes", "[configs][knob]") {
  OpenVpnKnobs knobs;
  REQUIRE(set_knob(knobs, "tun_mtu", "9000").has_value());
  CHECK(knobs.tun_mtu == 9000);
  REQUIRE(set_knob(knobs, "openvpn.tun_mtu", "9001").has_value());
  CHECK(knobs.tun_mtu == 9001);
  REQUIRE(set_knob(knobs, "tun-mtu", "9002").has_value());
  CHECK(knobs.tun_mtu == 9002);
  CHECK(get_knob(knobs, "tun-mtu").value_or("") == "9002");
  CHECK(find_knob("openvpn.tun-mtu").has_value());
}

TEST_CASE("the text of a value decides the value", "[configs][knob]") {
  struct Row {
    std::string name, text, canonical;
  };
  const auto row = GENERATE(values<Row>({
      {"mtu", "576", "576"},
      {"mtu", "65535", "65535"},
      {"offload", "on", "on"},
      {"offload", "false", "off"},
      {"notsent_lowat", "262144", "256KiB"},
      {"notsent_lowat", "256KiB", "256KiB"},
      {"notsent_lowat", "131073B", "131073"},
      {"record_size", "1MiB", "1MiB"},
      {"congestion_control", "dctcp", "dctcp"},
      {"io", "epoll", "epoll"},
  }));
  INFO(row.name << " = " << row.text);
  NativeKnobs knobs;
  REQUIRE(set_knob(knobs, row.name, row.text).has_value());
  CHECK(get_knob(knobs, row.name).value_or("") == row.canonical);
}

TEST_CASE("a value outside of its knob's range changes nothing and names the range",
          "[configs][knob]") {
  struct Row {
    std::string name, text, cure;
  };
  const auto row = GENERATE(values<Row>({
      {"mtu", "575", "576..65535"},
      {"mtu", "65536", "576..65535"},
      {"mtu", "-1500", "576..65535"},
      {"mtu", "1500 ", "576..65535"},
      {"mtu", "", "576..65535"},
      {"mtu", "1.5e3", "576..65535"},
      {"mtu", "0x5dc", "576..65535"},
      {"mtu", "18446744073709551616", "576..65535"},
      {"mtu", "unset", "576..65535"},
      {"offload", "yes", "on or off"},
      {"offload", "ON", "on or off"},
      {"offload", "", "on or off"},
      {"notsent_lowat", "256 KiB", "16KiB..64MiB"},
      {"notsent_lowat", "256kib", "16KiB..64MiB"},
      {"notsent_lowat", "256K", "16KiB..64MiB"},
      {"notsent_lowat", "KiB", "16KiB..64MiB"},
      {"notsent_lowat", "15KiB", "16KiB..64MiB"},
      {"notsent_lowat", "65MiB", "16KiB..64MiB"},
      {"notsent_lowat", "18014398509481984KiB", "16KiB..64MiB"},
      {"tun_queue", "15", "16..100000"},
      {"tun_queue", "100001", "16..100000"},
      {"record_size", "67KiB", "68KiB..1MiB"},
      {"congestion_control", "", "cubic"},
      {"congestion_control", "cubic;reboot", "cubic"},
      {"congestion_control", "CUBIC", "cubic"},
      {"congestion_control", "abcdefghijklmnop", "cubic"},
      {"io", "uring", "io_uring"},
  }));
  INFO(row.name << " = " << row.text);
  NativeKnobs knobs;
  const Status status = set_knob(knobs, row.name, row.text);
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().code == Errc::invalid);
  CHECK_THAT(status.error().what, Catch::Contains(row.cure));
  CHECK(knobs == NativeKnobs{});
}

TEST_CASE("an unknown knob names the nearest", "[configs][knob]") {
  NativeKnobs native;
  OpenVpnKnobs openvpn;
  CHECK_THAT(set_knob(native, "mtuu", "1500").error().what, Catch::Contains("did you mean `mtu`"));
  CHECK_THAT(set_knob(openvpn, "openvpn.tcp-queue-limt", "1").error().what,
             Catch::Contains("`tcp_queue_limit`"));
  CHECK_THAT(find_knob("native.recordsize").error().what, Catch::Contains("`native.record_size`"));
  CHECK_THAT(find_knob("colour of the sea").error().what,
             Catch::Contains("the knobs are native.mtu"));
  CHECK_FALSE(find_knob("").has_value());
  CHECK_FALSE(set_knob(native, "tun_mtu", "1500").has_value());
  CHECK_FALSE(set_knob(native, "openvpn.tun_mtu", "1500").has_value());
}

TEST_CASE("OpenVPN's own defaults are the default of its knobs", "[configs][knob]") {
  const KnobTexts expected{{"proto", "udp"},           {"mode", "server"},
                           {"cipher", "AES-256-GCM"},  {"tun_mtu", "1500"},
                           {"mssfix", "unset"},        {"fragment", "unset"},
                           {"txqueuelen", "unset"},    {"tcp_queue_limit", "64"},
                           {"bcast_buffers", "unset"}, {"tcp_nodelay", "off"},
                           {"sndbuf", "unset"},        {"rcvbuf", "unset"},
                           {"fast_io", "off"},         {"dco", "on"}};
  CHECK(describe(OpenVpnKnobs{}) == expected);
}

TEST_CASE("the jumbo recipe is literal", "[configs][knob]") {
  const KnobTexts expected{
      {"proto", "tcp"},        {"tun_mtu", "9000"},        {"mssfix", "0"},
      {"txqueuelen", "15000"}, {"tcp_queue_limit", "256"}, {"bcast_buffers", "256"},
      {"tcp_nodelay", "on"}};
  CHECK(describe_changes(OpenVpnKnobs::owner_recipe()) == expected);
}

TEST_CASE("combinations that OpenVPN cannot carry are refused", "[configs][knob]") {
  OpenVpnKnobs knobs{.proto = OpenVpnProto::udp, .tun_mtu = 65483};
  CHECK(validate(knobs).has_value());
  knobs.tun_mtu = 65484;
  CHECK_THAT(validate(knobs).error().what, Catch::Contains("65483"));
  knobs.proto = OpenVpnProto::tcp;
  CHECK(validate(knobs).has_value());
  knobs.tun_mtu = 65511;
  CHECK(validate(knobs).has_value());
  knobs.tun_mtu = 65512;
  CHECK_THAT(validate(knobs).error().what, Catch::Contains("65511"));
  knobs = {.proto = OpenVpnProto::tcp, .fragment = 1300};
  CHECK_THAT(validate(knobs).error().what, Catch::Contains("fragment"));
  knobs.proto = OpenVpnProto::udp;
  CHECK(validate(knobs).has_value());
}

TEST_CASE("a knob struct with a field out of range does not pass", "[configs][knob]") {
  CHECK(validate(NativeKnobs{}).has_value());
  CHECK_THAT(validate(NativeKnobs{.mtu = 100}).error().what, Catch::Contains("native.mtu"));
  CHECK_THAT(validate(NativeKnobs{.congestion_control = ""}).error().what,
             Catch::Contains("congestion_control"));
  CHECK_THAT(validate(OpenVpnKnobs{.sndbuf = 1_B}).error().what, Catch::Contains("openvpn.sndbuf"));
}

TEST_CASE("sizes read and print", "[configs][knob]") {
  CHECK(parse_bytes("0").value_or(1_B) == 0_B);
  CHECK(parse_bytes("1GiB").value_or(0_B) == 1024_MiB);
  CHECK_FALSE(parse_bytes("").has_value());
  CHECK_FALSE(parse_bytes("-1").has_value());
  CHECK_FALSE(parse_bytes("17179869184GiB").has_value());
  CHECK(bytes_text(0_B) == "0");
  CHECK(bytes_text(1_MiB) == "1MiB");
  CHECK(bytes_text(1025_KiB) == "1025KiB");
  CHECK(bytes_text(1023_B) == "1023");
}

TEST_CASE("the table prints whole and within the width of a terminal", "[configs][knob]") {
  const std::string markdown = knob_table_markdown();
  CHECK(std::count(markdown.begin(), markdown.end(), '\n') ==
        static_cast<std::ptrdiff_t>(knobs().size()) + 2);
  for (const std::string_view line : split(trim(markdown), '\n')) {
    CHECK(std::count(line.begin(), line.end(), '|') == 6);
  }
  for (const Carrier carrier : {Carrier::native, Carrier::openvpn}) {
    const std::string text = knob_table_text(carrier);
    for (const Knob& knob : knobs(carrier))
      CHECK_THAT(text, Catch::Contains(std::string(knob.name) + " = "));
    for (const std::string_view line : split(text, '\n'))
      CHECK(line.size() <= 100);
  }
}

}  // namespace lt::configs
