#include "base/json.h"

#include <catch2/catch.hpp>

namespace lt {
namespace {

TEST_CASE("JSON is read, and written in the order in which it was made", "[base][json]") {
  const auto value = parse_json(R"({"b":1,"a":[true,null,"x"]})", "test");
  REQUIRE(value);
  CHECK(to_line(*value) == R"({"b":1,"a":[true,null,"x"]})");
  CHECK(to_pretty(*value).starts_with("{\n  \"b\": 1,"));
}

TEST_CASE("what is no JSON is an error that names its origin", "[base][json]") {
  for (const char* bad : {"", "{", "{\"a\":1,}", "nul", "1 2", "\"\x01\"", "'a'", "{\"a\" 1}"}) {
    INFO(bad);
    const auto value = parse_json(bad, "iperf3");
    REQUIRE_FALSE(value);
    CHECK(value.error().code == Errc::invalid);
    CHECK(value.error().what == "iperf3 is not valid JSON");
  }
}

TEST_CASE("bytes that are not UTF-8 are replaced, not thrown over", "[base][json]") {
  const Json value{{"text", std::string("a\xff") + "b"}};
  CHECK(to_line(value) ==
        "{\"text\":\"a\xef\xbf\xbd"
        "b\"}");
  CHECK_NOTHROW(to_pretty(value));
}

}  // namespace
}  // namespace lt
