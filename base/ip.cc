#include "base/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace lt {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;  // inet_pton would stop there
  const std::string terminated(text);
  IpAddress address;
  if (::inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1) return address;
  address.family = Family::v6;
  if (::inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

IpAddress IpAddress::from_v4(std::span<const Byte, 4> raw) {
  IpAddress address;
  std::copy(raw.begin(), raw.end(), address.bytes.begin());
  return address;
}

IpAddress IpAddress::from_v6(std::span<const Byte, 16> raw) {
  IpAddress address{Family::v6, {}};
  std::copy(raw.begin(), raw.end(), address.bytes.begin());
  return address;
}

std::string IpAddress::text() const {
  char text[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(family == Family::v4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
  return text;
}

namespace {

// Whether the first `length` bits of `a` and `b` agree. @pre both have at least (length + 7) / 8 bytes
bool same_bits(const Byte* a, const Byte* b, unsigned length) {
  const unsigned whole = length / 8;
  if (std::memcmp(a, b, whole) != 0) return false;
  const unsigned rest = length % 8;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

}  // namespace

std::optional<Prefix> Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = IpAddress::parse(text.substr(0, slash));
  const auto length = parse_u64(text.substr(slash + 1));
  if (!address || !length || *length > address->bit_length()) return std::nullopt;
  return Prefix{*address, static_cast<unsigned>(*length)};
}

Prefix Prefix::network() const {
  Prefix masked = *this;
  for (unsigned bit = length; bit < address.bit_length(); ++bit) {
    Byte& byte = masked.address.bytes[bit / 8];
    byte = static_cast<Byte>(byte & ~(0x80U >> bit % 8));
  }
  return masked;
}

bool Prefix::contains(const IpAddress& other) const { return contains(other.raw()); }

bool Prefix::contains(ByteView raw) const {
  return raw.size() == address.raw().size() && same_bits(raw.data(), address.bytes.data(), length);
}

bool Prefix::overlaps(const Prefix& other) const {
  return address.family == other.address.family &&
         same_bits(address.bytes.data(), other.address.bytes.data(), std::min(length, other.length));
}

std::string Prefix::text() const { return address.text() + "/" + std::to_string(length); }

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_u64(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;  // a bare IPv6 address: where does the port begin?
  }
  if (host.find_first_of("[]") != std::string_view::npos) return std::nullopt;
  if (host.empty() || !port || *port == 0 || *port > 65535) return std::nullopt;
  return Endpoint{std::string(host), static_cast<std::uint16_t>(*port)};
}

std::string Endpoint::text() const {
  const bool bracket = host.find(':') != std::string::npos;
  return (bracket ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace lt
