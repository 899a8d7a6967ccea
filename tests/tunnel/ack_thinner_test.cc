#include "tunnel/ack_thinner.h"

#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "tests/tunnel/packet_builder.h"

using namespace lt;
using namespace lt::tunnel;
using namespace lt::tunnel::testing;
using namespace std::chrono_literals;

namespace {

constexpr auto spacing = 10ms;

using Packets = std::vector<std::vector<Byte>>;

/// A gateway: what it was given, what went, in order, and what never will.
class Gateway {
  auto release() {
    return [this](PacketMeta, ByteView packet) { gone.emplace_back(packet.begin(), packet.end()); };
  }

 public:
  Instant now{Instant() + 1h};
  Packets gone;
  unsigned superseded{0};

  void give(const std::vector<Byte>& packet, PacketMeta meta = {}, std::chrono::nanoseconds apart = spacing) {
    const bool waits = thinner_.holds(meta, packet, apart, now, release(), [&] { ++superseded; });
    if (!waits) gone.push_back(packet);
  }
  void pass(std::chrono::nanoseconds time) {
    now += time;
    thinner_.release_due(now, release());
  }
  void end() { thinner_.release_all(now, release()); }
  [[nodiscard]] bool is_waiting() const { return thinner_.due() != Instant::max(); }
  [[nodiscard]] Instant due() const { return thinner_.due(); }

 private:
  AckThinner thinner_;
};

std::vector<Byte> ack_of(std::uint32_t number, PacketSpec spec = {}) {
  spec.acknowledgement = number;
  return build(spec);
}

const std::vector<Byte> timestamps{1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9};
const std::vector<Byte> sack{1, 1, 5, 10, 0, 0, 1, 0, 0, 0, 2, 0};

}  // namespace

TEST_CASE("of a burst of ACKs the first and the newest travel", "[tunnel][ack-thinner]") {
  const PacketSpec plain = GENERATE(PacketSpec{}, v6());
  PacketSpec spec = plain;
  spec.tcp_options = GENERATE(std::vector<Byte>{}, timestamps);
  Gateway gateway;
  for (std::uint32_t number = 1; number <= 80; ++number) gateway.give(ack_of(number, spec));
  CHECK(gateway.gone == Packets{ack_of(1, spec)});
  CHECK(gateway.due() == gateway.now + spacing);
  gateway.pass(spacing - 1ns);
  CHECK(gateway.gone.size() == 1);
  gateway.pass(1ns);
  CHECK(gateway.gone == Packets{ack_of(1, spec), ack_of(80, spec)});
  CHECK(gateway.superseded == 78);
  CHECK_FALSE(gateway.is_waiting());
}

TEST_CASE("numbers that wrap around are still newer", "[tunnel][ack-thinner]") {
  Gateway gateway;
  for (const std::uint32_t number : {0xffffff00U, 0xfffffff0U, 0x10U}) gateway.give(ack_of(number));
  gateway.pass(spacing);
  CHECK(gateway.gone == Packets{ack_of(0xffffff00U), ack_of(0x10U)});
}

TEST_CASE("an ACK after a pause passes at once, and so do all where ACKs are far apart", "[tunnel][ack-thinner]") {
  Gateway gateway;
  for (std::uint32_t number = 1; number <= 20; ++number) {
    gateway.give(ack_of(number));
    CHECK(gateway.gone.size() == number);
    gateway.pass(spacing);
  }
  CHECK(gateway.superseded == 0);
}

TEST_CASE("a long stream of ACKs is thinned to one in each spacing", "[tunnel][ack-thinner]") {
  Gateway gateway;
  for (std::uint32_t number = 1; number <= 1000; ++number) {
    gateway.give(ack_of(number));
    gateway.pass(1ms);
  }
  CHECK(gateway.gone.size() == Approx(100).margin(10));
  CHECK(gateway.gone.size() + gateway.superseded + (gateway.is_waiting() ? 1 : 0) == 1000);
}

