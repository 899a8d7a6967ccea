// Addresses and prefixes of both families, as values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace lt {

enum class Family : std::uint8_t { v4 = 4, v6 = 6 };

/// An IPv4 or IPv6 address; an IPv4 address uses the first 4 bytes, the rest is zero.
struct IpAddress {
  Family family{Family::v4};
  std::array<Byte, 16> bytes{};

  /// Numeric text only ("10.77.0.1", "fd00::1"); never asks a resolver. @return nothing otherwise
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);
  [[nodiscard]] static IpAddress from_v4(std::span<const Byte, 4> raw);
  [[nodiscard]] static IpAddress from_v6(std::span<const Byte, 16> raw);

  [[nodiscard]] unsigned bit_length() const { return family == Family::v4 ? 32 : 128; }
  [[nodiscard]] ByteView raw() const { return ByteView(bytes).first(family == Family::v4 ? 4 : 16); }
  [[nodiscard]] std::string text() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
};

/// An address with a prefix length: an interface's address (host bits set) or a network.
struct Prefix {
  IpAddress address;
  unsigned length{0};

  /// "10.1.0.0/16"; the length is required. @return nothing otherwise
  [[nodiscard]] static std::optional<Prefix> parse(std::string_view text);

  [[nodiscard]] bool has_host_bits() const { return network().address != address; }
  [[nodiscard]] Prefix network() const;
  [[nodiscard]] bool contains(const IpAddress& other) const;
  /// As above for an address still in a packet: `raw` has 4 or 16 bytes. Allocates nothing.
  [[nodiscard]] bool contains(ByteView raw) const;
  [[nodiscard]] bool overlaps(const Prefix& other) const;
  [[nodiscard]] std::string text() const;

  friend auto operator<=>(const Prefix&, const Prefix&) = default;
};

/// A host and a TCP or UDP port: "203.0.113.5:5198", "[2001:db8::1]:5198", "gw.example.org:5198".
struct Endpoint {
  std::string host;
  std::uint16_t port{0};

  /// @return nothing when the port is missing, 0 or above 65535, or the host is empty
  [[nodiscard]] static std::optional<Endpoint> parse(std::string_view text);
  [[nodiscard]] std::string text() const;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

}  // namespace lt
