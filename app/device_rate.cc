#include "app/device_rate.h"

#include <ifaddrs.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/socket_address.h"
#include "base/text.h"

namespace lt::app {

namespace {

constexpr std::uint16_t any_port = 9;  // nothing is sent to it
constexpr std::uint64_t megabits_max = 1'000'000;

// The address that the kernel would send from.
std::optional<IpAddress> source_towards(const IpAddress& address) {
  const SocketAddress far = SocketAddress::of(address, any_port);
  const Fd socket(::socket(far.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.is_open() || ::connect(socket.get(), far.raw(), far.length) != 0) return std::nullopt;
  SocketAddress near;
  near.length = sizeof(near.storage);
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&near.storage), &near.length) != 0) return std::nullopt;
  return near.address();
}

std::optional<std::string> device_with(const IpAddress& address) {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return std::nullopt;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> all(first, ::freeifaddrs);
  for (const ifaddrs* each = first; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr) continue;
    SocketAddress own;
    if (each->ifa_addr->sa_family == AF_INET) own.length = sizeof(sockaddr_in);
    if (each->ifa_addr->sa_family == AF_INET6) own.length = sizeof(sockaddr_in6);
    if (own.length == 0) continue;
    std::memcpy(&own.storage, each->ifa_addr, own.length);
    if (own.address() == address) return each->ifa_name;
  }
  return std::nullopt;
}

}  // namespace

std::optional<BitsPerSecond> device_rate_towards(const IpAddress& address) {
  const auto source = source_towards(address);
  const auto device = source ? device_with(*source) : std::nullopt;
  if (!device) return std::nullopt;
  // What is no hardware claims a rate too, and means nothing by it.
  const std::string folder = "/sys/class/net/" + *device;
  if (::access((folder + "/device").c_str(), F_OK) != 0) return std::nullopt;
  const auto text = read_file(folder + "/speed", 64);
  const auto megabits = text ? parse_u64(trim(*text)) : std::nullopt;
  if (!megabits || *megabits == 0 || *megabits > megabits_max) return std::nullopt;
  return BitsPerSecond{*megabits * 1'000'000};
}

}  // namespace lt::app
