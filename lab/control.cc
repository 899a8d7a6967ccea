#include "lab/control.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/text.h"

namespace lt::lab {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t line_bytes_max = 64 * 1024;
constexpr milliseconds line_patience{
    2000};  // a whole line within this time, or the conversation ends

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Errc::limit, "the path of the control socket is too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

Result<Fd> unix_socket() {
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.is_open()) return fail_errno(errno, "cannot open a socket");
  return socket;
}

Result<std::string> receive_line(const Fd& socket) {
  const auto deadline = std::chrono::steady_clock::now() + line_patience;
  std::string line;
  while (line.size() <= line_bytes_max) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd polled{socket.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&polled, 1, static_cast<int>(left.count())) <= 0)
      return fail(Errc::timed_out, "no answer in time");
    std::array<char, 4096> chunk;
    const auto count = ::recv(socket.get(), chunk.data(), chunk.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (count <= 0) return fail(Errc::closed, "the other end has hung up");
    line.append(chunk.data(), static_cast<std::size_t>(count));
    if (line.back() == '\n') return line;
  }
  return fail(Errc::limit, "a line is too long");
}

// A line fits into the socket's buffer: what does not go at once goes to nobody.
Status send_line(const Fd& socket, const Json& json) {
  const std::string line = to_line(json) + "\n";
  const auto sent = ::send(socket.get(), line.data(), line.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(line.size()))
    return fail_errno(errno, "cannot write to the control socket");
  return {};
}

Json reply_to(const Fd& socket, const ControlServer::Answer& answer) {
  const auto run = [&]() -> Result<Json> {
    LT_TRY(const std::string line, receive_line(socket));
    LT_TRY(const Json request, parse_json(line, "control socket"));
    return answer(request);
  };
  const Result<Json> result = run();
  if (result) return {{"ok", true}, {"status", *result}};
  return {{"ok", false},
          {"code", static_cast<unsigned>(result.error().code)},
          {"error", result.error().what}};
}

void serve(const Fd& listener, const Fd& wake, const ControlServer::Answer& answer) {
  for (;;) {
    std::array<pollfd, 2> polled{pollfd{listener.get(), POLLIN, 0}, pollfd{wake.get(), POLLIN, 0}};
    if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) return;
    if (polled[1].revents != 0) return;
    const Fd guest(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (guest.is_open()) static_cast<void>(send_line(guest, reply_to(guest, answer)));
  }
}

}  // namespace

Result<ControlServer> ControlServer::start(const std::string& path, Answer answer) {
  LT_TRY(const sockaddr_un address, address_of(path));
  LT_TRY(Fd listener, unix_socket());
  ::unlink(path.c_str());
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(listener.get(), 8) != 0) {
    return fail_errno(errno, "cannot listen at " + path);
  }
  Fd wake(::eventfd(0, EFD_CLOEXEC));
  if (!wake.is_open()) return fail_errno(errno, "cannot make an eventfd");
  Fd wake_of_thread(::fcntl(wake.get(), F_DUPFD_CLOEXEC, 0));
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread([listening = std::move(listener), woken = std::move(wake_of_thread),
                      answering = std::move(answer)] { serve(listening, woken, answering); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return ControlServer(std::move(wake), std::move(thread));
}

ControlServer::~ControlServer() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  static_cast<void>(!::write(wake_.get(), &one, sizeof one));
  thread_.join();
}

Result<Json> ask(const std::string& path, const Json& request) {
  LT_TRY(const sockaddr_un address, address_of(path));
  LT_TRY(const Fd socket, unix_socket());
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno(errno, "nobody answers at " + path);
  }
  LT_CHECK(send_line(socket, request));
  LT_TRY(const std::string line, receive_line(socket));
  LT_TRY(Json reply, parse_json(line, path));
  if (!reply.is_object()) return fail(Errc::protocol, path + " gave no answer that makes sense");
  if (reply.value("ok", false)) return reply.value("status", Json::object());
  return fail(static_cast<Errc>(reply.value("code", static_cast<unsigned>(Errc::protocol))),
              reply.value("error", std::string("refused")));
}

}  // namespace lt::lab
