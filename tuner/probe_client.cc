#include <algorithm>

#include "base/bytes.h"
#include "tuner/fields.h"
#include "tuner/probe_conversation.h"
#include "tuner/probe_echo.h"
#include "tuner/probe_flows.h"
#include "tuner/probe_host.h"
#include "tuner/probe_json.h"
#include "tuner/probe_socket.h"

namespace lt::tuner {

namespace {

struct Ports {
  std::uint16_t tcp{0};
  std::uint16_t udp{0};
  std::uint64_t nonce{0};
};

struct ServerReport {
  CpuUse cpu;
  bool starved{false};
  std::uint64_t retransmits{0};
  double rtt_us{0};
  std::string congestion;
  std::optional<FlowResult> received;
  EchoCount idle;
  EchoCount loaded;
};

Result<EchoCount> echo_count_from_json(const Json& value, std::string_view phase) {
  LT_TRY(const Json object, object_field(value, phase));
  EchoCount count;
  LT_TRY(count.arrived, whole_field(object, "arrived"));
  LT_TRY(count.replied, whole_field(object, "replied"));
  return count;
}

Result<ServerReport> server_report_from_json(const Json& value) {
  ServerReport report;
  LT_TRY(const Json cpu, object_field(value, "cpu"));
  LT_TRY(report.cpu, cpu_from_json(cpu));
  LT_TRY(report.starved, truth_field(value, "starved"));
  LT_TRY(report.retransmits, whole_field(value, "retransmits"));
  LT_TRY(report.rtt_us, number_field(value, "rtt_us"));
  LT_TRY(report.congestion, text_field(value, "congestion", 64));
  if (has_field(value, "received")) {
    LT_TRY(const Json received, object_field(value, "received"));
    LT_TRY(report.received, flow_from_json(received));
  }
  LT_TRY(report.idle, echo_count_from_json(value, "idle"));
  LT_TRY(report.loaded, echo_count_from_json(value, "loaded"));
  return report;
}

struct Flows {
  std::vector<Fd> up;    // we send
  std::vector<Fd> down;  // we receive
};

// A connection counts when the server's welcome came back through the path under test.
Result<Fd> open_flow(const ProbeRequest& request, const Ports& ports, bool is_up, unsigned flow,
                     Instant deadline) {
  const auto prepare = [&](int fd) -> Status {
    LT_CHECK(set_segment_bytes_max(fd, request.segment_bytes_max));
    return set_congestion(fd, request.congestion);
  };
  LT_TRY(Fd fd, connect_tcp(request.data, ports.tcp, request.source, prepare, deadline));
  const FlowGreeting greeting{ports.nonce, is_up, static_cast<std::uint8_t>(flow)};
  LT_CHECK(send_all(fd.get(), greeting.encode(), deadline));
  std::array<Byte, 1> welcome{};
  LT_CHECK(receive_all(fd.get(), welcome, deadline));
  return fd;
}

Result<Flows> open_flows(const ProbeRequest& request, const Ports& ports) {
  const Instant deadline = std::chrono::steady_clock::now() + path_patience;
  Flows flows;
  for (unsigned flow = 0; flow < request.flows; ++flow) {
    if (request.load != Load::down) {
      LT_TRY(Fd fd, open_flow(request, ports, true, flow, deadline));
      flows.up.push_back(std::move(fd));
    }
    if (request.load != Load::up) {
      LT_TRY(Fd fd, open_flow(request, ports, false, flow, deadline));
      flows.down.push_back(std::move(fd));
    }
  }
  return flows;
}

// An error that says nothing of the path, only of this machine's or the server's set-up.
bool is_our_fault(const Error& error) {
  return error.code == Errc::unsupported || error.code == Errc::not_permitted ||
         error.code == Errc::invalid || error.code == Errc::limit;
}

// Runs the echo beside the control line.
class EchoInBackground {
 public:
  explicit EchoInBackground(const EchoOptions& options)
      : thread_([this, options](const std::stop_token& stop) {
          result_ = run_echo(options, stop);
          is_done_ = true;
        }) {}
  [[nodiscard]] bool is_done() const { return is_done_; }
  [[nodiscard]] EchoResult take() {
    thread_.join();
    return result_;
  }

 private:
  EchoResult result_;  // the thread's until it is joined
  std::atomic<bool> is_done_{false};
  std::jthread thread_;
};

class Test {
 public:
  Test(const ProbeRequest& request, Conversation& talk, const Ports& ports)
      : talk_(talk), ports_(ports) {
    result_.request = request;
  }

  Result<ProbeResult> run(const Welcome& welcome) {
    result_.same_machine = welcome.boot_id == boot_id();
    result_.client_kernel = kernel_version();
    result_.server_kernel = welcome.kernel;
    auto flows = open_flows(result_.request, ports_);
    if (!flows) {
      if (is_our_fault(flows.error())) return fail(flows.error());
      return give_up(with_context(flows.error(), "the path under test carries no TCP connection"));
    }
    auto udp = connect_udp(result_.request.data, ports_.udp, result_.request.source);
    if (!udp) return give_up(with_context(udp.error(), "the path under test carries no UDP"));
    udp_ = std::move(*udp);
    LT_CHECK(echo_idle());
    LT_CHECK(talk_.say({{"go", true}}));
    LT_TRY(const Json going, talk_.expect("going"));
    return load(std::move(*flows));
  }

