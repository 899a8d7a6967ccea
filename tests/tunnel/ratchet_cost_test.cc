// What the ratchet costs at full rate: super-packets through two lanes over loopback, each compared as it arrives, in turn
// with a step each MiB and with the limits of the protocol. The cost is of processor time: both ends and the kernel's part of
// loopback are in this process, and what else the machine does is not.
#include <time.h>

#include <algorithm>
#include <cmath>

#include "tests/hostile/completeness.h"
#include "tests/tunnel/lane_ends.h"

using namespace lt;
using namespace lt::tunnel;
using namespace lt::tunnel::testing;

namespace {

constexpr std::size_t payload_bytes = 60'000;
constexpr std::size_t packets_under_way_max = 16;  // 1 MB: both lanes have work, and no queue overflows
constexpr std::uint64_t mebibyte = 1024 * 1024;

// A sealer steps while the largest record still fits.
constexpr RatchetLimits each_mebibyte{.blocks_max = record_limit_max / 16 + 1 + mebibyte / 16, .key_updates_max = 1U << 20};

struct Passage {
  double seconds{0};
  double processor_s{0};  // of all threads
  std::uint64_t ratchets{0};
  std::uint64_t altered{0};
  std::uint64_t missing{0};
};

double processor_time_s() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

Passage carry(std::uint64_t bytes, const RatchetLimits& limits, IoBackend io) {
  auto sockets = tcp_loopback();
  RunningLane office;
  RunningLane offsite;
  office.start(std::move(sockets.first), established(office_secret, offsite_secret), office_admission(), {.io = io, .ratchet = limits});
  offsite.start(std::move(sockets.second), established(offsite_secret, office_secret), offsite_admission(), {.io = io, .ratchet = limits});
  PacketSpec spec = to_offsite();
  spec.payload = pattern(payload_bytes);
  std::vector<Byte> packet = build_partial(spec);
  const VnetHeader vnet = super_vnet(spec, 1400);
  Byte* const number = packet.data() + packet.size() - 8;

  Passage passage;
  const std::uint64_t count = bytes / packet.size() + 1;
  const Instant began = now();
  const double processor_before_s = processor_time_s();
  std::uint64_t sent = 0;
  for (std::uint64_t arrived = 0; arrived < count; ++arrived) {
    for (; sent < count && sent - arrived < packets_under_way_max; ++sent) {
      store_be64(number, sent);
      if (!office.tun.put(vnet, packet)) break;
    }
    const auto got = offsite.tun.take();
    if (!got) {
      passage.missing = count - arrived;
      break;
    }
    store_be64(number, arrived);
    if (got->bytes != packet) ++passage.altered;
  }
  passage.seconds = std::chrono::duration<double>(now() - began).count();
  passage.processor_s = processor_time_s() - processor_before_s;
  office.lane->stop(GoodbyeReason::shutdown);
  CHECK(office.wait_for_end().end == LaneEnd::local_stop);
  CHECK(offsite.wait_for_end().end == LaneEnd::peer_goodbye);
  passage.ratchets = offsite.lane->state().inbound.ratchets;
  return passage;
}

}  // namespace

TEST_CASE("a ratchet each MiB at full rate alters and loses nothing", "[tunnel][lane][P-39][R17]") {
  // By hand: LINKTUNE_COMPLETE=1 prints what ten thousand steps cost.
  const bool is_complete = lt::testing::is_complete_run();
  const int pairs = is_complete ? 80 : 1;
  const std::uint64_t bytes = (is_complete ? 128 : 64) * mebibyte;
  std::uint64_t steps = 0;
  std::vector<double> costs;
  double seconds = 0;
  for (int i = 0; i < pairs; ++i) {
    // Turn about, so that what the machine does meanwhile falls on both alike.
    const bool steps_first = i % 2 == 0;
    const Passage first = carry(bytes, steps_first ? each_mebibyte : RatchetLimits{}, backends().back());
    const Passage second = carry(bytes, steps_first ? RatchetLimits{} : each_mebibyte, backends().back());
    const Passage& stepping = steps_first ? first : second;
    const Passage& plain = steps_first ? second : first;
    for (const Passage& passage : {first, second}) {
      CHECK(passage.altered == 0);
      CHECK(passage.missing == 0);
    }
    CHECK(plain.ratchets == 0);
    steps += stepping.ratchets;
    seconds += stepping.seconds;
    costs.push_back(stepping.processor_s / plain.processor_s - 1);
  }
  const double mebibytes = static_cast<double>(bytes) * pairs / static_cast<double>(mebibyte);
  CHECK(static_cast<double>(steps) > 0.7 * mebibytes);
  if (!is_complete) return;
  double mean = 0;
  for (const double cost : costs) mean += cost / pairs;
  double variance = 0;
  for (const double cost : costs) variance += (cost - mean) * (cost - mean) / (pairs - 1);
  std::sort(costs.begin(), costs.end());
  std::printf("%llu ratchets in %.0f MiB at %.2f Gbit/s, nothing altered or lost: processor time %+.2f %% on average (95 %%: +-%.2f), median %+.2f %%, of %d pairs\n",
              static_cast<unsigned long long>(steps), mebibytes, mebibytes * static_cast<double>(mebibyte) * 8 / seconds / 1e9, 100 * mean,
              100 * 1.99 * std::sqrt(variance / pairs), 100 * costs[costs.size() / 2], pairs);
}
