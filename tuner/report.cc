#include "tuner/report.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/format.h"
#include "tuner/decision_report.h"
#include "tuner/fate.h"
#include "tuner/plan.h"

namespace lt::tuner {

namespace {

std::string fixed(double value, int places) {
  return format("{:.{}f}", value, places);
}

std::string megabits(double bits_per_second) {
  const double value = bits_per_second * 1e-6;
  return fixed(value, value < 10 ? 2 : value < 100 ? 1 : 0);
}

std::string milliseconds(double microseconds) {
  if (microseconds <= 0) return "-";
  const double value = microseconds * 1e-3;
  return fixed(value, value < 10 ? 2 : value < 100 ? 1 : 0);
}

std::string percent(double share) {
  return fixed(share * 100, 1) + "%";
}

// Columns as wide as their widest cell; the first is flush left, the others right.
class Table {
 public:
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  [[nodiscard]] std::string text() const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
      widths.resize(std::max(widths.size(), row.size()));
      for (std::size_t i = 0; i < row.size(); ++i)
        widths[i] = std::max(widths[i], row[i].size());
    }
    std::string text;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string gap(widths[i] - row[i].size(), ' ');
        line += i == 0 ? row[i] + gap : "  " + gap + row[i];
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
    return text;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::vector<std::string> cells(const Report& report, const ArmSummary& row) {
  std::vector<std::string> cells{report.result.header.arms[row.arm].label};
  if (row.units == 0) {
    cells.insert(cells.end(), 9, "-");
  } else {
    const bool has_up = row.up > 0;
    const bool has_down = row.down > 0;
    const std::array<std::string, 9> numbers{
        megabits(row.score),
        percent(row.spread),
        has_up ? megabits(row.up) : "-",
        has_down ? megabits(row.down) : "-",
        milliseconds(row.idle_us_p50) + "/" + milliseconds(row.idle_us_p99),
        milliseconds(row.loaded_us_p50) + "/" + milliseconds(row.loaded_us_p99),
        percent(row.loss),
        fixed(row.cpu_seconds_per_gbit, 2),
        fixed(row.start_ms * 1e-3, 1)};
    cells.insert(cells.end(), numbers.begin(), numbers.end());
  }
  cells.push_back(is_untried(row) ? "-" : std::to_string(row.failures) + "/" + std::to_string(row.units + row.failures));
  cells.emplace_back(report.decision ? fate_of(report, row).word : std::string(name_of(row.standing)));
  return cells;
}

std::string table_of(const Report& report) {
  Table table;
  table.add({"", "Mbit/s", "spread", "up", "down", "RTT idle", "RTT loaded", "loss", "CPU", "start",
             "failed", report.decision ? "became" : "standing"});
  table.add({"arm", "median", "", "Mbit/s", "Mbit/s", "p50/p99 ms", "p50/p99 ms", "", "s/Gbit", "s",
             "", ""});
  std::string untried;
  for (const ArmSummary& row : report.verdict.rows) {
    if (report.decision && is_untried(row)) {
      untried += (untried.empty() ? "" : ", ") + report.result.header.arms[row.arm].label;
    } else {
      table.add(cells(report, row));
    }
  }
  if (!untried.empty()) untried = "  not tried, the budget had no room: " + untried + "\n";
  return table.text() + untried;
}

std::string failures_of(const Report& report) {
  std::string text;
  for (const ArmSummary& row : report.verdict.rows) {
    if (row.failures == 0) continue;
    text += "  failed: " + report.result.header.arms[row.arm].label + ": " + row.failure + "\n";
  }
  return text;
}

std::string doubts_of(const Report& report) {
  std::string text;
  if (!report.doubts.empty()) text += "\nReasons for doubt:\n";
  for (const Doubt& doubt : report.doubts)
    text += "  - " + doubt.text + "; " + doubt.advice + "\n";
  return text;
}

std::string bound_of_line(const SweepResult& result) {
  if (!result.physics || result.physics->failure) return {};
  const std::string text = bound_of(result.physics->physics).text;
  return text.empty() ? text : "\n" + text + "\n";
}

std::string largest_mtu_text(const SweepResult& result) {
  if (!result.largest_mtu) return {};
  std::string sentence = sentence_of(*result.largest_mtu);
  sentence.front() = 'T';
  return sentence + ".\n";
}

std::string ruled_out_text(const SweepResult& result) {
  std::string text;
  for (const std::string& sentence : ruled_out_of(result))
    text += (text.empty() ? "Ruled out by the line:\n  " : "  ") + sentence + "\n";
  return text;
}

std::string objective_text(Objective objective) {
  switch (objective) {
    case Objective::slower_way:
      return "the slower of both ways";
    case Objective::sum_of_ways:
      return "both ways together";
  }
  return {};
}

std::string reproduction_of(const SweepResult& result) {
  std::string text = "seed " + std::to_string(result.header.seed) + ", sweep " + result.header.id +
                     ", begun " + result.header.started + "\n";
  for (const Fact& fact : result.header.facts)
    text += "  " + fact.name + ": " + fact.value + "\n";
  if (!result.journal_path.empty()) {
    text += "evidence: " + result.journal_path + "; this report again: linktune replay " +
            result.journal_path + "\n";
  }
  return text + "all of it again: " + result.how_to_repeat() + "\n";
}

Json interval_to_json(const std::optional<Interval>& interval) {
  if (!interval) return nullptr;
  return {{"low", interval->low}, {"high", interval->high}};
}

Json row_to_json(const Report& report, const ArmSummary& row) {
  const Arm& arm = report.result.header.arms[row.arm];
  Json value = to_json(arm);
  value["fate"] = fate_of(report, row).word;
  value["carrier"] = std::string(name_of(arm.carrier));
  value["standing"] = std::string(name_of(row.standing));
  value["units"] = row.units;
  value["failures"] = row.failures;
  value["failure"] = row.failure;
  value["harness_failures"] = row.harness_failures;
  value["score_bits_per_second"] = row.score;
  value["spread"] = row.spread;
  value["interval_bits_per_second"] = interval_to_json(row.interval);
  value["ratio_to_ahead"] = interval_to_json(row.ratio);
  value["up_bits_per_second"] = row.up;
  value["down_bits_per_second"] = row.down;
  value["idle_us_p50"] = row.idle_us_p50;
  value["idle_us_p99"] = row.idle_us_p99;
  value["loaded_us_p50"] = row.loaded_us_p50;
  value["loaded_us_p99"] = row.loaded_us_p99;
  value["loss"] = row.loss;
  value["cpu_seconds_per_gbit"] = row.cpu_seconds_per_gbit;
  value["start_ms"] = row.start_ms;
  return value;
}

std::string csv_quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    result += c;
    if (c == '"') result += c;
  }
  return result + "\"";
}