 private:
  Result<ProbeResult> give_up(Error error) {
    LT_CHECK(talk_.say({{"abandon", true}}));
    LT_TRY(const Json abandoned, talk_.expect("abandoned"));
    result_.path_failure = std::move(error);
    return std::move(result_);
  }

  [[nodiscard]] EchoOptions echo_options(EchoPhase phase, Milliseconds duration) const {
    EchoOptions options;
    options.socket = udp_.get();
    options.nonce = ports_.nonce;
    options.phase = phase;
    options.begin = std::chrono::steady_clock::now();
    options.duration = duration;
    options.per_second = result_.request.echo_per_second;
    options.bytes = result_.request.echo_bytes;
    return options;
  }

  Status echo_idle() {
    EchoInBackground echo(echo_options(EchoPhase::idle, result_.request.idle));
    LT_CHECK(talk_.wait([&] { return echo.is_done(); }));
    result_.idle = echo.take();
    return {};
  }

  Result<ProbeResult> load(Flows flows) {
    LoadRun load({std::move(flows.up), std::move(flows.down), result_.request.omit,
                  result_.request.duration});
    EchoOptions options = echo_options(EchoPhase::loaded, result_.request.duration);
    options.begin += result_.request.omit;
    EchoInBackground echo(options);
    LT_CHECK(talk_.wait([&] { return load.is_measured() && echo.is_done(); }));
    LT_CHECK(talk_.say({{"finish", true}}));
    LT_TRY(const Json said, talk_.expect("report"));
    LT_TRY(const Json object, object_field(said, "report"));
    auto report = server_report_from_json(object);
    if (!report)
      return fail(Errc::protocol, "the probe server's report is wrong: " + report.error().what);
    result_.loaded = echo.take();
    return combine(load.finish(), std::move(*report));
  }

  // Each direction's goodput is its receiver's, its retransmits and congestion control are its
  // sender's.
  ProbeResult combine(LoadReport ours, ServerReport theirs) {
    const bool starved = ours.starved || theirs.starved;
    result_.client_cpu = ours.cpu;
    result_.server_cpu = theirs.cpu;
    result_.idle.arrived = theirs.idle.arrived;
    result_.idle.replied = theirs.idle.replied;
    result_.loaded.arrived = theirs.loaded.arrived;
    result_.loaded.replied = theirs.loaded.replied;
    result_.up = std::move(theirs.received);
    result_.down = std::move(ours.received);
    if (result_.up) describe_sender(*result_.up, ours.retransmits, ours.rtt_us, ours.congestion);
    if (result_.down)
      describe_sender(*result_.down, theirs.retransmits, theirs.rtt_us, theirs.congestion);
    result_.is_starved = starved;
    if (starved) {
      result_.path_failure =
          Error{Errc::timed_out, "the path under test connects, but carries no data", 0};
    } else if (is_lost(result_.up) || is_lost(result_.down)) {
      result_.path_failure =
          Error{Errc::closed, "the path under test lost a flow before the time was over", 0};
    } else if (is_stalled(result_.up) || is_stalled(result_.down)) {
      result_.path_failure =
          Error{Errc::timed_out, "the path under test stood still for seconds under load", 0};
    }
    return std::move(result_);
  }

  static bool is_stalled(const std::optional<FlowResult>& flow) {
    return flow && flow->longest_stall() >= stall_max;
  }

  static bool is_lost(const std::optional<FlowResult>& flow) {
    return flow && flow->flows_lost > 0;
  }

  static void describe_sender(FlowResult& flow, std::uint64_t retransmits, double rtt_us,
                              const std::string& congestion) {
    flow.retransmits = retransmits;
    flow.rtt_us = rtt_us;
    flow.congestion = congestion;
  }

  Conversation& talk_;
  Ports ports_;
  ProbeResult result_;
  Fd udp_;
};

ProbeResult without_path(const ProbeRequest& request, const Error& why) {
  ProbeResult result;
  result.request = request;
  result.path_failure = why;
  return result;
}

Result<Ports> agree(Conversation& talk, const ProbeRequest& request) {
  LT_CHECK(talk.say({{"plan", to_json(request)}}));
  LT_TRY(const Json said, talk.expect("ports"));
  LT_TRY(const Json object, object_field(said, "ports"));
  LT_TRY(const std::uint64_t tcp, whole_field(object, "tcp", {1, 65535}));
  LT_TRY(const std::uint64_t udp, whole_field(object, "udp", {1, 65535}));
  LT_TRY(const std::string nonce, text_field(object, "nonce", 16));
  const auto raw = from_hex(nonce);
  if (!raw || raw->size() != 8) return fail(Errc::protocol, "the probe server's nonce is wrong");
  return Ports{static_cast<std::uint16_t>(tcp), static_cast<std::uint16_t>(udp),
               load_be64(raw->data())};
}

}  // namespace

Result<ProbeResult> run_probe(const ProbeClientOptions& options, const ProbeRequest& request,
                              const std::stop_token& stop) {
  LT_CHECK(validate(request));
  LT_TRY(auto begun, Conversation::begin(options, stop));
  auto& [talk, welcome] = begun;
  const auto ports = agree(talk, request);
  // The far end of a tunnel that has gone down has no address any more: the path's fault, not the
  // server's.
  if (!ports && ports.error().code == Errc::not_found) return without_path(request, ports.error());
  if (!ports) return fail(ports.error());
  return Test(request, talk, *ports).run(welcome);
}

}  // namespace lt::tuner
