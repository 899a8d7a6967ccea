#include "mirror/remote.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <thread>

#include "base/pipe.h"
#include "base/process.h"
#include "base/text.h"
#include "mirror/command_text.h"
#include "mirror/connection.h"
#include "mirror/flight_limit.h"

namespace lt::mirror {

namespace {

constexpr std::size_t read_bytes_max = 128 << 10;
constexpr std::size_t blocking_write_max = 4096;  // PIPE_BUF: a pipe that poll() calls writable takes it whole
constexpr std::size_t output_queue_bytes = 512 << 10;
constexpr int pipe_bytes = 1 << 20;
constexpr Milliseconds poll_max{200};
constexpr Milliseconds retry_wait{500};
constexpr Seconds connect_patience{5};
constexpr Seconds farewell_patience{2};

// One of the caller's outputs. Its descriptor may be shared with other programs, so it is not made
// non-blocking: where the system gives a second one for the same pipe, that one is.
class Sink {
 public:
  explicit Sink(int fd) : fd_(fd) {
    if (fd < 0) return;
    ::fcntl(fd, F_SETPIPE_SZ, pipe_bytes);
    struct stat info{};
    if (::fstat(fd, &info) != 0 || !S_ISFIFO(info.st_mode)) return;
    own_ = Fd(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  }

  [[nodiscard]] bool is_wanted() const { return fd_ >= 0; }
  [[nodiscard]] int fd() const { return own_.is_open() ? own_.get() : fd_; }
  void drop() { fd_ = -1; }

  /// @return bytes taken, 0: not now  @error closed: nobody reads
  [[nodiscard]] Result<std::size_t> write(ByteView bytes) {
    std::size_t count = bytes.size();
    if (!own_.is_open()) {
      pollfd ready{fd_, POLLOUT, 0};
      if (::poll(&ready, 1, 0) <= 0) return std::size_t{0};
      count = std::min(count, blocking_write_max);
    }
    const ssize_t written = ::write(fd(), bytes.data(), count);
    if (written >= 0) return static_cast<std::size_t>(written);
    if (errno == EAGAIN || errno == EINTR) return std::size_t{0};
    if (errno == EPIPE) return fail(Errc::closed, "nobody reads the output any more");
    return fail_errno(errno, "cannot write the output");
  }

 private:
  int fd_;
  Fd own_;
};

class Client {
 public:
  Client(const RemoteOptions& options, const RemoteRequest& request, const RemoteStreams& streams, const SessionId& session)
      : options_(options), request_(request), session_(session), pipe_(options.window), in_(streams.in), out_(streams.out), errors_(streams.errors) {}

  Result<RemoteReport> run(std::stop_token stop) {
    put_part(request_.kind, as_bytes(request_.text));
    if (in_ < 0) end_input();
    away_since_ = SteadyClock().now();
    while (!status_) {
      if (stop.stop_requested()) {
        say_bye();
        return fail(Errc::interrupted, "interrupted");
      }
      const Status turned = turn();
      report();
      if (!turned) {
        say_bye();
        return fail(turned.error());
      }
    }
    say_bye();
    return RemoteReport{*status_, pipe_.out.sent_again(), connections_};
  }

 private:
  // --- the connection ---

  void lose(const Error& why) {
    if (connection_) connection_->abort();
    connection_.reset();
    proof_.reset();
    connecting_.reset();
    if (is_attached_) away_since_ = SteadyClock().now();
    is_attached_ = false;
    last_loss_ = why;
    retry_at_ = SteadyClock().now() + retry_wait;
  }

  Status connect(Instant now) {
    const Seconds patience = has_been_attached_ ? options_.hold : options_.patience;
    if (now - away_since_ > patience) {
      return fail(Errc::unreachable, "no mirror agent answers at " + Endpoint{options_.peer.text(), options_.port}.text() +
                                         " (" + last_loss_.text() + "): is the link up, and does `linktune mirror agent` run there?");
    }
    if (now < retry_at_) return {};
    auto socket = begin_connecting(options_.own, options_.peer, options_.port, options_.device);
    if (!socket) return lose(socket.error()), Status{};
    connecting_ = std::move(*socket);
    connect_until_ = now + connect_patience;
    return {};
  }

