// What is printed as JSON fits the schemas that are published in docs/schemas.
#include "tests/schema.h"

#include <catch2/catch.hpp>

#include "base/fd.h"
#include "tests/tuner/page_sample.h"
#include "tuner/probe_json.h"

using namespace lt;
using namespace lt::tuner;

namespace {

Json schema_of(const std::string& name) {
  const std::string path = std::string(LINKTUNE_SOURCE_DIR) + "/docs/schemas/" + name + ".json";
  const auto text = read_file(path, 1 << 20);
  if (!text) FAIL(text.error().text());
  const auto schema = parse_json(*text, path);
  if (!schema) FAIL(schema.error().text());
  return *schema;
}

void check_fits(const Json& value, const std::string& name) {
  for (const std::string& fault : schema::faults(value, schema_of(name))) {
    INFO(fault);
    CHECK(false);
  }
}

}  // namespace

TEST_CASE("a sweep's JSON fits its schema, with a decision and without", "[tuner][schema]") {
  check_fits(json_of(page_sample(false)), "sweep");
  check_fits(json_of(page_sample(true)), "sweep");
  check_fits(json_of(make_report(SweepResult{})), "sweep");
}

TEST_CASE("a probe's JSON fits its schema", "[tuner][schema]") {
  ProbeResult result;
  check_fits(to_json(result), "probe");
  result.path_failure = Error{Errc::timed_out, "nothing comes back", 0};
  result.up = FlowResult{};
  check_fits(to_json(result), "probe");
}

TEST_CASE("a schema finds what is missing, of another type, out of range and unknown",
          "[tuner][schema]") {
  const Json schema = *parse_json(
      R"({"type": "object", "required": ["a"], "additionalProperties": false, "properties": {"a": {"type": "integer", "minimum": 1},
          "b": {"enum": ["x", "y"]}, "c": {"type": "array", "items": {"type": ["string", "null"], "pattern": "^z"}}, "d": {"const": 4}}})",
      "the test");
  const auto count = [&](std::string_view text) {
    return schema::faults(*parse_json(text, "the test"), schema).size();
  };
  CHECK(count(R"({"a": 1, "b": "x", "c": ["z", null], "d": 4})") == 0);
  CHECK(count(R"({})") == 1);
  CHECK(count(R"({"a": 0})") == 1);
  CHECK(count(R"({"a": 1.5})") == 1);
  CHECK(count(R"({"a": 1, "b": "z"})") == 1);
  CHECK(count(R"({"a": 1, "c": ["z", 3, "y"]})") == 2);
  CHECK(count(R"({"a": 1, "d": 5})") == 1);
  CHECK(count(R"({"a": 1, "e": 5})") == 1);
  CHECK(count(R"([])") >= 1);
  CHECK(schema::faults(1, {{"anyOf", Json::array()}}).size() == 1);
}
