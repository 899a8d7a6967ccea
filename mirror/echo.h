// Echo: ICMP echoes to the other end of the tunnel, ten milliseconds apart, in a thread of its own;
// what they tell goes to a YieldControl. Needs CAP_NET_RAW.
#pragma once

#include <memory>

#include "base/ip.h"
#include "base/result.h"
#include "mirror/yield.h"

namespace lt::mirror {

class Yielder {
 public:
  /// @error not_permitted: no raw socket
  [[nodiscard]] static Result<Yielder> start(const IpAddress& peer, Milliseconds delay_max);

  Yielder(Yielder&&) noexcept;
  Yielder& operator=(Yielder&&) noexcept;
  ~Yielder();

  /// @thread any
  [[nodiscard]] BitsPerSecond rate(Bytes carried, Instant now);
  [[nodiscard]] Nanoseconds delay() const;

 private:
  struct Works;
  explicit Yielder(std::unique_ptr<Works> works);
  std::unique_ptr<Works> works_;
};

}  // namespace lt::mirror
