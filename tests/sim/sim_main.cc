// linktune_sim: the random search, for as long as one likes, and the replay of one seed.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>

#include "tests/sim/search.h"

namespace {

struct Wish {
  std::uint64_t seeds{100};
  std::uint64_t from{1};
  bool is_verbose{false};
};

int usage(const char* program) {
  std::fprintf(stderr, "usage: %s [--seeds N] [--from S] [--verbose]\n", program);
  return 2;
}

bool read_number(const char* text, std::uint64_t& into) {
  const char* const end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, into);
  return error == std::errc() && rest == end;
}

}  // namespace

int main(int count, char** arguments) {
  Wish wish;
  for (int i = 1; i < count; ++i) {
    const std::string word = arguments[i];
    if (word == "--verbose") {
      wish.is_verbose = true;
    } else if (i + 1 < count && (word == "--seeds" || word == "--from")) {
      if (!read_number(arguments[++i], word == "--seeds" ? wish.seeds : wish.from)) return usage(arguments[0]);
    } else {
      return usage(arguments[0]);
    }
  }
  lt::sim::WorldStats sum;
  std::uint64_t steps = 0;
  std::uint64_t failures = 0;
  double simulated = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t seed = wish.from; seed < wish.from + wish.seeds; ++seed) {
    const auto trial = lt::sim::run_trial(seed, wish.is_verbose);
    steps += trial.steps;
    simulated += std::chrono::duration<double>(trial.simulated).count();
    sum.packets_delivered += trial.stats.packets_delivered;
    sum.packets_lost += trial.stats.packets_lost;
    sum.lanes_over += trial.stats.lanes_over;
    sum.take_overs += trial.stats.take_overs;
    sum.sessions += trial.stats.sessions;
    sum.ratchets += trial.stats.ratchets;
    sum.lies += trial.stats.lies;
    for (const std::string& line : trial.log) std::printf("%s\n", line.c_str());
    if (!trial.failure) continue;
    ++failures;
    std::printf("seed %llu: %s\nagain: %s --seeds 1 --from %llu --verbose\n", static_cast<unsigned long long>(seed),
                trial.failure->c_str(), arguments[0], static_cast<unsigned long long>(seed));
    std::fflush(stdout);
    if (failures >= 10) break;
  }
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf(
      "%llu seeds, %.0f s simulated in %.1f s; %.2f million steps, %.0f thousand a second; sessions %llu, lane ends %llu, "
      "take-overs %llu, ratchets %llu, lies %llu, packets delivered %llu, lost with their lane %llu; failures %llu\n",
      static_cast<unsigned long long>(wish.seeds), simulated, took, static_cast<double>(steps) / 1e6,
      static_cast<double>(steps) / took / 1e3, static_cast<unsigned long long>(sum.sessions),
      static_cast<unsigned long long>(sum.lanes_over), static_cast<unsigned long long>(sum.take_overs),
      static_cast<unsigned long long>(sum.ratchets), static_cast<unsigned long long>(sum.lies),
      static_cast<unsigned long long>(sum.packets_delivered), static_cast<unsigned long long>(sum.packets_lost),
      static_cast<unsigned long long>(failures));
  return failures == 0 ? 0 : 1;
}
