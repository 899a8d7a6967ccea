#include "app/cmd_iperf3.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/text.h"
#include "tuner/iperf3.h"

namespace lt::app {

namespace {

constexpr const char* rate_rule = "say a rate such as 500mbit or 1gbit (bit, kbit, mbit, gbit)";

Result<unsigned> whole_seconds(double seconds, const char* flag) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e6 || seconds != std::floor(seconds))
    return fail(Errc::invalid, std::string(flag) + " takes whole seconds with iperf3");
  return static_cast<unsigned>(seconds);
}

Result<tuner::Iperf3Test> test_of(const Iperf3Command& command) {
  tuner::Iperf3Test test;
  test.is_udp = command.is_udp;
  const auto load = tuner::load_from_name(command.direction);
  if (!load) return fail(Errc::invalid, "--direction takes up, down or both");
  test.load = *load;
  test.streams = command.flows;
  LT_TRY(test.seconds, whole_seconds(command.seconds, "--seconds"));
  if (test.seconds == 0) return fail(Errc::invalid, "--seconds must be at least 1 with iperf3");
  LT_TRY(test.omit_seconds, whole_seconds(command.omit_seconds, "--omit"));
  test.block_bytes = command.block_bytes;
  test.mss_bytes = command.mss_bytes;
  test.window_bytes = command.window_bytes;
  test.no_delay = command.no_delay;
  if (!command.is_udp) test.congestion = command.congestion;
  test.wants_server_output = command.wants_server_output;
  if (!command.rate.empty()) {
    LT_TRY(test.rate.value, bits_per_second_of(command.rate));
  } else if (command.is_udp) {
    test.rate = tuner::iperf3_datagram_rate;
  }
  LT_CHECK(tuner::validate(test));
  return test;
}

Result<tuner::Iperf3ClientOptions> options_of(const Iperf3Command& command) {
  tuner::Iperf3ClientOptions options;
  LT_TRY(const Iperf3Address server, iperf3_address_of(command.server));
  options.server = {server.host, server.port};
  if (!command.source.empty()) {
    options.source = IpAddress::parse(command.source);
    if (!options.source)
      return fail(Errc::invalid, "--source takes a numeric address such as 10.77.0.2, not `" + printable(command.source, 60) + "`");
  }
  if (command.family != 0 && command.family != 4 && command.family != 6)
    return fail(Errc::invalid, "--family takes 4 or 6");
  if (command.family != 0) options.family = command.family == 4 ? Family::v4 : Family::v6;
  return options;
}

}  // namespace

Result<std::uint64_t> bits_per_second_of(const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  double scale = 0;
  for (const auto& [name, factor] : {std::pair("", 1.0), std::pair("bit", 1.0), std::pair("kbit", 1e3),
                                     std::pair("mbit", 1e6), std::pair("gbit", 1e9)}) {
    if (unit == name) scale = factor;
  }
  if (error != std::errc() || scale == 0 || !(number > 0) || number * scale > 1e12 || number * scale < 1)
    return fail(Errc::invalid, std::string(rate_rule) + ", not `" + printable(text, 40) + "`");
  return static_cast<std::uint64_t>(number * scale);
}

Result<Iperf3Address> iperf3_address_of(const std::string& text) {
  const auto bare = text.size() > 2 && text.front() == '[' && text.back() == ']' ? text.substr(1, text.size() - 2) : text;
  if (IpAddress::parse(bare)) return Iperf3Address{bare, tuner::iperf3_port};
  const bool is_name = !text.empty() && text.find_first_of(":[] /") == std::string::npos;
  if (is_name) return Iperf3Address{text, tuner::iperf3_port};
  const auto endpoint = Endpoint::parse(text);
  if (endpoint) return Iperf3Address{endpoint->host, endpoint->port};
  return fail(Errc::invalid, "an iperf3 end is written HOST, HOST:PORT or [ADDRESS]:PORT, not `" + printable(text, 80) + "`");
}

Result<Outcome> run_iperf3_command(const Iperf3Command& command, const std::stop_token& stop) {
  LT_TRY(const auto options, options_of(command));
  LT_TRY(const auto test, test_of(command));
  LT_TRY(const auto result, tuner::run_iperf3_test(options, test, stop));
  return Outcome{tuner::to_json(result), tuner::text_of(result)};
}

Result<Outcome> run_iperf3_server(const Iperf3ServeCommand& command, const std::stop_token& stop, Log& log) {
  tuner::Iperf3ServerOptions options;
  options.once = command.once;
  if (!command.address.empty()) {
    LT_TRY(const Iperf3Address where, iperf3_address_of(command.address));
    options.address = IpAddress::parse(where.host);
    if (!options.address)
      return fail(Errc::invalid, "--serve-iperf3 takes a numeric address of this host, not `" + printable(where.host, 60) + "`");
    options.port = where.port;
  }
  LT_TRY(auto server, tuner::Iperf3Server::create(options, log));
  const std::string where = (options.address ? options.address->text() + " " : std::string()) + "port " + std::to_string(server.port());
  std::fprintf(stderr, "iperf3 server listens on %s; whoever reaches it may test\n", where.c_str());
  LT_TRY(const std::uint64_t tests, server.serve(stop));
  return Outcome{{{"schema", "linktune.iperf3-server/1"}, {"port", server.port()}, {"tests", tests}},
                 "the iperf3 server has ended after " + std::to_string(tests) + (tests == 1 ? " test\n" : " tests\n")};
}

}  // namespace lt::app
