// Figures: numbers of the evidence by block and arm, on the log scale, where a ratio is a difference.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "tuner/evidence.h"
#include "tuner/statistics.h"

namespace lt::tuner {

/// One number of a sample; nothing, or not positive: the sample does not count.
using Pick = std::function<std::optional<double>(const Sample&)>;

[[nodiscard]] Pick pick_figure(Goal goal, const TrialPlan& plan);
[[nodiscard]] Pick pick_goodput(const TrialPlan& plan);
[[nodiscard]] Pick pick_wait();  // p95 under load (unit: us)
[[nodiscard]] Pick pick_cpu();   // seconds for each Gbit

/// Logs of what one start gave: the fresh measurement first, then the shams.
using StartLogs = std::vector<double>;

/// Of the blocks of some stages: block -> arm -> logs. An arm that failed in a block is absent there.
class Figures {
 public:
  using Row = std::map<std::size_t, StartLogs>;

  /// @param samples_max  of each start: what is measured beyond it (the sham of the incumbent) is
  /// left out, so that all arms are treated alike
  Figures(const Evidence& evidence, std::span<const Stage> stages, const Pick& pick,
          std::size_t samples_max);

  [[nodiscard]] const std::map<std::size_t, Row>& rows() const { return rows_; }
  /// Means of the starts of `arm`, by rising block.
  [[nodiscard]] std::vector<double> of(std::size_t arm) const;
  /// log(arm) - log(versus), for each block that has both, by rising block.
  [[nodiscard]] std::vector<double> differences(std::size_t arm, std::size_t versus) const;
  /// The effect of each of `arms` once what a block does to all of them is taken off: an additive
  /// fit, which for complete blocks is the mean of the block-centred logs. Absent: never measured.
  [[nodiscard]] std::map<std::size_t, double> effects(std::span<const std::size_t> arms) const;

 private:
  std::map<std::size_t, Row> rows_;
};

/// exp() of an interval of logs: an interval of the ratio.
[[nodiscard]] std::optional<Interval> ratio_interval(Numbers log_differences, double confidence);

/// Median over all measured units of the arm, shams not counted. 0: none.
[[nodiscard]] double median_of(const Evidence& evidence, std::size_t arm, const Pick& pick);

}  // namespace lt::tuner
