// The daemon's control socket: a real server on a real socket, and a client that sends what the fuzzer says, in
// portions. One answer of one line, or none; the daemon is asked only what is a request; the server lives on.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "app/control.h"
#include "base/fd.h"
#include "tests/fuzz/fuzz.h"

namespace lt::fuzz {

namespace {

// One for all inputs. Its thread answers; the target's thread asks.
class Server {
 public:
  Server() {
    char folder[] = "/tmp/linktune-fuzz-XXXXXX";
    expect(::mkdtemp(folder) != nullptr, "there is a folder for the socket");
    folder_ = folder;
    path_ = app::control_path(folder_, "site");
    auto made = app::ControlServer::create(path_, [this](const std::string& request) {
      const std::lock_guard lock(mutex_);
      asked_.push_back(request);
      return Json{{"schema", "linktune.answer.1"}, {"answer", request}};
    });
    expect(made.has_value(), "the control socket opens");
    server_ = std::move(*made);
    thread_ = std::thread([this] { server_->run(); });
  }
  ~Server() {
    server_->stop();
    thread_.join();
    server_.reset();
    ::rmdir(folder_.c_str());
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  std::vector<std::string> take_asked() {
    const std::lock_guard lock(mutex_);
    return std::exchange(asked_, {});
  }

 private:
  std::string folder_;
  std::string path_;
  std::mutex mutex_;  // guards asked_
  std::vector<std::string> asked_;
  std::unique_ptr<app::ControlServer> server_;
  std::thread thread_;
};

Fd connect_to(const std::string& path) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  const timeval patience{.tv_sec = 30, .tv_usec = 0};  // far beyond client_deadline: a busy machine is no fault
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  expect(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "the server lives and listens");
  return fd;
}

std::string hear_to_end(const Fd& fd) {
  std::string heard;
  std::array<char, 4096> chunk;
  for (;;) {
    const ssize_t count = ::recv(fd.get(), chunk.data(), chunk.size(), 0);
    expect(count >= 0 || errno == ECONNRESET, "a client is answered or closed within its time");
    if (count <= 0) return heard;
    heard.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

void run(ByteView input) {
  static Server server;
  Choices choices(input);
  const std::size_t portion = 1 + choices.u16();
  const ByteView said = choices.rest();
  const Fd fd = connect_to(server.path());
  for (std::size_t at = 0; at < said.size(); at += portion) {
    const ByteView part = said.subspan(at, std::min(portion, said.size() - at));
    if (::send(fd.get(), part.data(), part.size(), MSG_NOSIGNAL) < 0) break;  // closed: it has said too much
  }
  ::shutdown(fd.get(), SHUT_WR);
  const std::string heard = hear_to_end(fd);
  const std::vector<std::string> asked = server.take_asked();

  const std::string_view text = as_text(said);
  const std::string_view line = text.substr(0, text.find('\n'));
  const auto request = parse_json(line, "the request");
  const bool is_request = request && request->is_object() && request->contains("request") && (*request)["request"].is_string();
  expect(asked.size() <= 1, "a client asks once");
  if (!asked.empty()) {
    expect(line.size() < app::request_bytes_max && line.size() < text.size(), "a request is a line of bounded length");
    expect(is_request && (*request)["request"] == asked[0], "the daemon is asked what the client has said");
  }
  if (heard.empty()) return expect(asked.empty(), "who is asked is heard");
  expect(heard.back() == '\n' && heard.find('\n') == heard.size() - 1, "an answer is one line");
  const auto answer = parse_json(heard, "the answer");
  expect(answer && answer->is_object() && answer->contains("schema"), "an answer is an object with a schema");
  expect(answer->contains("error") == asked.empty(), "what is no request is refused");
}

}  // namespace lt::fuzz
