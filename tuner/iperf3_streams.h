// The data streams of an iperf3 test at one end: a thread for each, blocking calls, counters that
// begin `omit` after the start and end when they are told to.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "tuner/iperf3.h"

namespace lt::tuner {

/// What stands at the beginning of each UDP datagram: the sender's monotonic time and a number from 1.
struct Iperf3Datagram {
  std::uint32_t seconds{0};
  std::uint32_t microseconds{0};
  std::uint64_t number{0};

  static constexpr std::size_t bytes(bool is_wide) { return is_wide ? 16 : 12; }
  /// @pre raw.size() >= bytes(is_wide)
  void encode(ByteSpan raw, bool is_wide) const;
  [[nodiscard]] static std::optional<Iperf3Datagram> decode(ByteView raw, bool is_wide);
};

/// What a receiver makes of the numbers and times of datagrams.
/// A gap is a loss, a late arrival takes one back. Jitter as in RFC 1889 6.3.1.
class Iperf3Sequence {
 public:
  /// @param arrived  the receiver's own monotonic time
  void arrived(const Iperf3Datagram& datagram, Nanoseconds arrived);

  [[nodiscard]] std::uint64_t highest() const { return highest_; }
  [[nodiscard]] std::int64_t lost() const { return lost_; }
  [[nodiscard]] double jitter_seconds() const { return jitter_seconds_; }
  void forget_jitter() { jitter_seconds_ = 0; }

 private:
  std::uint64_t highest_{0};
  std::int64_t lost_{0};
  double jitter_seconds_{0};
  std::optional<double> transit_seconds_;
};

/// 1, 3, 4, 5, ...: the second is skipped, as iperf3 does.
[[nodiscard]] constexpr unsigned iperf3_stream_id(std::size_t place) {
  return static_cast<unsigned>(place == 0 ? 1 : place + 2);
}

/// Socket options of a test, before a connection is made. @error unsupported: the congestion control
[[nodiscard]] Status prepare_iperf3_tcp(int fd, const Iperf3Test& test);
[[nodiscard]] Status prepare_iperf3_udp(int fd, const Iperf3Test& test);

struct Iperf3Stream {
  Fd fd;
  bool is_sender{false};
};

/// @thread one owner; its own threads touch nothing else
class Iperf3Run {
 public:
  /// @param streams  in the order that numbers them
  Iperf3Run(const Iperf3Test& test, std::vector<Iperf3Stream> streams);
  Iperf3Run(const Iperf3Run&) = delete;
  Iperf3Run& operator=(const Iperf3Run&) = delete;
  ~Iperf3Run();

  /// The measured time ends: counting and sending stop, TCP receivers go on to empty the line.
  void freeze();
  /// Ends all threads and closes all streams.
  void stop();

  /// Bytes moved by all streams since the start: tells a run that stands still.
  [[nodiscard]] std::uint64_t moved() const;
  /// Streams that ended before freeze().
  [[nodiscard]] unsigned lost() const;

  /// What was counted. @pre stop() was called
  [[nodiscard]] Iperf3Report report() const;
  /// One way of it, as this end saw it: its series. @pre stop() was called
  [[nodiscard]] std::vector<std::uint64_t> series(bool of_senders) const;

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace lt::tuner
