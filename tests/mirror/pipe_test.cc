#include "mirror/pipe.h"

#include <catch2/catch.hpp>
#include <random>

#include "mirror/wire.h"

using namespace lt;
using namespace lt::mirror;

namespace {

constexpr std::size_t window = 4096;  // small, so that every edge of the ring is met

std::vector<Byte> noise(std::mt19937_64& random, std::size_t count) {
  std::vector<Byte> bytes(count);
  for (Byte& byte : bytes) byte = static_cast<Byte>(random());
  return bytes;
}

// One direction of a pipe over connections that break anywhere: what is on its way is lost then.
struct Carriage {
  SendWindow source{window};
  ReceiveWindow target{window};
  std::vector<std::pair<std::uint64_t, std::vector<Byte>>> under_way;

  void send(std::size_t count) {
    const ByteView piece = source.next(count);
    if (piece.empty()) return;
    under_way.emplace_back(source.next_number(), std::vector<Byte>(piece.begin(), piece.end()));
    source.sent(piece.size());
  }
  void deliver() {
    if (under_way.empty()) return;
    REQUIRE(target.accept(under_way.front().first, under_way.front().second));
    under_way.erase(under_way.begin());
  }
  void break_and_resume() {
    under_way.clear();
    REQUIRE(source.resume(target.received()));
  }
};

}  // namespace

