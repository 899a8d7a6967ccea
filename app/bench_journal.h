// The journal of a bench: JSON lines, each on the disk before the next unit begins. The first says what machine and
// programs these are; each other is one unit: one fresh start of one row in one block.
//
// The report is a function of such files alone. Units of a block that was cut off stay in the file and do not count:
// when the bench goes on, that block is measured anew as a whole, else its rows would not be comparable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/bench_plan.h"
#include "base/line_file.h"

namespace lt::app {

inline constexpr std::string_view bench_journal_schema = "linktune.bench-journal.1";

/// Round trips of small packets, 50 a second (unit: us).
struct RoundTrips {
  std::uint64_t sent{0};
  std::uint64_t returned{0};
  double us_p50{0};
  double us_p99{0};
};

/// What one fresh start of one row showed. What its scene does not ask for is absent.
struct BenchSample {
  std::optional<double> mbps;          // goodput at the receiver, both ways together
  std::optional<double> mbps_back;     // of it, towards the office
  std::optional<double> cpu_s_per_gb;  // whole machine: gateways, hosts and the load itself
  std::optional<double> steal;         // share of CPU time that the hypervisor gave to others meanwhile
  std::optional<double> busy_before;   // share of CPU time that the machine spent on other things just before the start
  std::optional<double> retransmits;   // of the measured flows
  std::optional<RoundTrips> ping_idle, ping_loaded;  // ICMP
  std::optional<RoundTrips> echo_idle, echo_loaded;  // UDP, of the same class as bulk
  std::optional<double> packets_per_s;      // delivered, at most 1 % lost
  std::optional<double> packets_per_s_max;  // delivered at best, whatever was lost
  std::optional<double> resident_mib;       // the largest daemon of the carrier, at its peak
};

struct BenchUnit {
  std::uint64_t block{0};   // counts the blocks of its file, cut ones too
  std::size_t rows{1};      // of its block
  std::uint64_t round{0};
  BenchScene scene;
  BenchRow row;
  std::optional<BenchSample> sample;  // none: it failed, or its carrier is not to be had
  std::string failure{};
  bool is_absent{false};     // `failure` says what the machine lacks
  std::uint64_t unix_s{0};   // when it began
  std::size_t journal{0};    // which of the journals of a report it stands in; not written
};

struct BenchJournalContents {
  Json facts = Json::object();    // texts by name: machine, kernel, versions
  std::vector<BenchUnit> units{}; // of whole blocks, in the order they were measured
  std::uint64_t units_cut{0};     // of blocks that were cut off
  std::uint64_t blocks{0};        // the number of the next one
  std::uint64_t bytes{0};         // up to the end of the last whole line

  /// Whether `scene` was measured in `round`, with all of its rows.
  [[nodiscard]] bool holds(const BenchScene& scene, std::uint64_t round) const;
};

[[nodiscard]] Json to_json(const BenchUnit& unit);
[[nodiscard]] Result<BenchUnit> bench_unit_from_json(const Json& value);
[[nodiscard]] Json bench_header(const Json& facts);

/// @param path  for the errors. @error invalid: names the line
[[nodiscard]] Result<BenchJournalContents> parse_bench_journal(std::string_view text, const std::string& path);
/// @error not_found · invalid · limit: larger than a bench could write
[[nodiscard]] Result<BenchJournalContents> read_bench_journal(const std::string& path);

/// @error rejected: the journal was begun by other programs or on another machine; the sentence names the fact
[[nodiscard]] Status check_same_bench(const Json& then, const Json& now);

}  // namespace lt::app
