// Meter: one page of memory that a run and the programs of its stream share: how fast it may go, and
// how far each stage has come.
//
// Theory of operation. `mirror run` makes the page as a file and names it to Syncoid's children in
// the environment (`meter_variable`). The ssh-shaped shim maps it, asks its gate before each write
// to the link, and adds to the counters as bytes pass. Each field has one writer; all are atomics
// that are read at any time; nothing here waits for anybody. A stream's bytes pass the stages
//
//   source disk -> send -> [source_bytes] -> link -> [received_bytes] -> receive -> target disk
//                                                     [target_bytes]
//
// in this order for pushing and pulling alike: a shim that pulls fills in what the agent tells it.
//
// Counters only grow, over all streams of a run; the reader keeps the values it began with.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/units.h"
#include "mirror/rate_gate.h"

namespace lt::mirror {

/// The environment variable that names the page's file.
inline constexpr const char* meter_variable = "LINKTUNE_MIRROR_METER";

/// What a pipeline's end is doing; seen from outside, by the state of its process.
enum class ChildWait : std::uint8_t {
  unknown,  // nothing is known
  working,  // runs, or waits for the other side of its pipe: it is not the one that holds
  disk,     // sleeps in the kernel or waits for its pool
  stopped,  // stopped, a zombie, or gone
};

struct MeterPage {
  std::atomic<std::uint64_t> magic;      // `meter_magic` once the page is ready
  std::atomic<std::uint64_t> rate_bits;  // run -> shim: most bits a second; `rate_unlimited`
  // shim -> run
  std::atomic<std::uint64_t> streams;         // open now: `zfs send` or `receive` at the far side
  std::atomic<std::uint64_t> source_bytes;    // taken from the sending pipeline
  std::atomic<std::uint64_t> link_bytes;      // given to the link, the first time
  std::atomic<std::uint64_t> resent_bytes;    // given to the link again
  std::atomic<std::uint64_t> received_bytes;  // the receiving end has them
  std::atomic<std::uint64_t> target_bytes;    // written into the receiving pipeline
  std::atomic<std::uint64_t> is_connected;    // 1: the link's connection stands
  std::atomic<std::uint64_t> heard_ns;        // steady clock of the last word from the peer
  std::atomic<std::uint64_t> peer_wait;       // ChildWait of the peer's `zfs` child, as it tells
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

inline constexpr std::uint64_t meter_magic = 0x4c544d4554455201;  // "LTMETER", version 1
inline constexpr std::uint64_t rate_unlimited = ~std::uint64_t{0};

/// The counters at one moment.
struct MeterReading {
  std::uint64_t streams{0};
  Bytes source;
  Bytes link;
  Bytes resent;
  Bytes received;
  Bytes target;
  bool is_connected{false};
  std::optional<Instant> heard;
  ChildWait peer_wait{ChildWait::unknown};
};

class Meter {
 public:
  /// A new page at `path`, mode 0600, replacing what was there; removed with its owner.
  [[nodiscard]] static Result<Meter> create(const std::string& path);
  /// The page that another program made. @error invalid: not a meter · not_found
  [[nodiscard]] static Result<Meter> open(const std::string& path);
  /// The page named in the environment; nothing where none is named.
  [[nodiscard]] static Result<std::optional<Meter>> from_environment();

  Meter(Meter&& other) noexcept;
  Meter& operator=(Meter&& other) noexcept;
  ~Meter();

  [[nodiscard]] MeterPage& page() { return *page_; }
  [[nodiscard]] MeterReading read() const;
  [[nodiscard]] const std::string& path() const { return path_; }

  void set_rate(std::optional<BitsPerSecond> rate);
  [[nodiscard]] std::optional<BitsPerSecond> rate() const;
  /// The peer has spoken. @thread the shim's
  void heard(Instant now);

 private:
  Meter(MeterPage* page, std::string path, bool is_owner)
      : page_(page), path_(std::move(path)), is_owner_(is_owner) {}
  MeterPage* page_{nullptr};
  std::string path_;
  bool is_owner_{false};  // removes the file
};

/// The gate of a shim: a Pacer that follows the page's rate. A rate set by the run takes hold with
/// the next question, so within RateGate::recheck.
class MeterGate final : public RateGate {
 public:
  /// @pre `meter` outlives this
  explicit MeterGate(const Meter& meter) : meter_(meter) {}
  [[nodiscard]] Bytes take(Bytes wanted, Instant now) override;
  [[nodiscard]] Instant wait_until(Instant now) const override { return pacer_.wait_until(now); }

 private:
  const Meter& meter_;
  Pacer pacer_;
};

/// What process `pid` is doing, by /proc: for an agent about its `zfs` child, for a run about its own.
[[nodiscard]] ChildWait child_wait_of(int pid);
/// Whether somebody has stopped it (SIGSTOP, a debugger).
[[nodiscard]] bool is_stopped_by_signal(int pid);

}  // namespace lt::mirror
