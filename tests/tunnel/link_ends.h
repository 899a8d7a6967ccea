// Links over loopback TCP: each runs in a thread of its own, tells what happens to it, and carries
// the packets of a FakeTun.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/tunnel/handshake_ends.h"
#include "tests/tunnel/lane_ends.h"
#include "tunnel/link.h"

namespace lt::tunnel::testing {

/// A Link that runs. Its events are kept with their time; a test waits for the one it needs.
class RunningLink {
 public:
  struct Event {
    LinkEvent event;
    Instant at;
  };

  explicit RunningLink(LinkOptions options) {
    if (options.tun_queues.empty()) {
      options.tun_queues = {{tun.fd()}};
      options.tun_offload = true;
    }
    options.on_event = [this](const LinkEvent& event) {
      const std::lock_guard lock(mutex_);
      events_.push_back({event, now()});
      changed_.notify_all();
    };
    auto made = Link::create(std::move(options));
    if (!made) FAIL(made.error().text());
    link = std::move(*made);
    runner_ = std::thread([this] { status_ = link->run(); });
  }
  ~RunningLink() { stop(); }

  /// Stops it and waits. @return how long that took
  std::chrono::nanoseconds stop() {
    const Instant before = now();
    link->stop();
    if (runner_.joinable()) runner_.join();
    return now() - before;
  }
  [[nodiscard]] bool has_run_well() const { return status_.has_value(); }

  /// The first event of that kind, with that in its detail, behind the `after` first ones. Fails
  /// when none comes.
  Event wait_for(LinkEventKind kind, std::size_t after = 0, const std::string& detail = {}) {
    std::unique_lock lock(mutex_);
    const auto found = [&] {
      for (std::size_t i = after; i < events_.size(); ++i) {
        if (events_[i].event.kind == kind && has(events_[i].event.detail, detail)) return i;
      }
      return events_.size();
    };
    changed_.wait_for(lock, patience, [&] { return found() < events_.size(); });
    if (found() == events_.size()) {
      std::string seen;
      for (const Event& event : events_) {
        seen += "\n  " + std::to_string(int(event.event.kind)) + " " + event.event.detail;
      }
      FAIL("no event of kind " << int(kind) << " with '" << detail
                               << "' came, there were:" << seen);
    }
    return events_[found()];
  }
  [[nodiscard]] std::size_t event_count() {
    const std::lock_guard lock(mutex_);
    return events_.size();
  }
  [[nodiscard]] std::vector<Event> events_of(LinkEventKind kind) {
    const std::lock_guard lock(mutex_);
    std::vector<Event> all;
    for (const Event& event : events_) {
      if (event.event.kind == kind) all.push_back(event);
    }
    return all;
  }
  /// Waits until the snapshot fulfils a condition.
  template <class Condition>
  void wait_until(Condition&& condition) {
    const Instant until = now() + patience;
    while (!condition(link->snapshot()) && now() < until)
      std::this_thread::yield();
    REQUIRE(condition(link->snapshot()));
  }

  FakeTun tun;
  std::unique_ptr<Link> link;

