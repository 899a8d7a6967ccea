#include "tuner/arm.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/text.h"
#include "tuner/fields.h"

namespace lt::tuner {

namespace {

constexpr std::size_t word_length_max = 64;

bool is_word(std::string_view word, std::string_view extra) {
  if (word.empty() || word.size() > word_length_max) return false;
  return std::all_of(word.begin(), word.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           extra.find(c) != std::string_view::npos;
  });
}

std::vector<Setting> sorted(std::vector<Setting> settings) {
  std::sort(settings.begin(), settings.end());
  return settings;
}

}  // namespace

std::string_view name_of(ArmCarrier carrier) {
  switch (carrier) {
    case ArmCarrier::bare:
      return "bare";
    case ArmCarrier::native:
      return "native";
    case ArmCarrier::openvpn:
      return "openvpn";
    case ArmCarrier::wireguard:
      return "wireguard";
  }
  return "unknown";
}

std::optional<ArmCarrier> carrier_from_name(std::string_view name) {
  for (const ArmCarrier carrier : {ArmCarrier::bare, ArmCarrier::native, ArmCarrier::openvpn,
                                   ArmCarrier::wireguard}) {
    if (name_of(carrier) == name) return carrier;
  }
  return std::nullopt;
}

std::string canonical_text(const Arm& arm) {
  std::string text(name_of(arm.carrier));
  for (const Setting& setting : sorted(arm.settings))
    text += " " + setting.name + "=" + setting.value;
  return text;
}

std::string hash_of(const Arm& arm) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : canonical_text(arm)) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  std::array<Byte, 8> raw{};
  store_be64(raw.data(), hash);
  return to_hex(raw);
}

Result<Arm> parse_arm(std::string_view text) {
  const std::string shown = printable(text, 120);
  Arm arm;
  bool is_first = true;
  for (const std::string_view word : split(trim(text), ' ')) {
    if (word.empty()) continue;
    if (is_first) {
      const auto carrier = carrier_from_name(word);
      if (!carrier)
        return fail(Errc::invalid,
                    "an arm begins with bare, native, openvpn or wireguard: `" + shown + "`");
      arm.carrier = *carrier;
      is_first = false;
      continue;
    }
    const auto equals = word.find('=');
    if (equals == std::string_view::npos) {
      return fail(Errc::invalid, "write knob=value, such as mtu=9000, in the arm `" + shown + "`");
    }
    arm.settings.push_back(
        {std::string(word.substr(0, equals)), std::string(word.substr(equals + 1))});
  }
  if (is_first)
    return fail(Errc::invalid, "an arm is written like `openvpn proto=tcp tun_mtu=9000`");
  LT_CHECK(validate(arm));
  arm.label = canonical_text(arm).substr(0, label_length_max);
  return arm;
}

Status validate(const Arm& arm) {
  if (arm.label.size() > label_length_max)
    return fail(Errc::invalid, "an arm's label has at most 40 characters");
  if (arm.settings.size() > settings_max)
    return fail(Errc::invalid, "an arm sets at most 32 knobs");
  if (arm.carrier == ArmCarrier::bare && !arm.settings.empty()) {
    return fail(Errc::invalid, "the bare line has no knobs; put them on an arm of a tunnel");
  }
  const std::vector<Setting> settings = sorted(arm.settings);
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const Setting& setting = settings[i];
    if (!is_word(setting.name, "_") || !is_word(setting.value, "_.-:")) {
      return fail(Errc::invalid, "`" + printable(setting.name + "=" + setting.value, 80) +
                                     "` is no knob=value of an arm");
    }
    if (i > 0 && settings[i - 1].name == setting.name) {
      return fail(Errc::invalid, "the knob " + setting.name + " is set twice in `" +
                                     printable(canonical_text(arm), 120) + "`");
    }
  }
  return {};
}

Json to_json(const Arm& arm) {
  return {{"hash", hash_of(arm)},
          {"label", arm.label},
          {"text", canonical_text(arm)},
          {"why", arm.why}};
}

Result<Arm> arm_from_json(const Json& value) {
  LT_TRY(const std::string text, text_field(value, "text", 8192));
  LT_TRY(Arm arm, parse_arm(text));
  LT_TRY(arm.label, text_field(value, "label", label_length_max));
  LT_TRY(arm.why, text_field(value, "why", 1024));
  LT_TRY(const std::string hash, text_field(value, "hash", 16));
  if (hash != hash_of(arm))
    return fail(Errc::invalid, "`hash` is not that of the arm `" + printable(text, 120) + "`");
  return arm;
}

}  // namespace lt::tuner
