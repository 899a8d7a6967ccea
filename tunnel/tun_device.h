// TunDevice: the link's network device. Rooms O1 and I6 read and write its descriptor.
//
// Every packet on it stands behind a VnetHeader of 10 bytes (virtio.h), with and without offload:
// one shape, one code path. Without offload the kernel hands over finished packets only, and the
// header is all zeros. The device lives as long as the object; so do its addresses and the routes
// through it. Source: performance.md 3.1, 3.3 (one queue); security.md B-27, D-8.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace lt::tunnel {

struct TunOptions {
  std::string name;    // 1..15 characters, no '/', ':', '%' or white space
  bool offload{true};  // super-packets and unfinished checksums
  bool nonblocking{true};
};

class TunDevice {
 public:
  /// Makes the device; it is down and has no address (netlink.h).
  ///
  /// @error invalid        not a device name
  /// @error not_found      no /dev/net/tun
  /// @error not_permitted  neither root nor CAP_NET_ADMIN
  /// @error busy           a device of that name exists
  [[nodiscard]] static Result<TunDevice> create(const TunOptions& options);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& name() const { return name_; }
  /// Whether the kernel hands over and takes super-packets.
  [[nodiscard]] bool offload() const { return offload_; }
  /// Whether UDP super-packets are among them (Linux >= 6.2).
  [[nodiscard]] bool udp_offload() const { return udp_offload_; }

  /// From now on the kernel hands over finished packets only; those already queued may still be
  /// super-packets.
  /// @thread any; the offload() seen by another thread is that thread's affair
  [[nodiscard]] Status disable_offload();

 private:
  TunDevice(Fd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}
  void enable_offload();

  Fd fd_;
  std::string name_;
  bool offload_{false};
  bool udp_offload_{false};
};

/// Writes one crafted packet of each kind to the device and looks whether the kernel took all of
/// them.
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
