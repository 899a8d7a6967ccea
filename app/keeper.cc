#include "app/keeper.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/text.h"

namespace lt::app {

namespace {

// A keeper that is gone is noticed at once; one that is slow waits for the kernel's network lock, which others may hold.
constexpr timeval patience{.tv_sec = 20, .tv_usec = 0};
constexpr std::uint32_t mtu_min = 68;  // RFC 791: what every link must carry
constexpr std::uint32_t queue_max = 1'000'000;

// One datagram with at most one descriptor beside it.
struct Parcel {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec vector{};
  msghdr message{};

  Parcel(void* bytes, std::size_t size) : vector{bytes, size} {
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
  }
  void carry(int fd) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  Fd take() {
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int))) return Fd();
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return Fd(fd);
  }
};

}  // namespace

// --- the keeper's end ---

KeeperAnswer KeeperWork::carry_out(ByteView datagram, Fd& passed) {
  KeeperAnswer answer;
  KeeperRequest request{};
  Status done = fail(Errc::protocol, "this is no request");
  if (datagram.size() == sizeof request) {
    std::memcpy(&request, datagram.data(), sizeof request);
    done = act(request, passed, answer.put_back);
  }
  answer.is_good = done.has_value();
  if (!done) {
    answer.code = done.error().code;
    answer.sys_errno = done.error().sys_errno;
    const std::string text = printable(done.error().what, sizeof answer.text - 1);
    std::memcpy(answer.text, text.data(), std::min(text.size(), sizeof answer.text - 1));
  }
  return answer;
}

Status KeeperWork::act(const KeeperRequest& request, Fd& passed, tunnel::PutBack& put_back) {
  switch (request.verb) {
    case KeeperVerb::install: {
      if (routes_) return fail(Errc::exists, "the routes stand already");
      LT_TRY(routes_, tunnel::SiteRoutes::install(options_.routes));
      return {};
    }
    case KeeperVerb::make_socket: {
      if (request.value != 4 && request.value != 6) return fail(Errc::invalid, "no such address family");
      LT_TRY(passed, tunnel::make_outer_socket(request.value == 4 ? Family::v4 : Family::v6, options_.stream));
      return {};
    }
    case KeeperVerb::set_mtu: return set_mtu(request.value);
    case KeeperVerb::set_queue: return set_queue(request.value);
    case KeeperVerb::put_back: {
      if (!routes_) return fail(Errc::invalid, "nothing stands yet");
      LT_TRY(put_back, routes_->put_back());
      return {};
    }
    case KeeperVerb::finish: {
      routes_.reset();
      ::unlink(options_.control_path.c_str());
      is_finished_ = true;
      return {};
    }
  }
  return fail(Errc::protocol, "there is no such request");
}

Status KeeperWork::set_mtu(std::uint32_t mtu) {
  if (mtu < mtu_min || mtu > options_.mtu_max) {
    return fail(Errc::invalid, "an MTU of " + std::to_string(mtu) + " is not within this link's");
  }
  LT_TRY(auto netlink, tunnel::Netlink::open());
  return netlink.set_mtu(options_.routes.device, mtu);
}

Status KeeperWork::set_queue(std::uint32_t packets) {
  if (packets == 0 || packets > queue_max) {
    return fail(Errc::invalid, "a queue of " + std::to_string(packets) + " packets is out of range");
  }
  LT_TRY(auto netlink, tunnel::Netlink::open());
  return netlink.set_queue(options_.routes.device, Packets{packets});
}

void KeeperWork::abandon() {
  if (routes_) routes_->leave();
}

