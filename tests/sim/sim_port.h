// SimPort: the IoPort of a simulated thread. Its TUN is a queue of the simulation, its socket a connection of the
// simulated network, its time the daemon's; wait() suspends the fibre that calls it.
#pragma once

#include <array>
#include <cerrno>
#include <deque>
#include <vector>

#include "tests/sim/network.h"
#include "tests/sim/thread.h"
#include "tests/sim/traffic.h"
#include "tunnel/io_port.h"

namespace lt::sim {

/// The device as a lane sees it.
class TunSide {
 public:
  virtual ~TunSide() = default;
  /// @return the next packet of a queue, marked with its carrier; nothing where there is none
  [[nodiscard]] virtual std::optional<TunPacket> take(std::size_t queue, Network::Id carrier) = 0;
  /// @return bytes, or a negative errno
  [[nodiscard]] virtual int put(ByteView packet, Network::Id carrier) = 0;
  /// The watcher is told once, when a packet comes.
  virtual void wait_for_packet(std::size_t queue, Watcher* watcher) = 0;
  virtual void forget(Watcher* watcher) = 0;
};

class SimPort : public Watcher {
 public:
  static constexpr int tun_fd = 1;
  static constexpr int socket_fd = 2;

  SimPort(Thread& thread, TunSide& tun, std::size_t queue, Network& network, Network::Id id, std::size_t side)
      : thread_(thread), tun_(tun), queue_(queue), network_(network), id_(id), side_(side) {}
  ~SimPort() override { tun_.forget(this); }
  SimPort(const SimPort&) = delete;
  SimPort& operator=(const SimPort&) = delete;

  [[nodiscard]] Status adopt(int) { return {}; }
  void read(std::uint64_t tag, int, std::span<iovec> vectors, tunnel::ReadMode mode) {
    reads_.push_back({tag, {vectors[0], vectors[1]}, mode});
  }
  void write(std::uint64_t tag, int, std::span<iovec> vectors) { writes_.push_back({tag, {vectors[0], vectors[1]}, {}}); }
  void receive(std::uint64_t tag, int, ByteSpan into) { receive_ = {tag, into}; }
  void send(std::uint64_t tag, int, std::span<iovec> vectors) {
    send_ = {tag, std::vector<iovec>(vectors.begin(), vectors.end()), 0, 0};
  }
  [[nodiscard]] Result<std::span<const tunnel::Completion>> wait(Instant until);
  void cancel_reads(int) { is_cancelling_ = true; }
  [[nodiscard]] std::optional<tunnel::PathSample> path(int) const { return network_.sample(id_, side_); }
  [[nodiscard]] Instant now() const { return thread_.now(); }
  void wake() {
    is_woken_ = true;
    thread_.ready();
  }
  void on_socket() override { thread_.ready(); }

 private:
  struct Packets {
    std::uint64_t tag;
    std::array<iovec, 2> vectors;
    tunnel::ReadMode mode;
  };
  struct Receive {
    std::uint64_t tag;
    ByteSpan into;
  };
  struct Send {
    std::uint64_t tag;
    std::vector<iovec> vectors;
    std::size_t done;   // whole vectors
    std::size_t bytes;  // in all
  };
  void work();
  void work_reads();
  void work_send();

  Thread& thread_;
  TunSide& tun_;
  std::size_t queue_;
  Network& network_;
  Network::Id id_;
  std::size_t side_;
  std::deque<Packets> reads_;
  std::vector<Packets> writes_;
  std::optional<Receive> receive_;
  std::optional<Send> send_;
  std::size_t send_offset_{0};  // within the vector being sent
  bool is_cancelling_{false};
  bool is_woken_{false};
  std::vector<tunnel::Completion> completions_;
};

static_assert(tunnel::IoPort<SimPort>);

}  // namespace lt::sim
