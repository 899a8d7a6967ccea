#include "tuner/confirmation.h"

#include <algorithm>
#include <cmath>

#include "tuner/distributions.h"

namespace lt::tuner {

namespace {

using Epochs = std::vector<std::vector<double>>;

struct Pairing {
  Epochs differences;  // of logs, by epoch
  Blocks one;          // samples by block, as plain values for the bootstrap
  Blocks other;

  [[nodiscard]] std::vector<double> all() const {
    std::vector<double> values;
    for (const auto& epoch : differences)
      values.insert(values.end(), epoch.begin(), epoch.end());
    return values;
  }
};

std::vector<double> plain(const StartLogs& logs) {
  std::vector<double> values;
  for (const double log : logs)
    values.push_back(std::exp(log));
  return values;
}

Pairing pairing_of(std::size_t arm, std::size_t versus, const Figures& figures,
                   const std::vector<Block>& blocks) {
  Pairing pairing;
  std::optional<std::size_t> epoch;
  for (const auto& [block, row] : figures.rows()) {
    const auto one = row.find(arm);
    const auto other = row.find(versus);
    if (one == row.end() || other == row.end()) continue;
    if (epoch != blocks[block].epoch) pairing.differences.emplace_back();
    epoch = blocks[block].epoch;
    pairing.differences.back().push_back(mean(one->second) - mean(other->second));
    pairing.one.push_back(plain(one->second));
    pairing.other.push_back(plain(other->second));
  }
  return pairing;
}

std::optional<Interval> exponential(const std::optional<Interval>& logs) {
  if (!logs) return std::nullopt;
  return Interval{std::exp(logs->low), std::exp(logs->high)};
}

bool lies_within(const std::optional<Interval>& interval, double within) {
  return interval && interval->low > 1 / (1 + within) && interval->high < 1 + within;
}

// What the interval says by itself.
Claim claim_of(const Comparison& pair, double within) {
  if (!pair.interval) return Claim::inconclusive;
  // However sure a difference is: one within the tolerance is none to the owner who set it.
  if (lies_within(pair.equivalence, within)) return Claim::equivalent;
  if (pair.interval->low > 1) return Claim::better;
  return pair.interval->high < 1 ? Claim::worse : Claim::inconclusive;
}

bool checks_agree(const Comparison& pair, Claim claim, const Judging& judging) {
  const bool has_signs = pair.permutation_p < (1 - judging.confidence) / static_cast<double>(judging.pairs);
  switch (claim) {
    case Claim::better:
      return has_signs && pair.bootstrap && pair.bootstrap->low > 1;
    case Claim::worse:
      return has_signs && pair.bootstrap && pair.bootstrap->high < 1;
    case Claim::equivalent:
      return lies_within(pair.bootstrap, judging.within);
    case Claim::inconclusive:
      return true;
  }
  return false;
}

}  // namespace

std::optional<Interval> pooled_interval(const Epochs& epochs, double confidence) {
  std::vector<double> all;
  for (const auto& epoch : epochs)
    all.insert(all.end(), epoch.begin(), epoch.end());
  if (epochs.size() < 2) return student_t_interval(all, confidence);
  if (all.size() <= epochs.size()) return std::nullopt;
  // An epoch of one block has no variance of its own: all share the pooled one.
  double squares = 0;
  for (const auto& epoch : epochs) {
    for (const double value : epoch)
      squares += (value - mean(epoch)) * (value - mean(epoch));
  }
  const double variance = squares / static_cast<double>(all.size() - epochs.size());
  if (variance <= 0) return student_t_interval(all, confidence);
  const auto pool = [&](double between) {
    double weights = 0;
    double sum = 0;
    for (const auto& epoch : epochs) {
      const double weight = 1 / (between + variance / static_cast<double>(epoch.size()));
      weights += weight;
      sum += weight * mean(epoch);
    }
    return std::pair(sum / weights, weights);
  };
  const double fixed = pool(0).first;
  double heterogeneity = 0;
  double weights = 0;
  double weight_squares = 0;
  for (const auto& epoch : epochs) {
    const double weight = static_cast<double>(epoch.size()) / variance;
    heterogeneity += weight * (mean(epoch) - fixed) * (mean(epoch) - fixed);
    weights += weight;
    weight_squares += weight * weight;
  }
  const double excess = heterogeneity - static_cast<double>(epochs.size() - 1);
  const double between = std::max(0.0, excess / (weights - weight_squares / weights));
  const auto [centre, precision] = pool(between);
  // Where epochs differ, they are what was sampled, and there are few of them.
  const auto degrees = static_cast<double>(between > 0 ? epochs.size() - 1 : all.size() - epochs.size());
  const double reach = student_t_quantile((1 + confidence) / 2, degrees) / std::sqrt(precision);
  return Interval{centre - reach, centre + reach};
}

Comparison compare(std::size_t arm, std::size_t versus, const Figures& figures,
                   const std::vector<Block>& blocks, const Judging& judging) {
  Comparison pair;
  pair.arm = arm;
  pair.versus = versus;
  const Pairing pairing = pairing_of(arm, versus, figures, blocks);
  const std::vector<double> differences = pairing.all();
  pair.blocks = differences.size();
  if (differences.size() < 2) return pair;
  const double alpha = (1 - judging.confidence) / static_cast<double>(judging.pairs);
  pair.ratio = std::exp(mean(differences));
  pair.interval = exponential(pooled_interval(pairing.differences, 1 - alpha));
  pair.plain = exponential(pooled_interval(pairing.differences, judging.confidence));
  pair.equivalence = exponential(pooled_interval(pairing.differences, 1 - 2 * alpha));
  Random random(derive_seed(judging.seed, 1000 * arm + versus));
  pair.bootstrap =
      hierarchical_ratio_interval(pairing.one, pairing.other, 1 - alpha, bootstrap_resamples, random);
  pair.permutation_p = sign_flip_probability(differences, sign_flip_draws, random);
  const Claim claim = claim_of(pair, judging.within);
  pair.checks_agree = checks_agree(pair, claim, judging);
  const bool is_difference = claim == Claim::better || claim == Claim::worse;
  const bool may_claim = pair.checks_agree && pair.blocks >= (is_difference ? blocks_for_difference : judging.blocks_min);
  pair.claim = may_claim ? claim : Claim::inconclusive;
  if (pair.claim == Claim::inconclusive && differences.size() >= 3)
    pair.blocks_needed = std::max(judging.blocks_min,
                                  blocks_to_detect(std::log1p(judging.within), deviation(differences),
                                                   1 - alpha, power));
  return pair;
}

std::vector<Comparison> compare_all(std::span<const std::size_t> arms, const Figures& figures,
                                    const std::vector<Block>& blocks, Judging judging) {
  judging.pairs = std::max<std::size_t>(1, arms.size() * (arms.size() - std::min<std::size_t>(1, arms.size())) / 2);
  std::vector<Comparison> pairs;
  for (std::size_t one = 0; one < arms.size(); ++one) {
    for (std::size_t other = one + 1; other < arms.size(); ++other)
      pairs.push_back(compare(arms[one], arms[other], figures, blocks, judging));
  }
  return pairs;
}

Comparison turned(Comparison pair) {
  const auto inverse = [](std::optional<Interval>& interval) {
    if (interval) interval = Interval{1 / interval->high, 1 / interval->low};
  };
  std::swap(pair.arm, pair.versus);
  pair.ratio = 1 / pair.ratio;
  for (auto* interval : {&pair.interval, &pair.plain, &pair.equivalence, &pair.bootstrap})
    inverse(*interval);
  if (pair.claim == Claim::better) {
    pair.claim = Claim::worse;
  } else if (pair.claim == Claim::worse) {
    pair.claim = Claim::better;
  }
  return pair;
}

}  // namespace lt::tuner
