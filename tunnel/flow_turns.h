// FlowTurns: from which of its TUN queues a lane reads next.
//
// The kernel shares a lane's flows among its queues (steering.h). They are read in turn, so many bytes each, so that no
// flow stands behind what another one has piled up: a page that somebody waits for does not stand behind a backup.
//
//   start-time fair queueing   each queue counts the bytes that were read from it; the one with the least is next. One that
//                              was empty begins where the others are: it has saved up nothing. How large a packet is shows
//                              when it is there: until then the last one of its queue stands for it
//   batches                    reads are queued many at a time. The first one that a batch takes from a queue waits for a
//                              packet, the others take only what is there: an empty queue is watched by itself
//
// Pure: no descriptor, no clock. One thread owns it, the lane's outbound one.
// Source: McKenney 1990 (stochastic fair queueing); Goyal, Vin, Cheng 1996 (start-time fair queueing); RFC 8290.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace lt::tunnel {

class FlowTurns {
 public:
  /// One read that is to be queued; it stays with the read until that completes.
  struct Turn {
    std::size_t queue{0};
    std::size_t charged{0};  // what the packet is expected to hold (unit: B)
    bool waits{false};       // the read may wait for a packet
  };

  explicit FlowTurns(std::size_t queues);

  [[nodiscard]] std::size_t size() const { return queues_.size(); }

  /// From here on the queues are read from that no read waits on.
  void begin_batch();
  /// @return the next read of this batch; none while a read waits on every queue
  [[nodiscard]] std::optional<Turn> next();
  /// Whether a queue of this batch was not read from: it may hold packets, and nothing would tell.
  [[nodiscard]] bool has_left_out() const { return left_out_ > 0; }

  /// A read has brought a packet.
  void took(const Turn& turn, std::size_t packet_bytes);
  /// A read has ended without one.
  void took_nothing(const Turn& turn);

 private:
  struct Queue {
    std::uint64_t count{0};   // of bytes read, or expected from reads under way
    std::size_t expected{1};  // bytes of the last packet
    bool is_awaited{false};   // a read of a batch that may wait is under way on it
    bool was_empty{false};    // that read has waited for longer than its batch
    bool is_read{false};      // in this batch
  };
  void end_read(const Turn& turn);

  std::vector<Queue> queues_;
  std::vector<std::size_t> due_;  // those of this batch
  std::size_t left_out_{0};       // of these
  std::uint64_t count_{0};        // where the queue stood that was last read from
};

}  // namespace lt::tunnel