  Status finish_connecting(Instant now, bool is_ready) {
    if (!is_ready) {
      if (now > connect_until_) lose({Errc::timed_out, "it does not answer", 0});
      return {};
    }
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(connecting_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return lose({Errc::unreachable, "it cannot be reached", error}), Status{};
    LT_TRY(const Nonce nonce, make_nonce());
    connection_.emplace(std::move(connecting_), now);
    connecting_ = Fd();
    proof_.emplace(options_.identification, mirror_purpose, Role::client, nonce);
    proof_->begin(connection_->out());
    return {};
  }

  // A fault of the connection costs the connection; only what the agent says for good is an error.
  Status serve(Instant now) {
    if (const Status filled = connection_->fill(now); !filled) return lose(filled.error()), Status{};
    while (connection_) {
      const auto frame = connection_->next_frame();
      if (!frame) return lose(frame.error()), Status{};
      if (!*frame) return {};
      if (options_.meter != nullptr) options_.meter->heard(now);
      LT_CHECK(take(**frame));
    }
    return {};
  }

  Status take(const Connection::Frame& frame) {
    if (proof_) {
      const auto proven = proof_->take(static_cast<std::uint8_t>(frame.type), frame.payload, connection_->out());
      if (!proven) return fail(proven.error());
      if (!*proven) return {};
      proof_.reset();
      put_attach(connection_->out(), {.session = session_,
                                      .is_fresh = !has_been_attached_,
                                      .window = static_cast<std::uint32_t>(options_.window),
                                      .received = pipe_.in.received()});
      return {};
    }
    if (frame.type == FrameType::refused) {
      return fail(has_been_attached_ ? Errc::unreachable : Errc::rejected,
                  "the agent refuses: " + printable(as_text(frame.payload), 300));
    }
    if (!is_attached_) {
      const auto received = frame.type == FrameType::attached ? parse_attached(frame.payload) : std::nullopt;
      const Status resumed = received ? pipe_.out.resume(*received) : fail(Errc::protocol, "the agent left the order of the greeting");
      if (!resumed) return lose(resumed.error()), Status{};
      peer_.received = *received;
      flight_.restart();
      told_rate_.reset();  // each connection is told anew
      is_attached_ = true;
      has_been_attached_ = true;
      ++connections_;
      return {};
    }
    if (frame.type == FrameType::data) {
      return pipe_.in.accept(load_be64(frame.payload.data()), frame.payload.subspan(8));
    }
    const auto ack = frame.type == FrameType::ack ? parse_ack(frame.payload) : std::nullopt;
    const Status taken = ack ? pipe_.out.acknowledge(ack->consumed) : fail(Errc::protocol, "the agent sent a frame out of its order");
    if (!taken) return taken;
    peer_ = *ack;
    if (flight_.delivered(ack->received, SteadyClock().now())) flight_.set_round_trip(connection_->watch_path());
    return {};
  }

  // Bytes that may go now, but for the gate.
  [[nodiscard]] std::size_t sendable() const {
    const std::uint64_t under_way = pipe_.out.next_number() - std::min(peer_.received, pipe_.out.next_number());
    return std::min(pipe_.out.unsent(), flight_.bytes() - std::min<std::size_t>(under_way, flight_.bytes()));
  }

  // Whether the stream goes to the agent. What comes from there is paced there.
  [[nodiscard]] bool pushes() const { return input_bytes_ > 0 || in_ >= 0; }

  void tell_rate() {
    if (options_.meter == nullptr || !request_.is_stream || !is_attached_ || pushes()) return;
    const auto rate = options_.meter->rate();
    if (told_rate_ && *told_rate_ == rate) return;
    put_rate(connection_->out(), rate);
    told_rate_ = rate;
  }

  void talk(Instant now) {
    tell_rate();
    while (is_attached_ && connection_->output_waiting() < output_queue_bytes && sendable() > 0) {
      std::size_t count = std::min(frame_payload_bytes_max - 8, sendable());
      if (options_.gate != nullptr && now >= gate_opens_) {
        count = options_.gate->take(Bytes{count}, now).value;
        if (count == 0) gate_opens_ = options_.gate->wait_until(now);
      } else if (options_.gate != nullptr) {
        count = 0;
      }
      // The ring may end before the allowance does: two frames then.
      std::size_t left = count;
      while (left > 0) left -= connection_->put_data(pipe_.out, left);
      flight_.sent(pipe_.out.next_number(), now);
      if (count == 0) break;
    }
    const std::uint64_t consumed = pipe_.in.consumed();
    const bool is_due = consumed - acked_ >= window_bytes_min / 2 || (consumed != acked_ && pipe_.in.ready() == 0);
    if (is_attached_ && (is_due || connection_->needs_heartbeat(now))) {
      put_ack(connection_->out(), {.consumed = consumed, .received = pipe_.in.received(), .produced = pipe_.out.end()});
      acked_ = consumed;
    }
    if (const Status flushed = connection_->flush(now); !flushed) return lose(flushed.error());
    if (connection_->is_silent(now)) lose({Errc::timed_out, "it is silent", 0});
  }

  void say_bye() {
    if (!connection_ || !is_attached_) return;
    put_ack(connection_->out(), {.consumed = pipe_.in.consumed(), .received = pipe_.in.received(), .produced = pipe_.out.end()});
    put_frame(connection_->out(), FrameType::bye, {});
    const Instant until = SteadyClock().now() + farewell_patience;
    while (connection_->flush(SteadyClock().now()) && connection_->has_output() && SteadyClock().now() < until) {
      pollfd ready{connection_->fd(), POLLOUT, 0};
      ::poll(&ready, 1, static_cast<int>(poll_max.count()));
    }
  }

  // --- the caller's streams ---

  void put_part(PartKind kind, ByteView bytes) {
    Writer header;
    header.u8(static_cast<std::uint8_t>(kind)).u32(static_cast<std::uint32_t>(bytes.size()));
    pipe_.out.put(header.view());
    pipe_.out.put(bytes);
  }
  void end_input() {
    in_ = -1;
    put_part(PartKind::input_end, {});
  }
  [[nodiscard]] bool wants_input() const { return in_ >= 0 && pipe_.out.room() > 2 * part_header_bytes; }

  Status read_input() {
    const std::size_t room = std::min(input_.size(), pipe_.out.room() - 2 * part_header_bytes);
    const ssize_t count = ::read(in_, input_.data(), room);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return {};
    if (count < 0 && errno != EBADF) return fail_errno(errno, "cannot read the input");
    if (count <= 0) return end_input(), Status{};
    put_part(PartKind::input, ByteView(input_).first(static_cast<std::size_t>(count)));
    input_bytes_ += static_cast<std::uint64_t>(count);
    return {};
  }

  // Hands on what has come, part by part.
  Status deliver() {
    output_waits_ = false;
    while (!status_) {
      if (part_left_ == 0) {
        std::array<Byte, part_header_bytes> header{};
        if (pipe_.in.ready() < header.size()) return {};
        for (std::size_t i = 0; i < header.size(); ++i) header[i] = pipe_.in.front(1, i)[0];
        part_ = static_cast<PartKind>(header[0]);
        part_left_ = load_be32(header.data() + 1);
        const bool is_known = part_ == PartKind::output || part_ == PartKind::errors || (part_ == PartKind::exit_status && part_left_ == 1);
        if (!is_known || part_left_ > part_bytes_max) return fail(Errc::protocol, "the agent sent a part that has no place here");
        pipe_.in.consume(header.size());
        continue;
      }
      const ByteView bytes = pipe_.in.front(part_left_);
      if (bytes.empty()) return {};
      LT_TRY(const std::size_t taken, deliver_some(bytes));
      if (taken == 0) {
        output_waits_ = true;
        return {};
      }
      pipe_.in.consume(taken);
      part_left_ -= taken;
    }
    return {};
  }

  Result<std::size_t> deliver_some(ByteView bytes) {
    if (part_ == PartKind::exit_status) {
      status_ = bytes[0];
      return std::size_t{1};
    }
    Sink& sink = part_ == PartKind::output ? out_ : errors_;
    if (!sink.is_wanted()) return bytes.size();
    auto taken = sink.write(bytes);
    if (!taken && part_ == PartKind::errors) {  // nobody reads the warnings: the work goes on
      sink.drop();
      return bytes.size();
    }
    return taken;
  }

  // --- a turn ---

  Status turn() {
    Instant now = SteadyClock().now();
    if (!connection_ && !connecting_.is_open()) LT_CHECK(connect(now));
    std::array<pollfd, 3> waits{pollfd{-1, 0, 0}, pollfd{-1, 0, 0}, pollfd{-1, 0, 0}};
    if (connecting_.is_open()) waits[0] = {connecting_.get(), POLLOUT, 0};
    const bool gate_waits = options_.gate != nullptr && sendable() > 0 && now < gate_opens_;
    if (connection_) {
      const bool has_more = is_attached_ && sendable() > 0 && !gate_waits;
      waits[0] = {connection_->fd(), static_cast<short>(connection_->has_output() || has_more ? POLLIN | POLLOUT : POLLIN), 0};
    }
    if (wants_input()) waits[1] = {in_, POLLIN, 0};
    if (output_waits_) waits[2] = {(part_ == PartKind::output ? out_ : errors_).fd(), POLLOUT, 0};
    Milliseconds patience = poll_max;
    if (gate_waits) patience = std::clamp(std::chrono::ceil<Milliseconds>(gate_opens_ - now), Milliseconds(0), poll_max);
    if (!connection_ && !connecting_.is_open()) {
      patience = std::clamp(std::chrono::ceil<Milliseconds>(retry_at_ - now), Milliseconds(1), poll_max);
    }
    if (::poll(waits.data(), waits.size(), static_cast<int>(patience.count())) < 0 && errno != EINTR) {
      return fail_errno(errno, "cannot wait");
    }
    now = SteadyClock().now();
    if (waits[1].revents != 0) LT_CHECK(read_input());
    if (connecting_.is_open()) {
      LT_CHECK(finish_connecting(now, waits[0].revents != 0));
    } else if (connection_ && (waits[0].revents & ~POLLOUT) != 0) {
      LT_CHECK(serve(now));
    }
    LT_CHECK(deliver());
    if (connection_) talk(now);
    return {};
  }

  // Adds what is new to the shared page; it counts over all streams of a run.
  void report() {
    if (options_.meter == nullptr || !request_.is_stream) return;
    MeterPage& page = options_.meter->page();
    const std::uint64_t first_time = pipe_.out.sent_first_time();
    const std::array<std::uint64_t, 5> now =
        pushes() ? std::array<std::uint64_t, 5>{pipe_.out.end(), first_time, pipe_.out.sent_again(), peer_.received, peer_.consumed}
               : std::array<std::uint64_t, 5>{peer_.produced, pipe_.in.received(), 0, pipe_.in.received(), pipe_.in.consumed()};
    const std::array<std::atomic<std::uint64_t>*, 5> fields{&page.source_bytes, &page.link_bytes, &page.resent_bytes, &page.received_bytes, &page.target_bytes};
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (now[i] > told_[i]) *fields[i] += now[i] - told_[i];
      told_[i] = std::max(told_[i], now[i]);
    }
    page.is_connected = is_attached_ ? 1 : 0;
    page.peer_wait = peer_.wait;
  }

