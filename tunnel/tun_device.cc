#include "tunnel/tun_device.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "tunnel/checksum.h"
#include "tunnel/netlink.h"
#include "tunnel/virtio.h"

namespace lt::tunnel {

namespace {

// Linux >= 6.2; the headers of Debian 12 lack them.
constexpr unsigned tun_uso4 = 0x20;
constexpr unsigned tun_uso6 = 0x40;
// The segmentation flags mean nothing without TUN_F_CSUM.
constexpr unsigned tun_tcp_offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

constexpr const char* tun_path = "/dev/net/tun";

bool is_device_name(std::string_view name) {
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == "..") return false;
  return std::ranges::all_of(name, [](char c) {
    return std::isgraph(static_cast<unsigned char>(c)) != 0 && c != '/' && c != ':' && c != '%';
  });
}

tl::unexpected<Error> fail_open(int error) {
  const std::string path(tun_path);
  switch (error) {
    case ENOENT:
      return fail(Errc::not_found,
                  "there is no " + path +
                      "; load the module with `modprobe tun`, or hand the device to the "
                      "container (--device " +
                      path + ")");
    case ENODEV:
    case ENXIO:
      return fail(Errc::not_found, path + " has no driver behind it; load it with `modprobe tun`");
    case EACCES:
    case EPERM:
      return fail(Errc::not_permitted,
                  "not permitted to open " + path +
                      "; run as root, or allow the device (DeviceAllow=" + path + " rw)");
    default:
      return fail_errno(error, "cannot open " + path);
  }
}

tl::unexpected<Error> fail_create(int error, const std::string& name) {
  switch (error) {
    case EPERM:
      return fail(Errc::not_permitted, "not permitted to make the device " + name +
                                           "; run as root or with CAP_NET_ADMIN");
    case EBUSY:
      return fail(Errc::busy,
                  "a device named " + name +
                      " exists already; is this link running? Otherwise choose another `device` "
                      "in the configuration, or remove it with `ip link del " +
                      name + "`");
    default:
      return fail_errno(error, "cannot make the device " + name);
  }
}

Result<Fd> open_tun(const TunOptions& options) {
  const int nonblocking = options.nonblocking ? O_NONBLOCK : 0;
  Fd fd(::open(tun_path, O_RDWR | O_CLOEXEC | nonblocking));
  if (!fd.is_open()) return fail_open(errno);
  return fd;
}

// @return 0 or the errno
int name_queue(const Fd& fd, const TunOptions& options, unsigned more_flags) {
  ::ifreq request{};
  std::memcpy(request.ifr_name, options.name.data(), options.name.size());
  unsigned flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | more_flags;
  if (options.queues > 1) flags |= IFF_MULTI_QUEUE;
  request.ifr_flags = static_cast<short>(flags);
  return ::ioctl(fd.get(), TUNSETIFF, &request) == 0 ? 0 : errno;
}

tl::unexpected<Error> fail_queues(int error, const TunOptions& options) {
  return fail(Error{Errc::unsupported,
                    "this kernel does not give the device " + options.name + " " +
                        std::to_string(options.queues) +
                        " queues; the link works with one lane, without an express lane",
                    error});
}

}  // namespace

Result<TunDevice> TunDevice::create(const TunOptions& options) {
  if (!is_device_name(options.name)) {
    return fail(Errc::invalid,
                "\"" + options.name +
                    "\" is not a device name; use 1 to 15 letters, digits, '-', '_' or '.'");
  }
  if (options.queues < 1 || options.queues > tun_queues_max) {
    return fail(Errc::invalid, "a tunnel device has 1 to " + std::to_string(tun_queues_max) +
                                   " queues, not " + std::to_string(options.queues));
  }
  LT_TRY(Fd first, open_tun(options));
  // EXCL: without it a device that somebody else keeps would be shared silently.
  if (const int error = name_queue(first, options, IFF_TUN_EXCL); error != 0) {
    // A kernel before 3.8 takes the flag for a mistake.
    if (error == EINVAL && options.queues > 1) return fail_queues(error, options);
    return fail_create(error, options.name);
  }
  TunDevice device(std::move(first), options.name);
  while (device.queue_count() < options.queues)
    LT_CHECK(device.add_queue(options));
  if (options.offload) device.enable_offload();
  return device;
}

Status TunDevice::add_queue(const TunOptions& options) {
  LT_TRY(Fd fd, open_tun(options));
  if (const int error = name_queue(fd, options, 0); error != 0) return fail_queues(error, options);
  queues_.push_back(std::move(fd));
  return {};
}

void TunDevice::enable_offload() {
  // A kernel that knows no USO refuses the whole mask, so the known part is asked for first.
  if (::ioctl(fd(), TUNSETOFFLOAD, tun_tcp_offloads) != 0) return;
  offload_ = true;
  udp_offload_ = ::ioctl(fd(), TUNSETOFFLOAD, tun_tcp_offloads | tun_uso4 | tun_uso6) == 0;
}

Status TunDevice::disable_offload() {
  if (::ioctl(fd(), TUNSETOFFLOAD, 0U) != 0) {
    return fail_errno(errno, "cannot switch the offload of " + name_ + " off");
  }
  offload_ = false;
  udp_offload_ = false;
  return {};
}

