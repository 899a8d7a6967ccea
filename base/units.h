// Quantities with their unit in the type. Raw integers appear only at the borders to C.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace lt {

using Nanoseconds = std::chrono::nanoseconds;
using Microseconds = std::chrono::microseconds;
using Milliseconds = std::chrono::milliseconds;
using Seconds = std::chrono::seconds;
using namespace std::chrono_literals;

/// A count of one unit; `Tag` keeps two units from meeting by accident.
template <class Tag>
struct Count {
  std::uint64_t value{0};

  friend constexpr auto operator<=>(Count, Count) = default;
  friend constexpr Count operator+(Count a, Count b) { return {a.value + b.value}; }
  friend constexpr Count operator-(Count a, Count b) { return {a.value - b.value}; }
  constexpr Count& operator+=(Count other) {
    value += other.value;
    return *this;
  }
};

using Bytes = Count<struct BytesTag>;
using Packets = Count<struct PacketsTag>;
using BitsPerSecond = Count<struct BitsPerSecondTag>;

constexpr Bytes operator""_B(unsigned long long value) { return {value}; }
constexpr Bytes operator""_KiB(unsigned long long value) { return {value << 10}; }
constexpr Bytes operator""_MiB(unsigned long long value) { return {value << 20}; }

/// The time that `bytes` take at `rate`, rounded up to a nanosecond. @pre rate > 0, bytes < 2^31
[[nodiscard]] constexpr Nanoseconds operator/(Bytes bytes, BitsPerSecond rate) {
  return Nanoseconds((bytes.value * 8'000'000'000ULL + rate.value - 1) / rate.value);
}

/// The mean rate of `bytes` over `time`; one that no number holds is the largest that is. @pre time > 0
[[nodiscard]] constexpr BitsPerSecond operator/(Bytes bytes, Nanoseconds time) {
  constexpr double too_large = 18446744073709551616.0;  // 2^64
  const double rate = static_cast<double>(bytes.value) * 8e9 / static_cast<double>(time.count());
  return {rate < too_large ? static_cast<std::uint64_t>(rate) : ~std::uint64_t{0}};
}

}  // namespace lt
