#include "tuner/probe_control.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <cstring>

#include "base/text.h"
#include "tuner/fields.h"

namespace lt::tuner {

namespace asio = boost::asio;
using boost::system::error_code;
using Stream = asio::generic::stream_protocol;

namespace {

constexpr Milliseconds last_words_patience{100};
constexpr Milliseconds write_patience{5'000};
constexpr Milliseconds accept_pause{
    100};  // after an accept that failed, for want of descriptors say

tl::unexpected<Error> fail_asio(const error_code& error, const std::string& what) {
  if (error == asio::error::eof)
    return fail(Errc::closed, what + ": the other end has closed the line");
  if (error.category() == asio::error::get_system_category())
    return fail_errno(error.value(), what);
  return fail(Errc::io, what + ": " + error.message());
}

// Runs handlers until `done` or the deadline. What was started and has not ended goes on at the
// next call.
template <class Done>
bool run_until(asio::io_context& io, Milliseconds patience, Done done) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!done()) {
    io.restart();
    if (io.run_one_until(deadline) == 0 && std::chrono::steady_clock::now() >= deadline)
      return done();
  }
  return true;
}

Result<Stream::endpoint> unix_endpoint(const std::string& path) {
  if (path.empty() || path.size() >= sizeof(sockaddr_un{}.sun_path)) {
    return fail(Errc::invalid, "the path of a Unix socket must have 1 to 107 characters");
  }
  return Stream::endpoint(asio::local::stream_protocol::endpoint(path));
}

Result<Stream::endpoint> resolve(asio::io_context& io, const ControlAddress& address,
                                 Milliseconds patience) {
  if (!address.tcp) return unix_endpoint(address.unix_path);
  asio::ip::tcp::resolver resolver(io);
  std::optional<error_code> outcome;
  asio::ip::tcp::resolver::results_type found;
  resolver.async_resolve(
      address.tcp->host, std::to_string(address.tcp->port),
      [&](const error_code& error, asio::ip::tcp::resolver::results_type results) {
        outcome = error;
        found = std::move(results);
      });
  if (!run_until(io, patience, [&] { return outcome.has_value(); })) {
    resolver.cancel();
    run_until(io, write_patience, [&] { return outcome.has_value(); });
    return fail(Errc::timed_out, "the name " + address.tcp->host + " was not resolved in time");
  }
  if (*outcome || found.empty())
    return fail(Errc::not_found, "there is no host " + address.tcp->host);
  return Stream::endpoint(found.begin()->endpoint());
}

}  // namespace

struct ControlLine::State {
  State(std::shared_ptr<asio::io_context> context, Stream::socket connected, std::size_t length_max)
      : io(std::move(context)), socket(std::move(connected)), inbox(length_max) {}

  std::shared_ptr<asio::io_context> io;
  Stream::socket socket;
  asio::streambuf inbox;
  bool reading{false};
  std::optional<error_code> read_outcome;
};

namespace {

// The state outlives its handlers: each holds a share of it.
void start_reading(const std::shared_ptr<ControlLine::State>& state) {
  state->reading = true;
  state->read_outcome.reset();
  asio::async_read_until(state->socket, state->inbox, '\n',
                         [state](const error_code& error, std::size_t) {
                           state->reading = false;
                           state->read_outcome = error;
                         });
}

std::string take_line(asio::streambuf& inbox) {
  std::istream stream(&inbox);
  std::string line;
  std::getline(stream, line);
  return line;
}

void set_nodelay(Stream::socket& socket, bool is_tcp) {
  error_code ignored;  // without it the line is slower, not wrong
  if (is_tcp) socket.set_option(asio::ip::tcp::no_delay(true), ignored);
}

}  // namespace

ControlLine::ControlLine(std::shared_ptr<State> state) : state_(std::move(state)) {}
ControlLine::ControlLine(ControlLine&&) noexcept = default;
ControlLine& ControlLine::operator=(ControlLine&&) noexcept = default;

ControlLine::~ControlLine() {
  if (!state_) return;
  error_code ignored;
  state_->socket.close(ignored);
  state_->io->restart();
  state_->io->poll(ignored);  // lets the cancelled read drop its share of the state
}

