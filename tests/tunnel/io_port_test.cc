// One contract, two ports: what tunnel/io_port.h promises holds for UringPort and for EpollPort
// alike.
#include "tunnel/io_port.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <thread>

#include "base/fd.h"
#include "tunnel/epoll_port.h"
#include "tunnel/uring_port.h"

namespace lt::tunnel {
namespace {

using std::chrono::milliseconds;

Instant now() {
  return std::chrono::steady_clock::now();
}
Instant in_a_while() {
  return now() + std::chrono::seconds(10);
}

struct FdPair {
  Fd near;
  Fd far;
};

FdPair make_pair(int type) {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
  return {Fd(ends[0]), Fd(ends[1])};
}
// Keeps the borders of packets, as a TUN does.
FdPair packets() {
  return make_pair(SOCK_SEQPACKET);
}
FdPair stream() {
  return make_pair(SOCK_STREAM);
}

// The port on this machine, or nothing and a warning that says so: an untested port never passes in
// silence.
template <class Port>
std::optional<Port> make_port() {
  auto port = Port::create();
  if (!port) {
    WARN("SKIPPED: this machine has no such port: " << port.error().text());
    return std::nullopt;
  }
  return std::move(*port);
}

// Waits until `count` operations have completed, or ten seconds have passed.
template <class Port>
std::vector<Completion> collect(Port& port, std::size_t count) {
  std::vector<Completion> all;
  const Instant until = in_a_while();
  while (all.size() < count && now() < until) {
    const auto some = port.wait(until);
    REQUIRE(some);
    all.insert(all.end(), some->begin(), some->end());
  }
  return all;
}

// Whatever completes without waiting.
template <class Port>
std::vector<Completion> collect_now(Port& port) {
  const auto some = port.wait(now());
  REQUIRE(some);
  return {some->begin(), some->end()};
}

struct Buffer {
  std::vector<Byte> bytes;
  std::array<iovec, 1> vectors;
  explicit Buffer(std::size_t size, Byte fill = 0)
      : bytes(size, fill), vectors{iovec{bytes.data(), size}} {}
  explicit Buffer(std::vector<Byte> text)
      : bytes(std::move(text)), vectors{iovec{bytes.data(), bytes.size()}} {}
};

void say(const Fd& fd, std::string_view text) {
  REQUIRE(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(text.size()));
}
std::string hear(const Fd& fd) {
  char text[256];
  const auto count = ::recv(fd.get(), text, sizeof text, MSG_DONTWAIT);
  return count < 0 ? "nothing" : std::string(text, static_cast<std::size_t>(count));
}

TEMPLATE_TEST_CASE("a read waits for its packet and completes once", "[tunnel][io_port]", UringPort,
                   EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  const FdPair pair = packets();
  REQUIRE(port->adopt(pair.near.get()));
  Buffer buffer(64);
  port->read(7, pair.near.get(), buffer.vectors, ReadMode::waiting);
  CHECK(collect_now(*port).empty());
  say(pair.far, "hello");
  const auto done = collect(*port, 1);
  REQUIRE(done.size() == 1);
  CHECK(done[0].tag == 7);
  CHECK(done[0].result == 5);
  CHECK(as_text(ByteView(buffer.bytes).first(5)) == "hello");
  say(pair.far, "again");
  CHECK(collect_now(*port).empty());
  CHECK(hear(pair.near) == "again");  // nobody has taken it
}

TEMPLATE_TEST_CASE("a read marked now never waits", "[tunnel][io_port]", UringPort, EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  const FdPair pair = packets();
  REQUIRE(port->adopt(pair.near.get()));
  Buffer first(64);
  Buffer second(64);
  port->read(1, pair.near.get(), first.vectors, ReadMode::now);
  const auto none = collect_now(*port);
  REQUIRE(none.size() == 1);
  CHECK(none[0].result == -EAGAIN);
  say(pair.far, "one");
  // A port that learns of new packets by an edge has to hear of this one first.
  port->read(2, pair.near.get(), second.vectors, ReadMode::waiting);
  CHECK(collect(*port, 1)[0].result == 3);
  say(pair.far, "two");
  port->read(3, pair.near.get(), first.vectors, ReadMode::now);
  const auto done = collect_now(*port);
  REQUIRE(done.size() == 1);
  CHECK(done[0].tag == 3);
}

TEMPLATE_TEST_CASE("a burst of one waiting read and many now takes the packets in their order",
                   "[tunnel][io_port]", UringPort, EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  const FdPair pair = packets();
  REQUIRE(port->adopt(pair.near.get()));
  std::vector<Buffer> buffers(8, Buffer(64));
  for (Buffer& buffer : buffers)
    buffer.vectors = {iovec{buffer.bytes.data(), buffer.bytes.size()}};
  std::string taken;
  for (int round = 0; round < 20; ++round) {
    const std::size_t sent = 1 + static_cast<std::size_t>(round) % 8;
    for (std::size_t i = 0; i < sent; ++i)
      say(pair.far, std::string(1, static_cast<char>('a' + i)));
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      port->read(i, pair.near.get(), buffers[i].vectors,
                 i == 0 ? ReadMode::waiting : ReadMode::now);
    }
    taken.clear();
    for (const Completion& completion : collect(*port, buffers.size())) {
      if (completion.result > 0) taken += static_cast<char>(buffers[completion.tag].bytes[0]);
    }
    CHECK(taken == std::string("abcdefgh").substr(0, sent));
  }
}

TEMPLATE_TEST_CASE("a read fills its vectors one behind the other", "[tunnel][io_port]", UringPort,
                   EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  const FdPair pair = packets();
  REQUIRE(port->adopt(pair.near.get()));
  std::array<Byte, 4> head{};
  std::array<Byte, 8> body{};
  std::array<iovec, 2> vectors{iovec{head.data(), head.size()}, iovec{body.data(), body.size()}};
  port->read(1, pair.near.get(), vectors, ReadMode::waiting);
  say(pair.far, "headbody");
  CHECK(collect(*port, 1).at(0).result == 8);
  CHECK(as_text(head) == "head");
  CHECK(as_text(ByteView(body).first(4)) == "body");
}

TEMPLATE_TEST_CASE("a pipe is read as a device is", "[tunnel][io_port]", UringPort, EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const Fd out(ends[0]);
  Fd in(ends[1]);
  REQUIRE(port->adopt(out.get()));
  Buffer buffer(64);
  port->read(1, out.get(), buffer.vectors, ReadMode::waiting);
  CHECK(collect_now(*port).empty());
  REQUIRE(::write(in.get(), "abc", 3) == 3);
  CHECK(collect(*port, 1).at(0).result == 3);
  in.reset();
  port->read(2, out.get(), buffer.vectors, ReadMode::waiting);
  CHECK(collect(*port, 1).at(0).result == 0);
}

TEMPLATE_TEST_CASE("writes arrive in the order they were queued, whole", "[tunnel][io_port]",
                   UringPort, EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  const FdPair pair = packets();
  REQUIRE(port->adopt(pair.near.get()));
  std::vector<std::string> texts;
  std::vector<std::array<iovec, 2>> vectors(40);
  for (std::size_t i = 0; i < vectors.size(); ++i)
    texts.push_back("vnet" + std::to_string(i));
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    vectors[i] = {iovec{texts[i].data(), 4}, iovec{texts[i].data() + 4, texts[i].size() - 4}};
    port->write(i, pair.near.get(), vectors[i]);
  }
  const auto done = collect(*port, vectors.size());
  REQUIRE(done.size() == vectors.size());
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    CHECK(done[i].tag == i);
    CHECK(done[i].result == static_cast<int>(texts[i].size()));
    CHECK(hear(pair.far) == texts[i]);
  }
}

