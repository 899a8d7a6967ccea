#include "tunnel/drop_reason.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "tunnel/packet_meta.h"

namespace lt::tunnel {
namespace {

TEST_CASE("every drop reason has a name of its own", "[tunnel][drop_reason]") {
  std::set<std::string> names;
  for (std::size_t i = 0; i < drop_reason_count; ++i)
    names.emplace(name_of(DropReason(i)));
  CHECK(names.size() == drop_reason_count);
  CHECK(names.count("unknown") == 0);
  CHECK(name_of(DropReason::too_short) == "too_short");
  CHECK(name_of(DropReason::device_error) == "device_error");
}

TEST_CASE("drops are counted by reason, and the sum is theirs", "[tunnel][drop_reason]") {
  DropCounters counters;
  CHECK(counters.total() == 0);
  counters.count(DropReason::too_short);
  counters.count(DropReason::over_mtu, 41);
  counters.count(DropReason::over_mtu);
  CHECK(counters.of(DropReason::too_short) == 1);
  CHECK(counters.of(DropReason::over_mtu) == 42);
  CHECK(counters.of(DropReason::bad_length) == 0);
  CHECK(counters.total() == 43);
  const auto snapshot = counters.snapshot();
  counters.count(DropReason::too_short);
  CHECK(snapshot[std::size_t(DropReason::too_short)] == 1);
}

TEST_CASE("a wire byte names one of the six kinds, or none", "[tunnel][packet_meta]") {
  for (unsigned wire = 0; wire < 256; ++wire) {
    CAPTURE(wire);
    const auto kind = packet_kind_from(static_cast<std::uint8_t>(wire));
    REQUIRE(kind.has_value() == (wire < 6));
    if (!kind) continue;
    CHECK(unsigned(*kind) == wire);
    CHECK(is_super(*kind) == (wire >= 2));
    CHECK(is_tcp(*kind) == (wire == 2 || wire == 3));
  }
}

}  // namespace
}  // namespace lt::tunnel
