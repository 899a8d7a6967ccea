#include "tuner/ip_counters.h"

#include <catch2/catch.hpp>

using namespace lt;
using namespace lt::tuner;

namespace {

const std::string names =
    "Ip: Forwarding ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails\n";

const std::string waiting = "sockets: used 9\nFRAG: inuse 4 memory 8192\n";

}  // namespace

TEST_CASE("the kernel's counters of fragments are found by their names", "[tuner][gate]") {
  const auto counters =
      parse_ip_counters(names + "Ip: 1 0 40 17 3 5 2\nIcmp: InMsgs\nIcmp: 0\n", waiting);
  REQUIRE(counters);
  CHECK(counters->reassembled == 17);
  CHECK(counters->reassembly_failures == 3);
  CHECK(counters->fragment_failures == 2);
  const IpCounters passed = counters->since({10, 3, 1, 5});
  CHECK(counters->incomplete == 4);
  CHECK(passed.incomplete == 3);
  CHECK(passed.reassembled == 7);
  CHECK(passed.reassembly_failures == 0);
  CHECK(passed.fragment_failures == 0);  // a counter that went back says nothing
}

TEST_CASE("what is no /proc/net/snmp or sockstat is refused", "[tuner][gate]") {
  CHECK_FALSE(parse_ip_counters("", waiting));
  CHECK_FALSE(parse_ip_counters(names, waiting));
  CHECK_FALSE(parse_ip_counters(names + "Ip: 1 0 40 17 3 5\n", waiting));
  CHECK_FALSE(parse_ip_counters(names + "Ip: 1 0 40 many 3 5 2\n", waiting));
  CHECK_FALSE(parse_ip_counters("Ip: Forwarding\nIp: 1\n", waiting));
  const std::string sound = names + "Ip: 1 0 40 17 3 5 2\n";
  CHECK_FALSE(parse_ip_counters(sound, ""));
  CHECK_FALSE(parse_ip_counters(sound, "FRAG: inuse\n"));
  CHECK_FALSE(parse_ip_counters(sound, "FRAG: inuse some memory 0\n"));
}

TEST_CASE("this machine's own counters can be read", "[tuner][gate]") {
  CHECK(read_ip_counters());
}
