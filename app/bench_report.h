// The report of a bench, from its journals alone: figures by scene and row, verdicts on S1 to S11, reasons for doubt.
// Pure: the same journals give the same bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/bench_journal.h"
#include "app/text_table.h"
#include "tuner/statistics.h"

namespace lt::app {

inline constexpr std::string_view bench_schema = "linktune.bench.2";

using SampleNumber = std::optional<double> BenchSample::*;

/// All fresh starts of one row in one scene.
struct RowFigures {
  BenchRow row;
  std::vector<BenchUnit> units;  // measured
  std::vector<std::string> failures;
  std::string absence;           // why there is nothing

  /// One number of each start that has it.
  [[nodiscard]] std::vector<double> values(SampleNumber number) const;
  [[nodiscard]] std::optional<double> median(SampleNumber number) const;
};

struct SceneFigures {
  BenchScene scene;
  std::vector<RowFigures> rows;  // bare, OpenVPN, WireGuard, linktune

  [[nodiscard]] const RowFigures* find(std::string_view label) const;
};

/// a against b, from the blocks that measured both.
struct PairedRatio {
  std::vector<double> values;  // one of each block
  double median{0};
  std::optional<tuner::Interval> interval;  // 95 %, by paired log differences
  std::size_t blocks{0};
};
[[nodiscard]] std::optional<PairedRatio> ratio_of(const RowFigures& a, const RowFigures& b, SampleNumber number);

enum class Standing : std::uint8_t { reached, missed, unmeasured };
[[nodiscard]] std::string_view name_of(Standing standing);

/// One line of the figures to reach.
struct BenchVerdict {
  std::string id;        // "S1"
  std::string what;
  std::string target;
  std::string measured;  // or what it would take to say
  Standing standing{Standing::unmeasured};
};

struct BenchReport {
  std::vector<Json> facts;  // of each journal
  std::vector<SceneFigures> scenes;
  std::vector<BenchVerdict> verdicts;
  std::vector<std::string> doubts;
  std::uint64_t units{0};
  std::uint64_t units_cut{0};
  std::uint64_t first_unix_s{0};  // when the first and the last start began
  std::uint64_t last_unix_s{0};
};

/// Several journals make one report; their blocks stay apart.
[[nodiscard]] BenchReport make_bench_report(const std::vector<BenchJournalContents>& journals);

[[nodiscard]] std::string text_of(const BenchReport& report);
/// Of it the verdicts alone.
[[nodiscard]] std::string verdict_text_of(const BenchReport& report);
/// All starts of a scene, row by row.
[[nodiscard]] TextTable table_of(const SceneFigures& scene);
/// Machine and programs, how to read the tables, what is absent, what is doubtful: a sentence each.
[[nodiscard]] std::vector<std::string> notes_of(const BenchReport& report);
/// The tables of docs/PERFORMANCE.md.
[[nodiscard]] std::string markdown_of(const BenchReport& report);
[[nodiscard]] Json json_of(const BenchReport& report);

}  // namespace lt::app
