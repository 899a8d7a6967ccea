#include "app/iperf3.h"

#include <thread>

#include "base/json.h"
#include "base/text.h"

namespace lt::app {

Result<Iperf3Server> Iperf3Server::start(const lab::Sandbox& sandbox, lab::Host host) {
  if (!find_program("iperf3")) return fail(Errc::not_found, "iperf3 is not installed: sudo apt-get install iperf3");
  LT_TRY(auto folder, ScratchFolder::create("iperf3"));
  const std::string output = folder.path() + "/server.log";
  LT_TRY(auto child, Child::start({.argv = sandbox.exec(host, {"iperf3", "-s", "--forceflush"}), .output_path = output}));
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  for (;;) {
    const auto said = read_file(output, 1 << 20);
    if (said && said->find("Server listening") != std::string::npos) return Iperf3Server(std::move(folder), std::move(child));
    if (std::chrono::steady_clock::now() > until || !child.is_running()) return fail(Errc::timed_out, "iperf3 does not listen");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

namespace {

double number_at(const Json& value, std::initializer_list<const char*> path) {
  const Json* at = &value;
  for (const char* key : path) {
    if (!at->is_object() || !at->contains(key)) return 0;
    at = &(*at)[key];
  }
  return at->is_number() ? at->get<double>() : 0;
}

}  // namespace

Result<Iperf3Result> parse_iperf3(const std::string& text) {
  LT_TRY(const Json value, parse_json(text, "iperf3's result"));
  if (value.is_object() && value.contains("error") && value["error"].is_string()) {
    return fail(Errc::io, "iperf3: " + printable(value["error"].get<std::string>(), 200));
  }
  const double rate = number_at(value, {"end", "sum_received", "bits_per_second"});
  const double bytes = number_at(value, {"end", "sum_received", "bytes"});
  const double retransmits = number_at(value, {"end", "sum_sent", "retransmits"});
  if (!(retransmits >= 0) || !(retransmits < 1e18)) return fail(Errc::invalid, "iperf3 counts retransmissions that cannot be");
  if (!(rate > 0) || !(rate < 1e15) || !(bytes > 0) || !(bytes < 1e18)) return fail(Errc::invalid, "iperf3 moved nothing");
  const double back = number_at(value, {"end", "sum_received_bidir_reverse", "bits_per_second"});
  if (!(back >= 0) || !(back < 1e15)) return fail(Errc::invalid, "iperf3 counts a rate that cannot be");
  return Iperf3Result{{static_cast<std::uint64_t>(rate)}, static_cast<std::uint64_t>(retransmits), {static_cast<std::uint64_t>(bytes)},
                      {static_cast<std::uint64_t>(back)}};
}

Result<Iperf3Result> run_iperf3(const lab::Sandbox& sandbox, lab::Host from, const IpAddress& to,
                                const Iperf3Options& options) {
  Argv words{"iperf3", "-J", "-c", to.text(), "-t", std::to_string(options.seconds), "-O", std::to_string(options.omit_seconds),
             "-P", std::to_string(options.flows), "-C", options.congestion, "--connect-timeout", "3000"};
  if (options.both_ways) words.emplace_back("--bidir");
  const Argv argv = sandbox.exec(from, words);
  const std::chrono::seconds deadline(options.seconds + options.omit_seconds + 15);
  // A server that has just started, or just ended another test, may refuse for a moment.
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  for (;;) {
    LT_TRY(const ProcessOutput output, run_process(argv, {.deadline = deadline}));
    auto result = parse_iperf3(output.out);
    if (result || std::chrono::steady_clock::now() > until) return result;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace lt::app
