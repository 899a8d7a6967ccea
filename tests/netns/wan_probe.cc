#include "tests/netns/wan_probe.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <bit>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/bytes.h"
#include "lab/netns.h"

namespace lt::test {

namespace {

constexpr std::uint16_t port = 9000;
constexpr int receive_buffer_bytes = 256 << 20;
constexpr std::size_t header_bytes =
    12;  // number, time; twice, so that a bit flipped in one of them shows
constexpr Byte filling = 0x5a;
constexpr unsigned batch_max = 32;

sockaddr_in address_of(const lab::Site& site) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  std::memcpy(&address.sin_addr, site.wan_v4.address.bytes.data(), 4);
  return address;
}

Nanoseconds wall_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return Seconds(now.tv_sec) + Nanoseconds(now.tv_nsec);
}

void set_option(const Fd& socket, int option, int value) {
  REQUIRE(::setsockopt(socket.get(), SOL_SOCKET, option, &value, sizeof value) == 0);
}

// A filter that takes nothing: the packet has come all the way, and costs no memory.
void keep_nothing(const Fd& socket) {
  sock_filter nothing{BPF_RET | BPF_K, 0, 0, 0};
  const sock_fprog program{1, &nothing};
  REQUIRE(::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);
}

Result<Fd> socket_inside(const std::string& name) {
  Fd socket;
  LT_CHECK(lab::run_inside(name, [&]() -> Status {
    socket = Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return socket.is_open() ? Status{} : fail_errno(errno, "no socket");
  }));
  return socket;
}

unsigned flipped(ByteView payload) {
  unsigned bits = 0;
  for (std::size_t i = 0; i < header_bytes; ++i) {
    bits += static_cast<unsigned>(
        std::popcount(static_cast<unsigned>(payload[i] ^ payload[header_bytes + i])));
  }
  for (const Byte byte : payload.subspan(2 * header_bytes))
    bits += static_cast<unsigned>(std::popcount(static_cast<unsigned>(byte ^ filling)));
  return bits;
}

Nanoseconds stamp_of(msghdr& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec stamp{};
    std::memcpy(&stamp, CMSG_DATA(control), sizeof stamp);
    return Seconds(stamp.tv_sec) + Nanoseconds(stamp.tv_nsec);
  }
  FAIL("a packet without a time");
  return {};
}

// A wait for a state that others bring about, bounded.
template <class Condition>
void await(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::sleep_for(1ms);
  }
}

}  // namespace

Result<WanProbe> WanProbe::open(lab::Sandbox& sandbox, lab::Direction direction, bool checksum,
                                bool sink) {
  WanProbe probe(sandbox, direction);
  const lab::Topology& topology = sandbox.topology();
  const lab::Site& source =
      direction == lab::Direction::to_offsite ? topology.office : topology.offsite;
  const lab::Site& target = topology.other(source);
  LT_TRY(probe.sender_, socket_inside(topology.namespace_of(source.gateway)));
  LT_TRY(probe.receiver_, socket_inside(topology.namespace_of(target.gateway)));
  set_option(probe.receiver_, SO_RCVBUFFORCE, receive_buffer_bytes);
  set_option(probe.receiver_, SO_TIMESTAMPNS, 1);
  set_option(probe.receiver_, SO_REUSEADDR, 1);
  if (!checksum) set_option(probe.sender_, SO_NO_CHECK, 1);
  if (sink) keep_nothing(probe.receiver_);
  const sockaddr_in to = address_of(target);
  const auto* const raw = reinterpret_cast<const sockaddr*>(&to);
  if (::bind(probe.receiver_.get(), raw, sizeof to) != 0) return fail_errno(errno, "cannot bind");
  if (::connect(probe.sender_.get(), raw, sizeof to) != 0)
    return fail_errno(errno, "cannot connect");
  sockaddr_in own{};
  socklen_t own_bytes = sizeof own;
  REQUIRE(::getsockname(probe.sender_.get(), reinterpret_cast<sockaddr*>(&own), &own_bytes) == 0);
  probe.source_port_ = own.sin_port;
  probe.before_ = probe.current();
  return probe;
}

