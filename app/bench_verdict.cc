#include "app/bench_verdict.h"

#include <algorithm>
#include <map>

#include "base/format.h"
#include "base/text.h"

namespace lt::app {

namespace {

using Scenes = std::vector<SceneFigures>;

// S8 speaks of this many fresh starts.
constexpr std::size_t restarts_min = 20;

// What repeated starts (or blocks of them) showed, in no order. None: not measured.
using Figures = std::vector<double>;

// Collects the parts of one verdict: of each the median, and from where to where it went. All must be measured for it to be
// reached; one that is missed suffices to miss it.
class Parts {
 public:
  void at_least(const std::string& what, const Figures& figures, double target, std::string_view unit) {
    if (figures.empty()) return lacks(what);
    const double value = tuner::median(figures);
    add(what + text_of(figures, value, unit), value >= target);
  }
  void at_most(const std::string& what, const Figures& figures, double target, std::string_view unit) {
    if (figures.empty()) return lacks(what);
    const double value = tuner::median(figures);
    add(what + text_of(figures, value, unit), value <= target);
  }
  /// A figure that is one of all starts together.
  void at_most_of(const std::string& what, double value, double target, std::string_view unit) {
    add(what + " " + number(value) + std::string(unit), value <= target);
  }
  void lacks(const std::string& what) {
    words_.push_back(what + " not measured");
    lacking_ = true;
  }

  [[nodiscard]] BenchVerdict verdict(std::string id, std::string what, std::string target) const {
    const Standing standing = missed_ ? Standing::missed : lacking_ ? Standing::unmeasured : Standing::reached;
    return {std::move(id), std::move(what), std::move(target), join(words_, ", "), standing};
  }

 private:
  static std::string number(double value) { return format("{:.{}f}", value, value < 20 ? 2 : 1); }
  static std::string text_of(const Figures& figures, double value, std::string_view unit) {
    const auto [low, high] = std::minmax_element(figures.begin(), figures.end());
    if (figures.size() == 1) return " " + number(value) + std::string(unit) + " (1)";
    return format(" {}{} ({}: {} to {})", number(value), unit, figures.size(), number(*low), number(*high));
  }
  void add(std::string words, bool holds) {
    words_.push_back(std::move(words));
    missed_ |= !holds;
  }

