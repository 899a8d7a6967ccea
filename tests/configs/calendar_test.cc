#include "configs/calendar.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <ctime>

namespace lt::configs {

namespace {

/// Sets the time zone of the process, and puts the old one back.
class Zone {
 public:
  explicit Zone(const char* name) {
    if (const char* old = std::getenv("TZ")) old_ = old;
    setenv("TZ", name, 1);
    tzset();
  }
  ~Zone() {
    old_ ? setenv("TZ", old_->c_str(), 1) : unsetenv("TZ");
    tzset();
  }

 private:
  std::optional<std::string> old_;
};

// Central Europe's rule, written out: independent of the zone files of the machine.
constexpr const char* berlin = "CET-1CEST,M3.5.0,M10.5.0/3";

WallTime utc(int year, int month, int day, int hour, int minute, int second = 0) {
  return std::chrono::sys_days(std::chrono::year(year) / month / day) +
         std::chrono::seconds((hour * 60 + minute) * 60 + second);
}

std::string next_text(std::string_view schedule, WallTime after) {
  const auto calendar = Calendar::parse(schedule);
  if (!calendar) return calendar.error().what;
  const auto next = calendar->next(after);
  return next ? text_of(local_time_of(*next)) : "never";
}

}  // namespace

TEST_CASE("a schedule is due at the moment its words name", "[configs][calendar]") {
  const Zone zone("UTC0");
  const WallTime monday = utc(2026, 11, 23, 0, 5);  // a Monday
  struct Row {
    const char* schedule;
    const char* next;
  };
  const Row row = GENERATE(
      Row{"hourly", "Mon 2026-11-23 01:00:00"}, Row{"daily", "Tue 2026-11-24 00:00:00"},
      Row{"minutely", "Mon 2026-11-23 00:06:00"}, Row{"weekly", "Mon 2026-11-30 00:00:00"},
      Row{"monthly", "Tue 2026-12-01 00:00:00"}, Row{"Yearly", "Fri 2027-01-01 00:00:00"},
      Row{"02:30", "Mon 2026-11-23 02:30:00"}, Row{"*:0/15", "Mon 2026-11-23 00:15:00"},
      Row{"*:*:*/20", "Mon 2026-11-23 00:05:20"}, Row{"Sat,Sun 03:00", "Sat 2026-11-28 03:00:00"},
      Row{"Sat..Mon 00:05", "Sat 2026-11-28 00:05:00"}, Row{"Fri", "Fri 2026-11-27 00:00:00"},
      Row{"*-*-1,15 9..17:30", "Tue 2026-12-01 09:30:00"},
      Row{"2028-02-29 12:00", "Tue 2028-02-29 12:00:00"}, Row{"2025-01-01", "never"},
      Row{"*-02-30", "never"}, Row{"monday 00:00", "Mon 2026-11-30 00:00:00"},
      Row{"*:05", "Mon 2026-11-23 01:05:00"});  // due now is past: the next one counts
  INFO(row.schedule);
  CHECK(next_text(row.schedule, monday) == row.next);
}

TEST_CASE("a time that the clock jumps over is due when it has jumped", "[configs][calendar]") {
  const Zone zone(berlin);
  // 2027-03-28: 02:00 becomes 03:00, at 01:00 UTC.
  const auto calendar = Calendar::parse("02:30");
  REQUIRE(calendar);
  CHECK(calendar->next(utc(2027, 3, 28, 0, 0)) == utc(2027, 3, 28, 1, 0));
  CHECK(calendar->next(utc(2027, 3, 28, 1, 0)) == utc(2027, 3, 29, 0, 30));
}

TEST_CASE("an hour that comes twice is due once", "[configs][calendar]") {
  const Zone zone(berlin);
  // 2026-10-25: 03:00 becomes 02:00, at 01:00 UTC.
  const auto calendar = Calendar::parse("02:30");
  REQUIRE(calendar);
  CHECK(calendar->next(utc(2026, 10, 25, 0, 0)) == utc(2026, 10, 25, 0, 30));
  CHECK(calendar->next(utc(2026, 10, 25, 0, 30)) == utc(2026, 10, 26, 1, 30));
}

TEST_CASE("what is no schedule is refused with its cure", "[configs][calendar]") {
  struct Row {
    const char* schedule;
    const char* word;
  };
  const Row row = GENERATE(
      Row{"", "empty"}, Row{"   ", "empty"}, Row{"hourley", "did you mean hourly"},
      Row{"25:00", "0 to 23"}, Row{"12:60", "0 to 59"}, Row{"12", "no place"},
      Row{"12:00 UTC", "no place"}, Row{"Mon..Fry 02:30", "Mon..Fri"}, Row{"*-13-01", "1 to 12"},
      Row{"*-00-01", "1 to 12"}, Row{"*-01-32", "1 to 31"}, Row{"*/0:00", "is no step"},
      Row{"17..9:00", "smaller"}, Row{"1:2:3:4", "HOUR:MINUTE"}, Row{"1-2-3-4", "YEAR-MONTH-DAY"},
      Row{"01:00 02:00", "twice"}, Row{"01:00 *-*-01", "another order"}, Row{"-1:00", "0 to 23"},
      Row{"*:*:", "second"}, Row{"Mon,", "weekday"}, Row{"00018:00", "hour"});
  INFO(row.schedule);
  const auto calendar = Calendar::parse(row.schedule);
  REQUIRE_FALSE(calendar);
  CHECK(calendar.error().code == Errc::invalid);
  CHECK_THAT(calendar.error().what, Catch::Contains(row.word));
}

TEST_CASE("a length of time is read and written alike", "[configs][calendar]") {
  using std::chrono::seconds;
  CHECK(*parse_duration("90s") == seconds(90));
  CHECK(*parse_duration("10min") == seconds(600));
  CHECK(*parse_duration("1h 30min") == seconds(5400));
  CHECK(*parse_duration("2d") == seconds(172800));
  CHECK(*parse_duration("45") == seconds(45));
  for (const int length : {0, 1, 59, 60, 3661, 90061, 604800})
    CHECK(*parse_duration(duration_text(seconds(length))) == seconds(length));
  for (const char* bad : {"", "min", "-1s", "1.5h", "5 parsecs", "10 20", "99999999999s", "1h30"})
    CHECK_FALSE(parse_duration(bad));
}

}  // namespace lt::configs
