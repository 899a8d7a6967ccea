// A hundred TCP connections of programs on the LANs, and a line that is dark for up to a minute: none is reset, none is altered,
// and each goes on by itself.
#include "tests/app/link_sites.h"
#include "tests/hostile/completeness.h"
#include "tests/soak/inner_connections.h"

using namespace lt;
using namespace lt::app;
using namespace lt::app::test;
using namespace lt::soak;

TEST_CASE("no inner connection is reset by an outage, however long, and each goes on", "[app][hardening][netns][R5]") {
  // By hand: LINKTUNE_COMPLETE=1 has outages of 5 to 60 s, some twelve minutes in all.
  const std::vector<std::chrono::seconds> outages =
      lt::testing::is_complete_run() ? std::vector<std::chrono::seconds>{5s, 10s, 20s, 40s, 60s, 60s} : std::vector<std::chrono::seconds>{7s};
  Sites sites("lan", "outage");
  sites.start_both();
  sites.wait_until_up();
  REQUIRE(comes_true([&] { return sites.ping(offsite_v4); }, 5s));
  const auto inner = require(InnerConnections::start(sites.sandbox, 100));
  const auto all_answered_since = [&](Instant when) { return inner->alive_since(when) == inner->count(); };
  for (const std::chrono::seconds outage : outages) {
    INFO("an outage of " << outage.count() << " s");
    const Instant before = std::chrono::steady_clock::now();
    REQUIRE(comes_true([&] { return all_answered_since(before); }, tcp_silence_longest));
    require(sites.sandbox.set_wan(lab::all_directions, {"blackout=on"}));
    std::this_thread::sleep_for(outage);  // the outage itself
    CHECK(sites.state("office") != "up");
    require(sites.sandbox.set_wan(lab::all_directions, {"blackout=off"}));
    const Instant back = std::chrono::steady_clock::now();
    const auto since = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - back).count(); };
    REQUIRE(comes_true([&] { return sites.state("office") == "up" && sites.state("offsite") == "up"; }, 20s));
    const double link_s = since();
    REQUIRE(comes_true([&] { return inner->alive_since(back) > 0; }, tcp_silence_longest));
    const double first_s = since();
    const bool all_answered = comes_true([&] { return all_answered_since(back); }, tcp_silence_longest);
    const std::string waits = all_answered ? "" : inner->kernel_view(sites.sandbox);
    INFO(waits);
    CHECK(all_answered);
    std::printf("dark for %lld s: the link was up %.2f s after, the first inner connection answered after %.2f s, all of %zu after %.2f s; ended %u, altered %u\n",
                static_cast<long long>(outage.count()), link_s, first_s, inner->count(), since(), inner->ended(), inner->altered());
    std::fflush(stdout);
  }
  CHECK(inner->ended() == 0);
  CHECK(inner->altered() == 0);
}
