#include "tuner/gate_walk.h"

#include <algorithm>
#include <thread>

#include "base/format.h"
#include "tuner/path_shape.h"
#include "tuner/when_free.h"

namespace lt::tuner {

namespace {

constexpr unsigned udp_size_step = 3;  // prime to 16: every remainder of a cipher's block comes up
constexpr Milliseconds omit{200};
constexpr Milliseconds quiet{700};       // after the load: the last fragments are there by then
constexpr BitsPerSecond crawl{100'000};  // less than this under a full load carries nothing: a
                                         // black hole lets only the first small segments through

std::string shown(const std::vector<unsigned>& sizes) {
  const auto [least, most] = std::minmax_element(sizes.begin(), sizes.end());
  return sizes.size() == 1
             ? format("{} bytes", *least)
             : format("{} sizes between {} and {} bytes", sizes.size(), *least, *most);
}

class Walk {
 public:
  Walk(const GateOptions& options, const std::stop_token& stop) : options_(options), stop_(stop) {}

  Result<GateOutcome> run() {
    LT_CHECK(sizes());
    if (outcome_.failure) return outcome_;
    LT_CHECK(load());
    return outcome_;
  }

 private:
  Status sizes() {
    PathRequest request;
    request.data = options_.data;
    request.source = options_.source;
    request.loss_packets = 0;
    if (options_.mtu) request.expected_bytes = *options_.mtu - datagram_overhead_bytes(options_.data.family);
    request.sizes = gate_udp_sizes(options_.mtu, options_.data.family);
    LT_TRY(const PathShape shape,
           when_free(stop_, [&] { return probe_path(options_.client, request, stop_); }));
    if (shape.path_failure) {
      outcome_.add({"full_size", GateVerdict::failed, shape.path_failure->what});
      return {};
    }
    outcome_.add(full_size(shape));
    outcome_.add(lost_sizes(shape, request.sizes));
    return {};
  }

  GateCheck full_size(const PathShape& shape) const {
    const unsigned up = shape.up.mtu(shape.family());
    const unsigned down = shape.down.mtu(shape.family());
    if (!options_.mtu) {
      return {"full_size", GateVerdict::skipped,
              format("no tunnel, no MTU to hold it to; {} bytes pass up, {} down", up, down)};
    }
    if (up < *options_.mtu || down < *options_.mtu) {
      return {"full_size", GateVerdict::failed,
              format("the device takes packets of {} bytes, but only {} pass up and {} down: "
                     "whatever is larger vanishes",
                     *options_.mtu, up, down)};
    }
    return {"full_size", GateVerdict::passed,
            format("packets of {} bytes pass both ways whole", *options_.mtu)};
  }

  static GateCheck lost_sizes(const PathShape& shape, const std::vector<unsigned>& sent) {
    if (!shape.up.sizes_lost.empty() || !shape.down.sizes_lost.empty()) {
      std::string what = "datagrams vanish, time and again:";
      if (!shape.up.sizes_lost.empty()) what += " up " + shown(shape.up.sizes_lost);
      if (!shape.down.sizes_lost.empty()) what += " down " + shown(shape.down.sizes_lost);
      return {"udp_sizes", GateVerdict::failed, what};
    }
    return {"udp_sizes", GateVerdict::passed,
            format("datagrams of {} to {} bytes pass both ways", sent.front(), sent.back())};
  }

  Status load() {
    std::optional<IpCounters> near_before;
    std::optional<IpCounters> far_before;
    if (options_.near_counters) {
      LT_TRY(near_before, options_.near_counters());
    }
    if (options_.far_counters) {
      LT_TRY(far_before, options_.far_counters());
    }
    ProbeRequest request;
    request.data = options_.data;
    request.source = options_.source;
    request.duration = options_.watch;
    request.omit = omit;
    request.idle = Milliseconds(0);
    request.load = Load::both;
    request.congestion = options_.congestion;
    LT_TRY(const ProbeResult result,
           when_free(stop_, [&] { return run_probe(options_.client, request, stop_); }));
    std::this_thread::sleep_for(quiet);
    outcome_.add(black_hole(result));
    outcome_.add(stall(result));
    LT_TRY(GateCheck check, reassembly(near_before, far_before));
    outcome_.add(std::move(check));
    return {};
  }

  static GateCheck black_hole(const ProbeResult& result) {
    if (result.path_failure) return {"black_hole", GateVerdict::failed, result.path_failure->what};
    const BitsPerSecond up = result.up ? result.up->goodput() : BitsPerSecond{0};
    const BitsPerSecond down = result.down ? result.down->goodput() : BitsPerSecond{0};
    const auto text =
        format("TCP delivered {:.1f} Mbit/s up and {:.1f} Mbit/s down",
               static_cast<double>(up.value) / 1e6, static_cast<double>(down.value) / 1e6);
    const bool is_dead = up < crawl || down < crawl;
    return {"black_hole", is_dead ? GateVerdict::failed : GateVerdict::passed, text};
  }

  static GateCheck stall(const ProbeResult& result) {
    if (!result.up || !result.down)
      return {"stall", GateVerdict::skipped, "the load did not run to its end"};
    const Milliseconds longest = std::max(result.up->longest_stall(), result.down->longest_stall());
    const bool is_stalled = longest >= stall_max;
    return {"stall", is_stalled ? GateVerdict::failed : GateVerdict::passed,
            format("the longest time without a byte was {} ms", longest.count())};
  }

  Result<GateCheck> reassembly(const std::optional<IpCounters>& near_before,
                               const std::optional<IpCounters>& far_before) {
    if (!near_before && !far_before) {
      return GateCheck{"reassembly", GateVerdict::skipped,
                       "the counters of neither end can be read"};
    }
    std::uint64_t failures = 0;
    std::uint64_t reassembled = 0;
    for (const auto& [before, reader] : {std::pair{&near_before, &options_.near_counters},
                                         std::pair{&far_before, &options_.far_counters}}) {
      if (!*before) continue;
      LT_TRY(const IpCounters now, (*reader)());
      const IpCounters passed = now.since(**before);
      failures += passed.reassembly_failures + passed.incomplete;
      reassembled += passed.reassembled;
    }
    const std::string ends = near_before && far_before ? "" : " (counted at one end)";
    if (failures > 0) {
      return GateCheck{"reassembly", GateVerdict::failed,
                       format("{} of {} fragmented datagrams were lost for a missing fragment{}",
                              failures, failures + reassembled, ends)};
    }
    return GateCheck{"reassembly", GateVerdict::passed,
                     format("{} fragmented datagrams, none lost{}", reassembled, ends)};
  }

  const GateOptions& options_;
  const std::stop_token& stop_;
  GateOutcome outcome_;
};

}  // namespace

std::vector<unsigned> gate_udp_sizes(std::optional<std::uint32_t> mtu, Family family) {
  const unsigned headers = datagram_overhead_bytes(family);
  const unsigned most = mtu ? std::clamp(*mtu, headers + gate_udp_bytes_min, headers + gate_udp_bytes_max) - headers
                            : gate_udp_bytes_max;
  std::vector<unsigned> sizes;
  for (unsigned size = gate_udp_bytes_min; size < most; size += udp_size_step)
    sizes.push_back(size);
  sizes.push_back(most);
  return sizes;
}

Result<GateOutcome> walk_gate(const GateOptions& options, const std::stop_token& stop) {
  return Walk(options, stop).run();
}

}  // namespace lt::tuner