 private:
  std::mutex mutex_;  // guards events_
  std::condition_variable changed_;
  std::vector<Event> events_;
  std::thread runner_;
  Status status_;
};

inline LinkOptions common_link_options() {
  LinkOptions options;
  options.times.reconnect_first = std::chrono::milliseconds(10);
  options.times.reconnect_longest = std::chrono::milliseconds(100);
  options.times.lane.patience = std::chrono::milliseconds(100);
  return options;
}
/// The listening site, on a port of the system's choice.
inline LinkOptions listening(const std::string& host = "127.0.0.1") {
  LinkOptions options = common_link_options();
  options.listen = Endpoint{host, 0};
  options.tls = &offsite().tls;
  options.own_key = offsite().key();
  options.peer_key = office().key();
  options.admission = offsite_admission();
  return options;
}
inline LinkOptions connecting(std::uint16_t port, const std::string& host = "127.0.0.1") {
  LinkOptions options = common_link_options();
  options.connect = Endpoint{host, port};
  options.tls = &office().tls;
  options.own_key = office().key();
  options.peer_key = offsite().key();
  options.admission = office_admission();
  return options;
}

/// The offer that a client by hand has to make so that the networks agree.
inline Offer agreed_offer() {
  Offer offer = an_offer();
  const AdmissionOptions site = office_admission();
  offer.prefix_hash = hash_prefixes(site.local_prefixes, site.peer_prefixes);
  return offer;
}

inline Fd connect_to(std::uint16_t port, const std::string& from = "127.0.0.1") {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::inet_pton(AF_INET, from.c_str(), &address.sin_addr);
  REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  address.sin_port = htons(port);
  REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

/// What a connection hears until it is closed, and when that was.
struct Heard {
  std::size_t bytes{0};
  bool is_closed{false};
  bool is_reset{false};
  Instant at{};
};
inline Heard hear_to_end(const Fd& fd, Instant until = now() + patience) {
  Heard heard;
  while (is_readable(fd.get(), until)) {
    std::array<Byte, 4096> chunk;
    const auto count = ::recv(fd.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    heard.at = now();
    if (count > 0) heard.bytes += static_cast<std::size_t>(count);
    if (count == 0) heard.is_closed = true;
    if (count < 0) heard.is_closed = heard.is_reset = true;
    if (heard.is_closed) break;
  }
  return heard;
}

inline bool send_all(const Fd& fd, ByteView bytes) {
  return ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

/// Feeds what comes from `fd` to `take` until it says that it is done.
template <class Take>
void read_until(const Fd& fd, Take&& take) {
  const Instant until = now() + patience;
  for (;;) {
    REQUIRE(is_readable(fd.get(), until));
    std::array<Byte, 4096> chunk;
    const auto count = ::recv(fd.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    REQUIRE(count > 0);
    if (take(ByteView(chunk).first(static_cast<std::size_t>(count)))) return;
  }
}

/// A whole handshake as the office, over a socket. @return its keys
inline Established shake_hands_as_office(const Fd& fd) {
  HandshakeOptions options = client_options();
  options.offer = agreed_offer();
  Handshake handshake = make_handshake(options);
  REQUIRE(send_all(fd, handshake.take_output()));
  read_until(fd, [&](ByteView bytes) {
    const auto status = handshake.on_bytes(bytes);
    if (!status) FAIL(status.error().text());
    REQUIRE(send_all(fd, handshake.take_output()));
    return handshake.is_established();
  });
  return handshake.take_established();
}

/// Stands between the two sites: carries bytes, and does to them what a path may do.
class Relay {
 public:
  explicit Relay(std::uint16_t target) : target_(target) {
    listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 16) == 0);
    REQUIRE(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Relay() {
    is_over_ = true;
    thread_.join();
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Closes the connection at both ends.
  void cut() { wants_cut_ = true; }
  /// Carries nothing more until told otherwise; both ends see a path that is dead.
  void stall(bool is_stalled) { is_stalled_ = is_stalled; }
  /// Flips one bit of the next byte that goes to the server.
  void flip() { wants_flip_ = true; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void run() {
    Fd near;
    Fd far;
    while (!is_over_) {
      std::array<pollfd, 3> polled{pollfd{listener_.get(), POLLIN, 0},
                                   pollfd{near.is_open() ? near.get() : -1, POLLIN, 0},
                                   pollfd{far.is_open() ? far.get() : -1, POLLIN, 0}};
      if (is_stalled_) polled[1].fd = polled[2].fd = -1;
      ::poll(polled.data(), polled.size(), 5);
      if (polled[0].revents != 0) {
        near = Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        far = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(target_);
        if (::connect(far.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
          near.reset();
          far.reset();
        }
        ++connections_;
      }
      bool is_ended = wants_cut_.exchange(false);
      if (polled[1].revents != 0) is_ended |= !carry(near, far, wants_flip_.exchange(false));
      if (polled[2].revents != 0 && !is_ended) is_ended |= !carry(far, near, false);
      if (is_ended) {
        near.reset();
        far.reset();
      }
    }
  }
  static bool carry(const Fd& from, const Fd& to, bool flips) {
    std::array<Byte, 65536> chunk;
    const auto count = ::recv(from.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (count <= 0) return false;
    if (flips) chunk[static_cast<std::size_t>(count) / 2] ^= 1;
    for (ssize_t sent = 0; sent < count;) {
      const auto more = ::send(to.get(), chunk.data() + sent,
                               static_cast<std::size_t>(count - sent), MSG_NOSIGNAL);
      if (more <= 0) return false;
      sent += more;
    }
    return true;
  }

  std::uint16_t target_;
  std::uint16_t port_{0};
  Fd listener_;
  std::atomic<bool> is_over_{false};
  std::atomic<bool> is_stalled_{false};
  std::atomic<bool> wants_cut_{false};
  std::atomic<bool> wants_flip_{false};
  std::atomic<int> connections_{0};
  std::thread thread_;
};

}  // namespace lt::tunnel::testing
