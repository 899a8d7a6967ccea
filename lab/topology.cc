#include "lab/topology.h"

#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "base/text.h"

namespace lt::lab {

namespace {

Prefix prefix(std::string_view text) {
  const auto parsed = Prefix::parse(text);
  LT_ASSERT(parsed.has_value());
  return *parsed;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> known) {
  const auto near = nearest(word, known);
  return near ? "did you mean " + *near + "?" : "one of: " + join(known, ", ");
}

constexpr bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}
constexpr bool is_name_part(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') || c == '-';
}

}  // namespace

std::string_view name_of(Host host) {
  switch (host) {
    case Host::office_lan:
      return "office-lan";
    case Host::office_gw:
      return "office-gw";
    case Host::offsite_gw:
      return "offsite-gw";
    case Host::offsite_lan:
      return "offsite-lan";
  }
  return "?";
}

Result<Host> parse_host(std::string_view text) {
  std::vector<std::string> known;
  for (const Host host : all_hosts) {
    if (text == name_of(host)) return host;
    known.emplace_back(name_of(host));
  }
  return fail(Errc::invalid, "no host of the lab is called " + printable(text, 40) + ": " +
                                 did_you_mean(text, known));
}

std::string_view name_of(Direction direction) {
  return direction == Direction::to_offsite ? "to-offsite" : "to-office";
}

Result<Directions> parse_directions(std::string_view text) {
  std::vector<std::string> known{"both"};
  if (text == "both") return Directions(all_directions);
  for (const Direction& direction : all_directions) {
    if (text == name_of(direction)) return Directions(&direction, 1);
    known.emplace_back(name_of(direction));
  }
  return fail(Errc::invalid,
              printable(text, 40) + " is not a direction: " + did_you_mean(text, known));
}

Topology Topology::standard(std::string name) {
  return {.name = std::move(name),
          .office = {.lan_host = Host::office_lan,
                     .gateway = Host::office_gw,
                     .lan_host_v4 = prefix("192.168.10.2/24"),
                     .lan_host_v6 = prefix("fd00:10::2/64"),
                     .gateway_v4 = prefix("192.168.10.1/24"),
                     .gateway_v6 = prefix("fd00:10::1/64"),
                     .wan_v4 = prefix("198.51.100.1/30"),
                     .control_v4 = prefix("192.0.2.1/30"),
                     .wan_mac = {0x02, 0x6c, 0x74, 0x00, 0x00, 0x01}},
          .offsite = {.lan_host = Host::offsite_lan,
                      .gateway = Host::offsite_gw,
                      .lan_host_v4 = prefix("192.168.20.2/24"),
                      .lan_host_v6 = prefix("fd00:20::2/64"),
                      .gateway_v4 = prefix("192.168.20.1/24"),
                      .gateway_v6 = prefix("fd00:20::1/64"),
                      .wan_v4 = prefix("198.51.100.2/30"),
                      .control_v4 = prefix("192.0.2.2/30"),
                      .wan_mac = {0x02, 0x6c, 0x74, 0x00, 0x00, 0x02}}};
}

std::string Topology::namespace_of(Host host) const {
  return name + "-" + std::string(name_of(host));
}

const Site& Topology::site_of(Host host) const {
  return host == Host::office_lan || host == Host::office_gw ? office : offsite;
}

Status check_name(std::string_view name) {
  if (name.empty() || name.size() > name_length_max || !is_letter(name.front()) ||
      !std::all_of(name.begin(), name.end(), is_name_part)) {
    return fail(Errc::invalid,
                "\"" + printable(name, 40) +
                    "\" cannot name a lab: use a-z, 0-9 and '-', a letter first, at most " +
                    std::to_string(name_length_max) + " characters");
  }
  return {};
}

}  // namespace lt::lab
