#include "app/packet_rate.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <thread>

#include "lab/netns.h"
#include "tuner/probe_socket.h"

namespace lt::app {

namespace {

using namespace std::chrono_literals;

constexpr double rate_first = 10'000;     // packets a second
constexpr double rate_last = 4'000'000;
constexpr double step_up = 1.8;
constexpr double precision = 1.05;
constexpr auto tick = 500us;              // how often the sender looks what is due
constexpr std::size_t batch = 64;         // datagrams a system call
constexpr auto grace = 2ms;               // the last of a step may be this late
constexpr auto drain = 150ms;             // for what is still under way
constexpr int receive_bytes = 8 << 20;    // the sink must not be what drops

using Payload = std::array<Byte, small_payload_bytes>;

// Datagrams for one system call, all with the same payload or room for one.
class Batch {
 public:
  explicit Batch(std::uint64_t mark) {
    for (std::size_t i = 0; i < batch; ++i) {
      std::memcpy(payloads_[i].data(), &mark, sizeof mark);
      parts_[i] = {payloads_[i].data(), payloads_[i].size()};
      headers_[i].msg_hdr.msg_iov = &parts_[i];
      headers_[i].msg_hdr.msg_iovlen = 1;
    }
  }
  [[nodiscard]] mmsghdr* headers() { return headers_.data(); }
  [[nodiscard]] bool bears(std::size_t i, std::uint64_t mark) const {
    return headers_[i].msg_len == small_payload_bytes && std::memcmp(payloads_[i].data(), &mark, sizeof mark) == 0;
  }

 private:
  std::array<Payload, batch> payloads_{};
  std::array<iovec, batch> parts_{};
  std::array<mmsghdr, batch> headers_{};
};

// Sends what is due by now, again and again, until the time is over. What the own socket refuses is tried once more
// with what is due next: a sender that cannot keep the pace delivers less than was offered.
void send_evenly(int socket, std::uint64_t mark, double per_second, std::chrono::milliseconds duration) {
  Batch out(mark);
  const Instant begin = std::chrono::steady_clock::now();
  const auto total = static_cast<std::uint64_t>(per_second * static_cast<double>(duration.count()) / 1000);
  std::uint64_t sent = 0;
  for (Instant now = begin; now < begin + duration + grace && sent < total; now = std::chrono::steady_clock::now()) {
    const auto due = std::min(total, static_cast<std::uint64_t>(std::chrono::duration<double>(now - begin).count() * per_second) + 1);
    while (sent < due) {
      const auto count = ::sendmmsg(socket, out.headers(), static_cast<unsigned>(std::min<std::uint64_t>(batch, due - sent)), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count <= 0) break;
      sent += static_cast<std::uint64_t>(count);
    }
    std::this_thread::sleep_for(tick);
  }
}

// Counts the datagrams of this step.
std::uint64_t count_arrivals(int socket, std::uint64_t mark, const std::stop_token& stop) {
  Batch in(0);
  std::uint64_t arrived = 0;
  while (!stop.stop_requested()) {
    if (!tuner::wait_for(socket, POLLIN, std::chrono::steady_clock::now() + 20ms)) continue;
    const int count = ::recvmmsg(socket, in.headers(), batch, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < count; ++i) arrived += in.bears(static_cast<std::size_t>(i), mark) ? 1U : 0U;
  }
  return arrived;
}

}  // namespace

Result<PacketRate> search_rate(const Offer& offer) {
  PacketRate found;
  const auto try_rate = [&](double rate) -> Result<bool> {
    for (int attempt = 0; attempt < 2; ++attempt) {
      LT_TRY(const RateStep step, offer(rate));
      found.best = std::max(found.best, step.delivered);
      if (!step.passes()) continue;
      found.sustained = std::max(found.sustained, step.delivered);
      return true;
    }
    return false;
  };
  double low = rate_first / step_up;
  double high = rate_first;
  for (;; low = high, high *= step_up) {
    LT_TRY(const bool passed, try_rate(high));
    if (!passed) break;
    if (high >= rate_last) return found;
  }
  while (high / low > precision) {
    const double middle = std::sqrt(low * high);
    LT_TRY(const bool passed, try_rate(middle));
    (passed ? low : high) = middle;
  }
  return found;
}

Result<RateStep> offer_packets(const lab::Sandbox& sandbox, lab::Host from, lab::Host at, const IpAddress& to, double packets_per_second,
                               std::chrono::milliseconds duration) {
  std::optional<tuner::BoundSocket> sink;
  LT_CHECK(lab::run_inside(sandbox.topology().namespace_of(at), [&]() -> Status {
    LT_TRY(sink, tuner::bind_udp(*IpAddress::parse("0.0.0.0"), 0));
    return {};
  }));
  std::optional<Fd> source;
  LT_CHECK(lab::run_inside(sandbox.topology().namespace_of(from), [&]() -> Status {
    LT_TRY(source, tuner::connect_udp(to, sink->port, std::nullopt));
    return {};
  }));
  if (::setsockopt(sink->fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_bytes, sizeof receive_bytes) != 0) {
    return fail_errno(errno, "cannot give the sink of small packets its room");
  }
  const auto mark = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  std::uint64_t arrived = 0;
  {
    std::jthread counting([&](const std::stop_token& stop) { arrived = count_arrivals(sink->fd.get(), mark, stop); });
    send_evenly(source->get(), mark, packets_per_second, duration);
    std::this_thread::sleep_for(drain);
  }
  return RateStep{packets_per_second, static_cast<double>(arrived) * 1000 / static_cast<double>(duration.count())};
}

}  // namespace lt::app
