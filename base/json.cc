#include "base/json.h"

namespace lt {

Result<Json> parse_json(std::string_view text, std::string_view origin) {
  Json value = Json::parse(text, nullptr, false);
  if (value.is_discarded()) return fail(Errc::invalid, std::string(origin) + " is not valid JSON");
  return value;
}

std::string to_line(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string to_pretty(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace lt