namespace {

void serve(int socket, const KeeperOptions& options) {
  KeeperWork work(options);
  while (!work.is_finished()) {
    std::array<Byte, 64> datagram;
    const ssize_t count = ::recv(socket, datagram.data(), datagram.size(), MSG_TRUNC);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;  // the daemon is gone
    Fd passed;
    const std::size_t size = static_cast<std::size_t>(count) <= datagram.size() ? static_cast<std::size_t>(count) : 0;
    KeeperAnswer answer = work.carry_out(ByteView(datagram.data(), size), passed);
    Parcel parcel(&answer, sizeof answer);
    if (passed.is_open()) parcel.carry(passed.get());
    if (::sendmsg(socket, &parcel.message, MSG_NOSIGNAL) < 0) break;
  }
  if (!work.is_finished()) work.abandon();
}

// After fork, before anything of the daemon's is known: only the socket and the privilege are kept.
[[noreturn]] void be_the_keeper(Fd socket, const KeeperOptions& options) {
  // Who ends the daemon may signal the whole group: the keeper has work left then.
  for (const int number : {SIGINT, SIGTERM, SIGQUIT}) std::signal(number, SIG_IGN);
  ::prctl(PR_SET_NAME, "linktune-keeper");
  const Fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int standard = 0; standard < 3; ++standard) ::dup2(nothing.get(), standard);
  if (socket.get() != 3) ::dup2(socket.get(), 3);
  ::close_range(4, ~0U, 0);
  // Where this fails there was nothing to keep, and each request says so in words.
  static_cast<void>(keep_net_admin_only());
  static_cast<void>(close_keeper_sandbox(options.sandbox));
  serve(3, options);
  ::_exit(0);
}

}  // namespace

// --- the daemon's end ---

Result<std::unique_ptr<Keeper>> Keeper::start(const KeeperOptions& options) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno(errno, "cannot reach a keeper");
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  ::setsockopt(ours.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno(errno, "cannot start the keeper");
  if (pid == 0) be_the_keeper(std::move(theirs), options);
  return std::unique_ptr<Keeper>(new Keeper(std::move(ours), pid));
}

namespace {

Result<KeeperAnswer> ask(int socket, KeeperVerb verb, std::uint32_t value, Fd* passed = nullptr) {
  const KeeperRequest request{.verb = verb, .reserved = {}, .value = value};
  if (::send(socket, &request, sizeof request, MSG_NOSIGNAL) < 0) return fail_errno(errno, "the keeper is gone");
  KeeperAnswer answer;
  Parcel parcel(&answer, sizeof answer);
  parcel.message.msg_control = parcel.control.data();
  parcel.message.msg_controllen = parcel.control.size();
  ssize_t count = 0;
  do {
    count = ::recvmsg(socket, &parcel.message, MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  Fd taken = count > 0 ? parcel.take() : Fd();
  if (count != static_cast<ssize_t>(sizeof answer)) {
    // A late answer would be taken for the next one: nothing is asked any more.
    ::shutdown(socket, SHUT_RDWR);
    return fail(count < 0 ? Errc::timed_out : Errc::closed, "the keeper does not answer");
  }
  if (!answer.is_good) {
    answer.text[sizeof answer.text - 1] = '\0';
    return fail(Error{answer.code, answer.text, answer.sys_errno});
  }
  if (passed != nullptr) *passed = std::move(taken);
  return answer;
}

Status only_status(const Result<KeeperAnswer>& answer) {
  if (!answer) return fail(answer.error());
  return {};
}

}  // namespace

Status Keeper::install() {
  const std::lock_guard lock(mutex_);
  return only_status(ask(socket_.get(), KeeperVerb::install, 0));
}

Result<Fd> Keeper::make_socket(Family family) {
  const std::lock_guard lock(mutex_);
  Fd made;
  LT_CHECK(only_status(ask(socket_.get(), KeeperVerb::make_socket, family == Family::v4 ? 4 : 6, &made)));
  if (!made.is_open()) return fail(Errc::protocol, "the keeper gave no socket");
  return made;
}

Status Keeper::set_mtu(std::uint32_t mtu) {
  const std::lock_guard lock(mutex_);
  return only_status(ask(socket_.get(), KeeperVerb::set_mtu, mtu));
}

Status Keeper::set_queue(Packets packets) {
  const std::lock_guard lock(mutex_);
  return only_status(ask(socket_.get(), KeeperVerb::set_queue, static_cast<std::uint32_t>(packets.value)));
}

Result<tunnel::PutBack> Keeper::put_back() {
  const std::lock_guard lock(mutex_);
  LT_TRY(const KeeperAnswer answer, ask(socket_.get(), KeeperVerb::put_back, 0));
  return answer.put_back;
}

void Keeper::finish() {
  const std::lock_guard lock(mutex_);
  static_cast<void>(ask(socket_.get(), KeeperVerb::finish, 0));
}

}  // namespace lt::app
