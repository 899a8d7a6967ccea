// Holds a JSON value against a JSON schema of draft 2020-12: the words that those in docs/schemas use, and no others.
#pragma once

#include <algorithm>
#include <regex>
#include <string>
#include <vector>

#include "base/json.h"

namespace lt::schema {

inline bool is_of_type(const Json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "integer") return value.is_number_integer();
  return type == "number" && value.is_number();
}

/// What is wrong with `value`, each with its place; nothing when it fits. A word of the schema that is
/// not known here is wrong, too: it would not be checked.
inline std::vector<std::string> faults(const Json& value, const Json& schema, const std::string& place = "$") {
  std::vector<std::string> found;
  const auto add = [&](const std::string& what) { found.push_back(place + ": " + what); };
  for (const auto& [word, wanted] : schema.items()) {
    if (word == "$schema" || word == "title") continue;
    if (word == "type") {
      bool fits = false;
      for (const Json& type : wanted.is_array() ? wanted : Json::array({wanted}))
        fits = fits || is_of_type(value, type.get<std::string>());
      if (!fits) add("not of type " + wanted.dump());
    } else if (word == "enum") {
      if (std::find(wanted.begin(), wanted.end(), value) == wanted.end()) add(value.dump() + " is none of " + wanted.dump());
    } else if (word == "const") {
      if (value != wanted) add("not " + wanted.dump());
    } else if (word == "minimum") {
      if (value.is_number() && value.get<double>() < wanted.get<double>()) add("below " + wanted.dump());
    } else if (word == "maximum") {
      if (value.is_number() && value.get<double>() > wanted.get<double>()) add("above " + wanted.dump());
    } else if (word == "pattern") {
      if (value.is_string() && !std::regex_search(value.get<std::string>(), std::regex(wanted.get<std::string>())))
        add(value.dump() + " is not like " + wanted.dump());
    } else if (word == "required") {
      for (const Json& name : wanted)
        if (value.is_object() && !value.contains(name.get<std::string>())) add("lacks " + name.dump());
    } else if (word == "properties") {
      for (const auto& [name, inner] : wanted.items()) {
        if (!value.is_object() || !value.contains(name)) continue;
        for (std::string& fault : faults(value.at(name), inner, place + "." + name)) found.push_back(std::move(fault));
      }
    } else if (word == "additionalProperties") {
      for (const auto& [name, inner] : value.items())
        if (wanted == false && !schema.at("properties").contains(name)) add("has `" + name + "`, which the schema does not know");
    } else if (word == "items") {
      for (std::size_t i = 0; value.is_array() && i < value.size(); ++i)
        for (std::string& fault : faults(value.at(i), wanted, place + "[" + std::to_string(i) + "]")) found.push_back(std::move(fault));
    } else {
      add("the schema says `" + word + "`, which is not checked");
    }
  }
  return found;
}

}  // namespace lt::schema