  std::vector<std::string> words_;
  bool missed_{false};
  bool lacking_{false};
};

template <class Condition>
const SceneFigures* find_scene(const Scenes& scenes, Condition condition) {
  const auto found = std::find_if(scenes.begin(), scenes.end(), [&](const SceneFigures& each) { return condition(each.scene); });
  return found == scenes.end() ? nullptr : &*found;
}

// One cubic flow, one way: what most figures speak of.
bool is_single(const BenchScene& scene) {
  return scene.load == BenchLoad::tcp && scene.flows == 1 && !scene.both_ways && scene.inner == "cubic";
}

const SceneFigures* raw_scene(const Scenes& scenes, BenchPath path) {
  return find_scene(scenes, [&](const BenchScene& scene) { return is_single(scene) && !scene.round_trips && scene.line.is_raw() && scene.path == path; });
}

const SceneFigures* wan_scene(const Scenes& scenes, unsigned round_trip_ms, double loss_percent, bool round_trips = false) {
  return find_scene(scenes, [&](const BenchScene& scene) {
    return is_single(scene) && scene.round_trips == round_trips && scene.path == BenchPath::lans && scene.line.rate_mbit == 500 && scene.line.round_trip_ms == round_trip_ms &&
           scene.line.loss_percent == loss_percent;
  });
}

Figures ratio(const SceneFigures* scene, std::string_view ours, std::string_view theirs, SampleNumber number = &BenchSample::mbps) {
  if (scene == nullptr) return {};
  const RowFigures* const a = scene->find(ours);
  const RowFigures* const b = scene->find(theirs);
  const auto paired = a && b ? ratio_of(*a, *b, number) : std::nullopt;
  return paired ? paired->values : Figures{};
}

BenchVerdict judge_s1(const Scenes& scenes) {
  const SceneFigures* const scene = raw_scene(scenes, BenchPath::lans);
  Parts parts;
  parts.at_least("recipe", ratio(scene, row_linktune, row_openvpn_recipe), 14, "x");
  parts.at_least("defaults", ratio(scene, row_linktune, row_openvpn), 18, "x");
  return parts.verdict("S1", "LAN to LAN, 1 flow, raw, against OpenVPN's 9000 recipe and its defaults", ">= 14x, >= 18x");
}

BenchVerdict judge_s2(const Scenes& scenes) {
  const SceneFigures* const scene = raw_scene(scenes, BenchPath::lans);
  const RowFigures* const ours = scene ? scene->find(row_linktune) : nullptr;
  Parts parts;
  parts.at_least("speed", ratio(scene, row_linktune, row_wireguard), 6, "x");
  parts.at_most("CPU", ours ? ours->values(&BenchSample::cpu_s_per_gb) : Figures{}, 1.0, " s/GB");
  return parts.verdict("S2", "the same against wireguard-go, and CPU of the whole machine", ">= 6x, <= 1.0 s/GB");
}

// OpenVPN over TCP at whichever tun-mtu was its best.
BenchVerdict judge_s3(const Scenes& scenes) {
  const SceneFigures* const scene = raw_scene(scenes, BenchPath::gateways);
  std::string best;
  double highest = 0;
  for (const std::string_view label : {row_openvpn, row_openvpn_recipe, row_openvpn_48000}) {
    const RowFigures* const row = scene ? scene->find(label) : nullptr;
    const double mbps = row ? row->median(&BenchSample::mbps).value_or(0) : 0;
    if (mbps > highest) best = label;
    highest = std::max(highest, mbps);
  }
  Parts parts;
  const RowFigures* const jumbo = scene ? scene->find(row_openvpn_48000) : nullptr;
  if (jumbo == nullptr || jumbo->units.empty()) parts.lacks(std::string(row_openvpn_48000));
  parts.at_least(best.empty() ? "OpenVPN TCP" : best, ratio(scene, row_linktune, best), 1.8, "x");
  return parts.verdict("S3", "gateway to gateway, 1 flow, raw, against OpenVPN TCP at its best tun-mtu", ">= 1.8x");
}

BenchVerdict judge_s4(const Scenes& scenes) {
  Parts parts;
  parts.at_least("bare", ratio(raw_scene(scenes, BenchPath::gateways), row_linktune, row_bare), 0.30, "x");
  return parts.verdict("S4", "gateway to gateway, 1 flow, against the bare veth pair", ">= 0.30x");
}

BenchVerdict judge_s5(const Scenes& scenes) {
  Parts parts;
  parts.at_least("bare", ratio(wan_scene(scenes, 20, 0), row_linktune, row_bare), 0.99, "x");
  return parts.verdict("S5", "500 Mbit/s, 20 ms, no loss, against bare TCP", ">= 0.99x");
}

// On each line by itself: a tunnel is as good as on its worst.
BenchVerdict judge_s6(const Scenes& scenes) {
  Parts parts;
  for (const unsigned round_trip : {20U, 80U}) {
    for (const double loss : {0.1, 1.0}) {
      const SceneFigures* const scene = wan_scene(scenes, round_trip, loss);
      const std::string line = format("{} ms {} %:", round_trip, loss);
      if (scene == nullptr) {
        parts.lacks(line);
        continue;
      }
      parts.at_least(line + " OpenVPN UDP", ratio(scene, row_linktune_bbr, row_openvpn_udp), 10, "x");
      parts.at_least("wireguard-go", ratio(scene, row_linktune_bbr, row_wireguard), 10, "x");
      parts.at_least("bare bbr", ratio(scene, row_linktune_bbr, row_bare_bbr), 0.95, "x");
    }
  }
  return parts.verdict("S6", "lossy WAN, cubic inside, bbr outside", ">= 10x, >= 10x, >= 0.95x");
}

BenchVerdict judge_s7(const Scenes& scenes) {
  const SceneFigures* const scene = wan_scene(scenes, 20, 0, true);
  const RowFigures* const ours = scene ? scene->find(row_linktune) : nullptr;
  Figures added;
  if (ours) {
    for (const BenchUnit& unit : ours->units) {
      const auto& idle = unit.sample->ping_idle;
      const auto& loaded = unit.sample->ping_loaded;
      if (idle && loaded && loaded->returned > 0) added.push_back((loaded->us_p99 - idle->us_p50) / 1000);
    }
  }
  Parts parts;
  parts.at_most("p99 above the idle median by", added, 5, " ms");
  return parts.verdict("S7", "ping while bulk fills 500 Mbit/s, 20 ms", "<= idle + 5 ms");
}

// Of one journal: the machine of another hour is another machine. Of several that are long enough, the one that is widest.
BenchVerdict judge_s8(const Scenes& scenes) {
  const SceneFigures* const scene = raw_scene(scenes, BenchPath::lans);
  const RowFigures* const ours = scene ? scene->find(row_linktune) : nullptr;
  std::map<std::size_t, Figures> rates;  // by journal
  for (const BenchUnit& unit : ours ? ours->units : std::vector<BenchUnit>{}) {
    if (unit.sample->mbps) rates[unit.journal].push_back(*unit.sample->mbps);
  }
  std::size_t most = 0;
  std::optional<double> widest;
  for (const auto& [journal, starts] : rates) {
    most = std::max(most, starts.size());
    if (starts.size() >= restarts_min) widest = std::max(widest.value_or(0), 100 * tuner::relative_spread(starts));
  }
  Parts parts;
  if (widest) {
    parts.at_most_of(format("{} starts in one run:", most), *widest, 5, " %");
  } else {
    parts.lacks(format("{} of {} starts in one run:", most, restarts_min));
  }
  return parts.verdict("S8", "spread of 20 restarts, (p95 - p5) / median", "<= 5 %");
}

BenchVerdict judge_s9(const Scenes& scenes) {
  Parts parts;
  parts.at_least("OpenVPN TCP", ratio(raw_scene(scenes, BenchPath::lans), row_linktune_plain, row_openvpn), 2, "x");
  return parts.verdict("S9", "without offloads, against OpenVPN TCP at the same MTU", ">= 2x");
}

BenchVerdict judge_s10(const Scenes& scenes) {
  const SceneFigures* const scene =
      find_scene(scenes, [](const BenchScene& each) { return each.load == BenchLoad::packets && each.path == BenchPath::lans && each.line.is_raw(); });
  Parts parts;
  parts.at_least("OpenVPN UDP", ratio(scene, row_linktune, row_openvpn_udp, &BenchSample::packets_per_s), 3, "x");
  parts.at_least("wireguard-go", ratio(scene, row_linktune, row_wireguard, &BenchSample::packets_per_s), 3, "x");
  return parts.verdict("S10", "64-byte UDP packets a second, LAN to LAN", ">= 3x, >= 3x");
}

// The largest of all starts: memory that is short once is short.
BenchVerdict judge_s11(const Scenes& scenes) {
  Figures peaks;
  for (const SceneFigures& scene : scenes) {
    const RowFigures* const ours = scene.find(row_linktune_lanes);
    const auto some = ours ? ours->values(&BenchSample::resident_mib) : Figures{};
    peaks.insert(peaks.end(), some.begin(), some.end());
  }
  Parts parts;
  if (peaks.empty()) {
    parts.lacks("peak");
  } else {
    parts.at_most_of(format("peak of {} starts", peaks.size()), *std::max_element(peaks.begin(), peaks.end()), 64, " MiB");
  }
  return parts.verdict("S11", "resident memory of a daemon, 16 lanes, full load", "<= 64 MiB");
}

}  // namespace

std::vector<BenchVerdict> judge_bench(const Scenes& scenes) {
  return {judge_s1(scenes), judge_s2(scenes), judge_s3(scenes), judge_s4(scenes), judge_s5(scenes), judge_s6(scenes),
          judge_s7(scenes), judge_s8(scenes), judge_s9(scenes), judge_s10(scenes), judge_s11(scenes)};
}

}  // namespace lt::app
