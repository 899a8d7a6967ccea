#include "tunnel/tcp_stream.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "tunnel/limits.h"

namespace lt::tunnel {

namespace {

// The back-stop behind our own PING; larger than any stall we tolerate, since it also ends a live peer that reads
// nothing for a while (a zero window). With it set, Linux ignores the number of keep-alive probes.
constexpr unsigned user_timeout_ms = 20'000;
constexpr int keepalive_idle_s = 5;
constexpr int keepalive_interval_s = 2;
// What the kernel holds until the link takes it (listen_backlog at a turn): two seconds of a flood of two thousand a second,
// for a busy machine. Where this queue is full the kernel forgets a connection that its client takes for made, and the
// client waits in vain. net.core.somaxconn bounds it, too: 4096 unless somebody has changed it.
constexpr int accept_queue = 4096;

constexpr std::uint32_t ssthresh_unknown = 0x7fffffff;  // include/net/tcp.h, TCP_INFINITE_SSTHRESH

template <class Value>
Status set_option(int fd, int level, int name, const Value& value, const char* what) {
  if (::setsockopt(fd, level, name, &value, sizeof value) != 0) {
    return fail_errno(errno, std::string("cannot set ") + what);
  }
  return {};
}

Status set_mark(int fd, std::uint32_t mark) {
  return mark == 0 ? Status() : set_option(fd, SOL_SOCKET, SO_MARK, mark, "SO_MARK (this needs CAP_NET_ADMIN)");
}

Status set_unsent_limit(int fd, std::size_t bytes) {
  return set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, static_cast<unsigned>(bytes), "TCP_NOTSENT_LOWAT");
}

Status set_congestion_control(int fd, const std::string& name) {
  if (name.empty()) return {};
  if (::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), static_cast<socklen_t>(name.size())) == 0) return {};
  const int error = errno;
  const auto have = read_file("/proc/sys/net/ipv4/tcp_available_congestion_control", 4096);
  return fail_errno(error, "cannot use congestion control " + name + " (this kernel has: " +
                               std::string(trim(have.value_or("unknown"))) + ")");
}

}  // namespace

Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint) {
  if (const auto numeric = IpAddress::parse(endpoint.host)) {
    return std::vector{SocketAddress::of(*numeric, endpoint.port)};
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found);
  if (error != 0) return fail(Errc::unreachable, "cannot resolve " + endpoint.host + ": " + ::gai_strerror(error));
  std::vector<SocketAddress> addresses;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    SocketAddress address;
    std::memcpy(&address.storage, each->ai_addr, each->ai_addrlen);
    address.length = each->ai_addrlen;
    addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  return addresses;
}

