#include "tuner/probe_echo.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "tuner/probe_socket.h"

namespace lt::tuner {

namespace {

constexpr Milliseconds stop_latency{50};  // how late a thread may notice that it should end
constexpr std::array<Byte, 3> reserved{};

std::uint64_t nanoseconds_of(Instant moment) {
  return static_cast<std::uint64_t>(moment.time_since_epoch().count());
}

// The client's side of one phase.
class EchoClient {
 public:
  explicit EchoClient(const EchoOptions& options)
      : options_(options), outgoing_(options.bytes), incoming_(echo_bytes_max + 1) {}

  EchoResult run(const std::stop_token& stop) {
    const auto step = Nanoseconds(1'000'000'000) / options_.per_second;
    const auto total = static_cast<std::uint64_t>(options_.duration / step);
    returned_.resize(total, false);
    for (std::uint64_t number = 0; number < total && !stop.stop_requested(); ++number) {
      receive_until(options_.begin + static_cast<Nanoseconds::rep>(number) * step, stop, false);
      send(static_cast<std::uint32_t>(number));
    }
    receive_until(std::chrono::steady_clock::now() + patience(), stop, true);
    result_.latency = summarise(std::move(round_trips_us_));
    return result_;
  }

 private:
  [[nodiscard]] Nanoseconds patience() const {
    if (round_trips_us_.empty()) return echo_patience;
    const double longest_us = *std::max_element(round_trips_us_.begin(), round_trips_us_.end());
    const Nanoseconds wanted(static_cast<Nanoseconds::rep>(echo_patience_round_trips * longest_us * 1e3));
    return std::clamp<Nanoseconds>(wanted, echo_patience_least, echo_patience);
  }

  void send(std::uint32_t number) {
    EchoPacket packet;
    packet.nonce = options_.nonce;
    packet.phase = options_.phase;
    packet.number = number;
    packet.client_ns = nanoseconds_of(std::chrono::steady_clock::now());
    packet.encode(outgoing_);
    // A packet that our own kernel refuses (a full queue) is lost like one that the path loses.
    static_cast<void>(
        ::send(options_.socket, outgoing_.data(), outgoing_.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
    ++result_.sent;
  }

  void receive_until(Instant moment, const std::stop_token& stop, bool until_complete) {
    while (!stop.stop_requested() && !(until_complete && result_.returned == result_.sent)) {
      const Instant now = std::chrono::steady_clock::now();
      if (now >= moment) return;
      if (wait_precisely(std::min<Nanoseconds>(moment - now, stop_latency))) receive();
    }
  }

  [[nodiscard]] bool wait_precisely(Nanoseconds time) const {
    pollfd polled{options_.socket, POLLIN, 0};
    timespec limit{};
    limit.tv_sec = time / 1s;
    limit.tv_nsec = (time % 1s).count();
    return ::ppoll(&polled, 1, &limit, nullptr) > 0;
  }

  void receive() {
    const auto count = ::recv(options_.socket, incoming_.data(), incoming_.size(), MSG_DONTWAIT);
    const std::uint64_t now = nanoseconds_of(std::chrono::steady_clock::now());
    if (count != static_cast<ssize_t>(options_.bytes)) return;
    const auto packet =
        EchoPacket::decode(ByteView(incoming_).first(static_cast<std::size_t>(count)));
    if (!packet || packet->nonce != options_.nonce || packet->phase != options_.phase) return;
    if (packet->number >= returned_.size() || returned_[packet->number]) return;
    if (packet->server_ns == 0 || packet->client_ns > now) return;
    returned_[packet->number] = true;
    ++result_.returned;
    round_trips_us_.push_back(static_cast<double>(now - packet->client_ns) * 1e-3);
  }

  const EchoOptions& options_;
  EchoResult result_;
  std::vector<bool> returned_;
  std::vector<double> round_trips_us_;
  std::vector<Byte> outgoing_;
  std::vector<Byte> incoming_;
};

}  // namespace

void EchoPacket::encode(ByteSpan raw) const {
  store_be32(raw.data(), magic);
  raw[4] = static_cast<Byte>(phase);
  raw[5] = raw[6] = raw[7] = 0;
  store_be64(raw.data() + 8, nonce);
  store_be32(raw.data() + 16, number);
  store_be32(raw.data() + 20, 0);
  store_be64(raw.data() + 24, client_ns);
  store_be64(raw.data() + 32, server_ns);
}

std::optional<EchoPacket> EchoPacket::decode(ByteView raw) {
  if (raw.size() < bytes) return std::nullopt;
  Reader reader(raw);
  const auto read_magic = reader.u32();
  const auto phase = reader.u8();
  const auto blank = reader.array<3>();
  EchoPacket packet;
  packet.nonce = *reader.u64();
  packet.number = *reader.u32();
  const auto blank_word = reader.u32();
  packet.client_ns = *reader.u64();
  packet.server_ns = *reader.u64();
  if (*read_magic != magic || *phase >= echo_phases || *blank != reserved || *blank_word != 0)
    return std::nullopt;
  packet.phase = static_cast<EchoPhase>(*phase);
  return packet;
}

EchoServer::EchoServer(Fd socket, std::uint64_t nonce)
    : socket_(std::move(socket)),
      nonce_(nonce),
      thread_([this](const std::stop_token& stop) { serve(stop); }) {}

EchoCount EchoServer::count(EchoPhase phase) const {
  const Counters& counters = counters_[static_cast<std::size_t>(phase)];
  return {counters.arrived, counters.replied};
}

void EchoServer::serve(const std::stop_token& stop) {
  set_patience(socket_.get(), stop_latency);
  // A number that has been seen is not counted again: a path may double packets.
  std::array<std::vector<bool>, echo_phases> seen;
  const auto numbers_max = static_cast<std::size_t>(probe_duration_max / 1s) * echo_per_second_max;
  std::vector<Byte> raw(echo_bytes_max + 1);
  while (!stop.stop_requested()) {
    sockaddr_storage from{};
    socklen_t from_length = sizeof from;
    const auto count = ::recvfrom(socket_.get(), raw.data(), raw.size(), 0,
                                  reinterpret_cast<sockaddr*>(&from), &from_length);
    if (count <= 0) continue;
    const ByteSpan datagram(raw.data(), static_cast<std::size_t>(count));
    auto packet = EchoPacket::decode(datagram);
    if (!packet || packet->nonce != nonce_ || packet->server_ns != 0 ||
        packet->number >= numbers_max)
      continue;
    const auto phase = static_cast<std::size_t>(packet->phase);
    if (seen[phase].size() <= packet->number) seen[phase].resize(packet->number + 1, false);
    if (seen[phase][packet->number]) continue;
    seen[phase][packet->number] = true;
    ++counters_[phase].arrived;
    packet->server_ns = nanoseconds_of(std::chrono::steady_clock::now());
    packet->encode(datagram);
    // Counted before it is out: a reply that our own kernel refuses is lost on the way back.
    ++counters_[phase].replied;
    static_cast<void>(::sendto(socket_.get(), raw.data(), datagram.size(),
                               MSG_DONTWAIT | MSG_NOSIGNAL,
                               reinterpret_cast<const sockaddr*>(&from), from_length));
  }
}

EchoResult run_echo(const EchoOptions& options, const std::stop_token& stop) {
  return EchoClient(options).run(stop);
}

}  // namespace lt::tuner