  const RemoteOptions& options_;
  const RemoteRequest& request_;
  SessionId session_;
  PipeEnd pipe_;
  int in_;
  Sink out_;
  Sink errors_;
  std::vector<Byte> input_ = std::vector<Byte>(read_bytes_max);
  std::uint64_t input_bytes_{0};

  Fd connecting_;
  Instant connect_until_{};
  std::optional<Connection> connection_;
  std::optional<PeerProof> proof_;
  bool is_attached_{false};
  bool has_been_attached_{false};
  Instant away_since_{};
  Instant retry_at_{};
  Error last_loss_{Errc::unreachable, "not tried yet", 0};
  std::uint64_t connections_{0};

  Instant gate_opens_{};
  std::optional<std::optional<BitsPerSecond>> told_rate_;  // to the agent, on this connection
  std::uint64_t acked_{0};
  Ack peer_{};
  FlightLimit flight_;
  std::array<std::uint64_t, 5> told_{};

  PartKind part_{PartKind::output};
  std::size_t part_left_{0};
  bool output_waits_{false};
  std::optional<int> status_;
};

}  // namespace

RemoteRequest RemoteRequest::command(const std::string& text) { return {PartKind::command, text, false}; }

RemoteRequest RemoteRequest::typed(const std::string& name, const std::string& argument) {
  return {PartKind::request, name + '\0' + argument, false};
}

Result<RemoteReport> run_remote(const RemoteOptions& options, const RemoteRequest& request,
                                const RemoteStreams& streams, std::stop_token stop) {
  if (options.window < window_bytes_min || options.window > window_bytes_max) {
    return fail(Errc::invalid, "mirror.window has to be between 1 MiB and 1 GiB");
  }
  if (request.text.size() > command_text_bytes_max) return fail(Errc::limit, "the command is too long");
  SessionId session{};
  if (::getrandom(session.data(), session.size(), 0) != static_cast<ssize_t>(session.size())) {
    return fail_errno(errno, "the system gives no randomness");
  }
  Meter* const meter = request.is_stream ? options.meter : nullptr;
  if (meter != nullptr) ++meter->page().streams;
  auto report = Client(options, request, streams, session).run(stop);
  if (meter != nullptr) --meter->page().streams;
  return report;
}

Result<RemoteOutput> ask_remote(const RemoteOptions& options, const RemoteRequest& request, std::string_view input,
                                std::size_t bytes_max, std::stop_token stop) {
  std::array<Pipe, 3> ends;
  for (Pipe& each : ends) {
    LT_TRY(each, make_pipe());
  }
  RemoteOutput output;
  std::stop_source own_stop;
  const std::stop_callback forward(stop, [&] { own_stop.request_stop(); });
  std::jthread feeder([&ends, input] {
    sigset_t pipe_signal;  // a command that does not want its input is none of this program's faults
    ::sigemptyset(&pipe_signal);
    ::sigaddset(&pipe_signal, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
    std::size_t at = 0;
    while (at < input.size()) {
      const ssize_t count = ::write(ends[0].write_end.get(), input.data() + at, input.size() - at);
      if (count < 0 && errno != EINTR) break;
      if (count > 0) at += static_cast<std::size_t>(count);
    }
    ends[0].write_end.reset();
  });
  const auto collect = [&](Fd& fd, std::string& text) {
    std::array<char, 4096> bytes;
    for (;;) {
      const ssize_t count = ::read(fd.get(), bytes.data(), bytes.size());
      if (count <= 0) return;
      if (text.size() < bytes_max) text.append(bytes.data(), static_cast<std::size_t>(count));
      if (text.size() >= bytes_max) own_stop.request_stop();
    }
  };
  std::jthread reader([&] { collect(ends[1].read_end, output.out); });
  std::jthread error_reader([&] { collect(ends[2].read_end, output.errors); });
  const auto report = run_remote(options, request, {ends[0].read_end.get(), ends[1].write_end.get(), ends[2].write_end.get()}, own_stop.get_token());
  ends[0].read_end.reset();
  ends[1].write_end.reset();
  ends[2].write_end.reset();
  feeder.join();
  reader.join();
  error_reader.join();
  if (!report && !stop.stop_requested() && own_stop.stop_requested()) return fail(Errc::limit, "the answer is too long");
  if (!report) return fail(report.error());
  output.exit_status = report->exit_status;
  return output;
}

}  // namespace lt::mirror