TEMPLATE_TEST_CASE("a write that fails completes with its error", "[tunnel][io_port]", UringPort,
                   EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const Fd out(ends[0]);
  const Fd in(ends[1]);
  REQUIRE(port->adopt(out.get()));
  Buffer buffer(8);
  port->write(5, out.get(), buffer.vectors);  // the reading end
  const auto done = collect(*port, 1);
  REQUIRE(done.size() == 1);
  CHECK(done[0].tag == 5);
  CHECK(done[0].result == -EBADF);
}

TEMPLATE_TEST_CASE("receive takes what is there, then the end of the stream", "[tunnel][io_port]",
                   UringPort, EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  FdPair pair = stream();
  REQUIRE(port->adopt(pair.near.get()));
  std::array<Byte, 64> bytes{};
  port->receive(1, pair.near.get(), bytes);
  CHECK(collect_now(*port).empty());
  say(pair.far, "some bytes");
  CHECK(collect(*port, 1).at(0).result == 10);
  CHECK(as_text(ByteView(bytes).first(10)) == "some bytes");
  port->receive(2, pair.near.get(), bytes);
  pair.far.reset();
  const auto end = collect(*port, 1);
  REQUIRE(end.size() == 1);
  CHECK(end[0].tag == 2);
  CHECK(end[0].result == 0);
}