Result<Fd> listen_on(const Endpoint& endpoint, const StreamOptions& options) {
  const auto address = IpAddress::parse(endpoint.host);
  if (!address) return fail(Errc::invalid, "listen needs a numeric address, not " + endpoint.host);
  const SocketAddress local = SocketAddress::of(*address, endpoint.port);
  Fd fd(::socket(local.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_open()) return fail_errno(errno, "cannot make a socket");
  LT_CHECK(set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"));
  LT_CHECK(set_mark(fd.get(), options.mark));  // accepted connections inherit it, their SYN-ACK included
  LT_CHECK(set_congestion_control(fd.get(), options.congestion_control));
  if (::bind(fd.get(), local.raw(), local.length) != 0 || ::listen(fd.get(), accept_queue) != 0) {
    const int error = errno;
    if (error == EADDRINUSE) {
      return fail(Errc::busy, "port " + std::to_string(endpoint.port) +
                                  " is taken: end the program that has it (ss -ltnp), or choose another port in `listen`");
    }
    return fail_errno(error, "cannot listen on " + endpoint.text());
  }
  return fd;
}

Result<Fd> make_outer_socket(Family family, const StreamOptions& options) {
  Fd fd(::socket(family == Family::v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.is_open()) return fail_errno(errno, "cannot make a socket");
  LT_CHECK(set_mark(fd.get(), options.mark));
  LT_CHECK(set_congestion_control(fd.get(), options.congestion_control));
  return fd;
}

Result<Fd> start_connect(const SocketAddress& address, const StreamOptions& options, std::uint32_t segment_bytes_max) {
  const Family family = address.storage.ss_family == AF_INET ? Family::v4 : Family::v6;
  LT_TRY(Fd fd, options.make_socket ? options.make_socket(family) : make_outer_socket(family, options));
  if (segment_bytes_max > 0) LT_CHECK(set_option(fd.get(), IPPROTO_TCP, TCP_MAXSEG, segment_bytes_max, "TCP_MAXSEG"));
  if (::connect(fd.get(), address.raw(), address.length) != 0 && errno != EINPROGRESS) {
    return fail_errno(errno, "cannot connect to " + address.text());
  }
  return fd;
}

Status connect_result(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error != 0) return fail_errno(error, "cannot connect");
  return {};
}

bool has_hung_up(int fd) {
  pollfd polled{fd, POLLRDHUP, 0};
  return ::poll(&polled, 1, 0) > 0;
}

Status tune(int fd, const StreamOptions& options) {
  LT_CHECK(set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"));
  LT_CHECK(set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout_ms, "TCP_USER_TIMEOUT"));
  LT_CHECK(set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE"));
  LT_CHECK(set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive_idle_s, "TCP_KEEPIDLE"));
  LT_CHECK(set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, keepalive_interval_s, "TCP_KEEPINTVL"));
  LT_CHECK(set_congestion_control(fd, options.congestion_control));
  if (options.notsent_lowat.value != 0) {
    LT_CHECK(set_unsent_limit(fd, options.notsent_lowat.value));
  }
  return {};
}

bool may_wait_with_reno(int fd) {
  if (congestion_control_of(fd) != "cubic") return false;
  // Asked of a socket that carries nothing: there might be no way back.
  const Fd other(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return other.is_open() && set_congestion_control(other.get(), "reno") && set_congestion_control(other.get(), "cubic");
}

std::string congestion_control_of(int fd) {
  char name[16] = {};
  socklen_t length = sizeof name - 1;
  return ::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length) == 0 ? name : "unknown";
}

std::optional<PathSample> sample_path(int fd) {
  // The C library's tcp_info ends before these fields; the kernel's header cannot stand beside netinet/tcp.h.
  struct KernelTcpInfo {
    tcp_info head;
    std::uint64_t pacing_rate;
    std::uint64_t max_pacing_rate;
    std::uint64_t bytes_acked;
    std::uint64_t bytes_received;
    std::uint32_t segs_out;
    std::uint32_t segs_in;
    std::uint32_t notsent_bytes;
  } info{};
  static_assert(sizeof(tcp_info) == 104);  // include/uapi/linux/tcp.h, up to tcpi_total_retrans
  socklen_t length = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 || length < sizeof info) return std::nullopt;
  return PathSample{.rtt = std::chrono::microseconds(info.head.tcpi_rtt),
                    // Not tcpi_delivered: it counts segments, and the last one of a record is seldom full.
                    .delivered = info.bytes_acked + std::uint64_t{info.head.tcpi_sacked} * info.head.tcpi_snd_mss,
                    .retransmitted = std::uint64_t{info.head.tcpi_total_retrans} * info.head.tcpi_snd_mss,
                    .is_backlogged = info.notsent_bytes > 0,
                    .is_in_slow_start = info.head.tcpi_snd_ssthresh >= ssthresh_unknown};
}

void run_control(int fd, SlowStart::Control control) {
  const std::string_view name = control == SlowStart::Control::reno ? "reno" : "cubic";
  static_cast<void>(::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), static_cast<socklen_t>(name.size())));  // as below
}

void cap_pacing(int fd, std::uint64_t rate) {
  // Fails on nothing but a closed socket, and then nobody needs it.
  static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate));
}

void limit_unsent(int fd, std::size_t bytes) {
  static_cast<void>(set_unsent_limit(fd, bytes));  // as above
}

}  // namespace lt::tunnel
