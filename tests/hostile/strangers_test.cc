// Whoever is not the peer hears nothing: not a byte, over real sockets, from a real Link. A hundred kinds of strangers,
// every single-bit flip of a right knock, knocks for another server or with another key; and then the peer still comes in.
#include <list>

#include "tests/hostile/completeness.h"
#include "tests/hostile/stranger_kinds.h"
#include "tests/tunnel/link_ends.h"

namespace lt::tunnel {
namespace {

using namespace testing;
using lt::testing::is_complete_run;
using lt::testing::seed_of_run;
using lt::testing::StrangerKind;

constexpr std::size_t at_once = 12;  // well below the places for half-open connections, each from a source of its own

// The strangers at the door; counts what they hear.
class Door {
 public:
  explicit Door(std::uint16_t port) : port_(port) {}
  ~Door() { wait_for_all(0); }

  void send(const std::string& name, ByteView words) {
    wait_for_all(at_once - 1);
    ++sent_;
    const std::string source = "127." + std::to_string(1 + sent_ / 60'000 % 250) + "." + std::to_string(sent_ / 250 % 240) + "." +
                               std::to_string(2 + sent_ % 250);
    Fd fd = connect_to(port_, source);
    // More than the door takes may come back as an error: it has closed by then.
    static_cast<void>(::send(fd.get(), words.data(), words.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    ::shutdown(fd.get(), SHUT_WR);
    guests_.push_back({std::move(fd), name});
  }
  /// Hears out the first of them until at most `left` are still at the door.
  void wait_for_all(std::size_t left) {
    while (guests_.size() > left) {
      const Heard heard = hear_to_end(guests_.front().fd);
      if (heard.bytes > 0) answered_.push_back(guests_.front().name);
      bytes_heard_ += heard.bytes;
      if (!heard.is_closed) ++left_hanging_;
      guests_.pop_front();
    }
  }

  [[nodiscard]] std::size_t sent() const { return sent_; }
  [[nodiscard]] std::size_t bytes_heard() const { return bytes_heard_; }
  [[nodiscard]] std::size_t left_hanging() const { return left_hanging_; }
  [[nodiscard]] std::string answered() const { return answered_.empty() ? "nobody" : answered_.front(); }

 private:
  struct Guest {
    Fd fd;
    std::string name;
  };
  std::uint16_t port_;
  std::list<Guest> guests_;
  std::size_t sent_{0};
  std::size_t bytes_heard_{0};
  std::size_t left_hanging_{0};
  std::vector<std::string> answered_;
};

void expect_silence(RunningLink& server, Door& door) {
  door.wait_for_all(0);
  INFO("answered: " << door.answered());
  CHECK(door.bytes_heard() == 0);
  CHECK(door.left_hanging() == 0);
  server.wait_until([&](const LinkSnapshot& snapshot) { return snapshot.strangers == door.sent(); });
  CHECK(server.link->snapshot().sessions == 0);
  CHECK(server.link->snapshot().handshake_failures == 0);
  RunningLink client(connecting(server.link->listen_port()));
  client.wait_for(LinkEventKind::session_up);
}

TEST_CASE("strangers of a hundred kinds are answered with not one byte", "[hostile][P-1][P-4]") {
  const std::uint32_t seed = seed_of_run();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto kinds = lt::testing::stranger_kinds();
  REQUIRE(kinds.size() >= 100);
  RunningLink server(listening());
  Door door(server.link->listen_port());
  const std::size_t each = is_complete_run() ? (100'000 + kinds.size() - 1) / kinds.size() : 8;
  for (std::size_t i = 0; i < each; ++i) {
    for (const StrangerKind& kind : kinds) door.send(kind.name, as_bytes(kind.say(random, kind.text)));
  }
  WARN(door.sent() << " strangers of " << kinds.size() << " kinds");
  expect_silence(server, door);
}

TEST_CASE("not one of the 320 flips of a right knock is answered, whatever follows it", "[hostile][P-1][P-3][P-4]") {
  RunningLink server(listening());
  Door door(server.link->listen_port());
  // A client's real first words: knock and ClientHello.
  const std::vector<Byte> words = make_handshake(client_options()).take_output();
  REQUIRE(words.size() > knock_bytes);
  for (std::size_t bit = 0; bit < knock_bytes * 8; ++bit) {
    std::vector<Byte> flipped = words;
    flipped[bit / 8] = static_cast<Byte>(flipped[bit / 8] ^ 1U << bit % 8);
    door.send("bit " + std::to_string(bit), flipped);
  }
  CHECK(door.sent() == 320);
  expect_silence(server, door);
}

TEST_CASE("a knock for another server, or with another key, is answered by nobody", "[hostile][P-1][P-3]") {
  RunningLink server(listening());
  Door door(server.link->listen_port());
  HandshakeOptions for_another = client_options();
  for_another.peer_key = third().key();
  HandshakeOptions with_key = client_options();
  with_key.psk = psk_one;
  for (int i = 0; i < 20; ++i) {
    door.send("another server", make_handshake(for_another).take_output());
    door.send("another key", make_handshake(with_key).take_output());
  }
  expect_silence(server, door);
}

TEST_CASE("a knock that was overheard is answered with nothing, until a ClientHello follows", "[hostile][P-1]") {
  RunningLink server(listening());
  const std::vector<Byte> words = make_handshake(client_options()).take_output();
  for (int i = 0; i < 5; ++i) {
    const Fd fd = connect_to(server.link->listen_port());
    REQUIRE(send_all(fd, ByteView(words).first(knock_bytes)));
    ::shutdown(fd.get(), SHUT_WR);
    const Heard heard = hear_to_end(fd);
    CHECK(heard.bytes == 0);
    CHECK(heard.is_closed);
  }
  CHECK(server.link->snapshot().sessions == 0);
}

}  // namespace
}  // namespace lt::tunnel
