#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "tuner/iperf3.h"

namespace lt::tuner {

namespace {

constexpr std::size_t line_length_max = 200;
constexpr std::size_t lines_max = 200;

BitsPerSecond rate_of(std::uint64_t bytes, double seconds) {
  return seconds > 0 ? Bytes{bytes} / Nanoseconds(static_cast<Nanoseconds::rep>(seconds * 1e9))
                     : BitsPerSecond{0};
}

std::string megabits(BitsPerSecond rate) {
  const double value = static_cast<double>(rate.value) * 1e-6;
  return format("{:.{}f}", value, value < 10 ? 2 : value < 100 ? 1 : 0);
}

Json way_to_json(const std::optional<Iperf3Way>& way, bool is_udp) {
  if (!way) return nullptr;
  Json value = {{"bits_per_second", way->goodput().value},
                {"sent_bits_per_second", way->sent().value},
                {"bytes_sent", way->bytes_sent},
                {"bytes_received", way->bytes_received},
                {"seconds_sent", way->seconds_sent},
                {"seconds_received", way->seconds_received},
                {"streams", way->streams},
                {"series_step_ms", 1000},
                {"series_bytes", way->series}};
  value["retransmits"] = way->retransmits >= 0 ? Json(way->retransmits) : Json(nullptr);
  if (!is_udp) return value;
  value["packets"] = way->packets;
  value["packets_lost"] = way->packets_lost;
  value["loss"] = way->loss();
  value["jitter_ms"] = way->jitter_ms;
  return value;
}

std::string way_line(const char* name, const std::optional<Iperf3Way>& way, bool is_udp) {
  if (!way) return {};
  std::string line = format("{}  {} Mbit/s received, {} sent  {} {}", name, megabits(way->goodput()),
                            megabits(way->sent()), way->streams, way->streams == 1 ? "stream" : "streams");
  if (way->retransmits >= 0) line += format("  {} retransmits", way->retransmits);
  if (is_udp)
    line += format("  lost {} of {} packets ({:.2f}%)  jitter {:.3f} ms", way->packets_lost, way->packets,
                   way->loss() * 100, way->jitter_ms);
  return line + "\n";
}

// The server's own words, line by line, safe to show.
std::string shown(const std::string& text) {
  std::string shown;
  std::size_t lines = 0;
  for (const std::string_view line : split(text, '\n')) {
    if (++lines > lines_max) return shown + "  ...\n";
    if (!line.empty()) shown += "  " + printable(line, line_length_max) + "\n";
  }
  return shown;
}

}  // namespace

BitsPerSecond Iperf3Way::sent() const {
  return rate_of(bytes_sent, seconds_sent);
}

BitsPerSecond Iperf3Way::goodput() const {
  return rate_of(bytes_received, seconds_received);
}

double Iperf3Way::loss() const {
  return packets == 0 ? 0 : static_cast<double>(std::min(packets_lost, packets)) / static_cast<double>(packets);
}

Json to_json(const Iperf3Result& result) {
  const Iperf3Test& test = result.test;
  Json value = {{"schema", std::string(iperf3_schema)},
                {"server", result.server},
                {"test",
                 {{"protocol", test.is_udp ? "udp" : "tcp"},
                  {"load", std::string(name_of(test.load))},
                  {"streams", test.streams},
                  {"seconds", test.seconds},
                  {"omit_seconds", test.omit_seconds},
                  {"block_bytes", test.block()},
                  {"rate_bits_per_second", test.rate.value},
                  {"mss_bytes", test.mss_bytes},
                  {"window_bytes", test.window_bytes},
                  {"no_delay", test.no_delay},
                  {"congestion", test.congestion}}}};
  value["up"] = way_to_json(result.up, test.is_udp);
  value["down"] = way_to_json(result.down, test.is_udp);
  value["congestion"] = result.congestion;
  value["server_congestion"] = printable(result.server_congestion, 64);
  value["cpu_percent"] = result.cpu_percent;
  value["server_cpu_percent"] = result.server_cpu_percent;
  if (test.wants_server_output) value["server_output"] = shown(result.server_output);
  return value;
}

std::string text_of(const Iperf3Result& result) {
  const bool is_udp = result.test.is_udp;
  std::string text = way_line("up    ", result.up, is_udp) + way_line("down  ", result.down, is_udp);
  text += format("CPU     {:.0f}% here, {:.0f}% at the server, of one core", result.cpu_percent, result.server_cpu_percent);
  if (!result.congestion.empty()) text += "; congestion control here " + printable(result.congestion, 64);
  if (!result.server_congestion.empty()) text += ", there " + printable(result.server_congestion, 64);
  text += "\n";
  if (result.test.wants_server_output) text += "the server says:\n" + shown(result.server_output);
  return text;
}

}  // namespace lt::tuner
