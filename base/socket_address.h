// SocketAddress: an address and a port as the socket calls take them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "base/ip.h"

namespace lt {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length{0};

  [[nodiscard]] static SocketAddress of(const IpAddress& address, std::uint16_t port);
  [[nodiscard]] const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] IpAddress address() const;  // an IPv4 address mapped into IPv6 is given as IPv4
  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::string text() const;
};

}  // namespace lt
