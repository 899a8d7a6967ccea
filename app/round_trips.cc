#include "app/round_trips.h"

#include <charconv>

#include "base/format.h"
#include "base/text.h"
#include "lab/netns.h"
#include "tuner/probe_socket.h"
#include "tuner/random.h"

namespace lt::app {

namespace {

constexpr std::uint64_t packets_max = 1'000'000;

std::optional<double> number_of(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data() || !(value >= 0) || value > 1e9) return std::nullopt;
  return value;
}

// "64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.123 ms" -> 123 us
std::optional<double> time_of(std::string_view line) {
  const auto at = line.find(" time=");
  if (at == std::string_view::npos || line.find("(DUP!)") != std::string_view::npos) return std::nullopt;
  const auto ms = number_of(line.substr(at + 6));
  return ms ? std::optional(*ms * 1000) : std::nullopt;
}

RoundTrips round_trips_of(std::uint64_t sent, const tuner::Latency& latency) {
  return {.sent = sent, .returned = latency.count, .us_p50 = latency.us_p50, .us_p99 = latency.us_p99};
}

}  // namespace

Result<RoundTrips> parse_ping(std::string_view text) {
  std::vector<double> times;
  std::optional<std::uint64_t> sent;
  for (const std::string_view line : split(text, '\n')) {
    if (const auto time = time_of(line)) times.push_back(*time);
    const auto at = line.find(" packets transmitted");
    if (at != std::string_view::npos) sent = parse_u64(line.substr(0, at));
  }
  if (!sent || *sent > packets_max || times.size() > *sent) return fail(Errc::invalid, "ping's summary is missing or wrong");
  return round_trips_of(*sent, tuner::summarise(std::move(times)));
}

Result<RoundTrips> ping_for(const lab::Sandbox& sandbox, lab::Host from, const IpAddress& to, std::chrono::milliseconds duration) {
  const auto count = std::max<std::int64_t>(1, duration.count() * round_trips_per_second / 1000);
  const Argv words{"ping", "-n", "-i", format("{:.3f}", 1.0 / round_trips_per_second), "-c", std::to_string(count), "-W", "1", to.text()};
  LT_TRY(const ProcessOutput output, run_process(sandbox.exec(from, words), {.deadline = duration + std::chrono::seconds(20)}));
  return parse_ping(output.out);
}

Result<EchoHost> EchoHost::start(const lab::Sandbox& sandbox, lab::Host host) {
  std::optional<tuner::BoundSocket> bound;
  LT_CHECK(lab::run_inside(sandbox.topology().namespace_of(host), [&]() -> Status {
    LT_TRY(bound, tuner::bind_udp(*IpAddress::parse("0.0.0.0"), 0));
    return {};
  }));
  const std::uint64_t nonce = tuner::fresh_seed();
  return EchoHost(std::make_unique<tuner::EchoServer>(std::move(bound->fd), nonce), nonce, bound->port);
}

Result<RoundTrips> EchoHost::ask(const lab::Sandbox& sandbox, lab::Host from, const IpAddress& to, tuner::EchoPhase phase,
                                 std::chrono::milliseconds duration) const {
  std::optional<Fd> socket;
  LT_CHECK(lab::run_inside(sandbox.topology().namespace_of(from), [&]() -> Status {
    LT_TRY(socket, tuner::connect_udp(to, port_, std::nullopt));
    return {};
  }));
  const tuner::EchoResult echo = tuner::run_echo({.socket = socket->get(),
                                                  .nonce = nonce_,
                                                  .phase = phase,
                                                  .begin = std::chrono::steady_clock::now(),
                                                  .duration = duration,
                                                  .per_second = round_trips_per_second},
                                                 {});
  return round_trips_of(echo.sent, echo.latency);
}

}  // namespace lt::app
