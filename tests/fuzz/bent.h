// An honest JSON text that the fuzzer has bent.
#pragma once

#include <vector>

#include "base/json.h"
#include "tests/fuzz/fuzz.h"

namespace lt::fuzz {

inline void collect_numbers(Json& value, std::vector<Json*>& numbers) {
  if (value.is_number()) numbers.push_back(&value);
  if (!value.is_structured()) return;
  for (auto& inner : value) collect_numbers(inner, numbers);
}

// An honest text in which some numbers are the fuzzer's: whole, negative, or with a fraction.
inline Json bent(Json value, Choices& choices) {
  std::vector<Json*> numbers;
  collect_numbers(value, numbers);
  for (std::size_t bends = 1 + choices.below(4); bends > 0; --bends) {
    Json& number = *numbers[choices.below(numbers.size())];
    const Byte shape = choices.u8();
    const std::uint64_t drawn = shape < 128 ? choices.u32() : std::uint64_t{choices.u32()} << 32 | choices.u32();
    if (shape % 4 == 1) number = static_cast<std::int64_t>(drawn);
    else if (shape % 4 == 2) number = static_cast<double>(drawn) / 1000;
    else number = drawn;
  }
  return value;
}

}  // namespace lt::fuzz