TEST_CASE("what says more than an ACK never waits, and lets the one that waits go first", "[tunnel][ack-thinner]") {
  struct Case {
    const char* what;
    PacketSpec spec;
  };
  const auto with = [](auto change) {
    PacketSpec spec;
    spec.acknowledgement = 3;
    change(spec);
    return spec;
  };
  const Case each = GENERATE_COPY(values<Case>({
      {"payload", with([](PacketSpec& spec) { spec.payload = pattern(1); })},
      {"FIN", with([](PacketSpec& spec) { spec.tcp_flags |= fin; })},
      {"SYN", with([](PacketSpec& spec) { spec.tcp_flags |= syn; })},
      {"RST", with([](PacketSpec& spec) { spec.tcp_flags |= rst; })},
      {"ECN echo", with([](PacketSpec& spec) { spec.tcp_flags |= 0x40; })},
      {"CWR", with([](PacketSpec& spec) { spec.tcp_flags |= cwr; })},
      {"URG", with([](PacketSpec& spec) { spec.tcp_flags |= 0x20; })},
      {"no ACK", with([](PacketSpec& spec) { spec.tcp_flags = 0; })},
      {"SACK", with([](PacketSpec& spec) { spec.tcp_options = sack; })},
      {"an unknown option", with([](PacketSpec& spec) { spec.tcp_options = {254, 4, 0, 0}; })},
      {"an option of no length", with([](PacketSpec& spec) { spec.tcp_options = {8, 0, 0, 0}; })},
      {"an option cut short", with([](PacketSpec& spec) { spec.tcp_options = {1, 1, 1, 8}; })},
      {"the same number again", with([](PacketSpec& spec) { spec.acknowledgement = 2; })},
      {"an older number", with([](PacketSpec& spec) { spec.acknowledgement = 1; })},
  }));
  CAPTURE(each.what);
  Gateway gateway;
  gateway.give(ack_of(1));
  gateway.give(ack_of(2));
  gateway.give(build(each.spec));
  CHECK(gateway.gone == Packets{ack_of(1), ack_of(2), build(each.spec)});
  CHECK(gateway.superseded == 0);
  CHECK_FALSE(gateway.is_waiting());
}

TEST_CASE("the same ACK with another window takes the place of the one that waits", "[tunnel][ack-thinner]") {
  const auto with_window = [](std::uint32_t number, std::uint16_t window) {
    PacketSpec spec;
    spec.window = window;
    return ack_of(number, spec);
  };
  Gateway gateway;
  gateway.give(with_window(1, 100));
  gateway.give(with_window(2, 100));
  gateway.give(with_window(2, 200));
  CHECK(gateway.gone == Packets{with_window(1, 100)});
  gateway.give(with_window(2, 200));  // now it reports a loss
  CHECK(gateway.gone == Packets{with_window(1, 100), with_window(2, 200), with_window(2, 200)});
  gateway.give(with_window(2, 300));  // none waits: it passes
  CHECK(gateway.gone.size() == 4);
  CHECK(gateway.superseded == 1);
}

TEST_CASE("three equal ACKs, which report a loss, all travel", "[tunnel][ack-thinner]") {
  Gateway gateway;
  for (unsigned i = 0; i < 4; ++i) gateway.give(ack_of(7));
  CHECK(gateway.gone.size() == 4);
}

TEST_CASE("other flows and other protocols pass by, and wait for nobody", "[tunnel][ack-thinner]") {
  Gateway gateway;
  gateway.give(ack_of(1));
  gateway.give(ack_of(2));
  PacketSpec other;
  other.source_port = 5;
  gateway.give(ack_of(9, other));
  gateway.give(ack_of(9, v6()));
  PacketSpec datagram;
  datagram.protocol = udp;
  gateway.give(build(datagram));
  gateway.give(pattern(3));  // not a packet
  gateway.give({});
  CHECK(gateway.gone.size() == 6);
  CHECK(gateway.is_waiting());
}