Result<ControlLine> ControlLine::connect(const ControlAddress& address, Milliseconds patience) {
  auto io = std::make_shared<asio::io_context>(1);
  LT_TRY(const Stream::endpoint endpoint, resolve(*io, address, patience));
  Stream::socket socket(*io);
  std::optional<error_code> outcome;
  socket.async_connect(endpoint, [&](const error_code& error) { outcome = error; });
  if (!run_until(*io, patience, [&] { return outcome.has_value(); })) {
    error_code ignored;
    socket.close(ignored);
    run_until(*io, write_patience, [&] { return outcome.has_value(); });
    return fail(Errc::timed_out, "no probe server answers at " + address.text());
  }
  if (*outcome) return fail_asio(*outcome, "no probe server at " + address.text());
  set_nodelay(socket, address.tcp.has_value());
  return ControlLine(std::make_shared<State>(io, std::move(socket), control_line_bytes_max));
}

Result<std::optional<Json>> ControlLine::read(Milliseconds patience) {
  State& state = *state_;
  if (!state.reading && !state.read_outcome) start_reading(state_);
  if (!run_until(*state.io, patience, [&] { return state.read_outcome.has_value(); }))
    return std::optional<Json>();
  const error_code outcome = *state.read_outcome;
  state.read_outcome.reset();
  if (outcome == asio::error::not_found)
    return fail(Errc::protocol, "a line of the control connection is too long");
  if (outcome) return fail_asio(outcome, "the control line broke");
  const auto object = parse_json(take_line(state.inbox), "a line of the control connection");
  if (!object || !object->is_object()) {
    return fail(Errc::protocol, "a line of the control connection is not a JSON object");
  }
  return std::optional<Json>(*object);
}

Status ControlLine::write(const Json& object) {
  struct Outgoing {
    std::string text;
    std::optional<error_code> outcome;
  };
  auto outgoing = std::make_shared<Outgoing>(Outgoing{to_line(object) + "\n", {}});
  asio::async_write(state_->socket, asio::buffer(outgoing->text),
                    [outgoing, state = state_](const error_code& error, std::size_t) {
                      outgoing->outcome = error;
                    });
  if (!run_until(*state_->io, write_patience, [&] { return outgoing->outcome.has_value(); })) {
    error_code ignored;
    state_->socket.close(ignored);  // half a line may be out: this connection is of no more use
    return fail(Errc::timed_out, "the other end does not read its control line");
  }
  // What the other end said before it hung up, such as that it is busy, is the reason: the next read() hands it over.
  if (*outgoing->outcome == asio::error::broken_pipe || *outgoing->outcome == asio::error::connection_reset) {
    if (!state_->reading && !state_->read_outcome) start_reading(state_);
    run_until(*state_->io, last_words_patience, [&] { return state_->read_outcome.has_value(); });
    if (state_->read_outcome && !*state_->read_outcome) return {};
  }
  if (*outgoing->outcome) return fail_asio(*outgoing->outcome, "the control line broke");
  return {};
}

std::string ControlLine::peer() const {
  error_code error;
  const Stream::endpoint remote = state_->socket.remote_endpoint(error);
  if (error || remote.protocol().family() == AF_UNIX) return "unix";
  asio::ip::tcp::endpoint tcp;
  if (remote.size() > tcp.capacity()) return "unknown";
  std::memcpy(tcp.data(), remote.data(), remote.size());
  tcp.resize(remote.size());
  return tcp.address().to_string() + ":" + std::to_string(tcp.port());
}

struct ControlListener::State {
  explicit State(ControlAddress bound) : address(std::move(bound)), acceptor(*io) {}
  ~State() {
    if (!address.tcp && acceptor.is_open()) ::unlink(address.unix_path.c_str());
  }

  ControlAddress address;
  std::shared_ptr<asio::io_context> io = std::make_shared<asio::io_context>(1);
  asio::basic_socket_acceptor<Stream> acceptor;
  asio::steady_timer pause{*io};
  std::optional<Stream::socket> waiting;  // came while nobody was served
  std::weak_ptr<ControlLine::State> served;
  std::size_t others{0};  // being told `busy` right now
};

