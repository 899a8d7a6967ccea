#include "tuner/physics.h"

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "tuner/fields.h"
#include "tuner/probe_json.h"

namespace lt::tuner {

namespace {

constexpr std::size_t word_length_max = 64;
constexpr std::size_t note_length_max = 512;
constexpr std::uint64_t rate_bits_max = 100'000'000'000'000;  // 100 Tbit/s: beyond any machine
constexpr std::uint32_t packet_bytes_max = 65'535;            // RFC 791

constexpr std::uint32_t ipv4_header_bytes = 20;
constexpr std::uint32_t ipv6_header_bytes = 40;

template <class T>
std::optional<T> lesser(const std::optional<T>& a, const std::optional<T>& b) {
  if (!a || !b) return std::nullopt;
  return std::min(*a, *b);
}

Json way_to_json(const LineWay& way) {
  Json value = Json::object();
  value["mtu"] = way.mtu ? Json(*way.mtu) : Json(nullptr);
  value["carries_fragments"] = way.carries_fragments ? Json(*way.carries_fragments) : Json(nullptr);
  value["goodput_bits_per_second"] = way.goodput ? Json(way.goodput->value) : Json(nullptr);
  return value;
}

Result<std::optional<BitsPerSecond>> rate_field(const Json& value, std::string_view name) {
  std::optional<BitsPerSecond> rate;
  if (!has_field(value, name)) return rate;
  LT_TRY(const std::uint64_t bits, whole_field(value, name, {0, rate_bits_max}));
  rate = BitsPerSecond{bits};
  return rate;
}

Result<LineWay> way_from_json(const Json& value) {
  LineWay way;
  if (has_field(value, "mtu")) {
    LT_TRY(const std::uint64_t mtu, whole_field(value, "mtu", {68, packet_bytes_max}));
    way.mtu = static_cast<std::uint32_t>(mtu);
  }
  if (has_field(value, "carries_fragments")) {
    LT_TRY(way.carries_fragments, truth_field(value, "carries_fragments"));
  }
  LT_TRY(way.goodput, rate_field(value, "goodput_bits_per_second"));
  return way;
}

Json cipher_to_json(const CipherSpeed& speed) {
  return {{"cipher", speed.cipher},
          {"backend", speed.backend},
          {"bytes_at_once", speed.bytes_at_once},
          {"bits_per_second_per_core", speed.per_core.value}};
}

Result<CipherSpeed> cipher_from_json(const Json& value) {
  CipherSpeed speed;
  LT_TRY(speed.cipher, text_field(value, "cipher", word_length_max));
  LT_TRY(speed.backend, text_field(value, "backend", word_length_max));
  LT_TRY(const std::uint64_t bytes, whole_field(value, "bytes_at_once", {0, 1ULL << 30}));
  speed.bytes_at_once = static_cast<std::uint32_t>(bytes);
  LT_TRY(const std::uint64_t rate,
         whole_field(value, "bits_per_second_per_core", {0, rate_bits_max}));
  speed.per_core = BitsPerSecond{rate};
  return speed;
}

std::string megabits(BitsPerSecond rate) {
  return format("{:.0f} Mbit/s", static_cast<double>(rate.value) / 1e6);
}

BitsPerSecond scaled(BitsPerSecond rate, double factor) {
  return BitsPerSecond{static_cast<std::uint64_t>(static_cast<double>(rate.value) * factor)};
}

}  // namespace

std::uint32_t ip_header_bytes(Family family) {
  return family == Family::v4 ? ipv4_header_bytes : ipv6_header_bytes;
}

std::optional<std::uint32_t> Physics::mtu() const {
  return lesser(up.mtu, down.mtu);
}

std::optional<bool> Physics::carries_fragments() const {
  // One way that drops them is enough to know.
  if (up.carries_fragments == false || down.carries_fragments == false) return false;
  return lesser(up.carries_fragments, down.carries_fragments);
}

std::optional<Bytes> Physics::bandwidth_delay() const {
  if (idle.count == 0 || (!up.goodput && !down.goodput)) return std::nullopt;
  const auto faster = std::max(up.goodput.value_or(BitsPerSecond{0}).value,
                               down.goodput.value_or(BitsPerSecond{0}).value);
  const double bytes = static_cast<double>(faster) / 8.0 * idle.us_p50 / 1e6;
  return Bytes{static_cast<std::uint64_t>(std::llround(bytes))};
}

double tcp_share_of_ethernet(std::uint32_t mtu, Family family) {
  const std::uint32_t headers = ip_header_bytes(family) + tcp_header_bytes;
  if (mtu <= headers) return 0;
  return static_cast<double>(mtu - headers) / static_cast<double>(mtu + ethernet_bytes);
}

Bound bound_of(const Physics& physics) {
  Bound bound{physics.up.goodput, physics.down.goodput, {}};
  const auto mtu = physics.mtu();
  std::optional<BitsPerSecond> by_device;
  if (physics.device_rate && mtu) {
    by_device = scaled(*physics.device_rate, tcp_share_of_ethernet(*mtu, physics.family));
  }
  if (!bound.up && !bound.down) {
    if (!by_device) {
      bound.text = "what this line allows is not known: neither its rate nor its MTU was measured";
      return bound;
    }
    bound.up = bound.down = by_device;
    bound.text =
        format("this line allows at most {} of TCP payload: {} of Ethernet in packets of {} bytes",
               megabits(*by_device), megabits(*physics.device_rate), *mtu);
    return bound;
  }
  const auto shown = [](const std::optional<BitsPerSecond>& rate) {
    return rate ? megabits(*rate) : std::string("an unknown rate");
  };
  bound.text = format("the bare line carried {} up and {} down of TCP payload", shown(bound.up),
                      shown(bound.down));
  if (by_device) {
    bound.text +=
        format("; its network device allows at most {} ({} of Ethernet in packets of {} bytes)",
               megabits(*by_device), megabits(*physics.device_rate), *mtu);
  }
  return bound;
}

Json to_json(const Physics& physics) {
  Json ciphers = Json::array();
  for (const CipherSpeed& speed : physics.ciphers)
    ciphers.push_back(cipher_to_json(speed));
  Json value = {{"family", physics.family == Family::v4 ? "v4" : "v6"},
                {"up", way_to_json(physics.up)},
                {"down", way_to_json(physics.down)},
                {"idle", latency_to_json(physics.idle)},
                {"ciphers", ciphers},
                {"cpus", physics.cpus},
                {"notes", physics.notes}};
  value["device_bits_per_second"] =
      physics.device_rate ? Json(physics.device_rate->value) : Json(nullptr);
  const auto product = physics.bandwidth_delay();
  value["bandwidth_delay_bytes"] = product ? Json(product->value) : Json(nullptr);
  value["bound"] = bound_of(physics).text;  // for the reader; derived, so never read back
  return value;
}

namespace {

Result<Family> family_field(const Json& object) {
  const auto name = text_field(object, "family", 2);
  if (name && *name == "v4") return Family::v4;
  if (name && *name == "v6") return Family::v6;
  return fail(Errc::invalid, "`family` must be v4 or v6");
}

}  // namespace

Result<Physics> physics_from_json(const Json& value) {
  Physics physics;
  LT_TRY(physics.family, family_field(value));
  LT_TRY(const Json up, object_field(value, "up"));
  LT_TRY(physics.up, way_from_json(up));
  LT_TRY(const Json down, object_field(value, "down"));
  LT_TRY(physics.down, way_from_json(down));
  LT_TRY(const Json idle, object_field(value, "idle"));
  LT_TRY(physics.idle, latency_from_json(idle));
  LT_TRY(physics.device_rate, rate_field(value, "device_bits_per_second"));
  LT_TRY(const Json ciphers, list_field(value, "ciphers", ciphers_max));
  for (const Json& item : ciphers) {
    LT_TRY(auto speed, cipher_from_json(item));
    physics.ciphers.push_back(std::move(speed));
  }
  LT_TRY(const std::uint64_t cpus, whole_field(value, "cpus", {0, 65'536}));
  physics.cpus = static_cast<unsigned>(cpus);
  LT_TRY(const Json notes, list_field(value, "notes", notes_max));
  for (const Json& note : notes) {
    if (!note.is_string() || note.get_ref<const std::string&>().size() > note_length_max) {
      return fail(Errc::invalid, "`notes` must hold sentences");
    }
    physics.notes.push_back(note.get<std::string>());
  }
  return physics;
}

namespace {

std::string mtu_sentence(const Physics& physics) {
  const auto shown = [](const std::optional<std::uint32_t>& mtu) {
    return mtu ? format("{}", *mtu) : std::string("unknown");
  };
  if (physics.up.mtu == physics.down.mtu) {
    return "path MTU: " + shown(physics.up.mtu) + (physics.up.mtu ? " bytes both ways" : "");
  }
  return format("path MTU: {} bytes up, {} bytes down", shown(physics.up.mtu),
                shown(physics.down.mtu));
}

std::string fragments_sentence(const Physics& physics) {
  const auto survive = physics.carries_fragments();
  if (!survive) return "fragments: not known whether they survive";
  return *survive ? "fragments: they survive both ways" : "fragments: this line drops them";
}

}  // namespace

std::vector<std::string> sentences_of(const Physics& physics) {
  std::vector<std::string> lines{mtu_sentence(physics), fragments_sentence(physics)};
  if (physics.idle.count > 0) {
    lines.push_back(format("round trip, idle: {:.1f} ms (p50), {:.1f} ms (p95)",
                           physics.idle.us_p50 / 1000, physics.idle.us_p95 / 1000));
  }
  if (const auto product = physics.bandwidth_delay()) {
    lines.push_back(
        format("rate times round trip: {:.0f} kB", static_cast<double>(product->value) / 1000));
  }
  for (const CipherSpeed& speed : physics.ciphers) {
    lines.push_back(format("{} by {}, {} bytes at once: {:.1f} Gbit/s a core", speed.cipher,
                           speed.backend, speed.bytes_at_once,
                           static_cast<double>(speed.per_core.value) / 1e9));
  }
  lines.push_back(bound_of(physics).text);
  lines.insert(lines.end(), physics.notes.begin(), physics.notes.end());
  return lines;
}

}  // namespace lt::tuner
