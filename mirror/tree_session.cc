#include "mirror/tree_session.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <thread>

#include "base/pipe.h"
#include "base/text.h"

namespace lt::mirror {

struct TreeSession::Inner {
  std::string snapshot;
  std::string where;
  Fd to_server;
  Fd from_server;
  std::optional<TreeClient> client;
  std::string words;
  Result<int> status{0};
  std::jthread reader;   // of the server's error output
  std::jthread running;  // Side::serve_tree waits here
  bool is_closed{false};

  Status close() {
    if (std::exchange(is_closed, true)) return {};
    to_server.reset();
    from_server.reset();
    if (running.joinable()) running.join();
    if (reader.joinable()) reader.join();
    if (!status) return fail(status.error());
    if (*status == 0) return {};
    const std::string_view all = trim(words);
    const auto line = all.rfind('\n');
    const std::string last = printable(line == all.npos ? all : all.substr(line + 1), 300);
    const Errc code = last.find("does not exist") != last.npos ? Errc::not_found : Errc::io;
    return fail(code, "cannot read " + snapshot + " " + where + ": " + (last.empty() ? "exit status " + std::to_string(*status) : last));
  }
};

TreeSession::TreeSession(std::unique_ptr<Inner> inner) : inner_(std::move(inner)) {}
TreeSession::TreeSession(TreeSession&&) noexcept = default;
TreeSession& TreeSession::operator=(TreeSession&&) noexcept = default;
TreeSession::~TreeSession() {
  if (inner_) (void)inner_->close();
}

TreeClient& TreeSession::client() { return *inner_->client; }
const std::string& TreeSession::snapshot() const { return inner_->snapshot; }
Status TreeSession::close() { return inner_->close(); }

Result<TreeSession> TreeSession::open(Side& side, const std::string& snapshot, const Digest& nonce) {
  int questions[2];
  auto inner = std::make_unique<Inner>();
  inner->snapshot = snapshot;
  inner->where = side.where();
  // Sockets for the questions: writing to a server that is gone is an error there, and no signal.
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, questions) != 0) return fail_errno(errno, "cannot make a socket");
  inner->to_server = Fd(questions[0]);
  Fd server_in(questions[1]);
  LT_TRY(Pipe answers, make_pipe());
  inner->from_server = std::move(answers.read_end);
  LT_TRY(Pipe errors, make_pipe());
  Inner* const own = inner.get();
  inner->reader = std::jthread([own, fd = std::move(errors.read_end)] {
    std::array<char, 4096> piece;
    while (true) {
      const auto count = ::read(fd.get(), piece.data(), piece.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return;
      if (own->words.size() < 65536) own->words.append(piece.data(), static_cast<std::size_t>(count));
    }
  });
  inner->running = std::jthread([own, &side, snapshot, in = std::move(server_in), out = std::move(answers.write_end), err = std::move(errors.write_end)]() mutable {
    own->status = side.serve_tree(snapshot, {in.get(), out.get(), err.get()});
    in.reset();
    out.reset();
    err.reset();
  });
  auto client = TreeClient::greet(inner->from_server.get(), inner->to_server.get(), nonce);
  if (!client) {
    // Why it ended is a better reason than that it ended.
    LT_CHECK(inner->close());
    return fail(client.error());
  }
  inner->client.emplace(std::move(*client));
  return TreeSession(std::move(inner));
}

}  // namespace lt::mirror
