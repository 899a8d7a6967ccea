#include "lab/wan_settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>

#include "base/assert.h"
#include "base/text.h"

namespace lt::lab {

namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array rate_units{Unit{"bit", 1}, Unit{"kbit", 1e3}, Unit{"mbit", 1e6},
                                Unit{"gbit", 1e9}};
constexpr std::array time_units{Unit{"ns", 1}, Unit{"us", 1e3}, Unit{"ms", 1e6}, Unit{"s", 1e9}};
constexpr std::array size_units{Unit{"b", 1}, Unit{"kb", 1e3}, Unit{"mb", 1e6}, Unit{"kib", 1024},
                                Unit{"mib", 1 << 20}};
constexpr std::array share_units{Unit{"%", 0.01}};

constexpr std::string_view rate_cure =
    "say a rate such as 500mbit or 1gbit (at most 100gbit), or unlimited";
constexpr std::string_view delay_cure = "say a time such as 10ms or 250us (at most 10s)";
constexpr std::string_view share_cure = "say a share of the packets such as 0.1% (0% to 100%)";
constexpr std::string_view burst_cure =
    "say the share lost in bursts and their mean length (1 to 1000000), such as 0.5%/8, or 0%";
constexpr std::string_view queue_cure = "say a size such as 2MB, 512kB or 1MiB (at most 96MB)";

std::string lower(std::string_view text) {
  std::string small(text);
  for (char& c : small) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return small;
}

std::optional<double> number(std::string_view text, std::string_view& rest) {
  double value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value, std::chars_format::fixed);
  if (error != std::errc{} || !std::isfinite(value) || std::signbit(value)) return std::nullopt;
  rest = std::string_view(end, static_cast<std::size_t>(last - end));
  return value;
}

// A decimal number, not below zero, directly followed by one of `units`; at most `most` in their
// common base.
std::optional<double> quantity(std::string_view text, std::span<const Unit> units, double most) {
  const std::string small = lower(text);
  std::string_view suffix;
  const auto value = number(small, suffix);
  const auto unit =
      std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == suffix; });
  if (!value || unit == units.end() || *value * unit->factor > most) return std::nullopt;
  return *value * unit->factor;
}

std::uint64_t whole(double value) {
  return static_cast<std::uint64_t>(std::llround(value));
}

std::optional<Nanoseconds> time_of(std::string_view text) {
  const auto ns = quantity(text, time_units, static_cast<double>(delay_max.count()));
  return ns ? std::optional(Nanoseconds(std::llround(*ns))) : std::nullopt;
}

using Problem = std::optional<std::string_view>;  // the cure, when the value is wrong

Problem set_rate(WanSettings& settings, std::string_view value) {
  const auto rate = value == "unlimited"
                        ? std::optional(0.0)
                        : quantity(value, rate_units, static_cast<double>(rate_max.value));
  if (!rate || (value != "unlimited" && *rate < 1)) return rate_cure;
  settings.rate = {whole(*rate)};
  return {};
}

Problem set_delay(WanSettings& settings, std::string_view value) {
  const auto delay = time_of(value);
  if (!delay) return delay_cure;
  settings.delay = *delay;
  return {};
}

Problem set_jitter(WanSettings& settings, std::string_view value) {
  const auto jitter = time_of(value);
  if (!jitter) return delay_cure;
  settings.jitter = *jitter;
  return {};
}

Problem set_loss(WanSettings& settings, std::string_view value) {
  const auto share = quantity(value, share_units, 1);
  if (!share) return share_cure;
  settings.loss = *share;
  return {};
}

Problem set_burst(WanSettings& settings, std::string_view value) {
  const auto slash = value.find('/');
  const auto share = quantity(value.substr(0, slash), share_units, 1);
  if (!share) return burst_cure;
  double length = 1;
  if (slash != std::string_view::npos) {
    std::string_view rest;
    const auto said = number(value.substr(slash + 1), rest);
    if (!said || !rest.empty() || *said < 1 || *said > 1e6) return burst_cure;
    length = *said;
  } else if (*share > 0) {
    return burst_cure;  // bursts have a length
  }
  settings.burst_share = *share;
  settings.burst_packets = length;
  return {};
}