namespace {

constexpr std::uint16_t trial_gso_size = 1000;
constexpr std::size_t trial_short_tail = 7;
constexpr std::size_t trial_payload = 2 * trial_gso_size + trial_short_tail;

struct Trial {
  std::string_view what;
  PacketMeta meta;
  std::vector<Byte> packet;
};

// RFC 5737 addresses, and a header checksum that is wrong on purpose: ip_rcv drops it before
// anything looks further.
std::vector<Byte> trial_ipv4(std::uint8_t protocol, std::size_t transport_bytes) {
  std::vector<Byte> packet(ipv4_header_bytes + transport_bytes);
  packet[0] = 0x45;
  store_be16(&packet[2], static_cast<std::uint16_t>(packet.size()));
  packet[8] = 1;
  packet[9] = protocol;
  const Byte addresses[8] = {192, 0, 2, 1, 192, 0, 2, 2};
  std::copy(std::begin(addresses), std::end(addresses), packet.begin() + 12);
  store_checksum(&packet[10], add_bytes({}, ByteView(packet).first(ipv4_header_bytes)));
  packet[10] = static_cast<Byte>(packet[10] ^ 0x55);
  return packet;
}

// RFC 3849 destination; RFC 4291 2.7 forbids a multicast source: ipv6_rcv drops it at sight.
std::vector<Byte> trial_ipv6(std::uint8_t protocol, std::size_t transport_bytes) {
  std::vector<Byte> packet(ipv6_header_bytes + transport_bytes);
  packet[0] = 0x60;
  store_be16(&packet[4], static_cast<std::uint16_t>(transport_bytes));
  packet[6] = protocol;
  packet[7] = 1;
  packet[8] = 0xff;
  packet[9] = 0x0e;
  packet[23] = 1;
  const Byte documentation[4] = {0x20, 0x01, 0x0d, 0xb8};
  std::copy(std::begin(documentation), std::end(documentation), packet.begin() + 24);
  packet[39] = 2;
  return packet;
}

std::vector<Byte> with_tcp(std::vector<Byte> packet, std::size_t at) {
  store_be16(&packet[at], 9);  // the discard port, both ways
  store_be16(&packet[at + 2], 9);
  packet[at + 12] = 5 << 4;
  packet[at + 13] = 0x10;  // ACK
  return packet;
}

std::vector<Byte> with_udp(std::vector<Byte> packet, std::size_t at) {
  store_be16(&packet[at], 9);
  store_be16(&packet[at + 2], 9);
  store_be16(&packet[at + 4], static_cast<std::uint16_t>(packet.size() - at));
  return packet;
}

std::vector<Trial> make_trials(bool udp) {
  using enum PacketKind;
  constexpr std::size_t tcp_bytes = tcp_header_bytes_min + trial_payload;
  constexpr std::size_t udp_bytes = udp_header_bytes + trial_payload;
  std::vector<Trial> trials;
  trials.push_back({"a packet with an unfinished checksum",
                    {partial_checksum, 0},
                    with_udp(trial_ipv4(protocol_udp, 100), ipv4_header_bytes)});
  trials.push_back({"a TCP/IPv4 super-packet",
                    {tcp4, trial_gso_size},
                    with_tcp(trial_ipv4(protocol_tcp, tcp_bytes), ipv4_header_bytes)});
  trials.push_back({"a TCP/IPv6 super-packet",
                    {tcp6, trial_gso_size},
                    with_tcp(trial_ipv6(protocol_tcp, tcp_bytes), ipv6_header_bytes)});
  if (!udp) return trials;
  trials.push_back({"a UDP/IPv4 super-packet",
                    {udp4, trial_gso_size},
                    with_udp(trial_ipv4(protocol_udp, udp_bytes), ipv4_header_bytes)});
  trials.push_back({"a UDP/IPv6 super-packet",
                    {udp6, trial_gso_size},
                    with_udp(trial_ipv6(protocol_udp, udp_bytes), ipv6_header_bytes)});
  return trials;
}

tl::unexpected<Error> fail_trial(const Trial& trial, const std::string& how) {
  return fail(Errc::unsupported, "this kernel does not take " + std::string(trial.what) +
                                     " from a TUN device (" + how +
                                     "); the link works without offload, more slowly");
}

Status write_trial(int fd, Trial trial) {
  constexpr std::uint32_t mtu = trial_gso_size + 100;
  const auto header = rebuild(trial.meta, trial.packet, mtu);
  if (!header) return fail_trial(trial, std::string(name_of(header.error())));
  std::vector<Byte> bytes(vnet_header_bytes);
  store_vnet(bytes.data(), *header);
  bytes.insert(bytes.end(), trial.packet.begin(), trial.packet.end());
  const ssize_t written = ::write(fd, bytes.data(), bytes.size());
  if (written == static_cast<ssize_t>(bytes.size())) return {};
  if (written >= 0) return fail_trial(trial, "it took " + std::to_string(written) + " bytes of it");
  if (errno == EINVAL) return fail_trial(trial, "EINVAL");
  return fail_errno(errno, "cannot write to the tunnel device");
}

Status try_queue(const TunDevice& device, std::size_t queue, Netlink& netlink) {
  for (const Trial& trial : make_trials(device.udp_offload())) {
    LT_TRY(const DeviceCounters before, netlink.device_counters(device.name()));
    LT_CHECK(write_trial(device.queue_fd(queue), trial));
    LT_TRY(const DeviceCounters after, netlink.device_counters(device.name()));
    if (after.received_packets != before.received_packets + 1 ||
        after.receive_errors != before.receive_errors) {
      return fail_trial(trial, "it was written, and lost");
    }
  }
  return {};
}

}  // namespace

Status self_test(const TunDevice& device) {
  if (!device.offload()) return {};
  LT_TRY(auto netlink, Netlink::open());
  for (std::size_t queue = 0; queue < device.queue_count(); ++queue)
    LT_CHECK(try_queue(device, queue, netlink));
  return {};
}

}  // namespace lt::tunnel
