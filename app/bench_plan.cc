#include "app/bench_plan.h"

#include <algorithm>
#include <array>

#include "base/format.h"
#include "base/text.h"
#include "configs/knob.h"
#include "tuner/fields.h"

namespace lt::app {

namespace {

constexpr std::array carrier_names{std::string_view("bare"), std::string_view("openvpn"), std::string_view("wireguard"),
                                   std::string_view("linktune")};
constexpr std::size_t label_length_max = 60;
constexpr std::size_t word_length_max = 40;
constexpr std::size_t settings_max = 64;

std::string_view name_of(RowCarrier carrier) { return carrier_names[static_cast<std::size_t>(carrier)]; }

bool holds_any(std::string_view text, const std::vector<std::string>& words) {
  return words.empty() || std::any_of(words.begin(), words.end(), [&](const std::string& word) { return text.find(word) != std::string_view::npos; });
}

bool begins_any(std::string_view text, const std::vector<std::string>& words) {
  return words.empty() || std::any_of(words.begin(), words.end(), [&](const std::string& word) { return text.starts_with(word); });
}

}  // namespace

std::vector<std::string> BenchLine::words() const {
  if (is_raw()) return {};
  const std::uint64_t product = std::uint64_t{rate_mbit} * round_trip_ms * 125;  // 10^6 bit/s x 10^-3 s / 8 (unit: B)
  return {format("rate={}mbit", rate_mbit), format("delay={}us", round_trip_ms * 500), format("loss={}%", loss_percent),
          format("queue={}b", std::max<std::uint64_t>(product, 256'000))};
}

std::string BenchScene::text() const {
  std::string where = path == BenchPath::lans ? "LAN to LAN" : "gateway to gateway";
  where += line.is_raw() ? ", raw" : format(", {} Mbit/s {} ms {} % loss", line.rate_mbit, line.round_trip_ms, line.loss_percent);
  if (load == BenchLoad::packets) return where + ", 64-byte UDP";
  return where + format(", {} {}, {}, {} inside", flows, flows == 1 ? "flow" : "flows", both_ways ? "both ways" : "one way", inner) +
         (round_trips ? ", round trips" : "");
}

double seconds_of(const BenchBlock& block) {
  constexpr double start_and_end = 3;
  const BenchScene& scene = block.scene;
  const double packets = 9;  // the search for the highest rate
  const double each = scene.load == BenchLoad::packets ? packets : scene.seconds + scene.omit_seconds + (scene.round_trips ? 2.5 : 0);
  return 1 + static_cast<double>(block.rows.size()) * (each + start_and_end);
}

Result<BenchSuite> find_bench_suite(std::string_view name) {
  std::vector<std::string> known;
  for (const BenchSuite& suite : bench_suites()) {
    if (suite.name == name) return suite;
    known.emplace_back(suite.name);
  }
  const auto meant = nearest(name, known);
  return fail(Errc::invalid, "no suite " + printable(name, 40) + (meant ? ": did you mean " + *meant + "?" : ": there are " + join(known, ", ")));
}

Status narrow(BenchSuite& suite, const std::vector<std::string>& words, const std::vector<std::string>& labels) {
  std::string first_scene;
  for (BenchBlock& block : suite.blocks) {
    if (first_scene.empty()) first_scene = block.scene.text();
    std::erase_if(block.rows, [&](const BenchRow& row) { return !begins_any(row.label, labels); });
  }
  std::erase_if(suite.blocks, [&](const BenchBlock& block) { return block.rows.empty() || !holds_any(block.scene.text(), words); });
  if (!suite.blocks.empty()) return {};
  return fail(Errc::invalid, "nothing of the suite " + std::string(suite.name) + " is left: --scene takes a part of a scene's name, such as `" +
                                 first_scene + "`, and --row the beginning of a row's, such as `linktune`");
}

Json to_json(const BenchScene& scene) {
  return {{"path", scene.path == BenchPath::lans ? "lans" : "gateways"},
          {"rate_mbit", scene.line.rate_mbit},
          {"round_trip_ms", scene.line.round_trip_ms},
          {"loss_percent", scene.line.loss_percent},
          {"load", scene.load == BenchLoad::tcp ? "tcp" : "packets"},
          {"flows", scene.flows},
          {"both_ways", scene.both_ways},
          {"inner", scene.inner},
          {"round_trips", scene.round_trips},
          {"seconds", scene.seconds},
          {"omit_seconds", scene.omit_seconds}};
}

namespace {

// One of two words.
Result<bool> is_first(const Json& value, std::string_view field, std::string_view first, std::string_view second) {
  LT_TRY(const std::string word, tuner::text_field(value, field, word_length_max));
  if (word == first || word == second) return word == first;
  return fail(Errc::invalid, "`" + std::string(field) + "` must be " + std::string(first) + " or " + std::string(second));
}

Result<unsigned> count_field(const Json& value, std::string_view name, std::uint64_t max) {
  LT_TRY(const std::uint64_t count, tuner::whole_field(value, name, {0, max}));
  return static_cast<unsigned>(count);
}

}  // namespace

Result<BenchScene> bench_scene_from_json(const Json& value) {
  BenchScene scene;
  LT_TRY(const bool lans, is_first(value, "path", "lans", "gateways"));
  scene.path = lans ? BenchPath::lans : BenchPath::gateways;
  LT_TRY(scene.line.rate_mbit, count_field(value, "rate_mbit", 100'000));
  LT_TRY(scene.line.round_trip_ms, count_field(value, "round_trip_ms", 20'000));
  LT_TRY(scene.line.loss_percent, tuner::number_field(value, "loss_percent"));
  LT_TRY(const bool tcp, is_first(value, "load", "tcp", "packets"));
  scene.load = tcp ? BenchLoad::tcp : BenchLoad::packets;
  LT_TRY(scene.flows, count_field(value, "flows", 128));
  LT_TRY(scene.both_ways, tuner::truth_field(value, "both_ways"));
  LT_TRY(scene.inner, tuner::text_field(value, "inner", word_length_max));
  LT_TRY(scene.round_trips, tuner::truth_field(value, "round_trips"));
  LT_TRY(scene.seconds, count_field(value, "seconds", 3600));
  LT_TRY(scene.omit_seconds, count_field(value, "omit_seconds", 600));
  if (scene.line.loss_percent > 100) return fail(Errc::invalid, "`loss_percent` is a share of 100");
  return scene;
}

Json to_json(const BenchRow& row) {
  Json settings = Json::object();
  for (const tuner::Setting& setting : row.settings) settings[setting.name] = setting.value;
  Json value = {{"label", row.label}, {"carrier", std::string(name_of(row.carrier))}, {"settings", settings}, {"outer", row.outer}};
  if (!row.inner.empty()) value["inner"] = row.inner;
  return value;
}

Result<BenchRow> bench_row_from_json(const Json& value) {
  BenchRow row;
  LT_TRY(row.label, tuner::text_field(value, "label", label_length_max));
  LT_TRY(const std::string carrier, tuner::text_field(value, "carrier", word_length_max));
  const auto* const known = std::find(carrier_names.begin(), carrier_names.end(), carrier);
  if (known == carrier_names.end()) return fail(Errc::invalid, "`carrier` must be bare, openvpn, wireguard or linktune");
  row.carrier = static_cast<RowCarrier>(known - carrier_names.begin());
  LT_TRY(const Json settings, tuner::object_field(value, "settings"));
  if (settings.size() > settings_max) return fail(Errc::invalid, "`settings` holds more than there are knobs");
  for (const auto& [name, text] : settings.items()) {
    if (!text.is_string()) return fail(Errc::invalid, "`settings` must hold texts");
    row.settings.push_back({printable(name, word_length_max), printable(text.get<std::string>(), word_length_max)});
  }
  LT_TRY(row.outer, tuner::text_field(value, "outer", word_length_max));
  if (tuner::has_field(value, "inner")) {
    LT_TRY(row.inner, tuner::text_field(value, "inner", word_length_max));
  }
  row.label = printable(row.label, label_length_max);
  return row;
}

}  // namespace lt::app
