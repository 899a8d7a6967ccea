#include <netdb.h>
#include <poll.h>

#include <algorithm>
#include <cstring>

#include "base/handle.h"
#include "base/socket_address.h"
#include "tuner/iperf3_streams.h"
#include "tuner/iperf3_wire.h"
#include "tuner/probe_socket.h"
#include "tuner/random.h"

namespace lt::tuner {

namespace {

constexpr Milliseconds answer_patience{10'000};   // for each step before the load
constexpr Milliseconds results_patience{30'000};  // they may wait behind the load's own queue
constexpr Milliseconds stream_patience{5'000};
constexpr Milliseconds hello_patience{500};  // before a UDP hello is sent again
constexpr unsigned hellos_max = 10;
constexpr Milliseconds retry_pause{300};  // iperf3 tears its listener down after each test
constexpr unsigned connects_max = 4;
// On the wire "9876" and "6789"; before 3.12 the numbers 123456789 and 987654321 as they lie in memory.
constexpr std::array<Byte, 4> udp_hello{'9', '8', '7', '6'};
constexpr std::array<Byte, 4> udp_answer{'6', '7', '8', '9'};
constexpr std::uint32_t udp_answer_old = 987'654'321;

Result<IpAddress> resolve(const Iperf3ClientOptions& options) {
  if (const auto address = IpAddress::parse(options.server.host)) return *address;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_family = !options.family                  ? AF_UNSPEC
                    : *options.family == Family::v4 ? AF_INET
                                                    : AF_INET6;
  addrinfo* raw = nullptr;
  const int outcome = ::getaddrinfo(options.server.host.c_str(), nullptr, &hints, &raw);
  const std::unique_ptr<addrinfo, Freed<::freeaddrinfo>> found(raw);
  if (outcome != 0 || !found)
    return fail(Errc::unreachable, "cannot resolve " + options.server.host + ": " + ::gai_strerror(outcome));
  SocketAddress address;
  address.length = std::min<socklen_t>(found->ai_addrlen, sizeof address.storage);
  std::memcpy(&address.storage, found->ai_addr, address.length);
  return address.address();
}

// Worth another try: a stock server is deaf for a moment after each test.
bool is_moment(const Error& error) {
  return error.code == Errc::closed || error.sys_errno == ECONNREFUSED || error.sys_errno == ECONNRESET;
}

class Client {
 public:
  Client(const Iperf3ClientOptions& options, const Iperf3Test& test, const std::stop_token& stop)
      : options_(options), test_(test), stop_(stop) {}

  Result<Iperf3Result> run() {
    LT_TRY(address_, resolve(options_));
    LT_CHECK(introduce());
    auto outcome = converse();
    if (!outcome) say_goodbye();
    return outcome;
  }

 private:
  Status is_wanted() {
    if (!stop_.stop_requested()) return {};
    return fail(Errc::interrupted, "the test was stopped; the server was told");
  }

  // Whatever went wrong, the server need not wait for us.
  void say_goodbye() {
    if (line_) static_cast<void>(line_->send(Iperf3State::client_terminate));
    if (run_) run_->stop();
  }

  Status introduce() {
    for (unsigned tries = 1;; ++tries) {
      const Status status = greet();
      if (status) return {};
      if (!is_moment(status.error()) || tries == connects_max)
        return fail(with_context(status.error(), options_.server.text()));
      const Instant again = std::chrono::steady_clock::now() + retry_pause;
      while (std::chrono::steady_clock::now() < again) {
        LT_CHECK(is_wanted());
        std::this_thread::sleep_for(Milliseconds(20));
      }
    }
  }

  Status greet() {
    LT_TRY(Fd fd, connect_tcp(
                      address_, options_.server.port, options_.source, [](int) { return Status(); },
                      std::chrono::steady_clock::now() + options_.connect_patience));
    line_ = std::make_unique<Iperf3Line>(std::move(fd), [this] { return is_wanted(); });
    cookie_ = fresh_iperf3_cookie();
    LT_CHECK(line_->send(cookie_));
    return expect(Iperf3State::param_exchange, answer_patience);
  }

  Status expect(Iperf3State wanted, Milliseconds patience) {
    LT_TRY(const auto state, line_->read_state(patience));
    if (!state) return fail(Errc::timed_out, "the iperf3 server has gone silent");
    LT_CHECK(is_going(*state));
    if (*state == wanted) return {};
    return fail(Errc::protocol, "the iperf3 server answers out of turn; use version 3.1 or later there");
  }

  static Status is_going(Iperf3State state) {
    if (state == Iperf3State::access_denied)
      return fail(Errc::busy, "the iperf3 server denies access: it is busy with another test; try again when that has ended");
    if (state == Iperf3State::server_terminate)
      return fail(Errc::rejected, "the iperf3 server was stopped; start it again there");
    return {};
  }

  Result<Iperf3Result> converse() {
    LT_CHECK(line_->send(iperf3_parameters_json(test_)));
    LT_CHECK(expect(Iperf3State::create_streams, answer_patience));
    std::vector<Iperf3Stream> streams;
    // Both ways: those that we send on come first.
    if (test_.load != Load::down) LT_CHECK(open_streams(streams, true));
    if (test_.load != Load::up) LT_CHECK(open_streams(streams, false));
    LT_CHECK(expect(Iperf3State::test_start, stream_patience + answer_patience));
    LT_CHECK(expect(Iperf3State::test_running, answer_patience));
    run_ = std::make_unique<Iperf3Run>(test_, std::move(streams));
    LT_CHECK(let_run());
    run_->freeze();
    LT_CHECK(line_->send(Iperf3State::test_end));
    LT_CHECK(expect(Iperf3State::exchange_results, results_patience));
    run_->stop();
    const Iperf3Report ours = run_->report();
    LT_CHECK(line_->send(iperf3_report_json(ours)));
    LT_TRY(const Json said, line_->read_json(iperf3_server_results_bytes_max, results_patience));
    auto theirs = iperf3_report_from_json(said);
    if (!theirs) return fail(Errc::protocol, "the iperf3 server's results are wrong: " + theirs.error().what);
    LT_CHECK(expect(Iperf3State::display_results, answer_patience));
    static_cast<void>(line_->send(Iperf3State::done));  // it has ended, whether this arrives or not
    return combine(ours, *theirs);
  }

  Status open_streams(std::vector<Iperf3Stream>& streams, bool is_sender) {
    for (unsigned i = 0; i < test_.streams; ++i) {
      LT_TRY(Fd fd, test_.is_udp ? open_udp() : open_tcp());
      streams.push_back({std::move(fd), is_sender});
    }
    return {};
  }

  // With an MSS or a window the server makes its listener anew, and is deaf for a moment.
  Result<Fd> open_tcp() {
    const Instant deadline = std::chrono::steady_clock::now() + stream_patience;
    for (;;) {
      auto fd = connect_tcp(
          address_, options_.server.port, options_.source,
          [this](int raw) { return prepare_iperf3_tcp(raw, test_); }, deadline);
      if (fd) {
        LT_CHECK(send_all(fd->get(), as_bytes(std::string_view(cookie_.data(), cookie_.size())), deadline));
        return fd;
      }
      if (fd.error().sys_errno != ECONNREFUSED || std::chrono::steady_clock::now() + retry_pause > deadline)
        return fail(with_context(fd.error(), "a stream of the iperf3 test"));
      LT_CHECK(is_wanted());
      std::this_thread::sleep_for(Milliseconds(20));
    }
  }

  Result<Fd> open_udp() {
    LT_TRY(Fd fd, connect_udp(address_, options_.server.port, options_.source));
    LT_CHECK(prepare_iperf3_udp(fd.get(), test_));
    for (unsigned hello = 0; hello < hellos_max; ++hello) {
      LT_CHECK(is_wanted());
      static_cast<void>(::send(fd.get(), udp_hello.data(), udp_hello.size(), MSG_NOSIGNAL));
      const Instant deadline = std::chrono::steady_clock::now() + hello_patience;
      while (wait_for(fd.get(), POLLIN, deadline)) {
        std::array<Byte, 5> answer{};
        const auto count = ::recv(fd.get(), answer.data(), answer.size(), MSG_DONTWAIT);
        if (count == 4 && is_udp_answer(ByteView(answer).first(4))) return fd;
        if (count < 0) break;  // the port is closed for a moment, or the datagram was none
      }
      while (std::chrono::steady_clock::now() < deadline) {
        LT_CHECK(is_wanted());
        std::this_thread::sleep_for(Milliseconds(20));
      }
    }
    return fail(Errc::timed_out, "no UDP comes back from port " + std::to_string(options_.server.port) +
                                     " of the iperf3 server; let it through, or test TCP");
  }

  static bool is_udp_answer(ByteView answer) {
    std::uint32_t number = 0;
    std::memcpy(&number, answer.data(), sizeof number);
    return std::equal(answer.begin(), answer.end(), udp_answer.begin()) || number == udp_answer_old;
  }

  // Until the time is over, or the server ends it.
  Status let_run() {
    const Instant end = std::chrono::steady_clock::now() + Seconds(test_.omit_seconds + test_.seconds);
    for (;;) {
      const auto left = std::chrono::ceil<Milliseconds>(end - std::chrono::steady_clock::now());
      if (left <= Milliseconds(0)) return {};
      LT_TRY(const auto state, line_->read_state(left));
      if (!state) continue;
      LT_CHECK(is_going(*state));
      return fail(Errc::protocol, "the iperf3 server speaks while the test runs");
    }
  }

  Result<Iperf3Result> combine(const Iperf3Report& ours, const Iperf3Report& theirs) const {
    Iperf3Result result;
    result.test = test_;
    result.server = options_.server.text();
    result.congestion = ours.congestion;
    result.server_congestion = theirs.congestion;
    result.cpu_percent = ours.cpu_percent;
    result.server_cpu_percent = theirs.cpu_percent;
    result.server_output = theirs.output;
    const std::size_t sending = test_.load == Load::down ? 0 : test_.streams;
    for (std::size_t place = 0; place < ours.streams.size(); ++place) {
      const Iperf3Count& our = ours.streams[place];
      const auto their = std::find_if(theirs.streams.begin(), theirs.streams.end(),
                                      [&](const Iperf3Count& one) { return one.id == our.id; });
      if (their == theirs.streams.end())
        return fail(Errc::protocol, "the iperf3 server's results lack stream " + std::to_string(our.id));
      auto& way = place < sending ? result.up : result.down;
      if (!way) way.emplace();
      place < sending ? add(*way, our, *their) : add(*way, *their, our);
    }
    if (result.up) result.up->series = run_->series(true);
    if (result.down) result.down->series = run_->series(false);
    return result;
  }

  // Sent by the sender's count, received by the receiver's.
  void add(Iperf3Way& way, const Iperf3Count& sender, const Iperf3Count& receiver) const {
    ++way.streams;
    way.bytes_sent += sender.bytes;
    way.bytes_received += receiver.bytes;
    way.seconds_sent = std::max(way.seconds_sent, seconds_of(sender));
    way.seconds_received = std::max(way.seconds_received, seconds_of(receiver));
    if (sender.retransmits >= 0) way.retransmits = std::max<std::int64_t>(way.retransmits, 0) + sender.retransmits;
    if (!test_.is_udp) return;
    const std::uint64_t packets = receiver.packets - std::min(receiver.packets, receiver.omitted_packets);
    const std::int64_t lost = receiver.errors - receiver.omitted_errors;
    way.packets += packets;
    way.packets_lost += std::min(packets, static_cast<std::uint64_t>(std::max<std::int64_t>(lost, 0)));
    way.jitter_ms += (receiver.jitter_seconds * 1e3 - way.jitter_ms) / way.streams;
  }

  // A server that tells no times (before 3.1) is believed to have measured what was asked for.
  [[nodiscard]] double seconds_of(const Iperf3Count& count) const {
    return count.seconds > 0 ? count.seconds : test_.seconds;
  }

  const Iperf3ClientOptions& options_;
  const Iperf3Test& test_;
  std::stop_token stop_;
  IpAddress address_;
  Iperf3Cookie cookie_{};
  std::unique_ptr<Iperf3Line> line_;
  std::unique_ptr<Iperf3Run> run_;
};

}  // namespace

Result<Iperf3Result> run_iperf3_test(const Iperf3ClientOptions& options, const Iperf3Test& test,
                                     const std::stop_token& stop) {
  LT_CHECK(validate(test));
  if (test.seconds == 0) return fail(Errc::invalid, "the time of the test must be at least 1 s");
  if (options.source && options.family && options.source->family != *options.family)
    return fail(Errc::invalid, "the source must be of the family that was asked for");
  return Client(options, test, stop).run();
}

}  // namespace lt::tuner
