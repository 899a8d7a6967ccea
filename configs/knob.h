// The knob table: every tunable number of the product, once, with its unit, range, default, reason
// and source.
//
// Five readers: TOML validation (toml_reader.cc), --help, the tuner's space, the OpenVPN writer,
// and the table in docs/OPERATING.md. Values travel as text ("256KiB", "1500", "on", "unset") or as
// a KnobValue; both are checked here.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "configs/link_config.h"
#include "configs/openvpn_knobs.h"

namespace lt::configs {

enum class Carrier : std::uint8_t { native, openvpn };

/// How a knob's text reads. integer: "1500"; bytes: "262144", "256KiB", "4MiB"; packets: "500";
/// toggle: "on", "off"; choice: one of `choices`; name: a word the kernel must know, `choices` are
/// the usual ones.
enum class KnobType : std::uint8_t { integer, bytes, packets, toggle, choice, name };

/// How far apart two values are: what the tuner steps by.
enum class Scale : std::uint8_t { linear, log, choice };

/// A short list of words that lives in a constant table.
class Words {
 public:
  static constexpr std::size_t count_max = 8;
  constexpr Words() = default;
  constexpr Words(std::initializer_list<std::string_view> words) {
    for (const std::string_view word : words)
      items_.at(count_++) = word;
  }
  [[nodiscard]] constexpr const std::string_view* begin() const { return items_.data(); }
  [[nodiscard]] constexpr const std::string_view* end() const { return items_.data() + count_; }
  [[nodiscard]] constexpr std::size_t size() const { return count_; }
  [[nodiscard]] constexpr std::string_view operator[](std::size_t i) const { return items_.at(i); }

 private:
  std::array<std::string_view, count_max> items_{};
  std::size_t count_{0};
};

struct Knob {
  std::string_view name{};  // as in TOML and on the command line: "native.mtu", "openvpn.tun_mtu"
  Carrier carrier{Carrier::native};
  KnobType type{KnobType::integer};
  std::string_view unit{};  // of a number: "B", "packets"; else empty
  std::uint64_t min{0};     // of a number, in `unit`; both ends belong to the range
  std::uint64_t max{0};
  bool may_be_unset{false};  // takes "unset": somebody else decides
  Scale scale{Scale::linear};
  Words choices{};  // of a choice or a name
  Words sweep{};    // the values a sweep tries first, as text
  std::string_view why{};
  std::string_view source{};

  /// The part behind the dot.
  [[nodiscard]] std::string_view key() const;
};

struct Unset {
  friend bool operator==(Unset, Unset) = default;
};

/// A knob's value: a number in the knob's unit, a toggle, a word, or nothing.
using KnobValue = std::variant<Unset, std::uint64_t, bool, std::string>;

/// The whole table: the native rows first, each in the order of its struct.
[[nodiscard]] std::vector<Knob> knobs();
[[nodiscard]] std::vector<Knob> knobs(Carrier carrier);

/// The row of "native.mtu"; of "mtu" too, where `carrier` is known. Dashes count as underscores.
/// @error invalid: no such knob; names the nearest
[[nodiscard]] Result<Knob> find_knob(std::string_view name);
[[nodiscard]] Result<Knob> find_knob(Carrier carrier, std::string_view name);

/// @error invalid: not a value of this knob; says what would be
[[nodiscard]] Result<KnobValue> parse_value(const Knob& knob, std::string_view text);
/// As above for a value that has a type already. @error invalid
[[nodiscard]] Result<KnobValue> check_value(const Knob& knob, const KnobValue& value);
/// The one spelling of a value: what parse_value gave it for.
[[nodiscard]] std::string value_text(const Knob& knob, const KnobValue& value);
/// The values a knob takes, for people: "576..65535 B", "udp or tcp".
[[nodiscard]] std::string range_text(const Knob& knob);
[[nodiscard]] std::string default_text(const Knob& knob);

/// Sets one knob by its name. @error invalid: unknown name or value; nothing is changed
[[nodiscard]] Status set_knob(NativeKnobs& knobs, std::string_view name, std::string_view text);
[[nodiscard]] Status set_knob(OpenVpnKnobs& knobs, std::string_view name, std::string_view text);
/// @error invalid: unknown name
[[nodiscard]] Result<std::string> get_knob(const NativeKnobs& knobs, std::string_view name);
[[nodiscard]] Result<std::string> get_knob(const OpenVpnKnobs& knobs, std::string_view name);

/// Every knob and its value, by short name ("mtu"), in the order of the table. Each pair goes back
/// through set_knob.
using KnobTexts = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] KnobTexts describe(const NativeKnobs& knobs);
[[nodiscard]] KnobTexts describe(const OpenVpnKnobs& knobs);
/// Only the knobs that differ from their default.
[[nodiscard]] KnobTexts describe_changes(const NativeKnobs& knobs);
[[nodiscard]] KnobTexts describe_changes(const OpenVpnKnobs& knobs);

/// Every knob within its range. @error invalid: one sentence for the first that is not
[[nodiscard]] Status validate(const NativeKnobs& knobs);
/// As above, and no combination that OpenVPN refuses or that black-holes packets.
[[nodiscard]] Status validate(const OpenVpnKnobs& knobs);

/// A number of bytes from "262144", "262144B", "256KiB", "4MiB" or "1GiB". @error invalid
[[nodiscard]] Result<Bytes> parse_bytes(std::string_view text);
[[nodiscard]] std::string bytes_text(Bytes bytes);

/// The table for docs/OPERATING.md, one Markdown row a knob.
[[nodiscard]] std::string knob_table_markdown();
/// The table for --help: a few lines a knob, at most 100 columns.
[[nodiscard]] std::string knob_table_text(Carrier carrier);

}  // namespace lt::configs