std::string csv_line(const Unit& unit, const SweepHeader& header) {
  const Arm& arm = header.arms[unit.arm];
  std::string line = std::to_string(unit.block) + "," + std::to_string(unit.position) + "," +
                     hash_of(arm) + "," + csv_quoted(canonical_text(arm)) + "," +
                     std::string(name_of(unit.status)) + "," + std::to_string(unit.attempts);
  const auto add = [&](double value) { line += "," + fixed(value, 6); };
  if (!unit.sample)
    return line + std::string(12, ',') + unit.start_wall + "," +
           csv_quoted(unit.error ? unit.error->text() : "") + "\n";
  const Sample& sample = *unit.sample;
  line += "," + (sample.up ? std::to_string(sample.up->value) : "") + "," +
          (sample.down ? std::to_string(sample.down->value) : "");
  add(sample.idle.us_p50);
  add(sample.idle.us_p99);
  add(sample.loaded.us_p50);
  add(sample.loaded.us_p99);
  add(sample.loss_up);
  add(sample.loss_down);
  add(sample.cpu_seconds_per_gbit);
  line += "," + std::to_string(sample.retransmits) + "," +
          std::to_string(sample.start_time.count()) + "," + unit.start_wall;
  return line + ",\n";
}

std::string latency_line(const char* name, const EchoResult& echo) {
  if (echo.sent == 0) return {};
  const Latency& latency = echo.latency;
  std::string line = std::string(name) + "  ";
  if (latency.count == 0) {
    line += "nothing came back";
  } else {
    line += "p50 " + milliseconds(latency.us_p50) + "  p95 " + milliseconds(latency.us_p95) +
            "  p99 " + milliseconds(latency.us_p99) + "  max " + milliseconds(latency.us_max) +
            " ms  " + fixed(latency.per_minute(), 0) + " round trips/min";
  }
  return line + "  lost " + percent(echo.loss_up()) + " up, " + percent(echo.loss_down()) +
         " down\n";
}

std::string flow_line(const char* name, const std::optional<FlowResult>& flow) {
  if (!flow) return {};
  return std::string(name) + "  " + megabits(static_cast<double>(flow->goodput().value)) +
         " Mbit/s  " + std::to_string(flow->flows) + (flow->flows == 1 ? " flow  " : " flows  ") +
         flow->congestion + "  " + std::to_string(flow->retransmits) + " retransmits\n";
}

}  // namespace

Report make_report(SweepResult result) {
  Report report;
  report.verdict = judge(result);
  report.doubts = doubts(result, report.verdict);
  if (result.header.question) report.decision = decide(result);
  report.result = std::move(result);
  return report;
}

std::vector<std::string> ruled_out_of(const Evidence& evidence) {
  const Addition* search = evidence.addition_of(Stage::search);
  return search == nullptr ? std::vector<std::string>() : search->ruled_out;
}

std::string how_to_settle(const Report& report) {
  const SweepResult& result = report.result;
  if (result.is_complete() && (!report.decision || report.decision->claim != Claim::inconclusive)) return {};
  if (const std::string resume = result.how_to_resume(); !resume.empty())
    return "Not finished. Go on with: " + resume;
  if (!report.decision || !result.header.question) return {};
  const Milliseconds budget = budget_to_settle(result, report.decision->blocks_needed);
  if (budget <= result.header.question->budget) return {};
  return "To settle it, give it more time: " + result.how_to_repeat(budget);
}

