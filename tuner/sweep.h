// The sweep: blocks of trials, in a seeded order, each written to the journal before the next
// begins. What comes next is the plan's to say (plan.h); this obeys, and keeps the evidence.
//
// States of a unit: prepare -> measure -> dismantle -> journal; a sham is measured before the start
// it repeats is dismantled. What the arm could not do is journalled as the arm's failure. What the
// bench could not do is tried once more after a dismantle; failing again it is journalled as the
// harness's. A stop request undoes the unit that is under way: it is dismantled and not journalled.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tuner/bench.h"
#include "tuner/journal.h"
#include "tuner/plan.h"

namespace lt::tuner {

/// What one number an arm is ranked by: the goodput of the slower way, or of both ways together.
enum class Objective : std::uint8_t { slower_way, sum_of_ways };

[[nodiscard]] std::string_view name_of(Objective objective);

struct SweepOptions {
  std::vector<Arm> arms{};
  TrialPlan plan{};
  std::uint64_t seed{0};
  std::size_t blocks{5};
  std::optional<Milliseconds> budget{};  // of a ranking: no block is begun that would not end in it
  std::optional<Question> question{};    // a staged sweep; its incumbent and defaults are arms too
  ArmSources sources{};                  // of a staged sweep
  std::vector<std::string> command{};    // as SweepHeader's
  std::string journal_path{};            // empty: no journal, and no way to resume
  bool resume{false};  // go on in journal_path: its arms, plan, seed and blocks count
  Objective objective{Objective::slower_way};
  std::stop_token stop{};
  std::function<Instant()> now = [] { return SteadyClock{}.now(); };
  std::function<std::string()> wall_now{};  // UTC; empty: the system's clock
};

inline constexpr unsigned harness_failures_in_row_max =
    3;                                                  // then the bench is broken, not the weather
inline constexpr Milliseconds start_time_guess{4'000};  // of a start, before any was seen

/// Where a sweep stands. Times are estimates from the units so far; of a staged sweep, whose later
/// blocks are not known yet, so is units_total.
struct SweepProgress {
  Stage stage{Stage::ranking};
  std::size_t round{0};  // of the stage, from 0
  std::size_t block{0};  // from 0
  std::size_t blocks{0};
  std::size_t position{0};  // from 0
  std::size_t arms{0};
  std::size_t units_done{0};
  std::size_t units_total{0};
  const Arm* arm{nullptr};
  Milliseconds elapsed{0};
  Milliseconds left{0};
  std::string best_label;  // highest median so far among tunnels; empty: none yet
  BitsPerSecond best;
};

/// Told what happens, on the sweep's thread. Does nothing unless overridden.
class Progress {
 public:
  virtual ~Progress() = default;
  virtual void unit_starts(const SweepProgress&) {}
  virtual void unit_ended(const SweepProgress&, const Unit&) {}
  virtual void note(std::string_view) {}  // a sentence for the user
};

struct SweepResult : Evidence {
  std::size_t blocks_done{0};  // of a staged sweep: of the confirmation
  Objective objective{Objective::slower_way};
  std::string journal_path;
  bool is_finished{false};     // the plan asks for no more
  bool is_stopped{false};      // by the stop token
  bool is_out_of_time{false};  // by the budget

  [[nodiscard]] bool is_complete() const { return is_finished; }
  /// The command that goes on where this ended; empty when there is nothing to go on with, or, in a staged
  /// sweep, no time left: more blocks after a look at the first would be a second look.
  [[nodiscard]] std::string how_to_resume() const;
  /// The command that measures all of it again; @param budget  of a staged sweep; none: what it had
  [[nodiscard]] std::string how_to_repeat(std::optional<Milliseconds> budget = {}) const;
};

/// The number a measured unit is ranked by (unit: bit/s); nothing when the arm failed or a way is
/// missing.
[[nodiscard]] std::optional<double> score_of(const Unit& unit, const TrialPlan& plan,
                                             Objective objective);

/// Runs what is left of a sweep.
/// @error invalid: arms, plan or journal · exists: the journal is there and `resume` is not set
///        · rejected: versions or kernel differ from the journal's · limit: the budget is too short
///        for one block, or the disk is full · any code the bench gave harness_failures_in_row_max
///        times in a row
[[nodiscard]] Result<SweepResult> run_sweep(Bench& bench, const SweepOptions& options,
                                            Progress& progress);

/// The result of what a journal holds, without running anything.
[[nodiscard]] Result<SweepResult> replay_sweep(const std::string& journal_path,
                                               Objective objective);

}  // namespace lt::tuner
