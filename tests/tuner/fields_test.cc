#include "tuner/fields.h"

#include <catch2/catch.hpp>

using namespace lt;
using namespace lt::tuner;

TEST_CASE("a field is taken when name, type and range fit", "[tuner][fields]") {
  const Json object = {
      {"n", 7}, {"x", 1.5}, {"yes", true}, {"t", "text"}, {"o", Json::object()}, {"l", {1, 2}}};
  CHECK(*whole_field(object, "n", {7, 7}) == 7);
  CHECK(*number_field(object, "x") == 1.5);
  CHECK(*number_field(object, "n") == 7);
  CHECK(*truth_field(object, "yes"));
  CHECK(*text_field(object, "t", 4) == "text");
  CHECK(object_field(object, "o"));
  CHECK(*whole_list_field(object, "l", 2) == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("a field of another type, range or length is refused by its name", "[tuner][fields]") {
  const Json object = {{"n", 7},          {"minus", -1},   {"x", 1.5},    {"t", "text"},
                       {"null", nullptr}, {"l", {1, "2"}}, {"big", 1e300}};
  CHECK_FALSE(whole_field(object, "n", {8, 9}));
  CHECK_FALSE(whole_field(object, "n", {0, 6}));
  CHECK_FALSE(whole_field(object, "minus"));
  CHECK_FALSE(whole_field(object, "x"));
  CHECK_FALSE(whole_field(object, "t"));
  CHECK_FALSE(whole_field(object, "absent"));
  CHECK_FALSE(whole_field(object, "null"));
  CHECK_FALSE(number_field(object, "minus"));
  CHECK(number_field(object, "big"));
  CHECK_FALSE(truth_field(object, "n"));
  CHECK_FALSE(text_field(object, "t", 3));
  CHECK_FALSE(text_field(object, "n", 3));
  CHECK_FALSE(object_field(object, "l"));
  CHECK_FALSE(list_field(object, "l", 1));
  CHECK_FALSE(whole_list_field(object, "l", 2));
  CHECK_FALSE(whole_field(Json::array(), "n"));
  CHECK(whole_field(object, "absent").error().what.find("`absent`") != std::string::npos);
  CHECK_FALSE(has_field(object, "null"));
  CHECK(has_field(object, "n"));
}

TEST_CASE("an error keeps its code across JSON, and its sentence is made safe to show",
          "[tuner][fields]") {
  for (int code = 0; code <= static_cast<int>(Errc::io); ++code) {
    const Error error{static_cast<Errc>(code), "why", 0};
    CHECK(error_from_json(error_to_json(error))->code == error.code);
  }
  CHECK(error_from_json({{"code", "io"}, {"what", "a\x1b[31mb"}})->what == "a\\x1b[31mb");
  CHECK(error_from_json({{"code", "io"}, {"what", std::string(5000, 'x')}})->what.size() <= 603);
  CHECK_FALSE(error_from_json({{"code", "surprise"}, {"what", ""}}));
  CHECK_FALSE(error_from_json({{"code", 3}, {"what", ""}}));
}