TEMPLATE_TEST_CASE("a send larger than every buffer completes once, when all of it is on its way",
                   "[tunnel][io_port]", UringPort, EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  const FdPair pair = stream();
  REQUIRE(port->adopt(pair.near.get()));
  const int small = 4096;
  REQUIRE(::setsockopt(pair.near.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
  constexpr unsigned seed = 3;
  INFO("seed " << seed);
  std::minstd_rand random(seed);
  std::vector<Byte> text(400'000);
  for (Byte& byte : text)
    byte = static_cast<Byte>(random() >> 8);
  const std::vector<Byte> kept = text;
  std::vector<iovec> vectors;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = std::min<std::size_t>(1 + (random() >> 5) % 30'000, text.size() - at);
    vectors.push_back({text.data() + at, size});
    at += size;
  }
  port->send(9, pair.near.get(), vectors);
  CHECK(collect_now(*port).empty());  // nobody reads yet
  std::vector<Byte> received;
  std::vector<Completion> done;
  const Instant until = in_a_while();
  while (done.empty() && now() < until) {
    std::array<Byte, 10'000> chunk;
    const auto count =
        ::recv(pair.far.get(), chunk.data(), 1 + (random() >> 5) % chunk.size(), MSG_DONTWAIT);
    if (count > 0) received.insert(received.end(), chunk.begin(), chunk.begin() + count);
    const auto some = port->wait(count > 0 ? now() : now() + milliseconds(50));
    REQUIRE(some);
    done.insert(done.end(), some->begin(), some->end());
  }
  REQUIRE(done.size() == 1);
  CHECK(done[0].tag == 9);
  CHECK(done[0].result == 400'000);
  std::array<Byte, 10'000> chunk;
  for (ssize_t count = 0;
       (count = ::recv(pair.far.get(), chunk.data(), chunk.size(), MSG_DONTWAIT)) > 0;) {
    received.insert(received.end(), chunk.begin(), chunk.begin() + count);
  }
  CHECK(received == kept);
  CHECK(collect_now(*port).empty());
}

TEMPLATE_TEST_CASE(
    "a send to an end that is gone completes short or with an error, and raises no signal",
    "[tunnel][io_port]", UringPort, EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  FdPair pair = stream();
  REQUIRE(port->adopt(pair.near.get()));
  Buffer buffer(2'000'000);
  SECTION("gone before") {
    pair.far.reset();
    port->send(1, pair.near.get(), buffer.vectors);
    const auto done = collect(*port, 1);
    REQUIRE(done.size() == 1);
    CHECK(done[0].result == -EPIPE);
  }
  SECTION("gone in the middle") {
    port->send(1, pair.near.get(), buffer.vectors);
    CHECK(collect_now(*port).empty());
    pair.far.reset();
    const auto done = collect(*port, 1);
    REQUIRE(done.size() == 1);
    CHECK(done[0].result < 2'000'000);
  }
}

TEMPLATE_TEST_CASE("both directions of a descriptor go on while the other waits",
                   "[tunnel][io_port]", UringPort, EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  const FdPair pair = stream();
  REQUIRE(port->adopt(pair.near.get()));
  std::array<Byte, 64> bytes{};
  port->receive(1, pair.near.get(), bytes);
  Buffer text(std::vector<Byte>{'p', 'i', 'n', 'g'});
  port->send(2, pair.near.get(), text.vectors);
  const auto sent = collect(*port, 1);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].tag == 2);
  CHECK(hear(pair.far) == "ping");
  say(pair.far, "pong");
  const auto received = collect(*port, 1);
  REQUIRE(received.size() == 1);
  CHECK(received[0].tag == 1);
}

TEMPLATE_TEST_CASE("wait ends at its deadline, and not before", "[tunnel][io_port]", UringPort,
                   EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  const Instant before = now();
  CHECK(collect_now(*port).empty());
  const auto some = port->wait(before - std::chrono::hours(1));
  REQUIRE(some);
  CHECK(some->empty());
  const Instant until = now() + milliseconds(20);
  int waits = 0;
  for (; now() < until; ++waits) REQUIRE(port->wait(until));
  CHECK(waits <= 20);  // it may end for nothing now and then, and does not spin
}

TEMPLATE_TEST_CASE("wake ends the wait under way, or the next one, and no operation is lost by it",
                   "[tunnel][io_port]", UringPort, EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  const FdPair pair = packets();
  REQUIRE(port->adopt(pair.near.get()));
  Buffer buffer(64);
  port->read(1, pair.near.get(), buffer.vectors, ReadMode::waiting);
  SECTION("called before") {
    port->wake();
    const auto some = port->wait(in_a_while());
    REQUIRE(some);
    CHECK(some->empty());
  }
  SECTION("called from another thread, many times") {
    for (int i = 0; i < 50; ++i) {
      std::thread waker([&] { port->wake(); });
      const auto some = port->wait(in_a_while());
      waker.join();
      REQUIRE(some);
      CHECK(some->empty());
    }
  }
  SECTION("many at once are one") {
    for (int i = 0; i < 100; ++i)
      port->wake();
    const auto some = port->wait(in_a_while());
    REQUIRE(some);
    CHECK(some->empty());
  }
  say(pair.far, "here");
  const auto done = collect(*port, 1);
  REQUIRE(done.size() == 1);
  CHECK(done[0].result == 4);
}

TEMPLATE_TEST_CASE(
    "a port that goes lets go of its operations: no byte is written into their memory, none is "
    "taken",
    "[tunnel][io_port]", UringPort, EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  const FdPair device = packets();
  const FdPair socket = stream();
  REQUIRE(port->adopt(device.near.get()));
  REQUIRE(port->adopt(socket.near.get()));
  Buffer packet(64, 0xee);
  std::array<Byte, 64> bytes{};
  bytes.fill(0xee);
  port->read(1, device.near.get(), packet.vectors, ReadMode::waiting);
  port->receive(2, socket.near.get(), bytes);
  CHECK(collect_now(*port).empty());
  port.reset();
  say(device.far, "packet");
  say(socket.far, "stream");
  CHECK(hear(device.near) == "packet");
  CHECK(hear(socket.near) == "stream");
  CHECK(packet.bytes == std::vector<Byte>(64, 0xee));
  CHECK(std::ranges::all_of(bytes, [](Byte byte) { return byte == 0xee; }));
}

TEMPLATE_TEST_CASE("a descriptor that is none cannot be adopted", "[tunnel][io_port]", UringPort,
                   EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  CHECK_FALSE(port->adopt(-1));
}

TEMPLATE_TEST_CASE("ten thousand operations each complete exactly once", "[tunnel][io_port]",
                   UringPort, EpollPort) {
  auto port = make_port<TestType>();
  if (!port) return;
  const FdPair device = packets();
  const FdPair socket = stream();
  REQUIRE(port->adopt(device.near.get()));
  REQUIRE(port->adopt(socket.near.get()));
  constexpr unsigned seed = 5;
  INFO("seed " << seed);
  std::minstd_rand random(seed);
  std::map<std::uint64_t, std::vector<Byte>> reads;
  std::map<std::uint64_t, std::array<iovec, 1>> vectors;
  std::uint64_t next_tag = 0;
  std::uint64_t completed = 0;
  std::size_t sent_packets = 0;
  std::size_t taken_packets = 0;
  std::size_t empty_reads = 0;
  while (completed < 10'000) {
    const bool has_read = !reads.empty();
    if (!has_read) {
      const std::size_t burst = 1 + (random() >> 4) % 16;
      for (std::size_t i = 0; i < burst; ++i) {
        const std::uint64_t tag = next_tag++;
        auto& buffer = reads[tag];
        buffer.resize(32);
        vectors[tag] = {iovec{buffer.data(), buffer.size()}};
        port->read(tag, device.near.get(), vectors[tag],
                   i == 0 ? ReadMode::waiting : ReadMode::now);
      }
    }
    for (std::size_t i = (random() >> 4) % 12; i > 0; --i) {
      say(device.far, std::to_string(sent_packets));
      ++sent_packets;
    }
    const auto some = port->wait(now());
    REQUIRE(some);
    for (const Completion& completion : *some) {
      ++completed;
      const auto found = reads.find(completion.tag);
      REQUIRE(found != reads.end());  // once
      if (completion.result == -EAGAIN) {
        ++empty_reads;
      } else {
        REQUIRE(completion.result > 0);
        CHECK(as_text(ByteView(found->second).first(static_cast<std::size_t>(completion.result))) ==
              std::to_string(taken_packets));
        ++taken_packets;
      }
      reads.erase(found);
    }
  }
  CHECK(taken_packets > 1000);
  CHECK(empty_reads > 100);
  CHECK(sent_packets >= taken_packets);
}

}  // namespace
}  // namespace lt::tunnel
