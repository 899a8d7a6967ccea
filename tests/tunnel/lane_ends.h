// A lane in the test's hands: its TUN is a socket that keeps packets apart, its peer an end that
// has the keys and says what the test wants.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <catch2/catch.hpp>
#include <atomic>
#include <deque>
#include <future>
#include <thread>

#include "tests/tunnel/packet_builder.h"
#include "tunnel/framing.h"
#include "tunnel/lane.h"
#include "tunnel/packing.h"
#include "tunnel/uring_port.h"
#include "tunnel/virtio.h"

namespace lt::tunnel::testing {

inline constexpr auto patience = std::chrono::seconds(20);  // for an event that must come

inline Instant now() {
  return std::chrono::steady_clock::now();
}

/// Whether `fd` has something to read before `until`.
inline bool is_readable(int fd, Instant until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now());
  pollfd polled{fd, POLLIN, 0};
  return ::poll(&polled, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0))) > 0;
}

inline std::pair<Fd, Fd> socket_pair(int type) {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

inline std::pair<Fd, Fd> tcp_loopback() {
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  Fd near(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(near.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  Fd far(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(far.is_open());
  return {std::move(near), std::move(far)};
}

struct TunPacket {
  VnetHeader vnet;
  std::vector<Byte> bytes;
};

/// Stands in for a TUN device: each write is a packet behind its offload header, and so is each
/// read.
class FakeTun {
 public:
  FakeTun() {
    std::tie(lane_end_, far_end_) = socket_pair(SOCK_SEQPACKET);
    const int room = 4 << 20;  // where root may; else what the system allows
    for (const int fd : {lane_end_.get(), far_end_.get()}) {
      static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room));
    }
  }

  [[nodiscard]] int fd() const { return lane_end_.get(); }

  /// What the LAN sends. @return false when the queue is full
  [[nodiscard]] bool put(const VnetHeader& vnet, ByteView packet) const {
    Byte raw[vnet_header_bytes];
    store_vnet(raw, vnet);
    std::array<iovec, 2> vectors{iovec{raw, sizeof raw},
                                 iovec{const_cast<Byte*>(packet.data()), packet.size()}};
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = vectors.size();
    return ::sendmsg(far_end_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
  }
  /// The next packet that the lane delivers, if one comes before `until`.
  [[nodiscard]] std::optional<TunPacket> take(Instant until = now() + patience) const {
    if (!is_readable(far_end_.get(), until)) return std::nullopt;
    std::vector<Byte> bytes(vnet_header_bytes + packet_bytes_max + 1);
    const auto count = ::recv(far_end_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count < static_cast<ssize_t>(vnet_header_bytes)) return std::nullopt;
    bytes.resize(static_cast<std::size_t>(count));
    return TunPacket{load_vnet(bytes.data()), {bytes.begin() + vnet_header_bytes, bytes.end()}};
  }
  [[nodiscard]] bool is_empty() const { return !is_readable(far_end_.get(), now()); }

 private:
  Fd lane_end_;
  Fd far_end_;
};

/// The header that a kernel puts in front of a super-packet of `spec`.
inline VnetHeader super_vnet(const PacketSpec& spec, std::uint16_t gso_size) {
  std::uint8_t type = vnet_gso_udp;
  if (spec.protocol == tcp) {
    type = spec.family == Family::v4 ? vnet_gso_tcp4 : vnet_gso_tcp6;
    if ((spec.tcp_flags & cwr) != 0) type |= vnet_gso_ecn;
  }
  return {.flags = vnet_needs_checksum,
          .gso_type = type,
          .hdr_len = static_cast<std::uint16_t>(headers_bytes(spec)),
          .gso_size = gso_size,
          .csum_start = static_cast<std::uint16_t>(transport_offset(spec)),
          .csum_offset = static_cast<std::uint16_t>(spec.protocol == tcp ? 16 : 6)};
}
inline VnetHeader partial_vnet(const PacketSpec& spec) {
  VnetHeader header = super_vnet(spec, 0);
  header.gso_type = vnet_gso_none;
  header.hdr_len = 0;
  return header;
}
inline PacketKind super_kind(const PacketSpec& spec) {
  if (spec.protocol == tcp) return spec.family == Family::v4 ? PacketKind::tcp4 : PacketKind::tcp6;
  return spec.family == Family::v4 ? PacketKind::udp4 : PacketKind::udp6;
}

/// The office's view: 10.1/16 and fd01::/64 are local, 10.2/16 and fd02::/64 the peer's.
inline AdmissionOptions office_admission() {
  return {.local_prefixes = {*Prefix::parse("10.1.0.0/16"), *Prefix::parse("fd01::/64")},
          .peer_prefixes = {*Prefix::parse("10.2.0.0/16"), *Prefix::parse("fd02::/64")},
          .tunnel_addresses = {},
          .mtu = 1500};
}
inline AdmissionOptions offsite_admission() {
  AdmissionOptions options = office_admission();
  std::swap(options.local_prefixes, options.peer_prefixes);
  return options;
}

/// A packet of the office to the other site, or the other way.
inline PacketSpec to_offsite(PacketSpec spec = {}) {
  return spec;
}
inline PacketSpec to_office(PacketSpec spec = {}) {
  std::swap(spec.source, spec.destination);
  return spec;
}

inline constexpr Byte office_secret = 0x0c;
inline constexpr Byte offsite_secret = 0x05;

inline crypto::Secret<32> secret_of(Byte fill) {
  crypto::Secret<32> secret;
  std::fill(secret.writable().begin(), secret.writable().end(), fill);
  return secret;
}

inline Established established(Byte outbound, Byte inbound) {
  Established result;
  result.outbound = secret_of(outbound);
  result.inbound = secret_of(inbound);
  result.record_limit = 256 * 1024;
  result.tun_mtu = 1500;
  return result;
}

/// The backends of this machine. One that is missing is said aloud, never passed over in silence.
inline std::vector<IoBackend> backends() {
  static const bool has_uring = [] {
    Status made;
    // In a thread of its own: taking a ring down interrupts the blocking calls of whoever made it.
    std::thread([&made] {
      if (const auto port = UringPort::create(); !port) made = fail(port.error());
    }).join();
    if (!made) WARN("SKIPPED for io_uring: " << made.error().text());
    return made.has_value();
  }();
  return has_uring ? std::vector{IoBackend::epoll, IoBackend::io_uring}
                   : std::vector{IoBackend::epoll};
}
inline std::string name_of(IoBackend io) {
  return io == IoBackend::epoll ? "epoll" : "io_uring";
}

inline std::vector<std::pair<IoBackend, IoBackend>> backend_pairs() {
  std::vector<std::pair<IoBackend, IoBackend>> pairs;
  for (const IoBackend one : backends())
    pairs.emplace_back(one, one);
  if (backends().size() == 2) pairs.emplace_back(IoBackend::epoll, IoBackend::io_uring);
  return pairs;
}

/// A packet as a LAN sends it, of any kind that fits an MTU of 1500.
struct LanPacket {
  VnetHeader vnet{};
  std::vector<Byte> bytes;
};

inline LanPacket random_packet(std::minstd_rand& random, bool is_to_offsite) {
  const auto below = [&](std::size_t limit) { return (random() >> 4) % limit; };
  const bool is_super = below(4) == 0;
  PacketSpec spec = random_spec(random, is_super ? 64'000 : 1300);
  if (!is_to_offsite) std::swap(spec.source, spec.destination);
  const auto gso_size = static_cast<std::uint16_t>(536 + below(750));
  if (is_super && spec.payload.size() > gso_size)
    return {super_vnet(spec, gso_size), build_partial(spec)};
  if (spec.payload.size() > 1300) spec.payload.resize(1300);
  if (below(2) == 0) return {partial_vnet(spec), build_partial(spec)};
  return {VnetHeader{}, build(spec)};
}

/// Sends `count` random packets into one TUN, or until it is told to end, and holds what leaves the
/// other against them. No more than a window is under way, as with a flow that is acknowledged.
struct Flow {
  const FakeTun& from;
  const FakeTun& to;
  bool is_to_offsite;
  unsigned seed;
  int count;
  const std::atomic<bool>* is_over{nullptr};
  std::string fault{};
  std::uint64_t bytes{0};
  std::uint64_t packets{0};

  void run() {
    constexpr std::size_t window_bytes = 150'000;
    std::minstd_rand random(seed);
    std::deque<LanPacket> under_way;
    std::size_t bytes_under_way = 0;
    int sent = 0;
    const auto has_more = [&] { return sent < count && (is_over == nullptr || !*is_over); };
    while (has_more() || !under_way.empty()) {
      while (has_more() && bytes_under_way < window_bytes) {
        LanPacket packet = random_packet(random, is_to_offsite);
        if (!from.put(packet.vnet, packet.bytes)) {
          fault = "the TUN's queue is full";
          return;
        }
        bytes_under_way += packet.bytes.size();
        bytes += packet.bytes.size();
        under_way.push_back(std::move(packet));
        ++sent;
      }
      const auto arrived = to.take();
      if (!arrived) {
        fault = "a packet is missing after " + std::to_string(sent) + " were sent";
        return;
      }
      if (arrived->bytes != under_way.front().bytes || arrived->vnet != under_way.front().vnet) {
        fault =
            "a packet is altered or out of its order, after " + std::to_string(sent) + " were sent";
        return;
      }
      bytes_under_way -= under_way.front().bytes.size();
      under_way.pop_front();
      ++packets;
    }
  }
};

/// A running lane of the office, and the news of its end.
struct RunningLane {
  FakeTun tun;
  std::promise<void> ended;
  std::unique_ptr<Lane> lane;

  void start(Fd socket, Established keys, const AdmissionOptions& admission, LaneOptions options) {
    options.tun_queues = {tun.fd()};
    options.tun_offload = true;
    if (options.record_bytes_max == 0) options.record_bytes_max = 256 * 1024;
    options.on_end = [this] { ended.set_value(); };
    auto started =
        Lane::start(std::move(socket), std::move(keys), Admission(admission), std::move(options));
    if (!started) FAIL(started.error().text());
    lane = std::move(*started);
  }
  const LaneReport& wait_for_end() {
    REQUIRE(ended.get_future().wait_for(patience) == std::future_status::ready);
    REQUIRE(lane->has_ended());
    return lane->report();
  }
};

/// The other end of a lane, made by hand.
class PeerByHand {
 public:
  explicit PeerByHand(Fd socket)
      : socket_(std::move(socket)),
        sealer_(*Sealer::create(secret_of(offsite_secret), {}, now())),
        opener_(*Opener::create(secret_of(office_secret), {.key_updates_max = 1 << 20})) {}

  std::vector<Byte> seal(RecordType type, ByteView payload) {
    std::vector<Byte> record(payload.size() + record_overhead_bytes);
    std::copy(payload.begin(), payload.end(), record.begin() + record_header_bytes);
    REQUIRE(sealer_.seal(type, record));
    return record;
  }
  void send_raw(ByteView bytes) const {
    while (!bytes.empty()) {
      const auto count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return;  // the lane has ended
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }
  void send(RecordType type, ByteView payload) { send_raw(seal(type, payload)); }
  void step() { sealer_.ratchet(now()); }

  /// The next record the lane has sent; nothing at the end of the stream or of the time. @pre it
  /// opens
  [[nodiscard]] std::optional<std::pair<RecordType, std::vector<Byte>>> receive(
      Instant until = now() + patience) {
    for (;;) {
      const auto found = buffer_.next_record(256 * 1024);
      REQUIRE(found);
      if (*found) {
        const auto opened = opener_.open((*found)->second);
        REQUIRE(opened);
        std::pair record{(*found)->first, std::vector<Byte>(opened->begin(), opened->end())};
        if (record.first == RecordType::key_update) {
          REQUIRE(record.second == std::vector<Byte>{0});
          REQUIRE(opener_.ratchet(now()));
        }
        return record;
      }
      buffer_.make_room(record_limit_max + record_overhead_bytes);
      if (!is_readable(socket_.get(), until)) return std::nullopt;
      const ByteSpan space = buffer_.free_space();
      const auto count = ::recv(socket_.get(), space.data(), space.size(), MSG_DONTWAIT);
      if (count <= 0) {
        is_at_end_ = count == 0;
        return std::nullopt;
      }
      buffer_.received(static_cast<std::size_t>(count));
    }
  }
  /// The next record of that type; others are passed over.
  [[nodiscard]] std::optional<std::vector<Byte>> receive(RecordType type,
                                                         Instant until = now() + patience) {
    for (;;) {
      auto record = receive(until);
      if (!record) return std::nullopt;
      if (record->first == type) return std::move(record->second);
    }
  }
  [[nodiscard]] bool is_at_end() const { return is_at_end_ && buffer_.held() == 0; }
  [[nodiscard]] int fd() const { return socket_.get(); }
  void close() { socket_.reset(); }
  void end_sending() const { ::shutdown(socket_.get(), SHUT_WR); }

 private:
  Fd socket_;
  Sealer sealer_;
  Opener opener_;
  ReceiveBuffer buffer_{receive_buffer_bytes(record_limit_max)};
  bool is_at_end_{false};
};

/// A lane of the office whose peer is made by hand.
struct LaneAndPeer : RunningLane {
  PeerByHand peer;

  explicit LaneAndPeer(LaneOptions options = {}, std::uint32_t tun_mtu = 1500)
      : LaneAndPeer(socket_pair(SOCK_STREAM), std::move(options), tun_mtu) {}
  LaneAndPeer(std::pair<Fd, Fd> sockets, LaneOptions options, std::uint32_t tun_mtu)
      : peer(std::move(sockets.second)) {
    Established keys = established(office_secret, offsite_secret);
    keys.tun_mtu = tun_mtu;
    start(std::move(sockets.first), std::move(keys), office_admission(), std::move(options));
  }
};

inline std::vector<Byte> item(PacketMeta meta, ByteView packet) {
  std::vector<Byte> bytes(item_header_bytes);
  pack_item_header(std::span<Byte, item_header_bytes>(bytes.data(), item_header_bytes), meta,
                   packet.size());
  bytes.insert(bytes.end(), packet.begin(), packet.end());
  return bytes;
}

/// What the next data record of the lane holds.
inline std::vector<std::pair<PacketMeta, std::vector<Byte>>> receive_items(PeerByHand& peer) {
  auto payload = peer.receive(RecordType::data);
  REQUIRE(payload);
  std::vector<std::pair<PacketMeta, std::vector<Byte>>> items;
  for (ItemCursor cursor(*payload); !cursor.at_end();) {
    const auto found = cursor.next();
    REQUIRE(found);
    items.emplace_back(found->meta, std::vector<Byte>(found->packet.begin(), found->packet.end()));
  }
  return items;
}

inline std::vector<Byte> stamped(std::uint64_t stamp, std::size_t size = 1500) {
  std::vector<Byte> payload(size);
  store_be64(payload.data(), stamp);
  return payload;
}

/// What this process has spent of the processors so far.
inline std::chrono::nanoseconds processor_time() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

/// Puts packets into the TUN until the lane takes no more: its peer reads nothing.
inline int fill(const FakeTun& tun) {
  PacketSpec spec = to_offsite();
  spec.payload = pattern(60'000);
  const auto packet = build_partial(spec);
  int sent = 0;
  Instant quiet = now() + std::chrono::milliseconds(200);
  while (now() < quiet) {
    if (tun.put(super_vnet(spec, 1400), packet)) {
      ++sent;
      quiet = now() + std::chrono::milliseconds(200);
    } else {
      std::this_thread::yield();
    }
  }
  return sent;
}
inline int fill(const LaneAndPeer& one) {
  return fill(one.tun);
}

}  // namespace lt::tunnel::testing
