// Vitals: what a process holds over its life. It grows where the least of its last quarter is above the least of its second:
// the first quarter is for what is made once, and the least leaves out what a fault needs for a moment.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/text.h"

namespace lt::soak {

class Vitals {
 public:
  struct Sample {
    std::int64_t resident_kib{0};
    std::int64_t descriptors{0};
  };
  /// Takes a sample of a process that runs.
  void take(pid_t pid) {
    const std::string folder = "/proc/" + std::to_string(pid);
    Sample sample;
    const std::string status = read_file(folder + "/status", 16384).value_or("");
    for (const std::string_view line : split(status, '\n')) {
      if (line.starts_with("VmRSS:")) sample.resident_kib = std::atoll(std::string(trim(line.substr(6))).c_str());
    }
    std::error_code error;
    for (auto each = std::filesystem::directory_iterator(folder + "/fd", error); !error && each != std::filesystem::directory_iterator();
         each.increment(error)) {
      ++sample.descriptors;
    }
    if (sample.resident_kib > 0) samples_.push_back(sample);
  }
  void begin_life() { samples_.clear(); }
  [[nodiscard]] std::size_t samples() const { return samples_.size(); }
  /// Of the last quarter over the second. @pre samples() >= 8
  [[nodiscard]] Sample growth() const {
    const Sample before = least(samples_.size() / 4, samples_.size() / 2);
    const Sample after = least(samples_.size() * 3 / 4, samples_.size());
    return {after.resident_kib - before.resident_kib, after.descriptors - before.descriptors};
  }
  [[nodiscard]] Sample last() const { return samples_.empty() ? Sample{} : samples_.back(); }

 private:
  [[nodiscard]] Sample least(std::size_t from, std::size_t to) const {
    Sample least = samples_[from];
    for (std::size_t i = from; i < to; ++i) {
      least.resident_kib = std::min(least.resident_kib, samples_[i].resident_kib);
      least.descriptors = std::min(least.descriptors, samples_[i].descriptors);
    }
    return least;
  }
  std::vector<Sample> samples_;
};

}  // namespace lt::soak
