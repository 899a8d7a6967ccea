// linktune sweep: which settings are best on a line, measured with fresh starts in interleaved random order.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "app/outcome.h"
#include "lab/sandbox.h"
#include "tuner/report.h"

namespace lt::app {

struct SweepCommand {
  std::string config_path;             // measure between this site and the other one of its link; or
  std::string run_directory;           // with it: where control sockets are
  std::string lab_profile;             // measure in a lab of this profile
  std::vector<std::string> lab_words;  // over the profile's: {"loss=0.1%"}
  bool quick{false};                   // one stage, few arms, no decision
  std::string goal{"balanced"};
  std::string within{"5%"};            // what counts as equal
  double confidence{95};               // per cent
  std::string incumbent;               // what runs now, as an arm; empty: the defaults
  bool with_native{true};
  bool with_openvpn{true};
  std::vector<std::string> arms;       // "native mtu=9000"; empty: the default set
  std::optional<std::uint64_t> seed;
  std::optional<std::size_t> blocks;   // one stage of that many, no decision
  std::optional<unsigned> seconds;       // of each test; empty: at most 4, as line and budget allow
  std::optional<unsigned> omit_seconds;  // left out before it; empty: at most 2, likewise
  std::string congestion{"cubic"};     // of the measured flows
  std::string budget;                  // "20m"; empty: 20 minutes, a ranking has none
  std::string journal;                 // empty: ./linktune-sweep-SEED.jsonl
  std::string resume;                  // go on in this journal: its arms, plan, seed, blocks and line count
  std::string csv_path;
  std::string html_path;
};

/// Runs a sweep in a lab of its own and reports it. Exit code 5 when nothing can be told apart.
/// @error interrupted: with how to go on
[[nodiscard]] Result<Outcome> run_sweep_command(const SweepCommand& command, const std::stop_token& stop);

/// What a new sweep by `command` would do, to be run by somebody else. @error invalid: an option
[[nodiscard]] Result<tuner::SweepOptions> sweep_options_of(const SweepCommand& command);

/// The sweep itself, in a lab that stands already. Progress goes to standard error.
[[nodiscard]] Result<tuner::Report> sweep_lab(const lab::Sandbox& sandbox, const std::string& line,
                                               const tuner::SweepOptions& options);

/// The sweep itself, between two sites. @error as LinkBench::create
[[nodiscard]] Result<tuner::Report> sweep_link(const std::string& config_path, const std::string& run_directory,
                                               const tuner::SweepOptions& options);

/// Reports a journal again, without running anything; `html_path`: also as a page, unless empty.
[[nodiscard]] Result<Outcome> run_replay(const std::string& journal, const std::string& html_path);

}  // namespace lt::app