std::string text_of(const Report& report) {
  std::string text = table_of(report) + failures_of(report) + "\n";
  if (report.decision) {
    text += text_of(*report.decision, report.result.header) + bound_of_line(report.result) +
            largest_mtu_text(report.result) +
            ruled_out_text(report.result) + doubts_of(report);
    if (const std::string settle = how_to_settle(report); !settle.empty()) text += "\n" + settle + "\n";
    return text + "\n" + reproduction_of(report.result);
  }
  text += "Ranked by the median goodput of " + objective_text(report.result.objective) + " over " +
          std::to_string(report.result.blocks_done) +
          " fresh starts; spread = (p95 - p5) / median; drift of the bare line " +
          percent(report.verdict.bare_spread) + ".\n";
  text += report.verdict.sentence + "\n";
  return text + doubts_of(report) + "\n" + reproduction_of(report.result);
}

Json json_of(const Report& report) {
  const SweepResult& result = report.result;
  Json rows = Json::array();
  for (const ArmSummary& row : report.verdict.rows)
    rows.push_back(row_to_json(report, row));
  Json reasons = Json::array();
  for (const Doubt& doubt : report.doubts) {
    reasons.push_back({{"reason", std::string(name_of(doubt.reason))},
                       {"text", doubt.text},
                       {"advice", doubt.advice}});
  }
  Json facts = Json::object();
  for (const Fact& fact : result.header.facts)
    facts[fact.name] = fact.value;
  Json value = {{"schema", std::string(report_schema)},
                {"id", result.header.id},
                {"seed", result.header.seed},
                {"started", result.header.started},
                {"facts", facts},
                {"plan", to_json(result.header.plan)},
                {"objective", std::string(name_of(result.objective))},
                {"blocks_done", result.blocks_done},
                {"blocks_planned", result.header.blocks},
                {"journal", result.journal_path},
                {"resume", result.how_to_resume()},
                {"bare_spread", report.verdict.bare_spread},
                {"is_decision", report.verdict.is_decision},
                {"blocks_needed", report.verdict.blocks_needed},
                {"verdict", report.verdict.sentence},
                {"arms", rows},
                {"doubts", reasons}};
  value["method"] = std::string(name_of(result.header.method()));
  value["is_complete"] = result.is_complete();
  if (report.decision) {
    value["is_decision"] = report.decision->claim != Claim::inconclusive;
    value["verdict"] = report.decision->sentence;
    value["decision"] = json_of(*report.decision, result.header);
  }
  value["repeat"] = result.how_to_repeat();
  value["settle"] = how_to_settle(report);
  value["ruled_out"] = ruled_out_of(result);
  value["largest_mtu"] = Json(nullptr);
  if (result.largest_mtu) {
    const LargestMtuRecord& record = *result.largest_mtu;
    value["largest_mtu"] = {{"arm", canonical_text(record.arm)},
                            {"largest", record.largest ? Json(*record.largest) : Json(nullptr)},
                            {"too_large", record.too_large ? Json(*record.too_large) : Json(nullptr)},
                            {"trials", record.trials},
                            {"sentence", sentence_of(record)}};
  }
  value["physics"] = result.physics && !result.physics->failure ? to_json(result.physics->physics)
                                                               : Json(nullptr);
  value["ahead"] = report.verdict.ahead ? Json(hash_of(result.header.arms[*report.verdict.ahead]))
                                        : Json(nullptr);
  return value;
}

std::string csv_of(const Report& report) {
  std::string text =
      "block,position,arm,settings,status,attempts,up_bits_per_second,down_bits_per_second,idle_us_"
      "p50,idle_us_p99,"
      "loaded_us_p50,loaded_us_p99,loss_up,loss_down,cpu_seconds_per_gbit,retransmits,start_ms,"
      "started,error\n";
  for (const Unit& unit : report.result.units)
    text += csv_line(unit, report.result.header);
  return text;
}

std::string text_of(const ProbeResult& result) {
  std::string text;
  if (result.path_failure) text += "FAILED: " + result.path_failure->text() + "\n";
  text += flow_line("up    ", result.up) + flow_line("down  ", result.down);
  text += latency_line("idle  ", result.idle) + latency_line("loaded", result.loaded);
  if (result.cpu_seconds_per_gbit() > 0) {
    text += "CPU     " + fixed(result.cpu_seconds_per_gbit(), 3) + " s/Gbit" +
            (result.same_machine ? " (both ends are this machine)" : " (both ends together)") +
            "; busy " + fixed(result.client_cpu.busy_seconds, 2) + " s here, " +
            fixed(result.server_cpu.busy_seconds, 2) + " s there, of which the probe " +
            fixed(result.client_cpu.process_seconds, 2) + " s and " +
            fixed(result.server_cpu.process_seconds, 2) + " s\n";
  }
  return text;
}

}  // namespace lt::tuner
