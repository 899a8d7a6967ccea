// linktune_sim: the random search, for as long as one likes, and the replay of one seed.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>

#include "tests/sim/figures.h"
#include "tests/sim/search.h"

namespace {

struct Wish {
  std::uint64_t seeds{100};
  std::uint64_t from{1};
  bool is_verbose{false};
};

int usage(const char* program) {
  std::fprintf(stderr, "usage: %s [--seeds N] [--from S] [--verbose] | %s --figures\n", program, program);
  return 2;
}

// The figures of docs: outages at 20 ms, ratchets and take-overs at full rate.
int show_figures() {
  using namespace std::chrono_literals;
  bool is_good = true;
  for (const int lanes : {1, 2}) {
    const auto outages = lt::sim::measure_outages({.trials = 200, .lanes = static_cast<std::uint8_t>(lanes), .inner_connections = 100});
    is_good &= !outages.failure;
    std::printf("200 outages of 6 to 60 s, %d lane(s), 20 ms: noticed p50 %.2f s, most %.2f s; recovered p50 %.0f ms, p99 %.0f ms, "
                "most %.0f ms; of 20000 inner connections reset %llu, stuck %llu%s%s\n",
                lanes, lt::sim::quantile(outages.noticed_s, 0.5), lt::sim::quantile(outages.noticed_s, 1),
                1e3 * lt::sim::quantile(outages.recovered_s, 0.5), 1e3 * lt::sim::quantile(outages.recovered_s, 0.99),
                1e3 * lt::sim::quantile(outages.recovered_s, 1), static_cast<unsigned long long>(outages.inner_resets),
                static_cast<unsigned long long>(outages.inner_stuck), outages.failure ? " FAILED: " : "",
                outages.failure ? outages.failure->c_str() : "");
    std::fflush(stdout);
  }
  for (const auto fault : {lt::sim::Fault::client_stopped, lt::sim::Fault::server_stopped}) {
    const auto stops = lt::sim::measure_outages({.trials = 200, .lanes = 2, .fault = fault, .shortest = 1s, .longest = 90s});
    is_good &= !stops.failure;
    std::printf("200 stops of the %s of 1 to 90 s, 2 lanes, 20 ms: recovered p50 %.0f ms, p99 %.0f ms, most %.0f ms%s%s\n",
                fault == lt::sim::Fault::client_stopped ? "client" : "server", 1e3 * lt::sim::quantile(stops.recovered_s, 0.5),
                1e3 * lt::sim::quantile(stops.recovered_s, 0.99), 1e3 * lt::sim::quantile(stops.recovered_s, 1),
                stops.failure ? " FAILED: " : "", stops.failure ? stops.failure->c_str() : "");
    std::fflush(stdout);
  }
  for (const auto& rekeys : {lt::sim::measure_rekeys(10'000, 0), lt::sim::measure_rekeys(0, 1000)}) {
    is_good &= !rekeys.failure;
    std::printf("%llu ratchets and %llu take-overs at full rate: %.2f GB in %.1f s, packets sent %llu, lost %llu%s%s\n",
                static_cast<unsigned long long>(rekeys.ratchets), static_cast<unsigned long long>(rekeys.take_overs),
                static_cast<double>(rekeys.bytes_sent) / 1e9, rekeys.simulated_s, static_cast<unsigned long long>(rekeys.packets_sent),
                static_cast<unsigned long long>(rekeys.packets_lost), rekeys.failure ? " FAILED: " : "",
                rekeys.failure ? rekeys.failure->c_str() : "");
    std::fflush(stdout);
  }
  return is_good ? 0 : 1;
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
    if (word == "--figures") return show_figures();
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
  const std::clock_t begin = std::clock();
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
  const double took = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  std::printf(
      "%llu seeds, %.0f s simulated in %.1f s of processor; %.2f million steps, %.0f thousand a second; sessions %llu, lane ends %llu, "
      "take-overs %llu, ratchets %llu, lies %llu, packets delivered %llu, lost with their lane %llu; failures %llu\n",
      static_cast<unsigned long long>(wish.seeds), simulated, took, static_cast<double>(steps) / 1e6,
      static_cast<double>(steps) / took / 1e3, static_cast<unsigned long long>(sum.sessions),
      static_cast<unsigned long long>(sum.lanes_over), static_cast<unsigned long long>(sum.take_overs),
      static_cast<unsigned long long>(sum.ratchets), static_cast<unsigned long long>(sum.lies),
      static_cast<unsigned long long>(sum.packets_delivered), static_cast<unsigned long long>(sum.packets_lost),
      static_cast<unsigned long long>(failures));
  return failures == 0 ? 0 : 1;
}
