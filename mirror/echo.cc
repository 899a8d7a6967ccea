#include "mirror/echo.h"

#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/fd.h"

namespace lt::mirror {

namespace {

constexpr Milliseconds echo_every{10};
constexpr std::uint8_t v4_request = 8;    // RFC 792
constexpr std::uint8_t v4_reply = 0;
constexpr std::uint8_t v6_request = 128;  // RFC 4443
constexpr std::uint8_t v6_reply = 129;
constexpr std::size_t echo_bytes = 16;    // header and the time of sending

using Echo = std::array<Byte, echo_bytes>;

std::uint16_t checksum(const Echo& echo) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < echo.size(); i += 2)
    sum += static_cast<std::uint32_t>(echo[i]) << 8 | static_cast<std::uint32_t>(echo[i + 1]);
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

Echo echo_of(bool is_v4, std::uint16_t id, std::uint16_t number, std::int64_t sent_ns) {
  Echo echo{};
  echo[0] = static_cast<Byte>(is_v4 ? v4_request : v6_request);
  echo[4] = static_cast<Byte>(id >> 8);
  echo[5] = static_cast<Byte>(id & 0xff);
  echo[6] = static_cast<Byte>(number >> 8);
  echo[7] = static_cast<Byte>(number & 0xff);
  std::memcpy(&echo[8], &sent_ns, sizeof sent_ns);
  if (is_v4) {  // the kernel fills in that of ICMPv6
    const std::uint16_t sum = checksum(echo);
    echo[2] = static_cast<Byte>(sum >> 8);
    echo[3] = static_cast<Byte>(sum & 0xff);
  }
  return echo;
}

}  // namespace

struct Yielder::Works {
  Works(Fd raw, bool v4, Milliseconds delay_max)
      : socket(std::move(raw)), is_v4(v4), control(delay_max) {}

  void run(const std::stop_token& stop) {
    Instant next = SteadyClock().now();
    while (!stop.stop_requested()) {
      const Instant now = SteadyClock().now();
      if (now >= next) {
        send(now);
        next = std::max(next + echo_every, now);
      }
      pollfd polled{socket.get(), POLLIN, 0};
      const auto left = std::chrono::ceil<Milliseconds>(next - SteadyClock().now());
      ::poll(&polled, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 1)));
      receive();
    }
  }
  // What cannot be sent is an echo that does not come back: the link is away.
  void send(Instant now) {
    const Echo echo = echo_of(is_v4, id, ++number, now.time_since_epoch().count());
    static_cast<void>(::send(socket.get(), echo.data(), echo.size(), MSG_DONTWAIT));
  }
  void receive() {
    std::array<Byte, 256> packet;
    for (;;) {
      const auto size = ::recv(socket.get(), packet.data(), packet.size(), MSG_DONTWAIT);
      if (size <= 0) return;
      const Instant now = SteadyClock().now();
      // A raw IPv4 socket gives the IP header, too; its length is told in its first byte.
      const std::size_t header = is_v4 ? (static_cast<std::size_t>(packet[0]) & 15) * 4 : 0;
      if (static_cast<std::size_t>(size) < header + echo_bytes) continue;
      const Byte* echo = packet.data() + header;
      const std::uint16_t told = static_cast<std::uint16_t>(static_cast<unsigned>(echo[4]) << 8 |
                                                            static_cast<unsigned>(echo[5]));
      if (echo[0] != static_cast<Byte>(is_v4 ? v4_reply : v6_reply) || told != id) continue;
      std::int64_t sent_ns = 0;
      std::memcpy(&sent_ns, echo + 8, sizeof sent_ns);
      const Nanoseconds round_trip = now - Instant(Nanoseconds(sent_ns));
      // The time comes back from the peer: what cannot be is not believed.
      if (round_trip <= Nanoseconds(0) || round_trip > Seconds(10)) continue;
      const std::lock_guard lock(mutex);
      control.on_echo(round_trip, now);
    }
  }

  Fd socket;
  bool is_v4;
  std::uint16_t id{static_cast<std::uint16_t>(::getpid() & 0xffff)};
  std::uint16_t number{0};
  std::mutex mutex;  // of control: the thread tells it, the run asks it
  YieldControl control;
  std::jthread thread;  // last: ends before what it uses
};

Yielder::Yielder(std::unique_ptr<Works> works) : works_(std::move(works)) {}
Yielder::Yielder(Yielder&&) noexcept = default;
Yielder& Yielder::operator=(Yielder&&) noexcept = default;
Yielder::~Yielder() = default;

Result<Yielder> Yielder::start(const IpAddress& peer, Milliseconds delay_max) {
  const bool is_v4 = peer.family == Family::v4;
  Fd raw(::socket(is_v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC,
                  is_v4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6)));
  if (!raw.is_open())
    return fail_errno(errno, "cannot measure the delay of the line: run as root, or write "
                             "`yields = false` in the jobs");
  sockaddr_storage address{};
  socklen_t size = 0;
  if (is_v4) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
    v4->sin_family = AF_INET;
    std::memcpy(&v4->sin_addr, peer.raw().data(), 4);
    size = sizeof *v4;
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
    v6->sin6_family = AF_INET6;
    std::memcpy(&v6->sin6_addr, peer.raw().data(), 16);
    size = sizeof *v6;
  }
  // While the link is away there is no route: the socket then hears the peer once there is one.
  static_cast<void>(::connect(raw.get(), reinterpret_cast<sockaddr*>(&address), size));
  auto works = std::make_unique<Works>(std::move(raw), is_v4, delay_max);
  works->thread = std::jthread([at = works.get()](const std::stop_token& stop) { at->run(stop); });
  return Yielder(std::move(works));
}

BitsPerSecond Yielder::rate(Bytes carried, Instant now) {
  const std::lock_guard lock(works_->mutex);
  return works_->control.rate(carried, now);
}

Nanoseconds Yielder::delay() const {
  const std::lock_guard lock(works_->mutex);
  return works_->control.delay();
}

}  // namespace lt::mirror
