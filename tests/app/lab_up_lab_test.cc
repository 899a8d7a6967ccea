// A lab that is to be left standing, and is told to stop while it is being built.
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "lab/lab_state.h"
#include "lab/netns.h"
#include "lab/topology.h"
#include "tests/app/link_sites.h"

using namespace lt;
using namespace lt::app::test;

namespace {

const std::string name = "lttestup";

bool stands() {
  return lab::namespace_exists(lab::Topology::standard(name).namespace_of(lab::Host::office_gw));
}

}  // namespace

TEST_CASE("a lab that is interrupted while it is built stands whole or not at all", "[app][lab][netns]") {
  int interrupted = 0;
  for (const auto after : {5ms, 10ms, 20ms, 35ms, 50ms, 80ms, 120ms, 200ms}) {
    CAPTURE(after.count());
    Child child = require(Child::start({.argv = {program, "lab", "up", "--name", name, "--profile", "lan"}}));
    std::this_thread::sleep_for(after);  // where in the build it falls is what is tried
    child.signal(SIGINT);
    const auto code = child.wait(20s);
    REQUIRE(code);
    if (*code == 0) {
      CHECK(stands());
      CHECK(run_process({program, "lab", "down", "--name", name})->exit_code == 0);
    } else {
      ++interrupted;
    }
    CHECK_FALSE(stands());
    CHECK(::access(lab::state_directory(name).c_str(), F_OK) != 0);
  }
  CHECK(interrupted > 0);
}
