// linktune probe --iperf3 and --serve-iperf3: one end of an iperf3 test, against a stock other end.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include "app/outcome.h"
#include "base/log.h"

namespace lt::app {

/// `linktune probe --iperf3 HOST[:PORT] [--udp] [--rate RATE] [--direction up|down|both] [--flows N]
/// [--seconds S] [--omit S] [--block-bytes N] [--mss N] [--window N] [--no-delay] [--congestion NAME]
/// [--source ADDR] [--family 4|6] [--server-output]`
struct Iperf3Command {
  std::string server;  // a name or an address; port 5201 unless given
  bool is_udp{false};
  std::string rate;  // "500mbit", of each stream; empty: TCP without a limit, UDP iperf3's 1 Mbit/s
  std::string direction{"up"};
  unsigned flows{1};
  double seconds{10};
  double omit_seconds{2};
  unsigned block_bytes{0};
  unsigned mss_bytes{0};
  unsigned window_bytes{0};
  bool no_delay{false};
  std::string congestion{"cubic"};
  std::string source;
  unsigned family{0};  // 4, 6, or 0: as the resolver says
  bool wants_server_output{false};
};

/// `linktune probe --serve-iperf3 [ADDR:PORT] [--once]`
struct Iperf3ServeCommand {
  std::string address;  // empty: port 5201 of any address of this host
  bool once{false};
};

/// "500mbit", "2.5gbit", "300kbit", "9600bit", or a number of bits a second.
[[nodiscard]] Result<std::uint64_t> bits_per_second_of(const std::string& text);
/// HOST, HOST:PORT, [V6] or [V6]:PORT; a bare IPv6 address, too.
struct Iperf3Address {
  std::string host;
  std::uint16_t port{0};
};
[[nodiscard]] Result<Iperf3Address> iperf3_address_of(const std::string& text);

/// @error as tuner::run_iperf3_test · invalid: an option
[[nodiscard]] Result<Outcome> run_iperf3_command(const Iperf3Command& command, const std::stop_token& stop);

/// Serves until `stop`. @error busy: the port is taken · not_found: the address is not ours
[[nodiscard]] Result<Outcome> run_iperf3_server(const Iperf3ServeCommand& command, const std::stop_token& stop, Log& log);

}  // namespace lt::app
