// WanProbe: numbered packets over a lab's WAN, timed by the kernel on arrival, so that neither a
// busy receiver nor a scheduler's whim is taken for the line's doing.
#pragma once

#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/units.h"
#include "lab/sandbox.h"

namespace lt::test {

struct Arrival {
  std::uint32_t number;
  Nanoseconds sent;       // of the wall clock
  Nanoseconds received;   // of the wall clock, when the kernel took it in
  unsigned flipped_bits;  // of the payload, and of the sender's port
};

class WanProbe {
 public:
  static constexpr std::size_t payload_bytes = 1472;  // a packet of 1500 with its headers
  static constexpr std::size_t packet_bytes = 1500;

  /// Sockets in both gateways. `checksum` off: a corrupted payload arrives. `sink`: arrivals are
  /// counted, not kept.
  static Result<WanProbe> open(lab::Sandbox& sandbox, lab::Direction direction,
                               bool checksum = true, bool sink = false);

  /// Sends `count` packets, at `rate` or (0) as fast as it goes. @return the rate that was achieved
  BitsPerSecond send(std::uint32_t count, BitsPerSecond rate = {});
  /// Sends one packet.
  void send_one() { send(1); }

  /// Waits until the WAN has nothing under way, then returns all that has arrived since the last
  /// call.
  std::vector<Arrival> collect();
  /// Waits until the WAN has taken in all that was sent and has nothing under way.
  void settle();

  /// Counters of this direction since open(): differences. @pre settle() or collect()
  lab::WanReport report() const;

 private:
  WanProbe(lab::Sandbox& sandbox, lab::Direction direction)
      : sandbox_(&sandbox), direction_(direction) {}
  lab::WanReport current() const;

  lab::Sandbox* sandbox_;
  lab::Direction direction_;
  Fd sender_;
  Fd receiver_;
  std::uint16_t source_port_{0};  // in network order
  std::uint32_t next_{0};
  lab::WanReport before_;
};

}  // namespace lt::test
