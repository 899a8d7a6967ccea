#include "mirror/stall.h"

#include <array>

#include "base/assert.h"
#include "configs/calendar.h"

namespace lt::mirror {

namespace {

constexpr std::array<std::string_view, 5> stage_names{"source disk", "send", "link", "receive",
                                                      "target disk"};

bool has_moved(const MeterReading& before, const MeterReading& after) {
  return before.source != after.source || before.link != after.link ||
         before.received != after.received || before.target != after.target;
}

Stage of_side(std::optional<ChildWait> wait, Stage program, Stage disk) {
  return wait == ChildWait::disk ? disk : program;
}

}  // namespace

std::string_view name_of(Stage stage) {
  const auto index = static_cast<std::size_t>(stage);
  LT_ASSERT(index < stage_names.size());
  return stage_names[index];
}

Stage StallWatch::guilty(const StallSample& sample, Instant now) {
  const MeterReading& reading = sample.reading;
  const bool is_silent = reading.heard && now - *reading.heard > silence_max;
  if (!reading.is_connected || is_silent) return Stage::link;
  // The peer tells nothing of a program that is gone; of our own we know.
  const std::optional<ChildWait> peer = reading.peer_wait;
  const auto source = sample.is_pull ? peer : sample.own_wait;
  const auto target = sample.is_pull ? sample.own_wait : peer;
  const bool is_on_link = reading.source > reading.received;
  const bool is_at_target = reading.received > reading.target;
  const bool has_all_been_sent = !sample.is_pull && !sample.own_wait;
  if (is_at_target || (has_all_been_sent && !is_on_link))
    return of_side(target, Stage::receive, Stage::target_disk);
  if (is_on_link) return Stage::link;
  return of_side(source, Stage::send, Stage::source_disk);
}

std::optional<Stall> StallWatch::update(const StallSample& sample, Instant now) {
  const bool begins = !last_ || (last_->streams == 0 && sample.reading.streams > 0);
  if (begins || sample.is_paused || sample.reading.streams == 0 ||
      has_moved(*last_, sample.reading))
    moved_ = now;
  last_ = sample.reading;
  if (now - moved_ < patience) return std::nullopt;
  return Stall{guilty(sample, now), moved_};
}

std::string stall_text(const Stall& stall, Instant now) {
  const auto time = std::chrono::floor<Seconds>(now - stall.since);
  const std::string span = " for " + configs::duration_text(time) + "; ";
  switch (stall.stage) {
    case Stage::source_disk:
      return "the source disk has given nothing" + span +
             "look at `zpool status` and `zpool iostat 1` at the source";
    case Stage::send:
      return "the sending programs have given nothing" + span +
             "look with `ps` at zfs send, mbuffer and the compressor at the source";
    case Stage::link:
      return "the link has carried nothing" + span +
             "look at `linktune status`; the transfer goes on when the link is back";
    case Stage::receive:
      return "the receiving programs have taken nothing" + span +
             "look with `ps` at zfs receive, mbuffer and the decompressor at the target";
    case Stage::target_disk:
      return "the target disk has taken nothing" + span +
             "look at `zpool status` and `zpool iostat 1` at the target";
  }
  return {};
}

}  // namespace lt::mirror
