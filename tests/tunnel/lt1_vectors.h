// The known answers of tests/vectors/lt1.json, computed by an independent program.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/json.h"

namespace lt::tunnel::testing {

inline const Json& lt1_vectors() {
  static const Json vectors = [] {
    const auto text =
        read_file(std::string(LINKTUNE_SOURCE_DIR) + "/tests/vectors/lt1.json", 1 << 20);
    if (!text) FAIL(text.error().text());
    const auto json = parse_json(*text, "lt1.json");
    if (!json) FAIL(json.error().text());
    return *json;
  }();
  return vectors;
}

inline std::vector<Byte> bytes_of(const Json& value) {
  const auto bytes = from_hex(value.get<std::string>());
  REQUIRE(bytes);
  return *bytes;
}

template <std::size_t N>
std::array<Byte, N> array_of(const Json& value) {
  const auto bytes = bytes_of(value);
  REQUIRE(bytes.size() == N);
  std::array<Byte, N> array{};
  std::copy(bytes.begin(), bytes.end(), array.begin());
  return array;
}

}  // namespace lt::tunnel::testing
