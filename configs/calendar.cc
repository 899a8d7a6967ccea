#include "configs/calendar.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "base/text.h"

namespace lt::configs {

namespace {

constexpr std::array<std::string_view, 7> weekday_names{"Mon", "Tue", "Wed", "Thu",
                                                        "Fri", "Sat", "Sun"};
constexpr std::array<std::string_view, 7> weekday_full_names{
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
constexpr int clock_step_max = 2 * 3600;  // no zone sets its clock by more at once (unit: s)

struct Shorthand {
  std::string_view name;
  std::string_view meaning;
};
constexpr std::array<Shorthand, 9> shorthands{{{"minutely", "*-*-* *:*:00"},
                                               {"hourly", "*-*-* *:00:00"},
                                               {"daily", "*-*-* 00:00:00"},
                                               {"weekly", "Mon *-*-* 00:00:00"},
                                               {"monthly", "*-*-01 00:00:00"},
                                               {"quarterly", "*-01,04,07,10-01 00:00:00"},
                                               {"semiannually", "*-01,07-01 00:00:00"},
                                               {"yearly", "*-01-01 00:00:00"},
                                               {"annually", "*-01-01 00:00:00"}}};

std::string quoted(std::string_view text) {
  return "`" + printable(text, 80) + "`";
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) {
           return lower(x) == lower(y);
         });
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (const std::string_view word : split(text, ' ')) {
    if (!trim(word).empty()) words.push_back(trim(word));
  }
  return words;
}

using Day = std::chrono::year_month_day;

int weekday_of(std::chrono::sys_days day) {
  return static_cast<int>(std::chrono::weekday(day).iso_encoding()) - 1;
}

std::string two(int value) {
  return (value < 10 ? "0" : "") + std::to_string(value);
}

/// The first moment that the site's clock shows `day` and `second_of_day` or later.
WallTime moment_of(Day day, int second_of_day) {
  std::tm local{};
  local.tm_year = static_cast<int>(day.year()) - 1900;
  local.tm_mon = static_cast<int>(static_cast<unsigned>(day.month())) - 1;
  local.tm_mday = static_cast<int>(static_cast<unsigned>(day.day()));
  local.tm_hour = second_of_day / 3600;
  local.tm_min = second_of_day / 60 % 60;
  local.tm_sec = second_of_day % 60;
  // Asked both ways, since the C library may guess either: of a time that comes twice the first
  // counts; a time that the clock jumps over comes out once too early and once too late, by the
  // length of the jump, and the later is due.
  std::tm summer = local;
  std::tm winter = local;
  summer.tm_isdst = 1;
  winter.tm_isdst = 0;
  std::tm free = local;
  free.tm_isdst = -1;
  const auto shows = [&](std::time_t time) {
    std::tm shown{};
    localtime_r(&time, &shown);
    return shown.tm_mday == local.tm_mday && shown.tm_hour == local.tm_hour &&
           shown.tm_min == local.tm_min && shown.tm_sec == local.tm_sec;
  };
  std::array<std::time_t, 3> candidates{std::mktime(&summer), std::mktime(&winter),
                                        std::mktime(&free)};
  std::sort(candidates.begin(), candidates.end());
  for (const std::time_t candidate : candidates) {
    if (shows(candidate)) return WallTime(std::chrono::seconds(candidate));
  }
  // The clock is set forward over it: due at the first second after the jump.
  std::time_t low = candidates.front() - 7200;
  std::time_t high = candidates.back() + 7200;
  const auto is_before = [&](std::time_t time) {
    std::tm shown{};
    localtime_r(&time, &shown);
    return std::array{shown.tm_mon, shown.tm_mday, shown.tm_hour, shown.tm_min, shown.tm_sec} <
               std::array{local.tm_mon, local.tm_mday, local.tm_hour, local.tm_min,
                          local.tm_sec} &&
           shown.tm_year <= local.tm_year;
  };
  while (low + 1 < high) {
    const std::time_t middle = low + (high - low) / 2;
    (is_before(middle) ? low : high) = middle;
  }
  return WallTime(std::chrono::seconds(high));
}

}  // namespace

LocalTime local_time_of(WallTime time) {
  const std::time_t raw = time.time_since_epoch().count();
  std::tm local{};
  localtime_r(&raw, &local);
  return {.year = local.tm_year + 1900,
          .month = local.tm_mon + 1,
          .day = local.tm_mday,
          .weekday = (local.tm_wday + 6) % 7,
          .hour = local.tm_hour,
          .minute = local.tm_min,
          .second = local.tm_sec};
}

std::string text_of(const LocalTime& time) {
  return std::string(weekday_names.at(static_cast<std::size_t>(time.weekday))) + " " +
         std::to_string(time.year) + "-" + two(time.month) + "-" + two(time.day) + " " +
         two(time.hour) + ":" + two(time.minute) + ":" + two(time.second);
}

