// TunDevice: the link's network device. Rooms O1 and I6 read and write its descriptor.
//
// Every packet on it stands behind a VnetHeader of 10 bytes (virtio.h), with and without offload:
// one shape, one code path. Without offload the kernel hands over finished packets only, and the
// header is all zeros. The device lives as long as the object; so do its addresses and the routes
// through it.
//
// It has one queue, or several for each lane (IFF_MULTI_QUEUE): a descriptor each, onto which the
// kernel puts packets as steering.h tells it. What is written to any of them arrives the same way.
// Offload is the device's, not a queue's. Source: performance.md 3.1, 3.3 (queue i <-> lane i);
// security.md B-27, D-8.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "tunnel/flow_class.h"

namespace lt::tunnel {

/// One for each slot of the steering, and one for the express lane: no plan has more (queue_plan.h). (The kernel's own limit
/// is 256.)
inline constexpr std::size_t tun_queues_max = flow_slots + 1;

struct TunOptions {
  std::string name;       // 1..15 characters, no '/', ':', '%' or white space
  std::size_t queues{1};  // 1..tun_queues_max; one makes a device without IFF_MULTI_QUEUE
  bool offload{true};     // super-packets and unfinished checksums
  bool nonblocking{true};
};

class TunDevice {
 public:
  /// Makes the device; it is down and has no address (netlink.h).
  ///
  /// @error invalid        not a device name; no queue or too many
  /// @error not_found      no /dev/net/tun
  /// @error not_permitted  neither root nor CAP_NET_ADMIN
  /// @error busy           a device of that name exists
  /// @error unsupported    this kernel gives the device one queue only; nothing is left behind
  [[nodiscard]] static Result<TunDevice> create(const TunOptions& options);

  /// The first queue.
  [[nodiscard]] int fd() const { return queue_fd(0); }
  /// @pre queue < queue_count()
  [[nodiscard]] int queue_fd(std::size_t queue) const { return queues_.at(queue).get(); }
  [[nodiscard]] std::size_t queue_count() const { return queues_.size(); }
  [[nodiscard]] const std::string& name() const { return name_; }
  /// Whether the kernel hands over and takes super-packets.
  [[nodiscard]] bool offload() const { return offload_; }
  /// Whether UDP super-packets are among them (Linux >= 6.2).
  [[nodiscard]] bool udp_offload() const { return udp_offload_; }

  /// From now on the kernel hands over finished packets only, on every queue; those already queued
  /// may still be super-packets.
  /// @thread any; the offload() seen by another thread is that thread's affair
  [[nodiscard]] Status disable_offload();

 private:
  TunDevice(Fd first, std::string name) : name_(std::move(name)) {
    queues_.push_back(std::move(first));
  }
  Status add_queue(const TunOptions& options);
  void enable_offload();

  std::vector<Fd> queues_;  // in the kernel's order: steering counts them as we do
  std::string name_;
  bool offload_{false};
  bool udp_offload_{false};
};

/// Writes one crafted packet of each kind to each queue of the device and looks whether the kernel
/// took all of them.
///
/// Some kernels accept the offload flags and refuse the packets (Linux 6.6.44: EINVAL for a short
/// last segment). What proves acceptance is the full write and the device's own counters: received
/// + 1 for each, and no error. No packet gets further than the IP layer's first checks: the IPv4
/// ones carry a wrong header checksum, the IPv6 ones a multicast source; neither is answered,
/// forwarded, or logged. (They show in InHdrErrors, InCsumErrors of `nstat`.)
///
/// @error unsupported  the kernel refuses a packet that is right; the sentence names which. Offload
/// should be disabled
/// @error io           the device could not be written for another reason, such as being down
/// @pre   the device is up, has no addresses yet, and nobody else writes to it; without offload
/// this does nothing
/// @source tailscale/tailscale#13041; SagerNet/sing-tun#81 (before the link is up: EIO);
/// performance.md 3.1
[[nodiscard]] Status self_test(const TunDevice& device);

}  // namespace lt::tunnel
