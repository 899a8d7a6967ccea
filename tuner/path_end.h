// One end of a path whose shape is taken: a UDP socket that sends datagrams of given sizes, whole or
// in fragments, and remembers which of the other end's arrived. The same at client and server.
#pragma once

#include <array>
#include <bitset>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/socket_address.h"
#include "tuner/path_shape.h"

namespace lt::tuner {

/// What each datagram begins with; the rest is zeros.
struct PathDatagram {
  static constexpr std::size_t bytes = 20;
  static constexpr std::uint32_t magic = 0x6c74504d;  // "ltPM"

  std::uint64_t nonce{0};
  std::uint16_t round{0};
  std::uint16_t number{0};
  std::uint32_t size{0};  // of the whole payload

  /// @pre raw.size() >= bytes
  void encode(ByteSpan raw) const;
  /// @return nothing when the magic is wrong, or it is not of the size that it names
  [[nodiscard]] static std::optional<PathDatagram> decode(ByteView raw);
};

inline constexpr unsigned path_rounds_max = 256;  // of one conversation and way

/// Datagrams that go out together; number i has sizes[i] bytes of payload.
struct PathRound {
  unsigned round{0};
  std::vector<unsigned> sizes;
  Milliseconds gap{1};
  bool is_fragmented{false};   // may be fragmented: by us and on the way
  unsigned fragment_bytes{0};  // IPv6: packets of at most this size, since no router fragments them
};

/// @thread send() one caller; the rest any. Its own thread receives
class PathEnd {
 public:
  /// @param local  none: any of this family
  [[nodiscard]] static Result<std::unique_ptr<PathEnd>> open(Family family,
                                                             const std::optional<IpAddress>& local,
                                                             std::uint16_t port,
                                                             std::uint64_t nonce);

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Where datagrams with the nonce come from, once one has arrived.
  [[nodiscard]] std::optional<SocketAddress> peer() const;
  /// The numbers that arrived, rising. @pre round < path_rounds_max
  [[nodiscard]] std::vector<unsigned> arrived(unsigned round) const;
  /// @return the numbers that this kernel refused as too large
  /// @error limit: path_datagrams_max are sent · @pre round and sizes are within their limits
  [[nodiscard]] Result<std::vector<unsigned>> send(const SocketAddress& to, const PathRound& round);

 private:
  PathEnd(Family family, Fd socket, std::uint16_t port, std::uint64_t nonce);
  void receive(const std::stop_token& stop);
  [[nodiscard]] Status allow_fragments(const PathRound& round);

  const Family family_;
  Fd socket_;
  const std::uint16_t port_;
  const std::uint64_t nonce_;
  unsigned sent_{0};

  mutable std::mutex mutex_;  // of what the receiver writes
  std::optional<SocketAddress> peer_;
  std::array<std::bitset<path_round_max>, path_rounds_max> arrived_;

  std::jthread receiver_;  // last: it uses all of the above
};

}  // namespace lt::tuner
