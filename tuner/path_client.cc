#include <algorithm>
#include <functional>

#include "base/bytes.h"
#include "tuner/fields.h"
#include "tuner/path_end.h"
#include "tuner/probe_conversation.h"
#include "tuner/size_search.h"

namespace lt::tuner {

namespace {

constexpr Milliseconds look_period{10};      // how often the client asks what has arrived
constexpr Milliseconds first_patience{1'000};  // for the first datagram, on a path not yet known
constexpr Milliseconds patience_min{200};
constexpr Milliseconds patience_max{2'000};
constexpr Milliseconds steady_gap{5};  // of the datagrams that loss and fragments are told from
constexpr unsigned fragmented_packets = 20;
constexpr unsigned ipv6_mtu_min = 1280;  // RFC 8200 5
// Packets that networks are made for: DOCSIS and PPPoE, tunnels in them, Ethernet, jumbo frames, and
// the smallest that IPv6 and IPv4 promise (RFC 8200, RFC 791).
constexpr std::array<unsigned, 14> likely_mtus{576,  1280, 1380, 1400, 1420, 1428, 1440,
                                               1452, 1472, 1480, 1492, 1500, 9000, 65535};

// One way, as the client steers it: sends a round, and knows in the end which numbers arrived.
struct Way {
  std::function<Result<std::vector<unsigned>>(const PathRound&)> send;  // the numbers refused
  std::function<Result<std::vector<unsigned>>(unsigned round)> arrived;
};

class Shaper {
 public:
  Shaper(const PathRequest& request, Conversation& talk) : request_(request), talk_(talk) {}

  Result<PathShape> run() {
    LT_CHECK(open());
    PathShape shape;
    shape.request = request_;
    const Way up = way_up();
    LT_TRY(shape.up.payload_bytes, search(up, shape.up));
    if (shape.up.payload_bytes == 0) {
      shape.path_failure = Error{Errc::timed_out, "the path under test carries no UDP to the server", 0};
      LT_CHECK(close());
      return shape;
    }
    const Way down = way_down();
    LT_TRY(shape.down.payload_bytes, search(down, shape.down));
    if (shape.down.payload_bytes == 0) {
      shape.path_failure = Error{Errc::timed_out, "the path under test carries no UDP back from the server", 0};
    } else {
      LT_CHECK(count_arrivals(up, shape.up));
      LT_CHECK(count_arrivals(down, shape.down));
      LT_TRY(shape.up.sizes_lost, lost_of(up, request_.sizes));
      LT_TRY(shape.down.sizes_lost, lost_of(down, request_.sizes));
    }
    LT_CHECK(close());
    return shape;
  }

 private:
  Status open() {
    LT_CHECK(talk_.say({{"path", {{"data", request_.data.text()}, {"data_port", request_.data_port}}}}));
    LT_TRY(const Json said, talk_.expect("path_port"));
    LT_TRY(const Json object, object_field(said, "path_port"));
    LT_TRY(const std::uint64_t port, whole_field(object, "udp", {1, 65535}));
    LT_TRY(const std::string nonce, text_field(object, "nonce", 16));
    const auto raw = from_hex(nonce);
    if (!raw || raw->size() != 8) return fail(Errc::protocol, "the probe server's nonce is wrong");
    server_ = SocketAddress::of(request_.data, static_cast<std::uint16_t>(port));
    LT_TRY(end_, PathEnd::open(request_.data.family, request_.source, 0, load_be64(raw->data())));
    return {};
  }

  Status close() {
    LT_CHECK(talk_.say({{"path_end", true}}));
    LT_TRY(const Json ended, talk_.expect("path_ended"));
    return {};
  }

  Way way_up() {
    return {[this](const PathRound& round) { return end_->send(server_, round); },
            [this](unsigned round) -> Result<std::vector<unsigned>> {
              LT_CHECK(talk_.say({{"path_seen", round}}));
              LT_TRY(const Json said, talk_.expect("path_arrived"));
              return numbers_field(said, "path_arrived");
            }};
  }

  Way way_down() {
    return {[this](const PathRound& round) -> Result<std::vector<unsigned>> {
              LT_CHECK(talk_.say({{"path_send",
                                   {{"round", round.round},
                                    {"sizes", round.sizes},
                                    {"gap_ms", round.gap.count()},
                                    {"fragmented", round.is_fragmented},
                                    {"fragment_bytes", round.fragment_bytes}}}}));
              LT_TRY(const Json said, talk_.expect("path_sent"));
              LT_TRY(const Json object, object_field(said, "path_sent"));
              return numbers_field(object, "refused");
            },
            [this](unsigned round) -> Result<std::vector<unsigned>> { return end_->arrived(round); }};
  }

  static Result<std::vector<unsigned>> numbers_field(const Json& said, std::string_view name) {
    LT_TRY(const auto whole, whole_list_field(said, name, path_round_max));
    std::vector<unsigned> numbers;
    for (const std::uint64_t number : whole) {
      if (number >= path_round_max)
        return fail(Errc::protocol, "the probe server counts datagrams that were not sent");
      numbers.push_back(static_cast<unsigned>(number));
    }
    return numbers;
  }

  struct Fates {
    std::vector<bool> arrived;
    std::vector<bool> refused;
    [[nodiscard]] std::uint64_t count_arrived() const {
      return static_cast<std::uint64_t>(std::count(arrived.begin(), arrived.end(), true));
    }
  };

  // Sends one round and waits for as long as datagrams still come in.
  Result<Fates> send_round(const Way& way, PathRound round) {
    round.round = next_round_++;
    if (round.round >= path_rounds_max)
      return fail(Errc::limit, "the shape of the path took too many rounds");
    const std::size_t count = round.sizes.size();
    Fates fates{std::vector<bool>(count, false), std::vector<bool>(count, false)};
    LT_TRY(const auto refused, way.send(round));
    for (const unsigned number : refused)
      if (number < count) fates.refused[number] = true;
    std::size_t known = 0;
    Instant progress = std::chrono::steady_clock::now();
    for (;;) {
      LT_TRY(const auto arrived, way.arrived(round.round));
      const Instant now = std::chrono::steady_clock::now();
      if (arrived.size() > known) progress = now;
      known = arrived.size();
      for (const unsigned number : arrived)
        if (number < count) fates.arrived[number] = true;
      if (known + refused.size() >= count || now - progress > patience_) return fates;
      LT_CHECK(talk_.pause(look_period));
    }
  }

  // @return the largest payload, 0: none
  Result<unsigned> search(const Way& way, WayShape& found) {
    std::vector<unsigned> likely;
    for (const unsigned mtu : likely_mtus)
      likely.push_back(std::min(mtu - datagram_overhead_bytes(request_.data.family), payload_max()));
    if (request_.expected_bytes > 0) {
      likely.push_back(request_.expected_bytes);
      std::sort(likely.begin(), likely.end());
    }
    SizeSearch sizes(PathDatagram::bytes, payload_max(), likely);
    patience_ = first_patience;
    const Instant latest = std::chrono::steady_clock::now() + path_time_max;
    while (!sizes.is_over() && std::chrono::steady_clock::now() < latest) {
      const bool is_first = sizes.largest_arrived() == 0;
      const Instant begin = std::chrono::steady_clock::now();
      PathRound round;
      round.sizes = sizes.next();
      LT_TRY(const Fates fates, send_round(way, round));
      tell(sizes, round.sizes, fates);
      // What the first took, control line and all, is a bound for the time that others may take.
      if (is_first && sizes.largest_arrived() > 0)
        patience_ = std::clamp(
            4 * std::chrono::ceil<Milliseconds>(std::chrono::steady_clock::now() - begin),
            patience_min, patience_max);
    }
    found.is_exact = sizes.is_over() && sizes.largest_arrived() > 0;
    return sizes.largest_arrived();
  }

  static void tell(SizeSearch& search, const std::vector<unsigned>& sizes, const Fates& fates) {
    for (std::size_t i = 0; i < sizes.size(); ++i)
      if (fates.arrived[i]) search.arrived(sizes[i]);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if (fates.refused[i]) search.refused(sizes[i]);
      else if (!fates.arrived[i]) search.lost(sizes[i]);
    }
  }

  Status count_arrivals(const Way& way, WayShape& found) {
    if (request_.loss_packets > 0) {
      LT_TRY(found.full_size, count_of(way, found.payload_bytes, request_.loss_packets, 0));
    }
    const unsigned size = std::min(2 * found.payload_bytes, payload_max());
    // One byte more than fits is in fragments; less than twice is enough where twice is too much.
    if (size > found.payload_bytes && found.mtu(request_.data.family) < 65'535) {
      const unsigned fragment = std::max(found.mtu(request_.data.family), ipv6_mtu_min);
      LT_TRY(found.fragmented, count_of(way, size, fragmented_packets, fragment));
    }
    return {};
  }

  // The sizes of which not one of SizeSearch::tries datagrams arrived.
  Result<std::vector<unsigned>> lost_of(const Way& way, std::vector<unsigned> sizes) {
    for (unsigned turn = 0; turn < SizeSearch::tries && !sizes.empty(); ++turn) {
      std::vector<unsigned> lost;
      for (std::size_t from = 0; from < sizes.size(); from += path_round_max) {
        const std::size_t to = std::min(sizes.size(), from + path_round_max);
        PathRound round;
        round.sizes.assign(sizes.begin() + static_cast<std::ptrdiff_t>(from),
                           sizes.begin() + static_cast<std::ptrdiff_t>(to));
        LT_TRY(const Fates fates, send_round(way, round));
        for (std::size_t i = 0; i < round.sizes.size(); ++i)
          if (!fates.arrived[i]) lost.push_back(round.sizes[i]);
      }
      sizes = std::move(lost);
    }
    return sizes;
  }

  Result<Arrivals> count_of(const Way& way, unsigned size, unsigned count, unsigned fragment_bytes) {
    PathRound round;
    round.sizes.assign(count, size);
    round.gap = steady_gap;
    round.is_fragmented = fragment_bytes > 0;
    round.fragment_bytes = fragment_bytes;
    LT_TRY(const Fates fates, send_round(way, round));
    return Arrivals{count, fates.count_arrived()};
  }

  [[nodiscard]] unsigned payload_max() const { return udp_payload_max(request_.data.family); }

  const PathRequest& request_;
  Conversation& talk_;
  SocketAddress server_;
  std::unique_ptr<PathEnd> end_;
  unsigned next_round_{0};
  Milliseconds patience_{first_patience};
};

}  // namespace

Result<PathShape> probe_path(const ProbeClientOptions& options, const PathRequest& request,
                             const std::stop_token& stop) {
  LT_CHECK(validate(request));
  LT_TRY(auto begun, Conversation::begin(options, stop));
  auto& [talk, welcome] = begun;
  if (welcome.path < path_version)
    return fail(Errc::unsupported,
                "the probe server cannot take the shape of a path: it is older; use the same "
                "linktune at both ends");
  return Shaper(request, talk).run();
}

}  // namespace lt::tuner