std::optional<int> parse_weekday(std::string_view text) {
  for (std::size_t i = 0; i < weekday_names.size(); ++i) {
    if (equal_ignoring_case(text, weekday_names[i]) ||
        equal_ignoring_case(text, weekday_full_names[i]))
      return static_cast<int>(i);
  }
  return std::nullopt;
}

Result<std::uint8_t> parse_weekday_set(std::string_view text) {
  std::uint8_t days = 0;
  for (const std::string_view part : split(text, ',')) {
    const auto dots = part.find("..");
    const auto from = parse_weekday(part.substr(0, dots));
    const auto to =
        dots == std::string_view::npos ? from : parse_weekday(part.substr(dots + 2));
    if (!from || !to)
      return fail(Errc::invalid,
                  quoted(part) + " is no weekday; write Mon, Tue, Wed, Thu, Fri, Sat or Sun, a "
                                 "range such as Mon..Fri, or several with commas");
    for (int day = *from;; day = (day + 1) % 7) {  // Sat..Mon goes over the week's end
      days = static_cast<std::uint8_t>(days | (1U << day));
      if (day == *to) break;
    }
  }
  return days;
}

bool Calendar::fits(const Field& field, int value) {
  return std::any_of(field.begin(), field.end(), [&](const Range& range) {
    return value >= range.from && value <= range.to && (value - range.from) % range.step == 0;
  });
}

Result<Calendar::Field> Calendar::parse_field(std::string_view text, int least, int most,
                                              std::string_view name) {
  const std::string range_text =
      "a number from " + std::to_string(least) + " to " + std::to_string(most);
  const auto number = [&](std::string_view digits) -> Result<int> {
    const auto value = parse_u64(digits);
    if (!value || digits.size() > 4 || static_cast<int>(*value) < least ||
        static_cast<int>(*value) > most)
      return fail(Errc::invalid, quoted(digits) + " is no " + std::string(name) + "; write " +
                                     range_text + ", *, a range such as 9..17 or a step such as */2");
    return static_cast<int>(*value);
  };
  Field field;
  for (const std::string_view part : split(text, ',')) {
    const auto slash = part.find('/');
    const std::string_view span = part.substr(0, slash);
    Range range{least, most, 1};
    if (slash != std::string_view::npos) {
      const auto step = parse_u64(part.substr(slash + 1));
      if (!step || *step == 0 || *step > static_cast<std::uint64_t>(most))
        return fail(Errc::invalid, quoted(part.substr(slash + 1)) +
                                       " is no step; write a number from 1 to " +
                                       std::to_string(most) + ", such as */2");
      range.step = static_cast<int>(*step);
    }
    const auto dots = span.find("..");
    if (dots != std::string_view::npos) {
      LT_TRY(range.from, number(span.substr(0, dots)));
      LT_TRY(range.to, number(span.substr(dots + 2)));
      if (range.to < range.from)
        return fail(Errc::invalid, quoted(span) + " ends before it begins; write the smaller " +
                                       std::string(name) + " first");
    } else if (span != "*") {
      LT_TRY(range.from, number(span));
      if (slash == std::string_view::npos) range.to = range.from;
    }
    field.push_back(range);
  }
  return field;
}

Status Calendar::parse_date(std::string_view text) {
  auto parts = split(text, '-');
  if (parts.size() == 3) {
    LT_TRY(year_, parse_field(parts[0], 1970, 9999, "year"));
    parts.erase(parts.begin());
  }
  if (parts.size() != 2)
    return fail(Errc::invalid, quoted(text) + " is no date; write YEAR-MONTH-DAY, such as *-*-01");
  LT_TRY(month_, parse_field(parts[0], 1, 12, "month"));
  LT_TRY(day_, parse_field(parts[1], 1, 31, "day"));
  return {};
}

Status Calendar::parse_time(std::string_view text) {
  const auto parts = split(text, ':');
  if (parts.size() != 2 && parts.size() != 3)
    return fail(Errc::invalid, quoted(text) + " is no time; write HOUR:MINUTE, such as 02:30");
  LT_TRY(hour_, parse_field(parts[0], 0, 23, "hour"));
  LT_TRY(minute_, parse_field(parts[1], 0, 59, "minute"));
  if (parts.size() == 3) {
    LT_TRY(second_, parse_field(parts[2], 0, 59, "second"));
  }
  return {};
}

