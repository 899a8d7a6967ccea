// Whatever ends a sweep between two gateways, and whenever: both are afterwards as they were. Only strikes that met a
// link under trial count, since before it and between two of them there is nothing to put back.
#include <iostream>
#include <map>
#include <random>

#include "tests/app/gateway_hosts.h"

using namespace lt;
using namespace lt::app;
using namespace lt::app::test;

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

enum class Blow : std::uint8_t { kill_asker, kill_agent, cut_line };
constexpr std::array<std::string_view, 3> blow_names{"the asker is killed", "the agent is killed", "the line is cut"};
constexpr milliseconds promised{30'000};
constexpr milliseconds moment_max{5'000};  // after the first trial has begun to stand: two trials and the gap between them

struct Strike {
  Blow blow{Blow::kill_asker};
  bool stood_near{false};
  bool stood_far{false};
  milliseconds moment{0};
  std::optional<milliseconds> restored_in{};

  [[nodiscard]] std::string_view where() const {
    if (stood_near && stood_far) return "both ends";
    return stood_near ? "the near end" : "the far end";
  }
};

class Striker {
 public:
  explicit Striker(Hosts& hosts) : hosts_(hosts), before_(hosts.settled()) {}

  Strike strike(Blow blow, std::size_t number) {
    dice_.seed(seed + number);  // each by itself, so that any of them can be tried again
    const std::string journal = hosts_.folder.path() + "/strike" + std::to_string(number) + ".jsonl";
    auto sweep = require(Child::start({.argv = hosts_.ranking_argv(journal, {"native mtu=9000", "openvpn proto=tcp"}, "20", number), .output_path = journal + ".log"}));
    Strike struck{.blow = blow, .moment = milliseconds(dice_() % static_cast<std::uint64_t>(moment_max.count()))};
    wait_for_moment(struck);
    INFO("strike " << number << ": " << blow_names.at(static_cast<std::size_t>(blow)) << " " << struck.moment.count() << " ms after a trial began to stand, seed " << seed);
    fall(blow, sweep);
    const auto began = steady_clock::now();
    const bool is_restored = comes_true([&] { return hosts_.is_as(before_); }, promised);
    if (is_restored) struck.restored_in = std::chrono::duration_cast<milliseconds>(steady_clock::now() - began);
    CHECK(difference(before_, hosts_.present()) == "");
    CHECK(is_restored);
    mend(blow, sweep);
    return struck;
  }

 private:
  // A random moment; and if nothing stands at that one, the first at which something does.
  void wait_for_moment(Strike& struck) {
    REQUIRE(comes_true([&] { return hosts_.stands_anywhere(); }, 60s));
    std::this_thread::sleep_for(struck.moment);  // the random moment is what is tested
    REQUIRE(comes_true([&] {
      struck.stood_near = hosts_.stands_at(lab::Host::offsite_gw);
      struck.stood_far = hosts_.stands_at(lab::Host::office_gw);
      return struck.stood_near || struck.stood_far;
    }, 60s));
  }

  void fall(Blow blow, Child& sweep) {
    if (blow == Blow::kill_asker) sweep.signal(SIGKILL);
    if (blow == Blow::kill_agent) hosts_.office_agent.signal(SIGKILL);
    if (blow != Blow::cut_line) return;
    const std::array ways{lab::Directions(lab::all_directions), lab::Directions(lab::all_directions).first(1), lab::Directions(lab::all_directions).last(1)};
    require(hosts_.sandbox.set_wan(ways.at(dice_() % ways.size()), {"blackout=on"}));
  }

  // For the next strike.
  void mend(Blow blow, Child& sweep) {
    sweep.signal(SIGKILL);
    REQUIRE(sweep.wait(10s));
    if (blow == Blow::cut_line) {
      require(hosts_.sandbox.set_wan(lab::all_directions, {"blackout=off"}));
      hosts_.wait_until_up();
    }
    if (blow == Blow::kill_agent) {
      REQUIRE(hosts_.office_agent.wait(10s));
      hosts_.office_agent = hosts_.start_agent(lab::Host::office_gw);
    }
    REQUIRE(comes_true([&] { return hosts_.is_as(before_); }, promised));
  }

  Hosts& hosts_;
  std::mt19937_64 dice_;
  std::string before_;
};

std::string figures(std::vector<milliseconds> times) {
  if (times.empty()) return "none";
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) { return std::to_string(times.at(static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))).count()); };
  return std::to_string(times.size()) + " strikes, restored in (ms) least " + at(0) + ", p50 " + at(0.5) + ", p95 " + at(0.95) + ", most " + at(1);
}

// LINKTUNE_COMPLETE=1: all 200. LINKTUNE_STRIKES=40-59: some of them.
std::pair<std::size_t, std::size_t> numbers() {
  const char* const asked = std::getenv("LINKTUNE_STRIKES");
  if (asked == nullptr) return {0, is_complete ? 200 : blow_names.size()};
  const auto ends = split(asked, '-');
  REQUIRE(ends.size() == 2);
  return {parse_u64(ends[0]).value(), parse_u64(ends[1]).value() + 1};
}

}  // namespace

TEST_CASE("whenever an end of a sweep is killed or the line is cut under a trial, both ends are as they were within 30 s", "[app][hosts][kills][netns]") {
  const auto [first, behind] = numbers();
  WARN("strikes " << first << " to " << behind - 1 << " (LINKTUNE_COMPLETE=1 tries 0 to 199), seed " << seed);
  Hosts hosts({.name = "kills"});
  hosts.start_agents();
  Striker striker(hosts);
  std::map<std::string, std::vector<milliseconds>> times;
  for (std::size_t number = first; number < behind; ++number) {
    const auto blow = static_cast<Blow>(number % blow_names.size());
    const Strike struck = striker.strike(blow, number);
    if (!struck.restored_in) continue;
    const std::string name(blow_names.at(static_cast<std::size_t>(blow)));
    times[name].push_back(*struck.restored_in);
    times[name + ", with a trial at " + std::string(struck.where())].push_back(*struck.restored_in);
    std::cout << "strike " << number << ", " << name << ", trial at " << struck.where() << ", " << struck.moment.count() << " ms: " << struck.restored_in->count() << " ms" << std::endl;
  }
  for (const auto& [name, all] : times) WARN(name << ": " << figures(all));
}
