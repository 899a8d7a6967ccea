#include "mirror/forecast.h"

#include <algorithm>
#include <cmath>

namespace lt::mirror {

namespace {

constexpr int minutes_of_day = 24 * 60;

std::string two(int number) {
  return (number < 10 ? "0" : "") + std::to_string(number);
}

std::string time_text(int minute) {
  return two(minute / 60) + ":" + two(minute % 60);
}

/// The first moment at or after `now` that the site's clock shows `minute` of a day.
configs::WallTime next_at(int minute, configs::WallTime now) {
  const auto calendar = configs::Calendar::parse(time_text(minute));
  return calendar->next(now - Seconds(1)).value_or(now);
}

}  // namespace

void RateEstimate::update(Bytes total, Instant now) {
  if (last_ && now > *last_) {
    const double seconds = std::chrono::duration<double>(now - *last_).count();
    const double keep = std::exp(-seconds / std::chrono::duration<double>(memory).count());
    const double bytes = static_cast<double>(total.value - std::min(total_, total).value);
    weighted_bytes_ = weighted_bytes_ * keep + bytes;
    weighted_seconds_ = weighted_seconds_ * keep + seconds;
  }
  skip_to(total, now);
}

void RateEstimate::skip_to(Bytes total, Instant now) {
  last_ = now;
  total_ = total;
}

std::optional<double> RateEstimate::bytes_per_second() const {
  if (weighted_seconds_ < 0.5 || weighted_bytes_ <= 0) return std::nullopt;
  return weighted_bytes_ / weighted_seconds_;
}

Outlook forecast(double remaining_bytes, double bytes_per_second, Seconds overhead,
                 const configs::MirrorJob& job, configs::WallTime now) {
  Outlook outlook;
  if (bytes_per_second > 0) {
    configs::WallTime at = now + overhead;
    double rest = remaining_bytes;
    while (rest > 0 && at < now + outlook_max) {
      const configs::LocalTime local = configs::local_time_of(at);
      const configs::RateLimit limit = job.limits.at(local);
      const double rate = limit.rate ? std::min(bytes_per_second,
                                                static_cast<double>(limit.rate->value) / 8)
                                     : bytes_per_second;
      const int step = 60 - local.second;  // limits change at whole minutes
      if (rate * step >= rest) {
        at += Seconds(static_cast<std::int64_t>(std::ceil(rest / rate)));
        rest = 0;
      } else {
        rest -= rate * step;
        at += Seconds(step);
      }
    }
    if (rest <= 0) outlook.done = at;
  }
  if (job.finish_by && outlook.done) {
    const configs::WallTime due = next_at(*job.finish_by % minutes_of_day, now);
    if (*outlook.done > due) outlook.late_by = *outlook.done - due;
  }
  return outlook;
}

std::string outlook_text(const Outlook& outlook, const configs::MirrorJob& job,
                         configs::WallTime now) {
  if (!outlook.done) return "no end in sight";
  const configs::LocalTime today = configs::local_time_of(now);
  const configs::LocalTime done = configs::local_time_of(*outlook.done);
  const std::string clock = two(done.hour) + ":" + two(done.minute);
  const bool is_today = today.day == done.day && today.month == done.month;
  std::string text = "done at " + (is_today ? clock : configs::text_of(done).substr(0, 14) + clock);
  if (outlook.late_by && job.finish_by) {
    const auto minutes = std::chrono::ceil<std::chrono::minutes>(*outlook.late_by);
    text += ", will miss " + time_text(*job.finish_by) + " by " + configs::duration_text(minutes);
  }
  return text;
}

}  // namespace lt::mirror
