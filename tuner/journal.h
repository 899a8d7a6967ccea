// The journal: what a sweep has measured, one line for each finished trial, on the disk before the
// next begins.
//
// Append-only JSON lines. The first line says what the sweep is (seed, arms, plan, facts); each
// further line is one unit (one fresh start of one arm in one block), or says that a block is void:
// a block that a crash or Ctrl-C has broken is measured anew as a whole, else its arms would not be
// comparable. A torn last line is what a crash leaves; it is dropped, and cut off before the next
// line is written.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/line_file.h"
#include "base/result.h"
#include "tuner/arm.h"
#include "tuner/bench.h"
#include "tuner/sample.h"

namespace lt::tuner {

inline constexpr std::string_view journal_schema = "linktune.journal/1";
inline constexpr std::size_t journal_bytes_max = 256U << 20;
inline constexpr std::size_t sweep_blocks_max = 10'000;

/// What does not change in the course of a sweep.
struct SweepHeader {
  std::string id;  // 16 hexadecimal digits
  std::uint64_t seed{0};
  std::size_t blocks{0};  // planned
  std::vector<Arm> arms;
  TrialPlan plan;
  std::vector<Fact> facts;  // versions, kernel
  std::string started;      // UTC, "2026-01-31T12:00:00Z"
};

enum class UnitStatus : std::uint8_t {
  measured,
  arm_failed,      // counts against the arm
  harness_failed,  // the bench was at fault, twice
};

[[nodiscard]] std::string_view name_of(UnitStatus status);

/// One fresh start of one arm.
struct Unit {
  std::size_t block{0};
  std::size_t position{0};  // within the block
  std::size_t arm{0};       // place in SweepHeader::arms
  UnitStatus status{UnitStatus::measured};
  unsigned attempts{1};          // 2: the bench failed once before
  std::optional<Sample> sample;  // of a measured unit
  std::optional<Error> error;    // of any other
  std::int64_t start_ns{0};      // monotonic, of this boot
  std::int64_t stop_ns{0};
  std::string start_wall;  // UTC
  std::string stop_wall;
};

struct JournalContents {
  SweepHeader header;
  std::vector<Unit> units;       // of complete blocks, in the order they were measured
  std::set<std::size_t> blocks;  // complete
  std::set<std::size_t> broken;  // begun, not complete: to be voided and measured anew
  std::uint64_t bytes{0};        // up to the end of the last whole line
  bool is_torn{false};           // something behind it was dropped
};

[[nodiscard]] Json to_json(const SweepHeader& header);
[[nodiscard]] Result<SweepHeader> sweep_header_from_json(const Json& value);
[[nodiscard]] Json to_json(const Unit& unit, const SweepHeader& header);
[[nodiscard]] Result<Unit> unit_from_json(const Json& value, const SweepHeader& header);

/// @error not_found · invalid: names file and line · limit: larger than journal_bytes_max
[[nodiscard]] Result<JournalContents> read_journal(const std::string& path);
/// The same from text; `path` is for the errors.
[[nodiscard]] Result<JournalContents> parse_journal(std::string_view text, const std::string& path);

/// @thread one
class Journal {
 public:
  /// A new file of mode 0600. @error exists: there is a journal at `path`; it is not touched
  [[nodiscard]] static Result<Journal> create(const std::string& path, const SweepHeader& header);
  /// Goes on behind what `contents` holds: cuts a torn line off and voids broken blocks.
  /// @error busy: another sweep is writing it
  [[nodiscard]] static Result<Journal> reopen(const std::string& path,
                                              const JournalContents& contents);

  /// On the disk when it returns. @error limit: the disk is full
  [[nodiscard]] Status append(const Unit& unit, const SweepHeader& header);

 private:
  explicit Journal(LineFile file) : file_(std::move(file)) {}
  [[nodiscard]] Status append_line(const Json& value);

  LineFile file_;
};

}  // namespace lt::tuner
