// linktune lab bench: our link against OpenVPN, WireGuard and the bare line, side by side, freshly started, in one run.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "app/outcome.h"

namespace lt::app {

struct BenchOptions {
  std::string suite{"headline"};
  std::optional<unsigned> rounds{};   // absent: the suite's own
  std::optional<unsigned> seconds{};  // measured in each start; absent: the scene's own
  std::optional<unsigned> budget_seconds{};  // no block is begun that would not end in time
  std::vector<std::string> scenes{};  // only scenes whose name holds one of these
  std::vector<std::string> rows{};    // only rows whose label begins with one of these
  std::uint64_t seed{1};              // of the order
  std::string journal{};              // a new file; empty: ./linktune-bench-SUITE-UNIXTIME.jsonl
  std::string resume{};               // go on in this one
  std::vector<std::string> report{};  // measure nothing: report these journals
  std::string html{};                 // write a page with plots there
  std::string into{};                 // put the tables between the marks of this document
  std::string lab{"bench"};           // name of the lab
};

/// Prints progress to standard error; what was measured is in the journal whatever happens.
/// @error interrupted: with how to go on · invalid: an option, or a journal · and what the lab or the programs lack
[[nodiscard]] Result<Outcome> run_bench(const BenchOptions& options, const std::stop_token& stop);

/// The suites and what they measure, for people.
[[nodiscard]] std::string bench_suites_text();

}  // namespace lt::app
