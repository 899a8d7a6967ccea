// Which Syncoid the mirror's tests run: the machine's own, or the one that LINKTUNE_SYNCOID names, to
// prove another version than Debian's:
//
//     LINKTUNE_SYNCOID=/opt/sanoid-2.3.0/syncoid ./run test -R mirror
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <optional>
#include <string>

#include "base/process.h"

namespace lt::mirror::testing {

inline constexpr const char* syncoid_variable = "LINKTUNE_SYNCOID";

/// A name on PATH, or a whole path, as `[mirror] syncoid` takes it.
inline std::string syncoid_program() {
  const char* const named = std::getenv(syncoid_variable);
  return named != nullptr && *named != '\0' ? named : "syncoid";
}

/// The sentence why this machine has no Syncoid; nothing where it has.
/// One that was named and cannot be run fails the test: nobody asked for another one, or for none.
inline std::optional<std::string> why_no_syncoid() {
  const std::string program = syncoid_program();
  if (program == "syncoid") {
    return find_program(program) ? std::nullopt : std::optional<std::string>("syncoid is not installed (apt-get install sanoid)");
  }
  INFO(syncoid_variable << "=" << program);
  REQUIRE(program.front() == '/');
  REQUIRE(::access(program.c_str(), X_OK) == 0);
  return std::nullopt;
}

}  // namespace lt::mirror::testing
