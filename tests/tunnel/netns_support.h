// A network namespace for one test: the calling thread enters it, and leaves it when the object
// goes.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

#include "base/fd.h"
#include "base/process.h"
#include "base/text.h"

namespace lt::tunnel::testing {

/// A network namespace held by a descriptor; it goes with the last one.
class Namespace {
 public:
  /// Makes a namespace with its loopback up and enters it. The threads started from here on begin
  /// in it.
  Namespace() : before_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    REQUIRE(before_.is_open());
    REQUIRE(::unshare(CLONE_NEWNET) == 0);
    own_ = Fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    REQUIRE(own_.is_open());
    REQUIRE(run_checked({"ip", "link", "set", "lo", "up"}));
  }
  ~Namespace() { static_cast<void>(::setns(before_.get(), CLONE_NEWNET)); }
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  void enter() const { REQUIRE(::setns(own_.get(), CLONE_NEWNET) == 0); }
  /// For another thread than the test's, where REQUIRE has no place.
  [[nodiscard]] bool try_enter() const { return ::setns(own_.get(), CLONE_NEWNET) == 0; }
  void leave() const { REQUIRE(::setns(before_.get(), CLONE_NEWNET) == 0); }

 private:
  Fd before_;
  Fd own_;
};

/// What a command prints; the test fails when the command does.
inline std::string output_of(const Argv& argv) {
  const auto output = run_checked(argv);
  if (!output) FAIL(output.error().text());
  return *output;
}

/// Rules and routes of both families, as `ip` shows them: what must be the same before and after. Without what the
/// kernel adds by itself, on its own time, while an IPv6 address settles.
inline std::string routing_state() {
  const std::string all = output_of({"ip", "-4", "rule"}) + output_of({"ip", "-6", "rule"}) +
                          output_of({"ip", "-4", "route", "show", "table", "all"}) +
                          output_of({"ip", "-6", "route", "show", "table", "all"}) +
                          output_of({"ip", "-br", "address"});
  std::string text;
  for (const std::string_view line : split(all, '\n')) {
    const bool is_settling = line.find("table local proto kernel metric 0 pref medium") != std::string_view::npos;
    if (!is_settling) text += std::string(line) + "\n";
  }
  return text;
}

}  // namespace lt::tunnel::testing
