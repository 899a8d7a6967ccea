#include "tuner/path_end.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "tuner/probe_socket.h"

namespace lt::tuner {

namespace {

constexpr Milliseconds stop_latency{50};   // how late the receiver may notice that it should end
constexpr Milliseconds send_patience{500};  // for room in a full queue of our own

IpAddress any_of(Family family) {
  IpAddress any;
  any.family = family;
  return any;
}

bool set_option(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

}  // namespace

void PathDatagram::encode(ByteSpan raw) const {
  store_be32(raw.data(), magic);
  store_be64(raw.data() + 4, nonce);
  store_be16(raw.data() + 12, round);
  store_be16(raw.data() + 14, number);
  store_be32(raw.data() + 16, size);
}

std::optional<PathDatagram> PathDatagram::decode(ByteView raw) {
  if (raw.size() < bytes || load_be32(raw.data()) != magic) return std::nullopt;
  PathDatagram datagram;
  datagram.nonce = load_be64(raw.data() + 4);
  datagram.round = load_be16(raw.data() + 12);
  datagram.number = load_be16(raw.data() + 14);
  datagram.size = load_be32(raw.data() + 16);
  if (datagram.size != raw.size()) return std::nullopt;
  return datagram;
}

Result<std::unique_ptr<PathEnd>> PathEnd::open(Family family, const std::optional<IpAddress>& local,
                                               std::uint16_t port, std::uint64_t nonce) {
  LT_TRY(BoundSocket bound, bind_udp(local ? *local : any_of(family), port));
  set_patience(bound.fd.get(), stop_latency);
  timeval patience{};
  patience.tv_usec = Microseconds(send_patience).count();
  ::setsockopt(bound.fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  return std::unique_ptr<PathEnd>(new PathEnd(family, std::move(bound.fd), bound.port, nonce));
}

PathEnd::PathEnd(Family family, Fd socket, std::uint16_t port, std::uint64_t nonce)
    : family_(family),
      socket_(std::move(socket)),
      port_(port),
      nonce_(nonce),
      receiver_([this](const std::stop_token& stop) { receive(stop); }) {}

void PathEnd::receive(const std::stop_token& stop) {
  std::vector<Byte> raw(udp_payload_max(Family::v6) + 1);
  while (!stop.stop_requested()) {
    SocketAddress from;
    from.length = sizeof from.storage;
    const auto count = ::recvfrom(socket_.get(), raw.data(), raw.size(), 0,
                                  reinterpret_cast<sockaddr*>(&from.storage), &from.length);
    if (count <= 0) continue;
    const auto datagram =
        PathDatagram::decode(ByteView(raw).first(static_cast<std::size_t>(count)));
    if (!datagram || datagram->nonce != nonce_ || datagram->round >= path_rounds_max ||
        datagram->number >= path_round_max)
      continue;
    const std::lock_guard lock(mutex_);
    peer_ = from;
    arrived_[datagram->round].set(datagram->number);
  }
}

std::optional<SocketAddress> PathEnd::peer() const {
  const std::lock_guard lock(mutex_);
  return peer_;
}

std::vector<unsigned> PathEnd::arrived(unsigned round) const {
  LT_ASSERT(round < path_rounds_max);
  const std::lock_guard lock(mutex_);
  std::vector<unsigned> numbers;
  for (unsigned number = 0; number < path_round_max; ++number) {
    if (arrived_[round].test(number)) numbers.push_back(number);
  }
  return numbers;
}

// PROBE sets "don't fragment" and sends up to the device's MTU, whatever path MTU ICMP has told.
// DONT leaves the packet to be fragmented, here and by routers; for IPv6, where no router does, the
// size of our fragments is the path's.
Status PathEnd::allow_fragments(const PathRound& round) {
  const int fd = socket_.get();
  bool is_set = false;
  if (family_ == Family::v4) {
    is_set = set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER,
                        round.is_fragmented ? IP_PMTUDISC_DONT : IP_PMTUDISC_PROBE);
  } else {
    is_set = set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
                        round.is_fragmented ? IPV6_PMTUDISC_DONT : IPV6_PMTUDISC_PROBE) &&
             (!round.is_fragmented ||
              set_option(fd, IPPROTO_IPV6, IPV6_MTU, static_cast<int>(round.fragment_bytes)));
  }
  if (is_set) return {};
  return fail_errno(errno, "cannot choose whether packets may be fragmented");
}

Result<std::vector<unsigned>> PathEnd::send(const SocketAddress& to, const PathRound& round) {
  LT_ASSERT(round.round < path_rounds_max && round.sizes.size() <= path_round_max);
  sent_ += static_cast<unsigned>(round.sizes.size());
  if (sent_ > path_datagrams_max)
    return fail(Errc::limit, "the shape of the path took more datagrams than the limit of " +
                                 std::to_string(path_datagrams_max));
  LT_CHECK(allow_fragments(round));
  std::vector<unsigned> refused;
  std::vector<Byte> raw(udp_payload_max(Family::v6));
  Instant due = std::chrono::steady_clock::now();
  for (unsigned number = 0; number < round.sizes.size(); ++number) {
    const unsigned size = round.sizes[number];
    LT_ASSERT(size >= PathDatagram::bytes && size <= raw.size());
    PathDatagram{nonce_, static_cast<std::uint16_t>(round.round),
                 static_cast<std::uint16_t>(number), size}
        .encode(raw);
    // Whatever else goes wrong (a full queue, a firewall of ours) is a loss.
    if (::sendto(socket_.get(), raw.data(), size, MSG_NOSIGNAL, to.raw(), to.length) < 0 &&
        errno == EMSGSIZE) {
      refused.push_back(number);
      continue;
    }
    due += round.gap;
    std::this_thread::sleep_until(due);
  }
  return refused;
}

}  // namespace lt::tuner