BitsPerSecond WanProbe::send(std::uint32_t count, BitsPerSecond rate) {
  static std::array<std::array<Byte, payload_bytes>, batch_max> payloads;
  std::array<iovec, batch_max> vectors{};
  std::array<mmsghdr, batch_max> messages{};
  for (std::size_t i = 0; i < batch_max; ++i) {
    payloads[i].fill(filling);
    vectors[i] = {payloads[i].data(), payload_bytes};
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint32_t sent = 0; sent < count;) {
    const std::uint32_t batch =
        std::min({count - sent, batch_max, rate.value == 0 ? batch_max : 8U});
    if (rate.value != 0) std::this_thread::sleep_until(begin + Bytes{sent * packet_bytes} / rate);
    const auto now = static_cast<std::uint64_t>(wall_clock().count());
    for (std::uint32_t i = 0; i < batch; ++i) {
      store_be32(payloads[i].data(), next_ + i);
      store_be64(payloads[i].data() + 4, now);
      std::copy_n(payloads[i].begin(), header_bytes, payloads[i].begin() + header_bytes);
    }
    const int done = ::sendmmsg(sender_.get(), messages.data(), batch, 0);
    REQUIRE(done > 0);
    sent += static_cast<std::uint32_t>(done);
    next_ += static_cast<std::uint32_t>(done);
  }
  return Bytes{count * packet_bytes} /
         std::max<Nanoseconds>(std::chrono::steady_clock::now() - begin, 1ns);
}

void WanProbe::settle() {
  await([&] {
    const lab::WanReport now = report();
    return now.counters.packets_in + now.device_dropped >= next_ && now.counters.packets_held == 0;
  });
}

std::vector<Arrival> WanProbe::collect() {
  settle();
  std::vector<Arrival> arrivals;
  std::array<Byte, 2048> payload{};
  alignas(cmsghdr) std::array<Byte, 256> control{};
  for (;;) {
    iovec vector{payload.data(), payload.size()};
    msghdr message{};
    sockaddr_in from{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const auto bytes = ::recvmsg(receiver_.get(), &message, MSG_DONTWAIT);
    if (bytes < 0) break;
    REQUIRE(bytes == payload_bytes);
    const ByteView view(payload.data(), payload_bytes);
    const auto port_bits =
        static_cast<unsigned>(std::popcount(static_cast<unsigned>(from.sin_port ^ source_port_)));
    arrivals.push_back({load_be32(view.data()),
                        Nanoseconds(static_cast<std::int64_t>(load_be64(view.data() + 4))),
                        stamp_of(message), flipped(view) + port_bits});
  }
  return arrivals;
}

lab::WanReport WanProbe::current() const {
  const auto report = sandbox_->report(direction_);
  REQUIRE(report);
  return *report;
}

lab::WanReport WanProbe::report() const {
  lab::WanReport now = current();
  REQUIRE(now.counters.conserved());
  now.counters.packets_in -= before_.counters.packets_in;
  now.counters.packets_out -= before_.counters.packets_out;
  now.counters.packets_lost_single -= before_.counters.packets_lost_single;
  now.counters.packets_lost_burst -= before_.counters.packets_lost_burst;
  now.counters.packets_dropped_queue -= before_.counters.packets_dropped_queue;
  now.counters.packets_dropped_storage -= before_.counters.packets_dropped_storage;
  now.counters.packets_blackout -= before_.counters.packets_blackout;
  now.counters.packets_corrupted -= before_.counters.packets_corrupted;
  now.device_dropped -= before_.device_dropped;
  now.device_refused -= before_.device_refused;
  now.late_packets -= before_.late_packets;
  return now;
}

}  // namespace lt::test
