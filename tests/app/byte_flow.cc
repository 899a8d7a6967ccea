// byte_flow: bytes made of a seed go from one host to another, and both ends hash them.
//
//   byte_flow serve PORT                       answers both kinds, until it is ended
//   byte_flow tcp ADDRESS PORT SEED BYTES      both ways at once over one connection
//   byte_flow udp ADDRESS PORT SEED BYTES MTU  bursts that the kernel cuts into datagrams (UDP_SEGMENT), each answered
//
// A client prints one line of JSON: bytes that were acknowledged, whether the hashes are equal, what had to be sent
// again, and what came twice. Exit 0: all bytes went there (and back), and are the same.
//
// A datagram:  0 8 run   8 4 burst   12 2 index   14 2 count   16 4 attempt   20 . body
// An answer:   0 8 run   8 4 burst   12 4 datagrams that came twice   16 32 hash of all bursts so far
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/json.h"
#include "base/socket_address.h"
#include "tests/app/byte_flow.h"

using namespace lt;
using namespace lt::testing;

namespace {

constexpr std::size_t chunk_bytes = 64 * 1024;
constexpr std::size_t head_bytes = 20;
constexpr std::size_t answer_bytes = 48;
constexpr std::size_t burst_bytes_max = 65'000;
constexpr std::uint32_t last_burst = ~std::uint32_t{0};  // has no datagrams: asks for the answer once more
constexpr int answer_ms = 200;                           // then a burst is sent again
constexpr std::uint64_t way_back = 0x5bd1e995;           // of the seed

// --- TCP ---

bool send_all(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const auto count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

bool receive_all(int fd, ByteSpan into) {
  while (!into.empty()) {
    const auto count = ::recv(fd, into.data(), into.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    into = into.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

std::optional<StreamHash::Value> send_stream(int fd, std::uint64_t seed, std::uint64_t bytes) {
  SeededBytes source(seed);
  StreamHash hash;
  std::vector<Byte> chunk(chunk_bytes);
  for (std::uint64_t left = bytes; left > 0;) {
    const ByteSpan piece = ByteSpan(chunk).first(static_cast<std::size_t>(std::min<std::uint64_t>(left, chunk_bytes)));
    source.fill(piece);
    hash.add(piece);
    if (!send_all(fd, piece)) return std::nullopt;
    left -= piece.size();
  }
  return hash.value();
}

std::optional<StreamHash::Value> receive_stream(int fd, std::uint64_t bytes) {
  StreamHash hash;
  std::vector<Byte> chunk(chunk_bytes);
  for (std::uint64_t left = bytes; left > 0;) {
    const ByteSpan piece = ByteSpan(chunk).first(static_cast<std::size_t>(std::min<std::uint64_t>(left, chunk_bytes)));
    if (!receive_all(fd, piece)) return std::nullopt;
    hash.add(piece);
    left -= piece.size();
  }
  return hash.value();
}

// Both directions at once; each end then tells the other the hash of what it has received.
struct Exchange {
  std::optional<StreamHash::Value> sent;
  std::optional<StreamHash::Value> arrived_there;
  bool has_received{false};
};

Exchange exchange(int fd, std::uint64_t seed_out, std::uint64_t bytes) {
  Exchange result;
  std::optional<StreamHash::Value> received;
  std::thread receiving([&] { received = receive_stream(fd, bytes); });
  result.sent = send_stream(fd, seed_out, bytes);
  receiving.join();
  StreamHash::Value there{};
  result.has_received = received.has_value();
  if (received && send_all(fd, *received) && receive_all(fd, there)) result.arrived_there = there;
  return result;
}

void serve_connection(Fd socket) {
  std::array<Byte, 16> request{};
  if (!receive_all(socket.get(), request)) return;
  exchange(socket.get(), load_be64(request.data()) ^ way_back, load_be64(request.data() + 8));
}

int print(std::uint64_t bytes, bool is_equal, std::uint64_t resent, std::uint64_t doubled) {
  const Json line{{"bytes", bytes}, {"equal", is_equal}, {"resent", resent}, {"doubled", doubled}};
  std::printf("%s\n", to_line(line).c_str());
  return is_equal ? 0 : 1;
}

int fail_with(const char* what) {
  std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
  return 1;
}

int run_tcp(const SocketAddress& server, std::uint64_t seed, std::uint64_t bytes) {
  const Fd socket(::socket(server.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(socket.get(), server.raw(), server.length) != 0) return fail_with("connect");
  std::array<Byte, 16> request{};
  store_be64(request.data(), seed);
  store_be64(request.data() + 8, bytes);
  if (!send_all(socket.get(), request)) return fail_with("send");

  const Exchange result = exchange(socket.get(), seed, bytes);
  if (!result.sent || !result.has_received || !result.arrived_there) return fail_with("the connection broke");
  return print(2 * bytes, *result.sent == *result.arrived_there, 0, 0);
}

// --- UDP ---

struct Datagram {
  std::uint64_t run;
  std::uint32_t burst;
  std::uint16_t index;
  std::uint16_t count;
  std::uint32_t attempt;
};

void put_head(Byte* at, const Datagram& datagram) {
  store_be64(at, datagram.run);
  store_be32(at + 8, datagram.burst);
  store_be16(at + 12, datagram.index);
  store_be16(at + 14, datagram.count);
  store_be32(at + 16, datagram.attempt);
}
Datagram head_of(const Byte* at) {
  return {load_be64(at), load_be32(at + 8), load_be16(at + 12), load_be16(at + 14), load_be32(at + 16)};
}

// What a server knows of one run: the burst that is being collected, and the datagrams of the last attempts.
struct Run {
  std::uint32_t burst{0};
  std::vector<std::optional<std::vector<Byte>>> pieces;
  StreamHash hash;
  std::map<std::pair<std::uint64_t, std::uint32_t>, unsigned> seen;  // burst and attempt, index
  std::uint32_t doubled{0};

  void take(const Datagram& head, ByteView body) {
    const std::uint64_t key = std::uint64_t{head.burst} << 32 | head.attempt;
    if (seen[{key, head.index}]++ != 0) ++doubled;
    while (seen.size() > 4096) seen.erase(seen.begin());
    if (head.burst != burst || head.index >= head.count) return;
    pieces.resize(head.count);
    pieces[head.index] = std::vector<Byte>(body.begin(), body.end());
    if (!std::all_of(pieces.begin(), pieces.end(), [](const auto& piece) { return piece.has_value(); })) return;
    for (const auto& piece : pieces) hash.add(*piece);
    pieces.clear();
    ++burst;
  }
};

Fd bind_any(int type, std::uint16_t port) {
  Fd fd(::socket(AF_INET6, type | SOCK_CLOEXEC, 0));
  const int off = 0;
  const int on = 1;
  const int room = 8 << 20;
  ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (type == SOCK_DGRAM) ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) fd.reset();
  return fd;
}

[[noreturn]] void serve_udp(int fd) {
  std::map<std::uint64_t, Run> runs;
  std::vector<Byte> datagram(1 << 16);
  for (;;) {
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const auto count = ::recvfrom(fd, datagram.data(), datagram.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (count < static_cast<ssize_t>(head_bytes)) continue;
    const Datagram head = head_of(datagram.data());
    Run& run = runs[head.run];
    const bool asks_for_all = head.burst == last_burst;
    if (!asks_for_all) run.take(head, ByteView(datagram).subspan(head_bytes, static_cast<std::size_t>(count) - head_bytes));
    if (!asks_for_all && head.burst >= run.burst) continue;  // not complete
    std::array<Byte, answer_bytes> answer{};
    store_be64(answer.data(), head.run);
    store_be32(answer.data() + 8, head.burst);
    store_be32(answer.data() + 12, run.doubled);
    if (asks_for_all) {
      StreamHash hash = run.hash;
      const auto value = hash.value();
      std::copy(value.begin(), value.end(), answer.begin() + 16);
    }
    ::sendto(fd, answer.data(), answer.size(), 0, reinterpret_cast<const sockaddr*>(&from), length);
  }
}

// One burst in one call: the kernel makes datagrams of `piece` bytes of it, on the way or at the far end.
bool send_burst(int fd, ByteView burst, std::size_t piece) {
  iovec vector{const_cast<Byte*>(burst.data()), burst.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(std::uint16_t))> control{};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (burst.size() > piece) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_UDP;
    head->cmsg_type = UDP_SEGMENT;
    head->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto size = static_cast<std::uint16_t>(piece);
    std::memcpy(CMSG_DATA(head), &size, sizeof size);
  }
  return ::sendmsg(fd, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(burst.size());
}

// @return the answer to `burst` of `run`, if it comes in time
std::optional<std::array<Byte, answer_bytes>> await_answer(int fd, std::uint64_t run, std::uint32_t burst) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(answer_ms);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd polled{fd, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&polled, 1, static_cast<int>(left.count())) <= 0) return std::nullopt;
    std::array<Byte, answer_bytes> answer{};
    if (::recv(fd, answer.data(), answer.size(), 0) != static_cast<ssize_t>(answer.size())) continue;
    if (load_be64(answer.data()) == run && load_be32(answer.data() + 8) == burst) return answer;
  }
}

// A burst of `run`: its datagrams are of `piece` bytes, the last one of less.
class Burst {
 public:
  Burst(SeededBytes& source, StreamHash& hash, std::size_t bytes, std::size_t piece) : bytes_(bytes), piece_(piece) {
    source.fill(bytes_);
    for (std::size_t at = 0; at < bytes_.size(); at += piece_) hash.add(at_most_a_piece(at).subspan(head_bytes));
  }
  [[nodiscard]] bool send(int fd, std::uint64_t run, std::uint32_t number, std::uint32_t attempt) {
    const auto count = static_cast<std::uint16_t>((bytes_.size() + piece_ - 1) / piece_);
    for (std::uint16_t index = 0; index < count; ++index) {
      put_head(bytes_.data() + index * piece_, {.run = run, .burst = number, .index = index, .count = count, .attempt = attempt});
    }
    return send_burst(fd, bytes_, piece_);
  }

 private:
  [[nodiscard]] ByteView at_most_a_piece(std::size_t at) const {
    return ByteView(bytes_).subspan(at, std::min(piece_, bytes_.size() - at));
  }
  std::vector<Byte> bytes_;
  std::size_t piece_;
};

int run_udp(const SocketAddress& server, std::uint64_t seed, std::uint64_t bytes, std::size_t mtu) {
  const bool is_v4 = server.storage.ss_family == AF_INET;
  const Fd socket(::socket(server.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (::connect(socket.get(), server.raw(), server.length) != 0) return fail_with("connect");
  SeededBytes source(seed);
  SeededBytes sizes(seed ^ way_back);
  StreamHash hash;
  std::uint64_t sent = 0;
  std::uint64_t resent = 0;
  std::uint32_t number = 0;
  for (; sent < bytes; ++number) {
    const std::size_t piece = std::min<std::size_t>(mtu - (is_v4 ? 28 : 48), 200 + sizes.next() % mtu);
    const std::size_t most = std::min(burst_bytes_max, 60 * piece);  // 64 segments are what every kernel takes
    const std::size_t whole = 1 + sizes.next() % most;
    const std::size_t tail = whole % piece;
    Burst burst(source, hash, tail < head_bytes ? whole - tail + head_bytes + 1 : whole, piece);
    for (std::uint32_t attempt = 0;; ++attempt) {
      if (attempt > 100) return fail_with("no answer");
      if (attempt > 0) ++resent;
      // An error of an earlier datagram may be told here: the next attempt is another one.
      if (!burst.send(socket.get(), seed, number, attempt) && errno == EINVAL) return fail_with("send a burst");
      if (await_answer(socket.get(), seed, number)) break;
    }
    sent += whole;
  }
  std::vector<Byte> question(head_bytes);
  put_head(question.data(), {.run = seed, .burst = last_burst, .index = 0, .count = 0, .attempt = 0});
  for (int attempt = 0; attempt < 100; ++attempt) {
    static_cast<void>(::send(socket.get(), question.data(), question.size(), MSG_NOSIGNAL));
    const auto answer = await_answer(socket.get(), seed, last_burst);
    if (!answer) continue;
    const auto value = hash.value();
    return print(sent, std::equal(value.begin(), value.end(), answer->begin() + 16), resent, load_be32(answer->data() + 12));
  }
  return fail_with("no last answer");
}

// --- the program ---

int serve(std::uint16_t port) {
  const Fd datagrams = bind_any(SOCK_DGRAM, port);
  const Fd listener = bind_any(SOCK_STREAM, port);
  if (!datagrams.is_open() || !listener.is_open() || ::listen(listener.get(), 64) != 0) return fail_with("cannot listen");
  std::thread([fd = datagrams.get()] { serve_udp(fd); }).detach();
  std::printf("ready\n");
  std::fflush(stdout);
  for (;;) {
    Fd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket.is_open()) continue;
    std::thread([taken = std::move(socket)]() mutable { serve_connection(std::move(taken)); }).detach();
  }
}

std::uint64_t number(const char* text) { return std::strtoull(text, nullptr, 10); }

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "serve" && argc == 3) return serve(static_cast<std::uint16_t>(number(argv[2])));
  const auto address = argc > 5 ? IpAddress::parse(argv[2]) : std::nullopt;
  if (address) {
    const SocketAddress server = SocketAddress::of(*address, static_cast<std::uint16_t>(number(argv[3])));
    if (verb == "tcp" && argc == 6) return run_tcp(server, number(argv[4]), number(argv[5]));
    if (verb == "udp" && argc == 7) return run_udp(server, number(argv[4]), number(argv[5]), number(argv[6]));
  }
  std::fprintf(stderr, "byte_flow serve PORT | tcp ADDRESS PORT SEED BYTES | udp ADDRESS PORT SEED BYTES MTU\n");
  return 2;
}
