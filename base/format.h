// The door of fmt, until std::format is there: lt::format("{:.1f} ms", value).
#pragma once

#include <fmt/format.h>

namespace lt {
using fmt::format;
}  // namespace lt
