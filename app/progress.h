// The progress of a sweep on a terminal: one line that is written over, with a bar, the time that
// is left, what runs now and the best so far; one line for each trial that has ended. Where
// standard error is no terminal only what a person must know is written.
#pragma once

#include <cstdio>
#include <string>

#include "tuner/sweep.h"

namespace lt::app {

struct ProgressStyle {
  bool is_terminal{false};
  bool has_colour{false};   // on a terminal, unless NO_COLOR is set
  std::size_t columns{80};  // of the terminal
};
/// What standard error is.
[[nodiscard]] ProgressStyle progress_style();

/// "[#####.....]  34 %  12/36  2:41 left  native mtu=9000  best: native, 912 Mbit/s", no wider than
/// the terminal.
[[nodiscard]] std::string progress_line(const tuner::SweepProgress& progress,
                                        const ProgressStyle& style);
/// "native mtu=9000    up 912 down 915 Mbit/s, 14.2 ms loaded"
[[nodiscard]] std::string unit_line(const tuner::SweepProgress& progress, const tuner::Unit& unit,
                                    const ProgressStyle& style);

/// Writes them to `out` as a sweep goes on. @thread the sweep's
class TerminalProgress final : public tuner::Progress {
 public:
  explicit TerminalProgress(std::FILE* out = stderr, ProgressStyle style = progress_style())
      : out_(out), style_(style) {}
  ~TerminalProgress() override;

  void unit_starts(const tuner::SweepProgress& progress) override;
  void unit_ended(const tuner::SweepProgress& progress, const tuner::Unit& unit) override;
  void note(std::string_view sentence) override;

 private:
  void wipe();

  std::FILE* out_;
  ProgressStyle style_;
  bool has_line_{false};  // the progress line stands there
};

}  // namespace lt::app