Problem set_corrupt(WanSettings& settings, std::string_view value) {
  const auto share = quantity(value, share_units, 1);
  if (!share) return share_cure;
  settings.corrupt = *share;
  return {};
}

Problem set_queue(WanSettings& settings, std::string_view value) {
  const auto bytes = quantity(value, size_units, static_cast<double>(held_bytes_max.value));
  if (!bytes) return queue_cure;
  settings.queue = {whole(*bytes)};
  return {};
}

Problem set_mtu(WanSettings& settings, std::string_view value) {
  if (value == "device") {
    settings.mtu = {0};
    return {};
  }
  const auto bytes = parse_u64(value);
  if (!bytes || *bytes < path_mtu_min.value || *bytes > mtu_bytes)
    return "say a number of bytes from 576 to 1500, or device";
  settings.mtu = {*bytes};
  return {};
}

Problem set_fragments(WanSettings& settings, std::string_view value) {
  if (value != "pass" && value != "drop") return "say pass or drop";
  settings.fragments = value == "pass";
  return {};
}

Problem set_icmp(WanSettings& settings, std::string_view value) {
  if (value != "pass" && value != "drop") return "say pass or drop";
  settings.icmp = value == "pass";
  return {};
}

Problem set_blackout(WanSettings& settings, std::string_view value) {
  if (value != "on" && value != "off") return "say on or off";
  settings.blackout = value == "on";
  return {};
}

Problem set_seed(WanSettings& settings, std::string_view value) {
  const auto seed = parse_u64(value);
  if (!seed) return "say a whole number from 0 to 18446744073709551615";
  settings.seed = *seed;
  return {};
}

struct Word {
  std::string_view key;
  Problem (*set)(WanSettings&, std::string_view);
};
constexpr std::array known_words{
    Word{"rate", set_rate},   Word{"delay", set_delay},       Word{"jitter", set_jitter},
    Word{"loss", set_loss},   Word{"burst", set_burst},       Word{"corrupt", set_corrupt},
    Word{"queue", set_queue}, Word{"mtu", set_mtu},           Word{"fragments", set_fragments},
    Word{"icmp", set_icmp},   Word{"blackout", set_blackout}, Word{"seed", set_seed}};

Result<const Word*> find_word(std::string_view key) {
  std::vector<std::string> names;
  for (const Word& word : known_words) {
    if (word.key == key) return &word;
    names.emplace_back(word.key);
  }
  const auto near = nearest(key, names);
  return fail(Errc::invalid,
              "the WAN has no setting called " + printable(key, 40) + ": " +
                  (near ? "did you mean " + *near + "?" : "one of: " + join(names, ", ")));
}

// Rules between two settings.
Status check(const WanSettings& settings) {
  if (settings.jitter > settings.delay) {
    return fail(
        Errc::invalid,
        "the jitter is larger than the delay it wanders around: raise delay= or lower jitter=");
  }
  if (settings.burst_share >= 1 ||
      settings.burst_share / (1 - settings.burst_share) > settings.burst_packets) {
    return fail(Errc::invalid,
                "bursts this short cannot hold so large a share of the packets: lengthen them or "
                "lower the share");
  }
  const double seconds = std::chrono::duration<double>(settings.delay + settings.jitter).count();
  const double flying = static_cast<double>(settings.rate.value) / 8 * seconds;
  if (flying + static_cast<double>(settings.queue.value) >
      static_cast<double>(held_bytes_max.value)) {
    return fail(Errc::limit,
                "rate times delay, and the queue, exceed the 96 MB that the emulator can hold: "
                "lower one of them");
  }
  return {};
}

