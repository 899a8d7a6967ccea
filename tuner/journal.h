// The journal: what a sweep has measured, one line for each finished trial, on the disk before the
// next begins.
//
// Append-only JSON lines. The first line says what the sweep is (seed, arms, plan, question, facts).
// Then, as they come: what the line is (physics), the largest MTU that works, arms that a stage brought
// in, what the gate said of one, what a block consists of (block), its units one by one (unit), a block that is void, a new
// epoch. A block that a crash or Ctrl-C has broken is measured anew as a whole, else its arms would
// not be comparable. A torn last line is what a crash leaves; it is dropped, and cut off before the
// next line is written.
#pragma once

#include <cstdint>
#include <string>

#include "base/line_file.h"
#include "base/result.h"
#include "tuner/evidence.h"

namespace lt::tuner {

inline constexpr std::string_view journal_schema = "linktune.journal/2";
inline constexpr std::size_t journal_bytes_max = 256U << 20;

struct JournalContents : Evidence {
  std::optional<Block> broken;  // begun, not complete: to be voided and measured anew
  std::uint64_t bytes{0};       // up to the end of the last whole line
  bool is_torn{false};          // something behind it was dropped
};

[[nodiscard]] Json to_json(const SweepHeader& header);
[[nodiscard]] Result<SweepHeader> sweep_header_from_json(const Json& value);
[[nodiscard]] Json to_json(const Block& block, const SweepHeader& header);
[[nodiscard]] Result<Block> block_from_json(const Json& value, const SweepHeader& header);
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
  /// @error busy: another program is writing it
  [[nodiscard]] static Result<Journal> reopen(const std::string& path,
                                              const JournalContents& contents);

  /// On the disk when it returns. @error limit: the disk is full
  [[nodiscard]] Status append(const Block& block, const SweepHeader& header);
  [[nodiscard]] Status append(const Unit& unit, const SweepHeader& header);
  [[nodiscard]] Status append(const PhysicsRecord& record);
  [[nodiscard]] Status append(const LargestMtuRecord& record);
  [[nodiscard]] Status append(const GateRecord& record, const SweepHeader& header);
  /// @param header  holds the arms already
  [[nodiscard]] Status append(const Addition& addition, const SweepHeader& header);
  [[nodiscard]] Status append(const Epoch& epoch);

 private:
  explicit Journal(LineFile file) : file_(std::move(file)) {}
  [[nodiscard]] Status append_line(const Json& value);

  LineFile file_;
};

}  // namespace lt::tuner
