// Doorkeeper: which connections of unknown people may wait at the door, and for whom one has to leave. Pure: no
// socket, no clock. It bounds what anybody can cost before he has shown that he knows us.
//
//   places      half_open_max in all; the last half_open_reserved only for sources that were our peer before
//   a source    one IPv4 address or one IPv6 /64: half_open_per_source_max places, arrivals_per_second
//   a full door the eldest that has not knocked yet gives way: an honest client knocks with its first packet
//
// Source: security decisions D8, 5.11; A-1..A-3, R22 of the catalogue.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>

#include "base/clock.h"
#include "base/ip.h"
#include "tunnel/limits.h"

namespace lt::tunnel {

/// Whose half-open connections are counted together: one IPv4 address, or one IPv6 /64, which is what a host gets.
[[nodiscard]] Prefix source_group(const IpAddress& source);

using ConnectionId = std::uint64_t;

struct DoorLimits {
  std::size_t places{half_open_max};
  std::size_t reserved{half_open_reserved};
  std::size_t per_source{half_open_per_source_max};
  double arrivals_per_second{arrivals_per_second_max};
  double arrivals_burst{arrivals_burst_max};
};

class Doorkeeper {
 public:
  explicit Doorkeeper(DoorLimits limits = {}) : limits_(limits) {}

  struct Verdict {
    bool is_admitted{false};
    std::optional<ConnectionId> gives_way{};  // to be closed, and already forgotten here
  };
  [[nodiscard]] Verdict arrive(ConnectionId id, const IpAddress& source, Instant now);
  /// It has knocked rightly: it no longer gives way.
  void knocked(ConnectionId id);
  /// It is a lane now, or gone.
  void left(ConnectionId id);
  /// A source that has proved to be our peer; the last few are remembered.
  void remember(const IpAddress& peer);

  [[nodiscard]] std::size_t count() const { return waiting_.size(); }

 private:
  struct Waiting {
    ConnectionId id;
    Prefix group;
    bool is_known;
    bool has_knocked;
  };
  struct Bucket {
    double tokens;
    Instant at;
  };
  [[nodiscard]] bool takes_token(const Prefix& group, Instant now);
  void forget_full_buckets(Instant now);

  DoorLimits limits_;
  std::list<Waiting> waiting_;  // the eldest first
  std::map<Prefix, Bucket> buckets_;
  Instant next_sweep_{};
  std::list<Prefix> peers_;     // the last first
};

}  // namespace lt::tunnel