// The shortest text that reads back to the same number, without an exponent.
std::string plain(double value) {
  std::array<char, 400> digits{};
  const auto [end, error] =
      std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed);
  return error == std::errc{} ? std::string(digits.data(), end) : "?";
}

// `value` in the largest unit that leaves it whole.
std::string in_units(std::uint64_t value, std::span<const Unit> units) {
  const Unit* best = &units.front();
  for (const Unit& unit : units) {
    const auto factor = static_cast<std::uint64_t>(unit.factor);
    if (value != 0 && value % factor == 0 && unit.factor > best->factor) best = &unit;
  }
  return std::to_string(value / static_cast<std::uint64_t>(best->factor)) + std::string(best->name);
}

std::string share_text(double share) {
  // The few digits that were said, rather than 0.1 * 0.01 in full.
  for (int digits = 0; digits < 17; ++digits) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f%%", digits, share * 100);
    if (quantity(text.data(), share_units, 1) == share) return text.data();
  }
  return plain(share * 100) + "%";
}

std::string time_text(Nanoseconds time) {
  return in_units(static_cast<std::uint64_t>(time.count()), time_units);
}

}  // namespace

Result<WanSettings> WanSettings::parse(std::span<const std::string> words,
                                       const WanSettings& base) {
  WanSettings settings = base;
  std::vector<std::string_view> seen;
  for (const std::string& said : words) {
    const auto equals = said.find('=');
    if (equals == std::string::npos) {
      return fail(Errc::invalid, "\"" + printable(said, 40) +
                                     "\" is not a setting: write name=value, such as delay=10ms");
    }
    const std::string_view key = std::string_view(said).substr(0, equals);
    const std::string_view value = std::string_view(said).substr(equals + 1);
    LT_TRY(const Word* word, find_word(key));
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
      return fail(Errc::invalid, std::string(key) + "= is said twice: leave one of them out");
    }
    seen.push_back(key);
    if (const Problem cure = word->set(settings, value)) {
      return fail(Errc::invalid, std::string(key) + "=" + printable(value, 40) +
                                     " does not say what is meant: " + std::string(*cure));
    }
  }
  LT_CHECK(check(settings));
  return settings;
}

std::string WanSettings::text() const {
  std::string words = "rate=" + (rate.value == 0 ? "unlimited" : in_units(rate.value, rate_units));
  words +=
      " delay=" + time_text(delay) + " jitter=" + time_text(jitter) + " loss=" + share_text(loss);
  words += " burst=" + share_text(burst_share) + "/" + plain(burst_packets) +
           " corrupt=" + share_text(corrupt);
  words += " queue=" + in_units(queue.value, std::span(size_units).first(3)) +
           " blackout=" + (blackout ? "on" : "off");
  // Only where they are not as on any line, so that the usual settings read short.
  if (mtu.value != 0) words += " mtu=" + std::to_string(mtu.value);
  if (!fragments) words += " fragments=drop";
  if (!icmp) words += " icmp=drop";
  return words + " seed=" + std::to_string(seed);
}

Json WanSettings::to_json() const {
  return {{"rate_bits_per_second", rate.value},
          {"delay_ns", delay.count()},
          {"jitter_ns", jitter.count()},
          {"loss", loss},
          {"burst_share", burst_share},
          {"burst_packets", burst_packets},
          {"corrupt", corrupt},
          {"queue_bytes", queue.value},
          {"mtu_bytes", mtu.value},
          {"fragments", fragments},
          {"icmp", icmp},
          {"blackout", blackout},
          {"seed", seed}};
}

namespace {

// Both directions by the same words, or each by its own.
Profile profile(std::string name, std::string summary, const std::vector<std::string>& to_offsite,
                const std::vector<std::string>& to_office) {
  Profile made{.name = std::move(name), .summary = std::move(summary), .raw = false, .wan = {}};
  const auto both = {std::pair(Direction::to_offsite, &to_offsite),
                     std::pair(Direction::to_office, &to_office)};
  for (const auto& [direction, words] : both) {
    const auto settings = WanSettings::parse(*words, WanSettings{});
    LT_ASSERT(settings.has_value());
    made.of(direction) = *settings;
  }
  return made;
}

Profile symmetric(std::string name, std::string summary, const std::vector<std::string>& words) {
  return profile(std::move(name), std::move(summary), words, words);
}

}  // namespace

