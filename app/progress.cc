#include "app/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/format.h"
#include "base/text.h"

namespace lt::app {

namespace {

constexpr std::size_t bar_width = 20;
constexpr std::size_t columns_min = 20;
constexpr std::size_t reason_length_max = 200;
constexpr std::string_view green = "\033[32m";
constexpr std::string_view red = "\033[31m";
constexpr std::string_view plain = "\033[0m";
constexpr std::string_view wipe_line = "\r\033[K";

std::string coloured(const std::string& text, std::string_view colour, const ProgressStyle& style) {
  if (!style.has_colour) return text;
  return std::string(colour) + text + std::string(plain);
}

std::string time_text(Milliseconds time) {
  const auto seconds = std::max<std::int64_t>(0, std::chrono::ceil<Seconds>(time).count());
  if (seconds >= 3600)
    return format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  return format("{}:{:02}", seconds / 60, seconds % 60);
}

std::string rate(const std::optional<BitsPerSecond>& value) {
  return value ? format("{:.0f}", static_cast<double>(value->value) / 1e6) : std::string("-");
}

std::string shown(std::string_view text) {
  return printable(text, tuner::label_length_max);
}

struct Ended {
  std::string text;
  bool is_good{true};
};

Ended outcome_of(const tuner::Unit& unit) {
  const auto reason = [](const std::optional<Error>& error) {
    return error ? printable(error->text(), reason_length_max) : std::string("no reason given");
  };
  if (unit.status == tuner::UnitStatus::arm_failed) return {"failed: " + reason(unit.error), false};
  if (!unit.sample) return {"not measured, the bench failed: " + reason(unit.error), false};
  const tuner::Sample& sample = *unit.sample;
  if (sample.failure) return {"failed: " + reason(sample.failure), false};
  return {format("up {} down {} Mbit/s, {:.1f} ms loaded", rate(sample.up), rate(sample.down),
                 sample.loaded.us_p50 / 1000)};
}

}  // namespace

ProgressStyle progress_style() {
  ProgressStyle style;
  style.is_terminal = ::isatty(STDERR_FILENO) == 1;
  style.has_colour = style.is_terminal && std::getenv("NO_COLOR") == nullptr;
  winsize size{};
  if (style.is_terminal && ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    style.columns = std::max<std::size_t>(columns_min, size.ws_col);
  return style;
}

std::string progress_line(const tuner::SweepProgress& progress, const ProgressStyle& style) {
  const std::size_t total = std::max<std::size_t>(1, progress.units_total);
  const std::size_t done = std::min(progress.units_done, total);
  const std::size_t filled = bar_width * done / total;
  std::string line = "[" + std::string(filled, '#') + std::string(bar_width - filled, '.') + "]";
  line += format(" {:>3} %  {}/{}  {} left", 100 * done / total, progress.units_done,
                 progress.units_total, time_text(progress.left));
  if (progress.arm != nullptr) line += "  " + shown(progress.arm->label);
  // What does not fit goes, the last first.
  const std::string best =
      progress.best_label.empty()
          ? std::string()
          : format("  best: {}, {} Mbit/s", shown(progress.best_label), rate(progress.best));
  if (line.size() + best.size() < style.columns) return line + coloured(best, green, style);
  return line.substr(0, style.columns - 1);
}

std::string unit_line(const tuner::SweepProgress& progress, const tuner::Unit& unit,
                      const ProgressStyle& style) {
  const std::string label = progress.arm != nullptr ? shown(progress.arm->label) : std::string();
  const Ended ended = outcome_of(unit);
  return format("  {:<32} {}", label,
                ended.is_good ? ended.text : coloured(ended.text, red, style));
}

TerminalProgress::~TerminalProgress() {
  wipe();
}

void TerminalProgress::wipe() {
  if (has_line_) std::fwrite(wipe_line.data(), 1, wipe_line.size(), out_);
  has_line_ = false;
}

void TerminalProgress::unit_starts(const tuner::SweepProgress& progress) {
  if (!style_.is_terminal) return;
  wipe();
  std::fputs(progress_line(progress, style_).c_str(), out_);
  std::fflush(out_);
  has_line_ = true;
}

void TerminalProgress::unit_ended(const tuner::SweepProgress& progress, const tuner::Unit& unit) {
  if (!style_.is_terminal) return;
  wipe();
  std::fputs((unit_line(progress, unit, style_) + "\n").c_str(), out_);
}

void TerminalProgress::note(std::string_view sentence) {
  wipe();
  std::fputs(("  " + std::string(sentence) + "\n").c_str(), out_);
}

}  // namespace lt::app
