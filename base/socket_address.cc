#include "base/socket_address.h"

#include <cstring>

namespace lt {

SocketAddress SocketAddress::of(const IpAddress& address, std::uint16_t port) {
  SocketAddress result;
  if (address.family == Family::v4) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(result.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.bytes.data(), 4);
    result.length = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(result.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address.bytes.data(), 16);
    result.length = sizeof v6;
  }
  return result;
}

IpAddress SocketAddress::address() const {
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    return IpAddress::from_v4(std::span<const Byte, 4>(reinterpret_cast<const Byte*>(&v4.sin_addr), 4));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
  const std::span<const Byte, 16> raw(v6.sin6_addr.s6_addr, 16);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return IpAddress::from_v4(raw.last<4>());
  return IpAddress::from_v6(raw);
}

std::uint16_t SocketAddress::port() const {
  return ntohs(storage.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(storage).sin_port
                                            : reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
}

std::string SocketAddress::text() const { return Endpoint{address().text(), port()}.text(); }

}  // namespace lt