// Queues are one product of rate and round trip, at which a single loss-based flow just keeps the
// line full (Appenzeller et al., SIGCOMM 2004), and at least 256 kB, as short paths have switches
// in them; lte has the deep queue of a mobile cell.
const std::vector<Profile>& all_profiles() {
  static const std::vector<Profile> profiles{
      symmetric("wan", "500 Mbit/s, 20 ms round trip",
                {"rate=500mbit", "delay=10ms", "queue=1250kB"}),
      Profile{.name = "raw",
              .summary = "a bare veth pair, for measurements bound by CPU",
              .raw = true,
              .wan = {}},
      symmetric("lan", "1 Gbit/s, 0.5 ms round trip", {"rate=1gbit", "delay=250us", "queue=256kB"}),
      symmetric("fibre", "900 Mbit/s, 8 ms round trip",
                {"rate=900mbit", "delay=4ms", "queue=900kB"}),
      profile("dsl", "the office on VDSL: 40 Mbit/s up, 100 Mbit/s down, 16 ms round trip",
              {"rate=40mbit", "delay=8ms", "jitter=500us", "queue=256kB"},
              {"rate=100mbit", "delay=8ms", "jitter=500us", "queue=256kB"}),
      profile("pppoe", "as dsl, through PPPoE: packets of 1492 bytes, and who sends more is told",
              {"rate=40mbit", "delay=8ms", "jitter=500us", "queue=256kB", "mtu=1492"},
              {"rate=100mbit", "delay=8ms", "jitter=500us", "queue=256kB", "mtu=1492"}),
      symmetric("nofragments", "100 Mbit/s, 20 ms round trip, behind a firewall that drops fragments",
                {"rate=100mbit", "delay=10ms", "queue=256kB", "fragments=drop"}),
      symmetric("noicmp", "100 Mbit/s, 20 ms round trip, packets of 1492 bytes, and nobody is told",
                {"rate=100mbit", "delay=10ms", "queue=256kB", "mtu=1492", "icmp=drop"}),
      profile(
          "lte",
          "the office on LTE: 20 Mbit/s up, 60 Mbit/s down, 50 ms round trip, jitter, deep queues",
          {"rate=20mbit", "delay=25ms", "jitter=8ms", "queue=1MB"},
          {"rate=60mbit", "delay=25ms", "jitter=8ms", "queue=2MB"}),
      symmetric("lossy", "500 Mbit/s, 40 ms round trip, 0.1 % loss each way",
                {"rate=500mbit", "delay=20ms", "loss=0.1%", "queue=2500kB"}),
      symmetric("intercontinental", "500 Mbit/s, 200 ms round trip",
                {"rate=500mbit", "delay=100ms", "queue=12500kB"}),
      profile("satellite",
              "a geostationary satellite: 20 Mbit/s up, 100 Mbit/s down, 600 ms round trip, 0.01 % "
              "loss each way",
              {"rate=20mbit", "delay=300ms", "loss=0.01%", "queue=1500kB"},
              {"rate=100mbit", "delay=300ms", "loss=0.01%", "queue=7500kB"}),
  };
  return profiles;
}

Result<Profile> find_profile(std::string_view name) {
  std::vector<std::string> names;
  for (const Profile& known : all_profiles()) {
    if (known.name == name) return known;
    names.push_back(known.name);
  }
  const auto near = nearest(name, names);
  return fail(Errc::invalid,
              "no profile is called " + printable(name, 40) + ": " +
                  (near ? "did you mean " + *near + "?" : "one of: " + join(names, ", ")));
}

}  // namespace lt::lab
