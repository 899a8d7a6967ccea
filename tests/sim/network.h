// Network: TCP as two daemons see it, between two hosts. Byte streams in order over paths that are slow, bounded, cut
// off, one-way, forgetful, or that lie. Retransmission, windows, time-outs, resets and half-open connections are there;
// congestion control is not: a window of twice the path's product stands for it.
//
//   host 0 connects, host 1 listens. path(h) is the way from host h to the other one.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"
#include "tests/sim/dice.h"
#include "tests/sim/schedule.h"
#include "tunnel/path_sample.h"

namespace lt::sim {

using std::chrono::nanoseconds;

/// Wants to know that a socket may have become readable, writable, connected or broken.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void on_socket() = 0;
};

/// One way between the hosts.
struct Path {
  bool is_up{true};
  nanoseconds latency{std::chrono::milliseconds(10)};
  nanoseconds jitter{0};            // drawn for each segment; a connection keeps its own order
  double bytes_per_second{125e6};
  double loss{0};                   // of a segment
  double lies{0};                   // of a segment: its bytes are changed, and TCP does not notice
  std::uint64_t generation{0};      // what flew when it was cut has not arrived
  Instant free_at{};
};

enum class Nat : std::uint8_t { knows, forgot_silently, forgot_with_reset };

class Network {
 public:
  using Id = std::uint32_t;
  static constexpr std::size_t send_room = std::size_t{4} << 20;
  static constexpr std::size_t receive_room = std::size_t{4} << 20;

  Network(Schedule& schedule, Dice dice) : schedule_(schedule), dice_(dice) {}

  [[nodiscard]] Path& path(std::size_t from) { return paths_[from]; }
  /// Sets a path up or cuts it; what is on its way is lost.
  void set_path(std::size_t from, bool is_up);

  // --- what a daemon does ---

  Id connect(Watcher* watcher, const IpAddress& from);
  void listen(Watcher* watcher);
  void stop_listening();
  /// @return 0: nobody waits
  Id accept();
  void watch(Id id, std::size_t side, Watcher* watcher);
  [[nodiscard]] bool is_connected(Id id) const { return connections_[id]->ends[0].is_established; }
  /// Takes what there is room for. @return bytes taken, or a negative errno
  int send(Id id, std::size_t side, ByteView bytes);
  /// @return bytes, 0 at the end of the stream, or a negative errno: -EAGAIN where nothing is there
  int receive(Id id, std::size_t side, ByteSpan into);
  [[nodiscard]] bool is_readable(Id id, std::size_t side) const;
  [[nodiscard]] bool is_broken(Id id, std::size_t side) const { return connections_[id]->ends[side].error != 0; }
  [[nodiscard]] tunnel::PathSample sample(Id id, std::size_t side) const;
  /// The other end has gone: TCP's end, or a reset.
  [[nodiscard]] bool has_hung_up(Id id, std::size_t side) const {
    const End& end = connections_[id]->ends[side];
    return end.has_end || end.error != 0;
  }
  void shut(Id id, std::size_t side);
  void close(Id id, std::size_t side);
  [[nodiscard]] IpAddress client_address(Id id) const { return connections_[id]->client; }

  // --- what befalls it ---

  /// The host has lost all it knew of its connections, without a word.
  void forget(std::size_t side);
  void forget_in_nat(Nat how);
  /// A firewall resets one connection, or all: both ends hear of it where the path is up.
  void reset(Id id);
  void reset_all();
  /// Slows one connection down to `bytes_per_second`, or lets its bytes vanish.
  void black_hole(Id id) { connections_[id]->nat = Nat::forgot_silently; }
  void throttle(Id id, double bytes_per_second) { connections_[id]->bytes_per_second = bytes_per_second; }
  void end_throttling() {
    for (std::size_t id = 1; id < connections_.size(); ++id) connections_[id]->bytes_per_second = 0;
  }
  /// The next segment to `side` has its bytes changed.
  void lie_once(Id id, std::size_t side) { connections_[id]->ends[side].lie_next = true; }

  [[nodiscard]] std::size_t connection_count() const { return connections_.size() - 1; }
  [[nodiscard]] std::uint64_t bytes_delivered() const { return bytes_delivered_; }
  [[nodiscard]] std::uint64_t lies_told() const { return lies_told_; }

 private:
  struct End {
    Watcher* watcher{nullptr};
    bool is_established{false};
    bool is_held{false};       // by a process
    bool is_gone{false};       // its host knows nothing of it
    int error{0};
    // receiving
    std::vector<Byte> inbox;
    std::size_t inbox_read{0};
    std::uint64_t received{0};
    std::uint64_t window_told{0};
    bool has_end{false};
    bool lie_next{false};
    // sending: `outbox` begins with the byte at `acked`
    std::vector<Byte> outbox;
    std::size_t outbox_gone{0};
    std::uint64_t acked{0};
    std::uint64_t sent{0};
    std::uint64_t written{0};
    std::uint64_t recover{0};
    std::uint64_t window_end{receive_room};
    bool wants_end{false};
    bool is_timed{false};
    bool backs_off{false};     // nothing was acknowledged since a time-out: one segment at a time
    std::uint64_t timer{0};
    nanoseconds patience{0};   // the retransmission time-out; 0: as the path says
    Instant unacked_since{};
    Instant last_arrival{};
    Instant free_at{};         // of a throttled connection
  };
  struct Connection {
    std::array<End, 2> ends;
    IpAddress client;
    Nat nat{Nat::knows};
    double bytes_per_second{0};
    bool is_accepted{false};
  };
  struct Segment {
    std::uint64_t offset;
    std::uint32_t bytes;
    bool is_last;
  };

  [[nodiscard]] bool leaves(Id id, std::size_t from);
  void knock_at_port(Id id, unsigned attempt);
  void answer_knock(Id id);
  void establish_server(Id id);
  void pump(Id id, std::size_t from);
  void fly(Id id, std::size_t from, Segment segment);
  void arrive(Id id, std::size_t to, Segment segment);
  void take_bytes(Connection& connection, std::size_t to, std::uint64_t from, std::size_t count);
  void acknowledge(Id id, std::size_t from, bool has_gap);
  void on_acknowledged(Id id, std::size_t at, std::uint64_t received, std::uint64_t window_end, bool has_gap);
  void arm(Id id, std::size_t side);
  void on_timer(Id id, std::size_t side, std::uint64_t timer);
  void send_reset(Id id, std::size_t to);
  void bury(Id id);
  void break_end(Id id, std::size_t side, int error);
  void notify(End& end) {
    if (end.watcher != nullptr) end.watcher->on_socket();
  }
  [[nodiscard]] nanoseconds round_trip() const { return paths_[0].latency + paths_[1].latency; }
  [[nodiscard]] std::size_t chunk_max(const Path& path) const;
  [[nodiscard]] std::uint64_t window_of(const Path& path, const Connection& connection) const;

  Schedule& schedule_;
  Dice dice_;
  std::array<Path, 2> paths_;
  std::vector<std::unique_ptr<Connection>> connections_{1};  // ids begin at 1
  Watcher* listener_{nullptr};
  std::deque<Id> backlog_;
  std::uint64_t bytes_delivered_{0};
  std::uint64_t lies_told_{0};
};

}  // namespace lt::sim
