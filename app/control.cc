#include "app/control.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <atomic>
#include <boost/asio/write.hpp>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <istream>
#include <set>

namespace lt::app {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;
using Failure = boost::system::error_code;

std::string control_path(const std::string& run_directory, const std::string& site) {
  return run_directory + "/" + site + ".sock";
}

namespace {

bool may_ask(int socket) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

Json refusal(std::string_view why) { return {{"schema", "linktune.error.1"}, {"error", why}}; }

// One client: reads a line, answers a line, closes.
class Client : public std::enable_shared_from_this<Client> {
 public:
  Client(Local::socket socket, const ControlServer::Answer& answer, std::size_t& count)
      : socket_(std::move(socket)), timer_(socket_.get_executor()), answer_(answer), count_(count) {
    ++count_;
  }
  ~Client() { --count_; }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void serve() {
    timer_.expires_after(client_deadline);
    timer_.async_wait([weak = weak_from_this()](Failure failure) {
      if (const auto self = weak.lock(); self && !failure) self->close();
    });
    asio::async_read_until(socket_, input_, '\n', [self = shared_from_this()](Failure failure, std::size_t) {
      if (failure) return self->close();
      self->reply();
    });
  }

 private:
  void reply() {
    std::string line;
    std::istream stream(&input_);
    std::getline(stream, line);
    const auto request = parse_json(line, "the request");
    const bool is_request = request && request->is_object() && request->contains("request") && (*request)["request"].is_string();
    output_ = to_line(is_request ? answer_((*request)["request"].get<std::string>()) : refusal("not a request")) + "\n";
    asio::async_write(socket_, asio::buffer(output_),
                      [self = shared_from_this()](Failure, std::size_t) { self->close(); });
  }
  void close() {
    Failure ignored;
    timer_.cancel(ignored);
    socket_.close(ignored);
  }

  Local::socket socket_;
  asio::steady_timer timer_;
  asio::streambuf input_{request_bytes_max};
  std::string output_;
  const ControlServer::Answer& answer_;
  std::size_t& count_;
};

}  // namespace

struct ControlServer::State {
  std::string path;
  Answer answer;
  asio::io_context context;
  Local::acceptor acceptor{context};
  asio::signal_set signals{context, SIGINT, SIGTERM};
  std::size_t clients{0};
  bool owns_socket{true};

  void accept() {
    acceptor.async_accept([this](Failure failure, Local::socket socket) {
      if (failure == asio::error::operation_aborted) return;
      if (!failure && clients < clients_max && may_ask(socket.native_handle())) {
        std::make_shared<Client>(std::move(socket), answer, clients)->serve();
      }
      accept();
    });
  }
};

ControlServer::ControlServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<ControlServer>> ControlServer::create(const std::string& path, Answer answer) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return fail_errno(error.value(), "cannot make the folder of " + path);
  if (ask_daemon(path, "ping")) {
    return fail(Errc::busy, "this link is up already: `linktune status` shows it, `linktune down` ends it");
  }
  ::unlink(path.c_str());  // what a killed daemon left

  auto state = std::make_unique<State>();
  state->path = path;
  state->answer = std::move(answer);
  Failure failure;
  const auto mask = ::umask(0177);  // the socket is never open to others, not for a moment
  state->acceptor.open(Local(), failure);
  if (!failure) state->acceptor.bind(Local::endpoint(path), failure);
  if (!failure) state->acceptor.listen(static_cast<int>(clients_max), failure);
  ::umask(mask);
  if (failure) return fail_errno(failure.value(), "cannot open the control socket " + path);
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(state)));
}

ControlServer::~ControlServer() {
  if (state_->owns_socket) ::unlink(state_->path.c_str());
}

void ControlServer::leave_socket() { state_->owns_socket = false; }

namespace {

// A supervisor may send its request twice, to the process and to its group; an impatient person waits longer than this.
constexpr std::int64_t same_request_ms = 300;
std::atomic<std::int64_t> asked_at_ms{0};  // written by run(), read by the signal handler, which knows no object

std::int64_t now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// Async-signal-safe. What the link had put into the kernel stays: it fails closed, and the next start takes it over.
void end_at_once(int number) {
  if (now_ms() - asked_at_ms.load() >= same_request_ms) ::_exit(128 + number);
}

}  // namespace

void ControlServer::run() {
  state_->signals.async_wait([this](Failure failure, int) {
    if (failure) return;
    state_->context.stop();
  });
  state_->accept();
  state_->context.run();
  // Whoever asks once more while things are taken down is not to wait.
  asked_at_ms = now_ms();
  // Over the set's own handler, not after clear(): in between the next of a burst would find the default, and kill.
  for (const int number : {SIGINT, SIGTERM}) std::signal(number, end_at_once);
}

void ControlServer::stop() { state_->context.stop(); }

Result<Json> ask_daemon(const std::string& path, const std::string& request) {
  if (path.size() >= 108) return fail(Errc::invalid, "the path of the control socket is too long: " + path);
  asio::io_context context;
  Local::socket socket(context);
  Failure failure;
  socket.connect(Local::endpoint(path), failure);
  if (failure == asio::error::access_denied) return fail(Errc::not_permitted, "the control socket " + path + " is root's: run this as root");
  if (failure == asio::error::connection_refused || failure.value() == ENOENT) {
    return fail(Errc::not_found, "no link answers at " + path + ": start one with `linktune up --config FILE`");
  }
  if (failure) return fail_errno(failure.value(), "no link answers at " + path);
  const timeval patience{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const std::string line = to_line({{"request", request}}) + "\n";
  asio::write(socket, asio::buffer(line), failure);
  if (failure) return fail_errno(failure.value(), "the link at " + path + " does not listen");
  std::string reply;
  asio::read_until(socket, asio::dynamic_buffer(reply, std::size_t{1} << 20), '\n', failure);
  if (failure) return fail(Errc::timed_out, "the link at " + path + " does not answer");
  return parse_json(reply, "the link's answer");
}

}  // namespace lt::app
