// Calendar: when something is due, in the words of systemd's OnCalendar.
//
// What is taken: the names minutely, hourly, daily, weekly, monthly, yearly; or
//   [WEEKDAYS] [[YEAR-]MONTH-DAY] HOUR:MINUTE[:SECOND]
// where each field is `*` or a list such as `1,15`, `9..17`, `*/15`, `0/4`; weekdays are `Mon..Fri`,
// `Sat,Sun`. A missing date is every day, a missing time midnight, missing seconds are 0.
// Deliberately absent: time zones, `~` (days from the month's end), fractions of a second.
//
// Times are the site's local ones (TZ). Where the clock is set forward, a time that does not exist
// is due when the clock has jumped; where it is set back, an hour that comes twice is due once.
//
// Source: systemd.time(7), "Calendar Events".
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lt::configs {

/// Wall-clock time in whole seconds since 1970, UTC.
using WallTime = std::chrono::sys_seconds;

/// Wall-clock time as the site's people read it.
struct LocalTime {
  int year{1970};
  int month{1};    // 1 to 12
  int day{1};      // 1 to 31
  int weekday{3};  // 0 is Monday
  int hour{0};
  int minute{0};
  int second{0};

  friend bool operator==(const LocalTime&, const LocalTime&) = default;
};

[[nodiscard]] LocalTime local_time_of(WallTime time);
/// "Mon 2026-11-23 07:00:00".
[[nodiscard]] std::string text_of(const LocalTime& time);

class Calendar {
 public:
  /// @error invalid: what is wrong with `text`, and what to write instead
  [[nodiscard]] static Result<Calendar> parse(std::string_view text);

  /// The first moment after `after` at which this is due; nothing when there is none within
  /// `years_ahead_max` years (February 30th, a year that has passed).
  [[nodiscard]] std::optional<WallTime> next(WallTime after) const;

  /// The text it was parsed from.
  [[nodiscard]] const std::string& text() const { return text_; }

  static constexpr int years_ahead_max = 30;

  friend bool operator==(const Calendar& a, const Calendar& b) { return a.text_ == b.text_; }

 private:
  // One field: from, to, step; a value fits when it is in one of the ranges. An open end is `limit`.
  struct Range {
    int from{0};
    int to{0};
    int step{1};
  };
  using Field = std::vector<Range>;

  Calendar() = default;
  static bool fits(const Field& field, int value);
  static Result<Field> parse_field(std::string_view text, int least, int most,
                                   std::string_view name);
  Status parse_date(std::string_view text);
  Status parse_time(std::string_view text);
  [[nodiscard]] bool is_due_on(int year, int month, int day, int weekday) const;
  [[nodiscard]] std::vector<int> times_of_day() const;

  std::string text_;
  std::uint8_t weekdays_{0x7f};  // bit 0 is Monday
  Field year_{{1970, 9999, 1}};
  Field month_{{1, 12, 1}};
  Field day_{{1, 31, 1}};
  Field hour_{{0, 0, 1}};
  Field minute_{{0, 0, 1}};
  Field second_{{0, 0, 1}};
};

/// "Mon" to "Sun", as 0 to 6. @return nothing for other words (case does not matter)
[[nodiscard]] std::optional<int> parse_weekday(std::string_view text);

/// A set of weekdays such as `Mon..Fri` or `Sat,Sun`: bit 0 is Monday. @error invalid
[[nodiscard]] Result<std::uint8_t> parse_weekday_set(std::string_view text);

/// A length of time such as "90s", "10min", "2h", "1d", "1h 30min"; a bare number is seconds.
/// @error invalid: says what to write
[[nodiscard]] Result<std::chrono::seconds> parse_duration(std::string_view text);
/// "10min", "1h 30min", "0s": parse_duration takes it back.
[[nodiscard]] std::string duration_text(std::chrono::seconds duration);

}  // namespace lt::configs
