// StallWatch: says that a transfer stands still, and at which stage, within `patience` and a sample.
//
// Theory of operation. A stream passes five stages: source disk, send, link, receive, target disk.
// When no counter has moved for `patience`, where the bytes lie tells which half holds them:
//
//   nothing heard from the peer, or bytes given to the link and not received   -> link
//   bytes received and not taken by the receiving pipeline, or none on the way
//     and the sending program gone                                             -> receiving side
//   nothing on the way                                                         -> sending side
//
// and the state of that side's `zfs` process tells the program from its disk: asleep in the kernel
// or waiting for its pool is the disk; stopped, or idle at its pipe while a filter holds the bytes,
// is the program. A pause by the limits is no stall.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "mirror/meter.h"

namespace lt::mirror {

enum class Stage : std::uint8_t { source_disk, send, link, receive, target_disk };
[[nodiscard]] std::string_view name_of(Stage stage);

/// What is known at one moment.
struct StallSample {
  MeterReading reading;
  // The own `zfs` of the stream: sending when pushing, receiving when pulling; nothing: it is gone.
  std::optional<ChildWait> own_wait;
  bool is_pull{false};
  bool is_paused{false};
};

struct Stall {
  Stage stage{Stage::link};
  Instant since{};  // of the last movement
};

class StallWatch {
 public:
  static constexpr Milliseconds patience{7'000};
  static constexpr Milliseconds silence_max{4'000};  // the agent speaks every second

  /// @return the stall, as long as it lasts
  [[nodiscard]] std::optional<Stall> update(const StallSample& sample, Instant now);

 private:
  [[nodiscard]] static Stage guilty(const StallSample& sample, Instant now);

  std::optional<MeterReading> last_;
  Instant moved_{};
};

/// One sentence for people: "the target disk has taken nothing for 12s; ..." with where to look.
[[nodiscard]] std::string stall_text(const Stall& stall, Instant now);

}  // namespace lt::mirror
