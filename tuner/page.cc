#include "tuner/page.h"

#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "configs/knob.h"
#include "configs/openvpn_writer.h"
#include "configs/toml_writer.h"
#include "tuner/chart_canvas.h"
#include "tuner/fate.h"
#include "tuner/markup.h"
#include "tuner/page_charts.h"
#include "tuner/page_frame.h"

namespace lt::tuner {

namespace {

constexpr configs::OpenVpnVersion version_guess{2, 6, 14};  // where the report does not name one

const Arm& arm_of(const Report& report, std::size_t arm) {
  return report.result.header.arms[arm];
}

std::string paragraph(std::string_view text, std::string_view attributes = {}) {
  return text.empty() ? std::string() : element("p", text, attributes) + "\n";
}

std::string percent(double share, int places = 1) {
  return format("{:.{}f} %", share * 100, places);
}

// What the owner should run: the choice, or in a ranking the one ahead.
std::optional<std::size_t> winner_of(const Report& report) {
  if (report.decision) return report.decision->choice;
  return report.verdict.ahead;
}

// ---- the verdict

struct Badge {
  std::string_view css;
  std::string_view word;
};

Badge badge_of(const Report& report) {
  if (!report.decision) return {"plain", "RANKING, NO DECISION"};
  if (!report.decision->choice && report.result.is_complete()) return {"bad", "NOTHING WORKS"};
  switch (report.decision->claim) {
    case Claim::better:
      return {"good", "BETTER"};
    case Claim::equivalent:
      return {"plain", "EQUIVALENT"};
    case Claim::worse:
      return {"bad", "WORSE"};
    case Claim::inconclusive:
      return {"warn", "INCONCLUSIVE"};
  }
  return {};
}

std::string card(std::string_view what, std::string_view value, std::string_view note) {
  return "<li>" + element("span", what) + element("b", value) +
         (note.empty() ? "" : element("i", note)) + "</li>\n";
}

std::string against_incumbent(const Report& report, std::size_t arm) {
  if (!report.decision || report.decision->incumbent == arm) return {};
  const auto pair = report.decision->between(arm, report.decision->incumbent);
  if (!pair || !pair->interval) return {};
  return ratio_text(*pair->interval) + " against the present settings";
}

std::string cards_of(const Report& report) {
  const auto winner = winner_of(report);
  const ArmSummary* row = winner ? report.verdict.row_of(*winner) : nullptr;
  if (row == nullptr || row->units == 0) return {};
  std::string cards = "<ul class=\"cards\">\n";
  cards += card("settings", arm_of(report, *winner).label,
                std::string(name_of(arm_of(report, *winner).carrier)));
  cards += card("goodput, slower way", rate_text(row->score), against_incumbent(report, *winner));
  cards += card("round trip under load", wait_text(row->loaded_us_p50),
                "idle " + wait_text(row->idle_us_p50));
  cards += card("CPU of both ends", format("{:.2f} s/Gbit", row->cpu_seconds_per_gbit), "");
  return cards + "</ul>\n";
}

std::string verdict_of(const Report& report) {
  const Badge badge = badge_of(report);
  const std::string sentence = report.decision && !report.decision->sentence.empty()
                                   ? report.decision->sentence
                                   : report.verdict.sentence;
  std::string html = element("p", "linktune sweep", " class=\"brand\"");
  html += element("span", badge.word, " class=\"badge " + std::string(badge.css) + "\"");
  html += element("h1", sentence) + "\n";
  if (report.decision) {
    const Decision& decision = *report.decision;
    html += paragraph("The goal was " + std::string(name_of(decision.goal)) + ": " +
                          decision.limit.sentence + ".",
                      " class=\"lead\"");
    if (!decision.choice_reason.empty())
      html += paragraph("Chosen among those not shown worse by: " + decision.choice_reason + ".",
                        " class=\"lead\"");
  }
  html += paragraph(how_to_settle(report), " class=\"lead\"");
  return html + cards_of(report);
}

// ---- the settings, to copy

std::string native_lines(const Arm& arm) {
  configs::NativeKnobs knobs;
  for (const Setting& setting : arm.settings) {
    if (!configs::set_knob(knobs, setting.name, setting.value)) return {};
  }
  return configs::write_native_changes(knobs);
}

configs::OpenVpnVersion openvpn_version_of(const Report& report) {
  for (const Fact& fact : report.result.header.facts) {
    if (fact.name != "openvpn") continue;
    const auto version = configs::parse_openvpn_version("OpenVPN " + fact.value);
    if (version) return *version;
  }
  return version_guess;
}

std::string openvpn_lines(const Report& report, const Arm& arm, bool is_server) {
  configs::OpenVpnKnobs knobs;
  for (const Setting& setting : arm.settings) {
    if (!configs::set_knob(knobs, setting.name, setting.value)) return {};
  }
  return configs::write_openvpn_tuning(knobs, openvpn_version_of(report), is_server);
}

std::string settings_of(const Report& report) {
  const auto winner = winner_of(report);
  if (!winner) return {};
  const Arm& arm = arm_of(report, *winner);
  const std::string& journal = report.result.journal_path;
  switch (arm.carrier) {
    case ArmCarrier::bare:
      return {};
    case ArmCarrier::native: {
      const std::string lines = native_lines(arm);
      if (lines.empty()) return paragraph("The defaults: a config needs no line for it.");
      return paragraph("Into the config of both sites:") + copy_box(lines);
    }
    case ArmCarrier::openvpn: {
      std::string html;
      if (!journal.empty())
        html += paragraph("Both files, checked by running them:") +
                copy_box("linktune openvpn export " + journal +
                         " --out DIR --config SITE.toml --peer-config PEER.toml\n");
      html += paragraph("Or these lines into the configs that stand already. The server's:");
      html += copy_box(openvpn_lines(report, arm, true)) + paragraph("The client's:");
      return html + copy_box(openvpn_lines(report, arm, false));
    }
    case ArmCarrier::wireguard:
      return paragraph("WireGuard is measured for comparison; linktune does not set it up.") +
             copy_box(canonical_text(arm) + "\n");
  }
  return {};
}

// ---- what was measured

std::string megabits(double rate) {
  return rate > 0 ? format("{:.0f}", rate / 1e6) : "\u2013";
}

std::string milliseconds(double us) {
  return us > 0 ? format("{:.1f}", us / 1e3) : "\u2013";
}

std::string results_table(const Report& report) {
  PageTable table({"setting", "became", "Mbit/s", "spread", "up / down", "idle ms",
                   "loaded ms p50 / p99", "lost", "CPU s/Gbit", "start s", "failed"});
  table.text_columns({1});
  for (const ArmSummary& row : report.verdict.rows) {
    const ArmFate fate = fate_of(report, row);
    std::vector<std::string> cells{arm_of(report, row.arm).label, fate.word};
    if (row.units == 0) {
      cells.insert(cells.end(), 8, "\u2013");
    } else {
      const std::vector<std::string> numbers{
          megabits(row.score),
          percent(row.spread),
          megabits(row.up) + " / " + megabits(row.down),
          milliseconds(row.idle_us_p50),
          milliseconds(row.loaded_us_p50) + " / " + milliseconds(row.loaded_us_p99),
          percent(row.loss, 2),
          format("{:.2f}", row.cpu_seconds_per_gbit),
          format("{:.1f}", row.start_ms / 1e3)};
      cells.insert(cells.end(), numbers.begin(), numbers.end());
    }
    cells.push_back(is_untried(row) ? "\u2013" : format("{}/{}", row.failures, row.units + row.failures));
    table.add(std::move(cells), fate.tone == ChartTone::plain ? "" : tone_class(fate.tone));
  }
  return table.html(format("Medians over {} blocks of fresh starts; spread = (p95 - p5) / median.",
                           report.result.blocks_done));
}

std::string results_of(const Report& report) {
  return results_table(report) + goodput_figure(report) + comparison_figure(report);
}

std::string price_of(const Report& report) {
  if (!report.decision || !report.decision->price) return {};
  const Price& price = *report.decision->price;
  if (!price.sentence.empty()) return paragraph(price.sentence);
  return paragraph(
      format("The last {} of goodput, from {} to {}, cost {} of waiting under load instead of {}.",
             percent(price.goodput_share), arm_of(report, price.calmer).label,
             arm_of(report, price.fastest).label, wait_text(price.fastest_wait_us),
             wait_text(price.calmer_wait_us)));
}

// ---- how the choice was made

std::string placing_item(const Report& report, const Placing& placing) {
  const std::string label = escaped(arm_of(report, placing.arm).label);
  const std::string share = format(" {:.1f} % of the leader", placing.ratio * 100);
  if (placing.is_kept) return "<li>" + label + escaped(share) + "</li>";
  return "<li class=\"out\">" + label + escaped(share) + " <b>out</b> " + escaped(placing.reason) +
         "</li>";
}

std::string step_item(const Report& report, const PathStep& step) {
  std::size_t kept = 0;
  for (const Placing& placing : step.placings)
    kept += placing.is_kept ? 1 : 0;
  std::string html =
      "<li>" + element("strong", format("{}, round {}", name_of(step.stage), step.round + 1));
  html += escaped(
      format(": {} settings, {} blocks, {} went on", step.placings.size(), step.blocks, kept));
  html += "<ul>";
  for (const Placing& placing : step.placings)
    html += placing_item(report, placing);
  return html + "</ul></li>\n";
}

std::string path_of(const Report& report) {
  if (!report.decision) return {};
  const Decision& decision = *report.decision;
  std::string html = "<ol class=\"path\">\n";
  if (!decision.calibration.sentence.empty())
    html += "<li>" + element("strong", "calibration") +
            escaped(": " + decision.calibration.sentence) + "</li>\n";
  for (const PathStep& step : decision.path)
    html += step_item(report, step);
  std::vector<std::string> names;
  for (const std::size_t arm : decision.confirmed)
    names.push_back(arm_of(report, arm).label);
  html += "<li>" + element("strong", "confirmation") +
          escaped(format(": {} fresh blocks of {}", decision.blocks, join(names, ", ")));
  if (decision.detectable > 0)
    html += escaped(format("; they show differences of {} and more", percent(decision.detectable)));
  if (decision.blocks_needed > 0)
    html += escaped(format("; {} blocks in all would settle it", decision.blocks_needed));
  html += "</li>\n</ol>\n";
  return html + paragraph(decision.restart.sentence);
}

std::string comparisons_table(const Report& report) {
  if (!report.decision || report.decision->comparisons.empty()) return {};
  PageTable table({"setting", "against", "ratio", "95 %, all pairs", "bootstrap", "permutation p",
                   "claim", "blocks", "blocks to settle"});
  table.text_columns({1});
  const auto text = [](const std::optional<Interval>& interval) {
    return interval ? format("{:.3f} \u2013 {:.3f}", interval->low, interval->high)
                    : std::string("\u2013");
  };
  for (const Comparison& pair : report.decision->comparisons)
    table.add({arm_of(report, pair.arm).label, arm_of(report, pair.versus).label,
               format("{:.3f}", pair.ratio), text(pair.interval), text(pair.bootstrap),
               format("{:.4f}", pair.permutation_p), std::string(name_of(pair.claim)),
               std::to_string(pair.blocks),
               pair.blocks_needed == 0 ? "\u2013" : std::to_string(pair.blocks_needed)});
  return table.html("Every pair of confirmed settings, paired by block.");
}

std::string knobs_of(const Report& report) {
  if (!report.decision || report.decision->knobs.empty()) return {};
  PageTable table({"knob", "from", "to", "goodput", "wait under load", "CPU", "blocks"});
  table.text_columns({1, 2});
  const auto text = [](const std::optional<Interval>& interval) {
    return interval ? ratio_text(*interval) : std::string("\u2013");
  };
  for (const KnobEffect& effect : report.decision->knobs)
    table.add({effect.knob, effect.from, effect.to, text(effect.goodput), text(effect.wait),
               text(effect.cpu), std::to_string(effect.blocks)});
  return table.html(
      "What one knob did, between two settings that differ in nothing else: 95 % intervals of each "
      "pair alone.");
}

// ---- what went wrong

std::string failures_of(const Report& report) {
  PageTable table({"setting", "failed", "the bench failed", "the last reason"});
  table.text_columns({3});
  for (const ArmSummary& row : report.verdict.rows) {
    if (row.failures == 0 && row.harness_failures == 0) continue;
    table.add(
        {arm_of(report, row.arm).label, format("{}/{}", row.failures, row.units + row.failures),
         std::to_string(row.harness_failures), row.failure},
        row.failures > 0 ? "bad" : "");
  }
  if (table.is_empty()) return paragraph("No trial failed.");
  return table.html(
      "A setting's own failures count against it; the bench's are repeated and counted apart.");
}

std::string doubts_of(const Report& report) {
  if (report.doubts.empty()) return {};
  std::string html = "<ul>\n";
  for (const Doubt& doubt : report.doubts)
    html += element("li", doubt.text + "; " + doubt.advice) + "\n";
  return html + "</ul>\n";
}

// ---- how to do it again

std::string reproduction_of(const Report& report) {
  const SweepResult& result = report.result;
  std::string html;
  if (!result.journal_path.empty())
    html += paragraph("This report again, byte for byte, from its evidence:") +
            copy_box("linktune replay " + result.journal_path + " --html report.html\n");
  html += paragraph("The same order of trials with the same settings:") +
          copy_box(result.how_to_repeat() + "\n");
  PageTable facts({"fact", "value"});
  facts.text_columns({1});
  facts.add({"sweep", result.header.id});
  facts.add({"begun", result.header.started});
  for (const Fact& fact : result.header.facts)
    facts.add({fact.name, fact.value});
  html += facts.html("What the numbers depend on.");
  PageTable arms({"setting", "as text", "why it was tried"});
  arms.text_columns({1, 2});
  for (const Arm& arm : result.header.arms)
    arms.add({arm.label, canonical_text(arm), arm.why});
  return html + "<details>" + element("summary", "every setting, in full") + arms.html("") +
         "</details>\n";
}

// ---- the line

std::string facts_of_line(const Physics& physics) {
  std::string html = paragraph(bound_of(physics).text);
  html += "<ul>\n";
  for (const std::string& sentence : sentences_of(physics))
    html += element("li", sentence) + "\n";
  return html + "</ul>\n";
}

std::string ruled_out_list(const SweepResult& result) {
  const auto ruled_out = ruled_out_of(result);
  if (ruled_out.empty()) return {};
  std::string html = paragraph("So these settings cannot work here:") + "<ul>\n";
  for (const std::string& sentence : ruled_out)
    html += element("li", sentence) + "\n";
  return html + "</ul>\n";
}

std::string line_of(const Report& report) {
  const auto& record = report.result.physics;
  if (!record) return {};
  if (record->failure)
    return paragraph("What the line is could not be found out: " + record->failure->text());
  std::string html = facts_of_line(record->physics);
  if (report.result.largest_mtu) html += paragraph(sentence_of(*report.result.largest_mtu) + ".");
  return html + ruled_out_list(report.result);
}

std::string gates_of(const Report& report) {
  PageTable table({"setting", "check", "outcome", "what was seen"});
  table.text_columns({1, 2, 3});
  for (const GateRecord& gate : report.result.gates) {
    for (const GateCheck& check : gate.outcome.checks) {
      const bool is_failed = check.verdict == GateVerdict::failed;
      table.add({arm_of(report, gate.arm).label, check.name, std::string(name_of(check.verdict)),
                 check.what},
                is_failed                               ? "bad"
                : check.verdict == GateVerdict::skipped ? "muted"
                                                        : "");
    }
  }
  if (table.is_empty()) return {};
  const std::string html = table.html(
      "A setting must pass before it may win. What was skipped is not counted as passed.");
  return "<details>" + element("summary", "the correctness gate, check by check") + html +
         "</details>\n";
}

struct Chapter {
  std::string_view id;
  std::string_view heading;
  std::string body;
};

std::string contents_of(const std::vector<Chapter>& chapters) {
  std::string html = "<nav aria-label=\"contents\">";
  for (const Chapter& chapter : chapters) {
    if (!chapter.body.empty())
      html += element("a", chapter.heading, format(" href=\"#{}\"", chapter.id)) + " ";
  }
  return html + "</nav>\n";
}

}  // namespace

std::string page_of(const Report& report) {
  const std::vector<Chapter> chapters{
      {"use", "Use it", settings_of(report)},
      {"results", "Results", results_of(report)},
      {"trade", "Throughput against waiting", trade_figure(report) + price_of(report)},
      {"path", "How the choice was made", path_of(report) + comparisons_table(report)},
      {"knobs", "What each knob did", knobs_of(report)},
      {"course", "Over time", series_figure(report) + drift_figure(report)},
      {"cpu", "CPU", cpu_figure(report)},
      {"line", "The line itself", line_of(report)},
      {"failures", "Failures", failures_of(report) + gates_of(report)},
      {"doubts", "Reasons for doubt", doubts_of(report)},
      {"again", "Do it again", reproduction_of(report)}};
  std::string body =
      "<header>\n" + verdict_of(report) + contents_of(chapters) + "</header>\n<main>\n";
  for (const Chapter& chapter : chapters)
    body += section_of(chapter.id, chapter.heading, chapter.body);
  body +=
      "</main>\n" +
      element(
          "footer",
          format("linktune sweep {}, begun {}, seed {}. This page is one file and loads nothing.",
                 report.result.header.id, report.result.header.started,
                 report.result.header.seed)) +
      "\n";
  return page_around(
      "linktune: " + (winner_of(report) ? arm_of(report, *winner_of(report)).label : "sweep"),
      body);
}

}  // namespace lt::tuner