TEST_CASE("a super-packet lets the ACK that waits go first", "[tunnel][ack-thinner]") {
  Gateway gateway;
  gateway.give(ack_of(1));
  gateway.give(ack_of(2));
  PacketSpec data;
  data.payload = pattern(60'000);
  gateway.give(build(data), {.kind = PacketKind::tcp4, .gso_size = 1448});
  CHECK(gateway.gone == Packets{ack_of(1), ack_of(2), build(data)});
}

TEST_CASE("more flows than there are places pass as they are, and places come free", "[tunnel][ack-thinner]") {
  Gateway gateway;
  const auto flow = [](std::uint16_t port) {
    PacketSpec spec;
    spec.source_port = port;
    return spec;
  };
  constexpr std::uint16_t flows = AckThinner::flows_max;
  for (std::uint16_t port = 1; port <= flows + 10; ++port)
    for (std::uint32_t number = 1; number <= 3; ++number) gateway.give(ack_of(number, flow(port)));
  CHECK(gateway.gone.size() == flows + 30);
  CHECK(gateway.superseded == flows);
  gateway.pass(spacing);
  CHECK(gateway.gone.size() == 2 * flows + 30);
  gateway.pass(spacing);
  gateway.give(ack_of(4, flow(flows + 5)));
  gateway.give(ack_of(5, flow(flows + 5)));
  CHECK(gateway.is_waiting());
}

TEST_CASE("at the end all that waits goes", "[tunnel][ack-thinner]") {
  Gateway gateway;
  gateway.give(ack_of(1));
  gateway.give(ack_of(2));
  gateway.end();
  CHECK(gateway.gone == Packets{ack_of(1), ack_of(2)});
  CHECK_FALSE(gateway.is_waiting());
}

TEST_CASE("on a short path nothing waits", "[tunnel][ack-thinner]") {
  CHECK(AckThinner::spacing(0ns) == 0ns);
  CHECK(AckThinner::spacing(7ms) == 0ns);
  CHECK(AckThinner::spacing(80ms) > 5ms);
  CHECK(AckThinner::spacing(80ms) <= 20ms);
  Gateway gateway;
  for (std::uint32_t number = 1; number <= 10; ++number) gateway.give(ack_of(number), {}, 0ns);
  CHECK(gateway.gone.size() == 10);
}

TEST_CASE("whatever comes in whatever order, no flow sees its packets swapped and nothing is lost but ACKs that are superseded",
          "[tunnel][ack-thinner]") {
  const std::uint32_t seed = GENERATE(1U, 2U, 3U, 4U, 5U);
  CAPTURE(seed);
  std::mt19937 random(seed);
  Gateway gateway;
  std::map<std::uint16_t, Packets> given;
  std::map<std::uint16_t, std::uint32_t> numbers;
  for (unsigned i = 0; i < 20'000; ++i) {
    PacketSpec spec;
    spec.source_port = static_cast<std::uint16_t>(1 + random() % 40);
    spec.identification = static_cast<std::uint16_t>(i);  // no two are equal
    spec.sequence = i;
    spec.acknowledgement = numbers[spec.source_port] += static_cast<std::uint32_t>(random() % 3);
    if (random() % 4 == 0) spec.payload = pattern(random() % 100);
    if (random() % 16 == 0) spec.tcp_flags |= psh;
    const auto packet = build(spec);
    given[spec.source_port].push_back(packet);
    gateway.give(packet);
    if (random() % 2 == 0) gateway.pass(std::chrono::microseconds(random() % 3000));
  }
  gateway.end();
  CHECK(gateway.gone.size() + gateway.superseded == 20'000);
  std::map<std::uint16_t, std::size_t> at;
  for (const auto& packet : gateway.gone) {
    const std::uint16_t port = load_be16(packet.data() + 20);
    auto& next = at[port];
    while (next < given[port].size() && given[port][next] != packet) ++next;
    REQUIRE(next < given[port].size());  // not among what came after the one before it
    ++next;
  }
}
