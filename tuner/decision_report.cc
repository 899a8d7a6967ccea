#include "tuner/decision_report.h"

#include "base/format.h"
#include "base/text.h"
#include "tuner/fields.h"

namespace lt::tuner {

namespace {

constexpr std::size_t knob_effects_read_max = 256;
constexpr std::size_t sentence_length_max = 2'000;

Json interval_json(const std::optional<Interval>& interval) {
  if (!interval) return nullptr;
  return {{"low", interval->low}, {"high", interval->high}};
}

std::string interval_text(const std::optional<Interval>& interval) {
  if (!interval) return "not known";
  return format("{:.3f} to {:.3f}", interval->low, interval->high);
}

class Teller {
 public:
  Teller(const Decision& decision, const SweepHeader& header)
      : decision_(decision), header_(header) {}

  [[nodiscard]] std::string text() const {
    std::string text = decision_.sentence + "\n";
    text += "Goal " + std::string(name_of(decision_.goal)) + ": " + decision_.limit.sentence + ".\n";
    if (decision_.choice) text += "Chosen: " + label(*decision_.choice) + " (" + decision_.choice_reason + ").\n";
    if (!decision_.not_worse.empty()) text += "Not shown worse than the best: " + labels(decision_.not_worse) + ".\n";
    if (!decision_.over_limit.empty()) text += "Beyond the goal's limit: " + labels(decision_.over_limit) + ".\n";
    if (!decision_.pareto.empty()) text += "Dominated by none (goodput, wait, CPU): " + labels(decision_.pareto) + ".\n";
    if (decision_.price) text += decision_.price->sentence + "\n";
    text += decision_.restart.sentence + "\n";
    return text + confirmation() + path() + knobs();
  }

  [[nodiscard]] Json json() const {
    Json value = {{"verdict", std::string(name_of(decision_.claim))},
                  {"sentence", decision_.sentence},
                  {"goal", std::string(name_of(decision_.goal))},
                  {"goal_sentence", decision_.limit.sentence},
                  {"within", decision_.within},
                  {"confidence", decision_.confidence},
                  {"incumbent", hash(decision_.incumbent)},
                  {"best", maybe(decision_.best)},
                  {"choice", maybe(decision_.choice)},
                  {"choice_text", decision_.choice ? Json(canonical_text(header_.arms[*decision_.choice]))
                                                   : Json(nullptr)},
                  {"choice_reason", decision_.choice_reason},
                  {"confirmed", hashes(decision_.confirmed)},
                  {"not_worse", hashes(decision_.not_worse)},
                  {"over_limit", hashes(decision_.over_limit)},
                  {"pareto", hashes(decision_.pareto)},
                  {"blocks", decision_.blocks},
                  {"blocks_needed", decision_.blocks_needed},
                  {"detectable", decision_.detectable}};
    value["limit"] = {{"wait_us_max", number(decision_.limit.wait_us_max)},
                      {"bits_per_second_min", number(decision_.limit.bits_per_second_min)}};
    value["calibration"] = calibration_json();
    value["comparisons"] = Json::array();
    for (const Comparison& pair : decision_.comparisons)
      value["comparisons"].push_back(comparison_json(pair));
    value["path"] = Json::array();
    for (const PathStep& step : decision_.path)
      value["path"].push_back(step_json(step));
    value["knobs"] = Json::array();
    for (const KnobEffect& effect : decision_.knobs)
      value["knobs"].push_back(knob_json(effect));
    value["restart"] = restart_json();
    value["price"] = price_json();
    return value;
  }

 private:
  [[nodiscard]] std::string label(std::size_t arm) const {
    return "\"" + header_.arms[arm].label + "\"";
  }
  [[nodiscard]] std::string hash(std::size_t arm) const { return hash_of(header_.arms[arm]); }
  [[nodiscard]] Json maybe(const std::optional<std::size_t>& arm) const {
    return arm ? Json(hash(*arm)) : Json(nullptr);
  }
  static Json number(const std::optional<double>& value) {
    return value ? Json(*value) : Json(nullptr);
  }

  [[nodiscard]] Json hashes(const std::vector<std::size_t>& arms) const {
    Json list = Json::array();
    for (const std::size_t arm : arms)
      list.push_back(hash(arm));
    return list;
  }

  [[nodiscard]] std::string labels(const std::vector<std::size_t>& arms) const {
    std::string text;
    for (const std::size_t arm : arms)
      text += (text.empty() ? "" : ", ") + label(arm);
    return text;
  }

  [[nodiscard]] std::string confirmation() const {
    if (decision_.comparisons.empty()) return {};
    std::string text = format("\nConfirmed on {} fresh blocks (ratios of the goal's figure, {:.0f} %, all {} pairs at once):\n",
                              decision_.blocks, decision_.confidence * 100, decision_.comparisons.size());
    for (const Comparison& pair : decision_.comparisons) {
      text += format("  {} to {}: {:.3f} ({}), {}{}\n", label(pair.arm), label(pair.versus), pair.ratio,
                     interval_text(pair.interval), std::string(name_of(pair.claim)),
                     pair.checks_agree ? "" : ": bootstrap or sign flips disagree");
    }
    if (decision_.detectable > 0)
      text += format("  These blocks show a difference of {:.1f} % with 80 % power.\n", decision_.detectable * 100);
    return text;
  }

