// A hundred kinds of strangers that a port on the Internet meets: what each says first.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace lt::testing {

struct StrangerKind {
  std::string name;
  /// What one of this kind says; no two need say the same.
  std::string (*say)(std::mt19937& random, const std::string& text);
  std::string text;  // what it makes its words of
};

[[nodiscard]] std::vector<StrangerKind> stranger_kinds();

}  // namespace lt::testing
