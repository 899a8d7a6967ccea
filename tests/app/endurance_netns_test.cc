// What a link leaves behind when it comes and goes, and what it does where it cannot write a word.
#include <cstdlib>

#include "tests/app/link_sites.h"

using namespace lt;
using namespace lt::app;
using namespace lt::app::test;

namespace {

std::size_t own_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace

TEST_CASE("links that come and go leave no device, address, route, rule or descriptor", "[app][hardening][netns][R16]") {
  // By hand: LINKTUNE_CYCLES=10000 link_hardening_test "links that come and go*"
  const char* const wanted = std::getenv("LINKTUNE_CYCLES");
  const int cycles = wanted == nullptr ? 8 : std::atoi(wanted);
  Sites sites("lan", "cycles");
  const std::string office_before = sites.network_of(lab::Host::office_gw);
  const std::string offsite_before = sites.network_of(lab::Host::offsite_gw);
  std::size_t descriptors = 0;
  for (int i = 0; i < cycles; ++i) {
    INFO("cycle " << i);
    sites.start_both();
    sites.wait_until_up();
    REQUIRE(sites.office.end(5s) == 0);
    REQUIRE(sites.offsite.end(5s) == 0);
    if (i == 0) descriptors = own_descriptors();
    REQUIRE(own_descriptors() == descriptors);
  }
  CHECK(sites.network_of(lab::Host::office_gw) == office_before);
  CHECK(sites.network_of(lab::Host::offsite_gw) == offsite_before);
  for (const char* const site : {"office", "offsite"}) CHECK_FALSE(std::filesystem::exists(control_path(sites.folder.path(), site)));
}

TEST_CASE("a disk that is full holds no link up", "[app][hardening][netns][R20]") {
  Sites sites("lan", "full");
  sites.office = require(Child::start({.argv = sites.sandbox.exec(lab::Host::office_gw, {program, "up", "--config", sites.files.office.config_path, "--run-dir", sites.folder.path()}),
                                       .output_path = "/dev/full"}));
  sites.offsite = sites.start(lab::Host::offsite_gw, sites.files.offsite.config_path, "offsite.log");
  sites.wait_until_up();
  CHECK(sites.ping(offsite_v4));
  sites.offsite.signal(SIGKILL);
  REQUIRE(sites.offsite.wait(5s));
  sites.offsite = sites.start(lab::Host::offsite_gw, sites.files.offsite.config_path, "offsite.log");
  sites.wait_until_up();
  CHECK(comes_true([&] { return sites.ping(offsite_v4); }, 5s));
  CHECK(sites.office.end(5s) == 0);
}
