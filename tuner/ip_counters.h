// IpCounters: what this network namespace's kernel says of IP fragments, from /proc/net/snmp and
// /proc/net/sockstat. A datagram whose fragments do not all arrive is lost whole; nobody tells the
// sender but these numbers. The kernel waits 30 s before it gives one up, so one that is incomplete
// when the line is quiet again is lost already.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace lt::tuner {

struct IpCounters {
  std::uint64_t reassembled{0};          // datagrams put together again (ReasmOKs)
  std::uint64_t reassembly_failures{0};  // given up: a fragment is missing, or there was no room
  std::uint64_t incomplete{0};           // waiting for a fragment at this moment
  std::uint64_t fragment_failures{0};    // packets that would not be fragmented (FragFails)

  /// What has happened since `before`.
  [[nodiscard]] IpCounters since(const IpCounters& before) const;
};

/// Of the calling thread's namespace, IPv4. @error io, invalid: /proc is not what proc(5) says
[[nodiscard]] Result<IpCounters> read_ip_counters();
/// From the texts of /proc/net/snmp and /proc/net/sockstat. @error invalid
[[nodiscard]] Result<IpCounters> parse_ip_counters(const std::string& snmp,
                                                   const std::string& sockstat);

}  // namespace lt::tuner
