#include "tuner/outliers.h"

#include <cmath>

namespace lt::tuner {

std::vector<double> modified_z_scores(Numbers values) {
  std::vector<double> scores(values.size(), 0.0);
  if (values.empty()) return scores;
  const double centre = median(values);
  const double spread = robust_deviation(values);  // MAD * 1.4826, and 0.6745 = 1 / 1.4826
  if (spread == 0) return scores;
  for (std::size_t i = 0; i < values.size(); ++i)
    scores[i] = (values[i] - centre) / spread;
  return scores;
}

std::vector<std::size_t> outliers(Numbers values) {
  std::vector<std::size_t> found;
  const std::vector<double> scores = modified_z_scores(values);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (std::abs(scores[i]) > outlier_z) found.push_back(i);
  }
  return found;
}

}  // namespace lt::tuner