TEST_CASE("what goes in comes out in order, over any number of broken connections", "[mirror][pipe]") {
  const auto seed = GENERATE(range(1U, 60U));
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const auto text = noise(random, 50'000);
  Carriage carriage;
  std::size_t in = 0;
  std::vector<Byte> out;
  unsigned breaks = 0;
  std::uint64_t sent_again_before = 0;
  while (out.size() < text.size()) {
    switch (random() % 12) {
      case 0:
      case 1: {
        const std::size_t count = std::min<std::size_t>({random() % 3000, carriage.source.room(), text.size() - in});
        carriage.source.put(ByteView(text).subspan(in, count));
        in += count;
        break;
      }
      case 2:
      case 3:
      case 4: carriage.send(1 + random() % 2000); break;
      case 5:
      case 6:
      case 7: carriage.deliver(); break;
      case 8:
      case 9: {
        const ByteView ready = carriage.target.front(random() % 3000);
        out.insert(out.end(), ready.begin(), ready.end());
        carriage.target.consume(ready.size());
        break;
      }
      case 10: REQUIRE(carriage.source.acknowledge(carriage.target.consumed())); break;
      case 11:
        if (random() % 4 == 0) {
          carriage.break_and_resume();
          ++breaks;
        }
        break;
    }
    REQUIRE(carriage.source.sent_again() - sent_again_before <= std::uint64_t{breaks} * window);
    REQUIRE(carriage.source.held() <= window);
    REQUIRE(carriage.target.ready() <= window);
  }
  CHECK(out == text);
  CHECK(breaks > 0);
}

TEST_CASE("at most a window is sent again after one break", "[mirror][pipe]") {
  std::mt19937_64 random(1);
  Carriage carriage;
  carriage.source.put(noise(random, window));
  while (carriage.source.unsent() > 0) carriage.send(1000);
  carriage.break_and_resume();
  while (carriage.source.unsent() > 0) carriage.send(1000);
  CHECK(carriage.source.sent_again() == window);
}

TEST_CASE("the sender holds no more than a window", "[mirror][pipe]") {
  SendWindow source(window);
  CHECK(source.room() == window);
  source.put(std::vector<Byte>(window));
  CHECK(source.room() == 0);
  while (source.unsent() > 0) source.sent(source.next(window).size());
  CHECK(source.room() == 0);
  REQUIRE(source.acknowledge(100));
  CHECK(source.room() == 100);
}

TEST_CASE("a peer that lies about where it is, is not believed", "[mirror][pipe]") {
  SendWindow source(window);
  source.put(std::vector<Byte>(1000));
  source.sent(600);
  CHECK_FALSE(source.acknowledge(601));
  CHECK_FALSE(source.resume(601));
  REQUIRE(source.acknowledge(500));
  CHECK_FALSE(source.acknowledge(499));
  CHECK_FALSE(source.resume(499));
  CHECK_FALSE(source.acknowledge(~std::uint64_t{0}));
  CHECK_FALSE(source.resume(~std::uint64_t{0}));
  REQUIRE(source.resume(500));
  CHECK_FALSE(source.acknowledge(501));
  CHECK(source.consumed() == 500);
}

TEST_CASE("a gap and an overflow are refused, and bytes that are here already are passed over", "[mirror][pipe]") {
  ReceiveWindow target(window);
  const std::vector<Byte> first{1, 2, 3, 4};
  REQUIRE(target.accept(0, first));
  CHECK_FALSE(target.accept(5, first));
  CHECK_FALSE(target.accept(~std::uint64_t{0}, first));
  REQUIRE(target.accept(0, first));
  CHECK(target.received() == 4);
  REQUIRE(target.accept(2, std::vector<Byte>{3, 4, 5}));
  CHECK(target.received() == 5);
  const ByteView ready = target.front(window);
  CHECK(std::vector<Byte>(ready.begin(), ready.end()) == std::vector<Byte>{1, 2, 3, 4, 5});
  CHECK_FALSE(target.accept(5, std::vector<Byte>(window - 4)));
  REQUIRE(target.accept(5, std::vector<Byte>(window - 5)));
  CHECK_FALSE(target.accept(window, std::vector<Byte>(1)));
}

TEST_CASE("every frame that is written is read as it was meant", "[mirror][wire]") {
  Writer out;
  put_attach(out, {.session = {1, 2, 3}, .is_fresh = true, .window = 77, .received = 99});
  const auto attach = parse_attach(out.view().subspan(channel::frame_header_bytes));
  REQUIRE(attach);
  CHECK(attach->session[2] == 3);
  CHECK(attach->is_fresh);
  CHECK(attach->window == 77);
  CHECK(attach->received == 99);
  Writer ack;
  put_ack(ack, {.consumed = 5, .received = 9, .produced = 12, .wait = 3});
  const auto read = parse_ack(ack.view().subspan(channel::frame_header_bytes));
  REQUIRE(read);
  CHECK(read->consumed == 5);
  CHECK(read->received == 9);
  CHECK(read->wait == 3);
  Writer attached;
  put_attached(attached, 42);
  CHECK(parse_attached(attached.view().subspan(channel::frame_header_bytes)) == 42U);
}

TEST_CASE("a payload that is short or long by one, or says the impossible, is refused", "[mirror][wire]") {
  Writer attach;
  put_attach(attach, {});
  Writer ack;
  put_ack(ack, {});
  for (std::size_t length = 0; length < 40; ++length) {
    const std::vector<Byte> payload(length);
    CHECK(parse_attach(payload).has_value() == (length == 29));
    CHECK(parse_ack(payload).has_value() == (length == 28));
    CHECK(parse_attached(payload).has_value() == (length == 8));
  }
  std::vector<Byte> odd(29);
  odd[16] = 2;
  CHECK_FALSE(parse_attach(odd));
  Writer impossible;
  put_ack(impossible, {.consumed = 2, .received = 1});
  CHECK_FALSE(parse_ack(impossible.view().subspan(channel::frame_header_bytes)));
}

TEST_CASE("a header with an unknown type, a reserved byte or a wrong length is refused", "[mirror][wire]") {
  const auto is_taken = [](std::array<Byte, 8> raw) { return channel::parse_frame_header(raw, frame_lengths).has_value(); };
  CHECK(is_taken({6, 0, 0, 0, 0, 0, 0, 9}));
  CHECK_FALSE(is_taken({6, 0, 0, 0, 0, 0, 0, 8}));  // an offset and no byte
  CHECK_FALSE(is_taken({6, 0, 0, 1, 0, 0, 0, 9}));
  CHECK_FALSE(is_taken({0, 0, 0, 0, 0, 0, 0, 0}));
  CHECK_FALSE(is_taken({9, 0, 0, 0, 0, 0, 0, 0}));
  CHECK_FALSE(is_taken({255, 0, 0, 0, 0, 0, 0, 0}));
  CHECK(is_taken({6, 0, 0, 0, 0, 4, 0, 0}));
  CHECK_FALSE(is_taken({6, 0, 0, 0, 0, 4, 0, 1}));
  CHECK_FALSE(is_taken({7, 0, 0, 0, 0, 0, 0, 27}));
  CHECK_FALSE(is_taken({7, 0, 0, 0, 0, 0, 0, 29}));
  CHECK_FALSE(is_taken({1, 0, 0, 0, 255, 255, 255, 255}));
}