Result<Calendar> Calendar::parse(std::string_view text) {
  const std::string_view trimmed = trim(text);
  const std::string whole = "; write hourly, daily, or such as \"Mon..Fri 02:30\"";
  for (const Shorthand& shorthand : shorthands) {
    if (!equal_ignoring_case(trimmed, shorthand.name)) continue;
    LT_TRY(Calendar calendar, parse(shorthand.meaning));
    calendar.text_ = std::string(shorthand.name);
    return calendar;
  }
  Calendar calendar;
  calendar.text_ = std::string(trimmed);
  auto words = words_of(trimmed);
  if (words.empty()) return fail(Errc::invalid, "a schedule is empty" + whole);
  if (words.front().find_first_of("0123456789*") == std::string_view::npos) {
    std::vector<std::string> names;
    for (const Shorthand& shorthand : shorthands)
      names.emplace_back(shorthand.name);
    const auto meant = words.size() == 1 ? nearest(words.front(), names) : std::nullopt;
    if (meant)
      return fail(Errc::invalid,
                  quoted(words.front()) + " is no schedule; did you mean " + *meant + "?");
    LT_TRY(calendar.weekdays_, parse_weekday_set(words.front()));
    words.erase(words.begin());
  }
  bool has_time = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool is_time = words[i].find(':') != std::string_view::npos;
    const bool is_zone = is_time ? false : words[i].find('-') == std::string_view::npos;
    if (is_zone)
      return fail(Errc::invalid, quoted(words[i]) +
                                     " has no place in a schedule, which is in the site's own time" +
                                     whole);
    if ((!is_time && i != 0) || has_time)
      return fail(Errc::invalid, quoted(trimmed) + " has its parts twice or in another order" +
                                     whole);
    LT_CHECK(is_time ? calendar.parse_time(words[i]) : calendar.parse_date(words[i]));
    has_time = is_time;
  }
  return calendar;
}

bool Calendar::is_due_on(int year, int month, int day, int weekday) const {
  return (weekdays_ >> weekday & 1) != 0 && fits(year_, year) && fits(month_, month) &&
         fits(day_, day);
}

std::vector<int> Calendar::times_of_day() const {
  std::vector<int> times;
  for (int hour = 0; hour < 24; ++hour) {
    if (!fits(hour_, hour)) continue;
    for (int minute = 0; minute < 60; ++minute) {
      if (!fits(minute_, minute)) continue;
      for (int second = 0; second < 60; ++second) {
        if (fits(second_, second)) times.push_back((hour * 60 + minute) * 60 + second);
      }
    }
  }
  return times;
}

std::optional<WallTime> Calendar::next(WallTime after) const {
  const LocalTime start = local_time_of(after);
  const int now = (start.hour * 60 + start.minute) * 60 + start.second;
  const std::chrono::sys_days today =
      std::chrono::year(start.year) / start.month / start.day;
  const std::vector<int> times = times_of_day();
  const std::chrono::sys_days last = today + std::chrono::days(366 * years_ahead_max);
  for (std::chrono::sys_days day = today; day <= last; day += std::chrono::days(1)) {
    const Day date = day;
    if (!is_due_on(static_cast<int>(date.year()),
                   static_cast<int>(static_cast<unsigned>(date.month())),
                   static_cast<int>(static_cast<unsigned>(date.day())), weekday_of(day)))
      continue;
    for (const int time : times) {
      if (day == today && time + clock_step_max < now) continue;
      const WallTime moment = moment_of(date, time);
      if (moment > after) return moment;
    }
  }
  return std::nullopt;
}

Result<std::chrono::seconds> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    std::int64_t seconds;
  };
  static constexpr std::array<Unit, 12> units{{{"s", 1},
                                               {"sec", 1},
                                               {"m", 60},
                                               {"min", 60},
                                               {"h", 3600},
                                               {"hour", 3600},
                                               {"hours", 3600},
                                               {"d", 86400},
                                               {"day", 86400},
                                               {"days", 86400},
                                               {"week", 604800},
                                               {"weeks", 604800}}};
  const auto refuse = [&] {
    return fail(Errc::invalid, quoted(text) + " is no length of time; write such as 90s, 10min, "
                                              "2h, 1d or \"1h 30min\"");
  };
  if (const auto bare = parse_u64(trim(text)); bare && *bare <= 100'000'000)
    return std::chrono::seconds(*bare);
  std::int64_t sum = 0;
  std::string_view rest = trim(text);
  if (rest.empty()) return refuse();
  while (!rest.empty()) {
    const std::size_t digits =
        std::min(rest.find_first_not_of("0123456789"), rest.size());
    const auto number = parse_u64(rest.substr(0, digits));
    if (!number || *number > 100'000'000) return refuse();
    rest = trim(rest.substr(digits));
    const std::size_t letters = std::min(rest.find_first_of(" 0123456789"), rest.size());
    const std::string_view name = rest.substr(0, letters);
    rest = trim(rest.substr(letters));
    const auto unit = std::find_if(units.begin(), units.end(),
                                   [&](const Unit& known) { return known.name == name; });
    if (unit == units.end()) return refuse();
    sum += static_cast<std::int64_t>(*number) * unit->seconds;
  }
  if (sum > 86400LL * 36500) return refuse();
  return std::chrono::seconds(sum);
}

std::string duration_text(std::chrono::seconds duration) {
  std::int64_t rest = duration.count();
  if (rest <= 0) return "0s";
  std::vector<std::string> parts;
  for (const auto& [name, seconds] :
       std::array<std::pair<std::string_view, std::int64_t>, 4>{
           {{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}}}) {
    if (rest >= seconds) parts.push_back(std::to_string(rest / seconds) + std::string(name));
    rest %= seconds;
  }
  return join(parts, " ");
}

}  // namespace lt::configs
