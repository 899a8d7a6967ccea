#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "base/socket_address.h"
#include "base/text.h"
#include "tuner/iperf3_streams.h"
#include "tuner/iperf3_wire.h"
#include "tuner/probe_socket.h"

namespace lt::tuner {

namespace {

constexpr Milliseconds turn{50};
constexpr Milliseconds cookie_patience{3'000};  // a stranger who says nothing is shown out
constexpr Milliseconds words_patience{10'000};  // for each step of a client
constexpr Milliseconds goodbye_patience{2'000};
constexpr Milliseconds streams_patience{30'000};
constexpr Milliseconds stall_patience{30'000};  // nothing moves: the client has gone
constexpr Seconds overtime{40};                 // as iperf3: longer than announced by this much
constexpr std::size_t pending_max = 2 * iperf3_streams_max;
constexpr std::array<Byte, 4> udp_answer{'6', '7', '8', '9'};
constexpr std::array<Byte, 4> udp_hello{'9', '8', '7', '6'};
constexpr std::uint32_t udp_hello_old = 123'456'789;

// Both families where the host has both.
Result<BoundSocket> listen_anywhere(const Iperf3ServerOptions& options) {
  const auto listen = [&](const IpAddress& address) {
    return listen_tcp(address, options.port, [](int) { return Status(); });
  };
  if (options.address) return listen(*options.address);
  IpAddress any;
  any.family = Family::v6;
  auto bound = listen(any);
  if (bound || bound.error().code == Errc::busy) return bound;
  any.family = Family::v4;
  return listen(any);
}

SocketAddress name_of_end(int fd, bool is_peer) {
  SocketAddress name;
  name.length = sizeof name.storage;
  auto* raw = reinterpret_cast<sockaddr*>(&name.storage);
  if ((is_peer ? ::getpeername(fd, raw, &name.length) : ::getsockname(fd, raw, &name.length)) != 0) name.length = 0;
  return name;
}

// Whoever comes while a test runs is denied at once, as iperf3 does.
void deny(Fd fd) {
  const std::array<Byte, 1> denied{static_cast<Byte>(Iperf3State::access_denied)};
  static_cast<void>(::send(fd.get(), denied.data(), denied.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
}

Fd accept_one(int listener) {
  return Fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
}

// Takes in the streams of one test.
class TcpDoor {
 public:
  TcpDoor(int listener, const Iperf3Cookie& cookie, const Iperf3Test& test)
      : listener_(listener), cookie_(cookie), test_(test) {
    if (test_.mss_bytes > 0) set_mss(test_.mss_bytes);
  }
  ~TcpDoor() {
    if (test_.mss_bytes > 0) set_mss(0);
  }
  TcpDoor(const TcpDoor&) = delete;
  TcpDoor& operator=(const TcpDoor&) = delete;

  /// Waits for one turn at most. @return the streams that have shown the cookie, in that order
  Result<std::vector<Fd>> wait() {
    std::vector<pollfd> polled{{listener_, POLLIN, 0}};
    for (const Pending& one : pending_)
      polled.push_back({one.fd.get(), POLLIN, 0});
    ::poll(polled.data(), polled.size(), static_cast<int>(turn.count()));
    std::vector<Fd> admitted;
    std::vector<Pending> waiting;
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      if (polled[i + 1].revents == 0 || hear(pending_[i])) {
        if (pending_[i].heard < iperf3_cookie_bytes) {
          waiting.push_back(std::move(pending_[i]));
        } else {
          LT_CHECK(prepare_iperf3_tcp(pending_[i].fd.get(), test_));
          admitted.push_back(std::move(pending_[i].fd));
        }
      }
    }
    pending_ = std::move(waiting);
    if (polled.front().revents != 0) take_in();
    return admitted;
  }

 private:
  struct Pending {
    Fd fd;
    std::array<char, iperf3_cookie_bytes> cookie{};
    std::size_t heard{0};
  };

  void take_in() {
    Fd fd = accept_one(listener_);
    if (!fd.is_open()) return;
    if (pending_.size() >= pending_max) return deny(std::move(fd));
    pending_.push_back({std::move(fd)});
  }

  // @return false: it is not of this test
  bool hear(Pending& one) {
    const auto count = ::recv(one.fd.get(), one.cookie.data() + one.heard, one.cookie.size() - one.heard, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (count <= 0) return false;
    one.heard += static_cast<std::size_t>(count);
    if (one.heard < one.cookie.size() || one.cookie == cookie_) return true;
    deny(std::move(one.fd));
    return false;
  }

  // Of what is accepted from now on; 0: the kernel's own.
  void set_mss(unsigned bytes) const {
    const int value = static_cast<int>(bytes);
    ::setsockopt(listener_, IPPROTO_TCP, TCP_MAXSEG, &value, sizeof value);
  }

  int listener_;
  const Iperf3Cookie& cookie_;
  const Iperf3Test& test_;
  std::vector<Pending> pending_;
};

// UDP streams come one after another: each hello makes the socket that heard it the stream, and
// another one takes its place on the port.
class UdpDoor {
 public:
  UdpDoor(const Iperf3Line& line, const Iperf3Test& test)
      : local_(name_of_end(line.fd(), false)), peer_(name_of_end(line.fd(), true).address()), test_(test) {}

  Status open() {
    Fd fd(::socket(local_.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd.is_open()) return fail_errno(errno, "cannot open a socket");
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    LT_CHECK(prepare_iperf3_udp(fd.get(), test_));
    if (::bind(fd.get(), local_.raw(), local_.length) != 0)
      return fail_errno(errno, "cannot bind UDP port " + std::to_string(local_.port()));
    waiting_ = std::move(fd);
    return {};
  }

  /// Waits for one turn at most. @return a stream whose hello was answered
  Result<std::optional<Fd>> wait() {
    std::vector<pollfd> polled{{waiting_.get(), POLLIN, 0}};
    for (const int fd : streams_)
      polled.push_back({fd, POLLIN, 0});
    ::poll(polled.data(), polled.size(), static_cast<int>(turn.count()));
    for (std::size_t i = 0; i < streams_.size(); ++i)
      if (polled[i + 1].revents != 0) answer_again(streams_[i]);
    if (polled.front().revents == 0) return std::optional<Fd>();
    SocketAddress from;
    if (!hears_hello(waiting_.get(), from) || from.address() != peer_) return std::optional<Fd>();
    if (::connect(waiting_.get(), from.raw(), from.length) != 0)
      return fail_errno(errno, "cannot connect a UDP stream");
    forget_strangers();
    Fd stream = std::move(waiting_);
    LT_CHECK(open());
    answer(stream.get());
    streams_.push_back(stream.get());
    return std::optional(std::move(stream));
  }

 private:
  // The client says hello again where our answer was lost.
  void answer_again(int fd) {
    SocketAddress from;
    if (hears_hello(fd, from)) answer(fd);
  }

  static bool hears_hello(int fd, SocketAddress& from) {
    std::array<Byte, 5> hello{};
    from.length = sizeof from.storage;
    const auto count = ::recvfrom(fd, hello.data(), hello.size(), MSG_DONTWAIT,
                                  reinterpret_cast<sockaddr*>(&from.storage), &from.length);
    std::uint32_t number = 0;
    std::memcpy(&number, hello.data(), sizeof number);
    return count == 4 && (std::equal(udp_hello.begin(), udp_hello.end(), hello.begin()) || number == udp_hello_old);
  }

  static void answer(int fd) {
    static_cast<void>(::send(fd, udp_answer.data(), udp_answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
  }

  // What others had sent before the socket was its client's alone.
  void forget_strangers() const {
    std::array<Byte, 1> rest{};
    while (::recv(waiting_.get(), rest.data(), rest.size(), MSG_DONTWAIT) >= 0) {
    }
  }

  SocketAddress local_;
  IpAddress peer_;
  const Iperf3Test& test_;
  Fd waiting_;
  std::vector<int> streams_;  // those that were handed out; open until the test begins
};

// One client, from its cookie to its end.
class Session {
 public:
  Session(Fd fd, int listener, const std::stop_token& stop)
      : listener_(listener), stop_(stop), line_(std::move(fd), [this] { return between(); }) {}

  /// @return what the test was, for the log
  Result<std::string> run() {
    auto outcome = converse();
    if (!outcome && outcome.error().code == Errc::interrupted)
      static_cast<void>(line_.send(Iperf3State::server_terminate));
    return outcome;
  }

 private:
  Status between() {
    if (stop_.stop_requested()) return fail(Errc::interrupted, "the server was asked to end");
    if (!denies_others_) return {};
    if (wait_for(listener_, POLLIN, std::chrono::steady_clock::now())) {
      Fd stranger = accept_one(listener_);
      if (stranger.is_open()) deny(std::move(stranger));
    }
    return {};
  }

  Result<std::string> converse() {
    LT_TRY(cookie_, line_.read_cookie(cookie_patience));
    LT_CHECK(line_.send(Iperf3State::param_exchange));
    LT_TRY(const Json said, line_.read_json(iperf3_parameters_bytes_max, words_patience));
    const auto parameters = iperf3_parameters_from_json(said);
    if (!parameters) return refuse(parameters.error());
    test_ = parameters->test;
    auto streams = collect();
    if (!streams) return refuse(streams.error());
    LT_CHECK(line_.send(Iperf3State::test_start));
    // Receiving before the client may send: its first datagrams must not be lost for want of a reader.
    Iperf3Run load(test_, std::move(*streams));
    LT_CHECK(line_.send(Iperf3State::test_running));
    LT_CHECK(let_run(load));
    load.stop();
    Iperf3Report report = load.report();
    LT_CHECK(line_.send(Iperf3State::exchange_results));
    LT_TRY(const Json results, line_.read_json(iperf3_client_results_bytes_max, words_patience));
    LT_TRY(const Iperf3Report theirs, iperf3_report_from_json(results));
    if (test_.wants_server_output) report.output = summary(report) + "\n";
    LT_CHECK(line_.send(iperf3_report_json(report)));
    LT_CHECK(line_.send(Iperf3State::display_results));
    denies_others_ = false;
    static_cast<void>(line_.read_state(goodbye_patience));  // IPERF_DONE, or it has gone: the same to us
    return summary(report);
  }

  // The reason in iperf3's numbers, so that the client shows it.
  tl::unexpected<Error> refuse(const Error& error) {
    const auto number = error.code == Errc::unsupported ? Iperf3Errno::congestion
                        : error.code == Errc::invalid   ? static_cast<Iperf3Errno>(error.sys_errno)
                                                        : Iperf3Errno::stream;
    const int reason = error.code == Errc::invalid ? 0 : error.sys_errno;
    if (error.code != Errc::interrupted && error.code != Errc::closed)
      static_cast<void>(line_.send_error(number, reason));
    return fail(error);
  }

  // The first ones of a test both ways are those that we receive on.
  Result<std::vector<Iperf3Stream>> collect() {
    const std::size_t receiving = test_.load == Load::down ? 0 : test_.streams;
    const std::size_t all = test_.streams * (test_.load == Load::both ? 2U : 1U);
    std::vector<Iperf3Stream> streams;
    const auto add = [&](Fd fd) { streams.push_back({std::move(fd), streams.size() >= receiving}); };
    denies_others_ = false;
    std::optional<TcpDoor> tcp;
    std::optional<UdpDoor> udp;
    if (test_.is_udp) {
      LT_CHECK(udp.emplace(line_, test_).open());
    } else {
      tcp.emplace(listener_, cookie_, test_);
    }
    LT_CHECK(line_.send(Iperf3State::create_streams));
    const Instant deadline = std::chrono::steady_clock::now() + streams_patience;
    while (streams.size() < all) {
      if (std::chrono::steady_clock::now() >= deadline)
        return fail(Errc::timed_out, "the client has not opened its streams");
      LT_CHECK(is_there());
      if (udp) {
        LT_TRY(auto stream, udp->wait());
        if (stream) add(std::move(*stream));
      } else {
        LT_TRY(auto admitted, tcp->wait());
        for (Fd& fd : admitted)
          if (streams.size() < all) add(std::move(fd));
      }
    }
    denies_others_ = true;
    return streams;
  }

  // The client says nothing while its streams are collected, unless it goes.
  Status is_there() {
    LT_TRY(const auto state, line_.read_state(Milliseconds(0)));
    if (!state) return {};
    if (*state == Iperf3State::client_terminate) return fail(Errc::closed, "the client has ended the test");
    return fail(Errc::protocol, "the client speaks out of turn");
  }

  // Until the client ends it; but not for ever.
  Status let_run(const Iperf3Run& load) {
    const Instant begin = std::chrono::steady_clock::now();
    const Seconds announced(test_.seconds > 0 ? test_.seconds + test_.omit_seconds : iperf3_seconds_max);
    std::uint64_t moved = 0;
    Instant progress = begin;
    for (;;) {
      LT_TRY(const auto state, line_.read_state(turn));
      if (state == Iperf3State::test_end) return {};
      if (state == Iperf3State::client_terminate) return fail(Errc::closed, "the client has ended the test");
      if (state) return fail(Errc::protocol, "the client speaks out of turn");
      const Instant now = std::chrono::steady_clock::now();
      if (const std::uint64_t all = load.moved(); all != moved) {
        moved = all;
        progress = now;
      }
      if (now - begin > announced + overtime) return fail(Errc::timed_out, "the client does not end the test");
      if (now - progress > stall_patience) return fail(Errc::timed_out, "nothing moves any more");
    }
  }

  [[nodiscard]] std::string summary(const Iperf3Report& report) const {
    std::uint64_t bytes = 0;
    double seconds = 0;
    const std::size_t receiving = test_.load == Load::down ? 0 : test_.streams;
    std::array<std::uint64_t, 2> ways{};  // received, sent
    for (std::size_t i = 0; i < report.streams.size(); ++i) {
      ways[i < receiving ? 0 : 1] += report.streams[i].bytes;
      seconds = std::max(seconds, report.streams[i].seconds);
    }
    std::string text = test_.is_udp ? "udp" : "tcp";
    for (const auto& [name, index] : {std::pair("received", 0U), std::pair("sent", 1U)}) {
      bytes = ways[index];
      if (bytes == 0 || seconds <= 0) continue;
      text += std::string(" ") + name + " " + std::to_string(bytes) + " bytes, " +
              std::to_string(static_cast<std::uint64_t>(static_cast<double>(bytes) * 8e-6 / seconds)) + " Mbit/s";
    }
    return text;
  }

  int listener_;
  std::stop_token stop_;
  bool denies_others_{true};  // not while streams are collected, and not when the test is over: the next may wait
  Iperf3Cookie cookie_{};
  Iperf3Test test_;
  Iperf3Line line_;
};

}  // namespace

struct Iperf3Server::State {
  Iperf3ServerOptions options;
  BoundSocket listener;
  Log& log;
};

Iperf3Server::Iperf3Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Iperf3Server::Iperf3Server(Iperf3Server&&) noexcept = default;
Iperf3Server::~Iperf3Server() = default;

Result<Iperf3Server> Iperf3Server::create(const Iperf3ServerOptions& options, Log& log) {
  auto listener = listen_anywhere(options);
  if (!listener && listener.error().code == Errc::busy)
    return fail(Errc::busy, "port " + std::to_string(options.port) +
                                " is taken, by another iperf3 server perhaps; end that one, or choose another port");
  if (!listener) return fail(listener.error());
  return Iperf3Server(std::unique_ptr<State>(new State{options, std::move(*listener), log}));
}

std::uint16_t Iperf3Server::port() const {
  return state_->listener.port;
}

Result<std::uint64_t> Iperf3Server::serve(const std::stop_token& stop) {
  const int listener = state_->listener.fd.get();
  std::uint64_t tests = 0;
  while (!stop.stop_requested()) {
    if (!wait_for(listener, POLLIN, std::chrono::steady_clock::now() + turn)) continue;
    Fd client = accept_one(listener);
    if (!client.is_open()) continue;
    const std::string peer = name_of_end(client.get(), true).text();
    const auto done = Session(std::move(client), listener, stop).run();
    if (done) {
      ++tests;
      state_->log.info("iperf3_test", {{"peer", peer}, {"did", *done}});
    } else {
      state_->log.warn("iperf3_client_ended", {{"peer", peer}, {"reason", done.error().text()}});
    }
    if (state_->options.once) break;
  }
  return tests;
}

}  // namespace lt::tuner
