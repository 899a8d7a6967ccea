#include "tuner/findings.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/format.h"
#include "tuner/distributions.h"
#include "tuner/figures.h"
#include "tuner/verdict.h"

namespace lt::tuner {

namespace {

constexpr std::array all_stages{Stage::ranking, Stage::search, Stage::screen, Stage::confirmation};
constexpr std::array confirmed_stages{Stage::confirmation};
constexpr std::array restart_stages{Stage::calibration, Stage::confirmation};

std::string milliseconds(double us) {
  return us < 10'000 ? format("{:.1f} ms", us / 1000) : format("{:.0f} ms", us / 1000);
}

// --- knobs ---

struct OneFactor {
  std::string knob;
  std::string from;
  std::string to;
};

std::map<std::string, std::string> settings_of(const Arm& arm) {
  std::map<std::string, std::string> settings;
  for (const Setting& setting : arm.settings)
    settings[setting.name] = setting.value;
  return settings;
}

// What leads from `versus` to `arm`, when it is a single knob.
std::optional<OneFactor> one_factor(const Arm& arm, const Arm& versus) {
  if (arm.carrier != versus.carrier || arm.carrier == ArmCarrier::bare) return std::nullopt;
  const auto to = settings_of(arm);
  const auto from = settings_of(versus);
  std::map<std::string, OneFactor> differing;
  const auto value_in = [](const auto& settings, const std::string& name) {
    const auto found = settings.find(name);
    return found == settings.end() ? std::string("default") : found->second;
  };
  for (const auto* settings : {&to, &from}) {
    for (const auto& [name, value] : *settings) {
      const OneFactor factor{name, value_in(from, name), value_in(to, name)};
      if (factor.from != factor.to) differing[name] = factor;
    }
  }
  if (differing.size() != 1) return std::nullopt;
  return differing.begin()->second;
}

std::string said(const char* what, const std::optional<Interval>& interval) {
  if (!interval) return std::string(what) + " not known";
  const auto change = [](double ratio) { return format("{:+.1f} %", (ratio - 1) * 100); };
  const std::string range = change(interval->low) + " to " + change(interval->high);
  if (interval->contains(1)) return std::string(what) + " not told apart (" + range + ")";
  return std::string(what) + " " + range;
}

KnobEffect effect_of(const OneFactor& factor, std::size_t arm, std::size_t versus,
                     const std::vector<Figures>& objectives) {
  KnobEffect effect;
  effect.knob = factor.knob;
  effect.from = factor.from;
  effect.to = factor.to;
  effect.arm = arm;
  effect.versus = versus;
  const auto interval = [&](const Figures& figures) {
    return ratio_interval(figures.differences(arm, versus), confidence);
  };
  effect.blocks = objectives[0].differences(arm, versus).size();
  effect.goodput = interval(objectives[0]);
  effect.wait = interval(objectives[1]);
  effect.cpu = interval(objectives[2]);
  effect.sentence = format("{} from {} to {}: {}, {}, {} ({} blocks)", factor.knob, factor.from, factor.to,
                           said("goodput", effect.goodput), said("wait under load", effect.wait),
                           said("CPU time", effect.cpu), effect.blocks);
  return effect;
}

std::vector<Figures> objectives_of(const Evidence& evidence, std::span<const Stage> stages) {
  std::vector<Figures> objectives;
  for (const Pick& pick : {pick_goodput(evidence.header.plan), pick_wait(), pick_cpu()})
    objectives.emplace_back(evidence, stages, pick, samples_per_start_max);
  return objectives;
}

// --- the price of the last goodput ---

struct Carrying {
  std::size_t arm;
  double goodput;  // relative
  double wait_us;
};

// Goodput with the drift of the blocks taken off, since not every block held every arm.
std::vector<Carrying> sound_arms(const Evidence& evidence) {
  std::vector<std::size_t> arms;
  for (std::size_t arm = 0; arm < evidence.header.arms.size(); ++arm) {
    if (evidence.header.arms[arm].carrier != ArmCarrier::bare && !has_failed(evidence, arm))
      arms.push_back(arm);
  }
  const Figures figures(evidence, all_stages, pick_goodput(evidence.header.plan), 1);
  std::vector<Carrying> sound;
  for (const auto& [arm, effect] : figures.effects(arms)) {
    const double wait = median_of(evidence, arm, pick_wait());
    if (wait > 0) sound.push_back({arm, std::exp(effect), wait});
  }
  return sound;
}

// --- restarts ---

std::vector<double> steps_of(const std::vector<double>& values) {
  std::vector<double> steps;
  for (std::size_t i = 1; i < values.size(); ++i)
    steps.push_back(values[i] - values[i - 1]);
  return steps;
}

struct RestartData {
  std::vector<double> starts;  // differences of neighbouring fresh starts of the incumbent
  std::vector<double> shams;   // and of repetitions on one start
  std::vector<double> bare;    // and of the bare line in neighbouring blocks
};

void append(std::vector<double>& values, const std::vector<double>& more) {
  values.insert(values.end(), more.begin(), more.end());
}

RestartData restart_data(const Evidence& evidence, std::size_t incumbent) {
  RestartData data;
  for (const Stage stage : restart_stages) {
    const std::array only{stage};
    const Pick goodput = pick_goodput(evidence.header.plan);
    append(data.starts, steps_of(Figures(evidence, only, goodput, 1).of(incumbent)));
    const Figures with_shams(evidence, only, goodput, samples_per_start_max);
    for (const auto& [block, row] : with_shams.rows()) {
      const auto start = row.find(incumbent);
      if (start != row.end()) append(data.shams, steps_of(start->second));
    }
    for (std::size_t arm = 0; arm < evidence.header.arms.size(); ++arm) {
      if (evidence.header.arms[arm].carrier == ArmCarrier::bare)
        append(data.bare, steps_of(Figures(evidence, only, goodput, 1).of(arm)));
    }
  }
  return data;
}

std::string restart_sentence(const RestartFinding& finding) {
  if (finding.shams == 0 || finding.starts == 0)
    return "Nothing is known of restarts: the present settings were not measured on one start twice.";
  const std::string figures =
      format("fresh starts of the present settings differ by {:.1f} %, repetitions on one start by {:.1f} %, "
             "the bare line by {:.1f} %",
             finding.start_deviation * 100, finding.sham_deviation * 100, finding.bare_deviation * 100);
  if (finding.is_shown)
    return "Restarting changes the result: " + figures + ", more than noise and drift explain.";
  return "No effect of restarting is shown: " + figures + "; noise and drift explain what restarts show.";
}

}  // namespace

std::vector<KnobEffect> knob_effects(const Evidence& evidence) {
  const auto objectives = objectives_of(evidence, all_stages);
  std::vector<KnobEffect> effects;
  for (std::size_t arm = 0; arm < evidence.header.arms.size(); ++arm) {
    for (std::size_t versus = 0; versus < arm; ++versus) {
      const auto factor = one_factor(evidence.header.arms[arm], evidence.header.arms[versus]);
      if (!factor || objectives[0].differences(arm, versus).size() < 2) continue;
      effects.push_back(effect_of(*factor, arm, versus, objectives));
    }
  }
  std::stable_sort(effects.begin(), effects.end(), [](const KnobEffect& a, const KnobEffect& b) {
    return a.blocks > b.blocks;
  });
  if (effects.size() > knob_effects_max) effects.resize(knob_effects_max);
  return effects;
}

std::optional<Price> price_of(const Evidence& evidence) {
  const auto sound = sound_arms(evidence);
  if (sound.empty()) return std::nullopt;
  const auto fastest = std::max_element(sound.begin(), sound.end(), [](const auto& a, const auto& b) {
    return a.goodput < b.goodput;
  });
  const Carrying* calmer = &*fastest;
  for (const Carrying& each : sound) {
    if (each.goodput >= (1 - price_share) * fastest->goodput && each.wait_us < calmer->wait_us)
      calmer = &each;
  }
  // Whoever is no faster than the calmer one, and lets packets wait all the same.
  const Carrying* longest = nullptr;
  for (const Carrying& each : sound) {
    const bool is_as_fast = each.goodput >= (1 - price_share) * fastest->goodput && &each != &*fastest;
    if (is_as_fast && each.wait_us > price_wait_factor * calmer->wait_us &&
        (longest == nullptr || each.wait_us > longest->wait_us))
      longest = &each;
  }
  if (calmer == &*fastest && longest == nullptr) return std::nullopt;
  Price price;
  if (longest != nullptr) {
    price.longest = longest->arm;
    price.longest_wait_us = longest->wait_us;
  }
  price.fastest = fastest->arm;
  price.calmer = calmer->arm;
  price.goodput_share = 1 - calmer->goodput / fastest->goodput;
  price.fastest_wait_us = fastest->wait_us;
  price.calmer_wait_us = calmer->wait_us;
  const auto& arms = evidence.header.arms;
  if (calmer == &*fastest) {
    price.sentence = format("The fastest, \"{}\", also waits least of those within {:.0f} % of it: {} under load (p95, medians).",
                            arms[price.fastest].label, price_share * 100, milliseconds(price.fastest_wait_us));
  } else {
    price.sentence = format(
        "The last {:.1f} % of goodput costs {} of waiting under load: \"{}\" waits {}, \"{}\" {} (p95, medians).",
        price.goodput_share * 100, milliseconds(price.fastest_wait_us - price.calmer_wait_us),
        arms[price.fastest].label, milliseconds(price.fastest_wait_us), arms[price.calmer].label,
        milliseconds(price.calmer_wait_us));
  }
  if (price.longest)
    price.sentence += format(" \"{}\" carries no more and waits {}, {:.1f} times as long.", arms[*price.longest].label,
                             milliseconds(price.longest_wait_us), price.longest_wait_us / price.calmer_wait_us);
  return price;
}

RestartFinding restart_finding(const Evidence& evidence) {
  RestartFinding finding;
  const RestartData data =
      restart_data(evidence, *evidence.header.place_of(evidence.header.question->incumbent));
  finding.starts = data.starts.size();
  finding.shams = data.shams.size();
  finding.start_deviation = neighbour_deviation(data.starts);
  finding.sham_deviation = neighbour_deviation(data.shams);
  finding.bare_deviation = neighbour_deviation(data.bare);
  if (finding.starts > 0 && finding.shams > 0) {
    const double explained = finding.sham_deviation * finding.sham_deviation +
                             finding.bare_deviation * finding.bare_deviation;
    const double seen = finding.start_deviation * finding.start_deviation;
    finding.is_shown =
        seen > explained * fisher_f_quantile(confidence, static_cast<double>(finding.starts),
                                             static_cast<double>(finding.shams));
  }
  finding.sentence = restart_sentence(finding);
  return finding;
}

std::vector<std::size_t> pareto_set(const Evidence& evidence, std::span<const std::size_t> arms,
                                    double within, double confidence_level) {
  const auto objectives = objectives_of(evidence, confirmed_stages);
  const double tolerance = std::log1p(within);
  // Of the log ratio, so that more is better in each: goodput as it is, wait and CPU turned round.
  const auto gains = [&](std::size_t objective, std::size_t one, std::size_t other) {
    return objective == 0 ? objectives[0].differences(one, other)
                          : objectives[objective].differences(other, one);
  };
  const auto dominates = [&](std::size_t one, std::size_t other) {
    std::vector<double> p_values;
    for (std::size_t objective = 0; objective < objectives.size(); ++objective) {
      const auto gain = gains(objective, one, other);
      const auto at_least = student_t_interval(gain, 2 * confidence_level - 1);
      if (!at_least || at_least->low < -tolerance) return false;
      p_values.push_back(one_sided_probability(gain));
    }
    // Holm: only the least of them has to pass for "better in one", at its first step.
    const double least = *std::min_element(p_values.begin(), p_values.end());
    return least < (1 - confidence_level) / static_cast<double>(p_values.size());
  };
  std::vector<std::size_t> kept;
  for (const std::size_t arm : arms) {
    const bool is_dominated = std::any_of(arms.begin(), arms.end(), [&](std::size_t other) {
      return other != arm && dominates(other, arm);
    });
    if (!is_dominated) kept.push_back(arm);
  }
  return kept;
}

bool has_failed(const Evidence& evidence, std::size_t arm) {
  if (const GateRecord* gate = evidence.gate_of(arm); gate != nullptr && gate->outcome.failure)
    return true;
  return std::any_of(evidence.units.begin(), evidence.units.end(), [&](const Unit& unit) {
    return unit.arm == arm && unit.status == UnitStatus::arm_failed;
  });
}

}  // namespace lt::tuner
