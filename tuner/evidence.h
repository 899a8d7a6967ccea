// Evidence: everything that a sweep has measured so far, as its journal holds it. Plan, decision and
// report are functions of this and of nothing else: that is why a sweep that was killed ends in the
// verdict of one that was not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tuner/arm.h"
#include "tuner/bench.h"
#include "tuner/goal.h"
#include "tuner/sample.h"
#include "tuner/stage.h"

namespace lt::tuner {

inline constexpr std::size_t sweep_blocks_max = 10'000;

/// ranking: one stage, all arms, a number of blocks. staged: from physics to a decision, by budget.
enum class Method : std::uint8_t { ranking, staged };

[[nodiscard]] std::string_view name_of(Method method);

/// What an owner asks of a staged sweep.
struct Question {
  Goal goal{Goal::balanced};
  Milliseconds budget{std::chrono::minutes(20)};
  double within{0.05};      // what counts as equal
  double confidence{0.95};  // of the claims
  Arm incumbent{};          // what the owner runs now
  std::vector<Arm> defaults{};  // of the carriers that are tried; measured in each block
  bool fits_times{false};   // trials may be shorter than the plan's, to fit the budget
};

/// What does not change in the course of a sweep, but for the arms: stages add some.
struct SweepHeader {
  std::string id;  // 16 hexadecimal digits
  std::uint64_t seed{0};
  std::size_t blocks{0};  // planned; of a ranking only
  std::vector<Arm> arms;
  TrialPlan plan;
  std::vector<Fact> facts;  // versions, kernel
  std::string started;      // UTC, "2026-01-31T12:00:00Z"
  std::optional<Question> question{};  // of a staged sweep only
  std::vector<std::string> command{};  // words that ask for it again, but for seed, goal and time; empty: not known

  [[nodiscard]] Method method() const { return question ? Method::staged : Method::ranking; }
  /// Place of an arm by its text. @return nothing when it is not there
  [[nodiscard]] std::optional<std::size_t> place_of(const Arm& arm) const;
};

enum class UnitStatus : std::uint8_t {
  measured,
  arm_failed,      // counts against the arm
  harness_failed,  // the bench was at fault, twice
};

[[nodiscard]] std::string_view name_of(UnitStatus status);

/// One fresh start of one arm; a sham is one more measurement on the start before it.
struct Unit {
  std::size_t block{0};     // Block::number
  std::size_t position{0};  // within the block
  std::size_t arm{0};       // place in SweepHeader::arms
  bool is_sham{false};
  UnitStatus status{UnitStatus::measured};
  unsigned attempts{1};          // 2: the bench failed once before
  std::optional<Sample> sample;  // of a measured unit
  std::optional<Error> error;    // of any other
  std::int64_t start_ns{0};      // monotonic, of this boot
  std::int64_t stop_ns{0};
  std::string start_wall;  // UTC
  std::string stop_wall;
};

/// What the line is, and how long it took to find out.
struct PhysicsRecord {
  Physics physics{};
  std::optional<Error> failure{};  // the bench could not say; the sweep goes on without
  Milliseconds took{0};
};

/// The largest MTU of an arm that really works, found by starting it and sending full packets.
struct LargestMtuRecord {
  Arm arm{};                               // with that MTU; without one of its own where none worked
  std::optional<std::uint32_t> largest{};  // nothing: none of those tried worked, or the bench failed
  std::optional<std::uint32_t> too_large{};  // the smallest that was tried and did not work
  unsigned trials{0};
  std::optional<Error> failure{};  // the bench's
  Milliseconds took{0};
};

/// For people, in one sentence.
[[nodiscard]] std::string sentence_of(const LargestMtuRecord& record);

/// What the gate said of one arm.
struct GateRecord {
  std::size_t arm{0};
  GateOutcome outcome{};
  Milliseconds took{0};
};

/// Arms that a stage brought in.
struct Addition {
  Stage stage{Stage::search};
  std::size_t first{0};  // place of the first in SweepHeader::arms
  std::size_t count{0};
  std::vector<std::string> ruled_out{};  // what was not brought in, each with the reason
};

/// From `block` on, the line or the machine is not what it was: later blocks are of their own epoch.
struct Epoch {
  std::size_t block{0};
  std::string reason{};
  std::vector<Fact> facts{};
};

struct Evidence {
  SweepHeader header;
  std::optional<PhysicsRecord> physics;
  std::optional<LargestMtuRecord> largest_mtu{};
  std::vector<Addition> additions;
  std::vector<GateRecord> gates;
  std::vector<Epoch> epochs;  // beyond the first
  std::vector<Block> blocks;  // complete ones: stage, round and epoch of each; a unit names its block
  std::vector<Unit> units;    // of complete blocks

  [[nodiscard]] const Addition* addition_of(Stage stage) const;
  [[nodiscard]] const GateRecord* gate_of(std::size_t arm) const;
  [[nodiscard]] std::size_t blocks_of(Stage stage) const;
  /// What went into the evidence; rechecks and whatever was thrown away not counted.
  [[nodiscard]] Milliseconds elapsed() const;
};

}  // namespace lt::tuner
