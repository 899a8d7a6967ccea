// The plan: what a sweep does next, as a pure function of its evidence. Who runs it only obeys, so a
// sweep that was killed and resumed takes the steps of one that was not.
//
//   staged: physics -> calibration -> largest MTU -> arms of the search -> search in rounds -> gate -> variants of
//   single factors -> screen -> gate -> confirmation -> finished
//
// The budget bounds each stage: what does not fit is left out and named, never measured in half.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "tuner/calibration.h"
#include "tuner/evidence.h"

namespace lt::tuner {

struct MeasurePhysics {};
/// Bisects for the largest MTU of an arm between these two, each tried by starting and sending.
struct FindLargestMtu {
  Arm arm{};
  std::uint32_t low{0};
  std::uint32_t high{0};
};
struct CheckArm {
  std::size_t arm{0};
};
struct AddArms {
  Stage stage{Stage::search};
  std::vector<Arm> arms{};
  std::vector<std::string> ruled_out{};  // as Addition's
};
struct Finish {
  bool is_out_of_time{false};
};
using Action = std::variant<Finish, MeasurePhysics, FindLargestMtu, AddArms, CheckArm, Block>;

/// Where the arms come from that nobody named. All may be empty: then none are added.
struct ArmSources {
  std::function<std::vector<Arm>(const Physics&)> space{};                   // for the search
  std::function<std::vector<Arm>(const Arm&, const Physics&)> variants{};  // one factor off an arm
  std::optional<FindLargestMtu> largest_mtu{};  // joins the search with the MTU that is found
  std::function<std::vector<std::string>(const Physics&)> ruled_out{};     // what the line forbids, and why
};

/// Shares of the budget, at most. What ten blocks of confirmation take is set aside first; the search
/// gets its least even so.
inline constexpr double search_share = 0.35;
inline constexpr double search_share_least = 0.15;
inline constexpr double screen_share = 0.15;
inline constexpr double slack_share = 0.05;  // for gates, and for starts slower than calibrated
inline constexpr std::size_t search_blocks_min = 2;   // for each arm and round: statistics.md 3.2
inline constexpr std::size_t search_blocks_max = 6;
inline constexpr std::size_t confirmation_blocks_max = 60;
inline constexpr std::size_t screen_bases = 2;  // arms that variants are made of

/// The next block of a ranking: all arms, `header.blocks` times.
[[nodiscard]] Action next_of_ranking(const Evidence& evidence);

/// @pre evidence.header.question
[[nodiscard]] Action next_of_staged(const Evidence& evidence, const ArmSources& sources);

/// Arms of the next confirmation, best first, the incumbent and the defaults behind them.
/// @pre the search, and the screen if there is one, are complete
[[nodiscard]] std::vector<std::size_t> finalists_in_line(const Evidence& evidence);

/// Arms that every block holds: bare line, incumbent, defaults; each once, by rising place.
[[nodiscard]] std::vector<std::size_t> controls_of(const SweepHeader& header);

/// What the trials of a block take, by the starts seen so far.
[[nodiscard]] Milliseconds time_of_block(const Evidence& evidence, const Block& block);

/// The budget that so many blocks of confirmation take, with all that comes before them, in whole minutes.
/// Fewer than a decision takes count as those. 0: no arm has been started yet, so nobody knows.
[[nodiscard]] Milliseconds budget_to_settle(const Evidence& evidence, std::size_t blocks);

/// How much longer a staged sweep is likely to take: the budget's rest while stages are ahead, the
/// blocks that are left in the confirmation.
[[nodiscard]] Milliseconds time_left(const Evidence& evidence);

}  // namespace lt::tuner