namespace {

// Answers and hangs up. What the stranger said meanwhile is not read.
void turn_away(const std::shared_ptr<ControlListener::State>& state, Stream::socket stranger) {
  if (state->others >= control_others_max) return;
  struct Reply {
    Stream::socket socket;
    std::string text;
  };
  const Json refusal = {
      {"error", error_to_json(
                    {Errc::busy, "the probe server is testing with somebody else; try again", 0})}};
  auto reply = std::make_shared<Reply>(Reply{std::move(stranger), to_line(refusal) + "\n"});
  ++state->others;
  asio::async_write(reply->socket, asio::buffer(reply->text),
                    [state, reply](const error_code&, std::size_t) {
                      error_code ignored;
                      reply->socket.shutdown(Stream::socket::shutdown_send, ignored);
                      --state->others;
                    });
}

void start_accepting(const std::shared_ptr<ControlListener::State>& state);

void pause_accepting(const std::shared_ptr<ControlListener::State>& state) {
  state->pause.expires_after(accept_pause);
  state->pause.async_wait([weak = std::weak_ptr(state)](const error_code& error) {
    const auto self = weak.lock();
    if (self && !error) start_accepting(self);
  });
}

void start_accepting(const std::shared_ptr<ControlListener::State>& state) {
  state->acceptor.async_accept(
      [weak = std::weak_ptr(state)](const error_code& error, Stream::socket peer) {
        const auto self = weak.lock();
        if (!self || error == asio::error::operation_aborted) return;
        if (error) return pause_accepting(self);
        if (self->served.expired() && !self->waiting) {
          self->waiting = std::move(peer);
        } else {
          turn_away(self, std::move(peer));
        }
        start_accepting(self);
      });
}

Status open_acceptor(ControlListener::State& state, const Stream::endpoint& endpoint) {
  const std::string what = "cannot listen on " + state.address.text();
  error_code error;
  state.acceptor.open(endpoint.protocol(), error);
  if (error) return fail_asio(error, what);
  if (state.address.tcp) state.acceptor.set_option(asio::socket_base::reuse_address(true), error);
  state.acceptor.bind(endpoint, error);
  if (error) {
    const bool is_path = !state.address.tcp;
    error_code ignored;
    state.acceptor.close(ignored);  // what is bound there is not ours to unlink
    if (error == asio::error::address_in_use && is_path) {
      return fail(Errc::busy, what + ": the path is taken; remove it if no server runs there");
    }
    return fail_asio(error, what);
  }
  if (!state.address.tcp && ::chmod(state.address.unix_path.c_str(), 0600) != 0) {
    return fail_errno(errno, what);
  }
  state.acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return fail_asio(error, what);
  return {};
}

}  // namespace

ControlListener::ControlListener(std::shared_ptr<State> state) : state_(std::move(state)) {}
ControlListener::ControlListener(ControlListener&&) noexcept = default;

ControlListener::~ControlListener() {
  if (!state_) return;
  error_code ignored;
  state_->waiting.reset();
  if (!state_->address.tcp && state_->acceptor.is_open())
    ::unlink(state_->address.unix_path.c_str());
  state_->acceptor.close(ignored);
  state_->io->restart();
  state_->io->poll(ignored);
}

Result<ControlListener> ControlListener::listen(const ControlAddress& address) {
  auto state = std::make_shared<State>(address);
  LT_TRY(const Stream::endpoint endpoint, [&]() -> Result<Stream::endpoint> {
    if (!address.tcp) return unix_endpoint(address.unix_path);
    error_code error;
    const auto host = asio::ip::make_address(address.tcp->host, error);
    if (error)
      return fail(Errc::invalid,
                  "the control address must be numeric, not " + printable(address.tcp->host, 60));
    return Stream::endpoint(asio::ip::tcp::endpoint(host, address.tcp->port));
  }());
  LT_CHECK(open_acceptor(*state, endpoint));
  if (state->address.tcp) {
    asio::ip::tcp::endpoint bound;
    const Stream::endpoint local = state->acceptor.local_endpoint();
    std::memcpy(bound.data(), local.data(), std::min(local.size(), bound.capacity()));
    state->address.tcp->port = bound.port();
  }
  start_accepting(state);
  return ControlListener(std::move(state));
}

Result<std::optional<ControlLine>> ControlListener::accept(Milliseconds patience) {
  if (!run_until(*state_->io, patience, [&] { return state_->waiting.has_value(); }))
    return std::optional<ControlLine>();
  set_nodelay(*state_->waiting, state_->address.tcp.has_value());
  auto line = std::make_shared<ControlLine::State>(state_->io, std::move(*state_->waiting),
                                                   control_ask_bytes_max);
  state_->waiting.reset();
  state_->served = line;
  return std::optional<ControlLine>(ControlLine(std::move(line)));
}

const ControlAddress& ControlListener::address() const {
  return state_->address;
}

}  // namespace lt::tuner
