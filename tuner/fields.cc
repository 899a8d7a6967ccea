#include "tuner/fields.h"

#include <cmath>

#include "base/text.h"

namespace lt::tuner {

namespace {

constexpr std::size_t sentence_length_max = 600;

tl::unexpected<Error> wrong(std::string_view name, const std::string& rule) {
  return fail(Errc::invalid, "`" + std::string(name) + "` must be " + rule);
}

// JSON knows one kind of number; whether it came as signed or unsigned is the parser's affair.
bool is_whole(const Json& value) {
  return value.is_number_unsigned() ||
         (value.is_number_integer() && value.get<std::int64_t>() >= 0);
}

const Json* find(const Json& object, std::string_view name) {
  if (!object.is_object()) return nullptr;
  const auto at = object.find(std::string(name));
  return at == object.end() || at->is_null() ? nullptr : &*at;
}

}  // namespace

bool has_field(const Json& object, std::string_view name) {
  return find(object, name) != nullptr;
}

Result<std::uint64_t> whole_field(const Json& object, std::string_view name, Range range) {
  const Json* value = find(object, name);
  const std::string rule =
      "a whole number from " + std::to_string(range.min) + " to " + std::to_string(range.max);
  if (value == nullptr || !is_whole(*value)) return wrong(name, rule);
  const auto number = value->get<std::uint64_t>();
  if (number < range.min || number > range.max) return wrong(name, rule);
  return number;
}

Result<double> number_field(const Json& object, std::string_view name) {
  const Json* value = find(object, name);
  if (value == nullptr || !value->is_number()) return wrong(name, "a number");
  const auto number = value->get<double>();
  if (!std::isfinite(number) || number < 0) return wrong(name, "finite and not negative");
  return number;
}

Result<bool> truth_field(const Json& object, std::string_view name) {
  const Json* value = find(object, name);
  if (value == nullptr || !value->is_boolean()) return wrong(name, "true or false");
  return value->get<bool>();
}

Result<std::string> text_field(const Json& object, std::string_view name, std::size_t length_max) {
  const Json* value = find(object, name);
  if (value == nullptr || !value->is_string()) return wrong(name, "a text");
  auto text = value->get<std::string>();
  if (text.size() > length_max)
    return wrong(name, "at most " + std::to_string(length_max) + " bytes long");
  return text;
}

Result<Json> object_field(const Json& object, std::string_view name) {
  const Json* value = find(object, name);
  if (value == nullptr || !value->is_object()) return wrong(name, "an object");
  return *value;
}

Result<Json> list_field(const Json& object, std::string_view name, std::size_t length_max) {
  const Json* value = find(object, name);
  if (value == nullptr || !value->is_array()) return wrong(name, "a list");
  if (value->size() > length_max)
    return wrong(name, "at most " + std::to_string(length_max) + " long");
  return *value;
}

Result<std::vector<std::uint64_t>> whole_list_field(const Json& object, std::string_view name,
                                                    std::size_t length_max) {
  LT_TRY(const Json list, list_field(object, name, length_max));
  std::vector<std::uint64_t> numbers;
  numbers.reserve(list.size());
  for (const Json& value : list) {
    if (!is_whole(value)) return wrong(name, "a list of whole numbers");
    numbers.push_back(value.get<std::uint64_t>());
  }
  return numbers;
}

Json error_to_json(const Error& error) {
  return {{"code", std::string(name_of(error.code))}, {"what", error.text()}};
}

Result<Error> error_from_json(const Json& value) {
  LT_TRY(const std::string name, text_field(value, "code", 32));
  LT_TRY(const std::string what, text_field(value, "what", 1U << 16));
  for (int code = 0; code <= static_cast<int>(Errc::io); ++code) {
    if (name_of(static_cast<Errc>(code)) == name) {
      return Error{static_cast<Errc>(code), printable(what, sentence_length_max), 0};
    }
  }
  return wrong("code", "the name of an error, such as timed_out");
}

}  // namespace lt::tuner