  [[nodiscard]] std::string path() const {
    if (decision_.path.empty()) return {};
    std::string text = "\nThe path to it (ratio to the leader of the round):\n";
    for (const PathStep& step : decision_.path) {
      text += format("  {}, {} blocks:\n",
                     step.stage == Stage::search ? format("search, round {}", step.round + 1)
                                                 : std::string(name_of(step.stage)),
                     step.blocks);
      for (const Placing& placing : step.placings) {
        text += format("    {:.3f}  {}{}\n", placing.ratio, label(placing.arm),
                       placing.is_kept ? std::string("  goes on") : "  " + placing.reason);
      }
    }
    return text;
  }

  [[nodiscard]] std::string knobs() const {
    if (decision_.knobs.empty()) return {};
    std::string text = "\nWhat each knob did (95 % of the pair alone):\n";
    for (const KnobEffect& effect : decision_.knobs)
      text += "  " + effect.sentence + "\n";
    return text;
  }

  [[nodiscard]] Json calibration_json() const {
    const Calibration& calibration = decision_.calibration;
    return {{"starts", calibration.starts},
            {"shams", calibration.shams},
            {"sigma", calibration.sigma},
            {"tau", calibration.tau},
            {"drift", calibration.drift},
            {"start_ms", calibration.start_time.count()},
            {"sample_ms", calibration.sample_time.count()},
            {"samples_per_start", calibration.samples_per_start},
            {"duration_ms", calibration.duration.count()},
            {"blocks", calibration.blocks},
            {"detectable", calibration.detectable},
            {"sentence", calibration.sentence}};
  }

  [[nodiscard]] Json comparison_json(const Comparison& pair) const {
    return {{"arm", hash(pair.arm)},
            {"versus", hash(pair.versus)},
            {"blocks", pair.blocks},
            {"ratio", pair.ratio},
            {"interval", interval_json(pair.interval)},
            {"plain", interval_json(pair.plain)},
            {"equivalence", interval_json(pair.equivalence)},
            {"bootstrap", interval_json(pair.bootstrap)},
            {"permutation_p", pair.permutation_p},
            {"checks_agree", pair.checks_agree},
            {"claim", std::string(name_of(pair.claim))},
            {"blocks_needed", pair.blocks_needed}};
  }

  [[nodiscard]] Json step_json(const PathStep& step) const {
    Json placings = Json::array();
    for (const Placing& placing : step.placings) {
      placings.push_back({{"arm", hash(placing.arm)},
                          {"ratio", placing.ratio},
                          {"units", placing.units},
                          {"goes_on", placing.is_kept},
                          {"reason", placing.reason}});
    }
    return {{"stage", std::string(name_of(step.stage))},
            {"round", step.round},
            {"blocks", step.blocks},
            {"placings", placings}};
  }

  [[nodiscard]] Json knob_json(const KnobEffect& effect) const {
    return {{"knob", effect.knob},
            {"from", effect.from},
            {"to", effect.to},
            {"arm", hash(effect.arm)},
            {"versus", hash(effect.versus)},
            {"blocks", effect.blocks},
            {"goodput", interval_json(effect.goodput)},
            {"wait", interval_json(effect.wait)},
            {"cpu", interval_json(effect.cpu)},
            {"sentence", effect.sentence}};
  }

  [[nodiscard]] Json restart_json() const {
    const RestartFinding& restart = decision_.restart;
    return {{"starts", restart.starts},
            {"shams", restart.shams},
            {"start_deviation", restart.start_deviation},
            {"sham_deviation", restart.sham_deviation},
            {"bare_deviation", restart.bare_deviation},
            {"is_shown", restart.is_shown},
            {"sentence", restart.sentence}};
  }

  [[nodiscard]] Json price_json() const {
    if (!decision_.price) return nullptr;
    const Price& price = *decision_.price;
    return {{"fastest", hash(price.fastest)},
            {"calmer", hash(price.calmer)},
            {"goodput_share", price.goodput_share},
            {"fastest_wait_us", price.fastest_wait_us},
            {"calmer_wait_us", price.calmer_wait_us},
            {"longest", maybe(price.longest)},
            {"longest_wait_us", price.longest_wait_us},
            {"sentence", price.sentence}};
  }

  const Decision& decision_;
  const SweepHeader& header_;
};

}  // namespace

std::string text_of(const Decision& decision, const SweepHeader& header) {
  return Teller(decision, header).text();
}

Json json_of(const Decision& decision, const SweepHeader& header) {
  return Teller(decision, header).json();
}

Result<std::string> explain_json(const Json& report) {
  if (!has_field(report, "decision"))
    return fail(Errc::invalid, "this report is of a sweep without a decision; run `linktune sweep` without --quick");
  LT_TRY(const Json decision, object_field(report, "decision"));
  LT_TRY(const std::string sentence, text_field(decision, "sentence", sentence_length_max));
  LT_TRY(const Json knobs, list_field(decision, "knobs", knob_effects_read_max));
  std::string text = printable(sentence, sentence_length_max) + "\n\nWhat each knob did (95 % of the pair alone):\n";
  for (const Json& knob : knobs) {
    LT_TRY(const std::string line, text_field(knob, "sentence", sentence_length_max));
    text += "  " + printable(line, sentence_length_max) + "\n";
  }
  if (knobs.empty()) text += "  nothing: no two settings that shared two blocks differed in one knob alone\n";
  return text;
}

}  // namespace lt::tuner
