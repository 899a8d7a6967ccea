#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <future>

#include "base/bytes.h"
#include "base/text.h"
#include "tuner/fields.h"
#include "tuner/path_server.h"
#include "tuner/probe_control.h"
#include "tuner/probe_echo.h"
#include "tuner/probe_flows.h"
#include "tuner/probe_host.h"
#include "tuner/probe_json.h"
#include "tuner/probe_socket.h"
#include "tuner/random.h"

namespace lt::tuner {

namespace {

constexpr Milliseconds turn{100};  // how often the server looks at its clock and its stop token
constexpr Milliseconds tick_period{500};
constexpr Milliseconds hello_patience{3'000};  // a stranger who says nothing is shown out
constexpr std::size_t pending_max = 2 * probe_flows_max;
constexpr std::size_t token_bytes_max = 512;

// Same time for every wrong guess of the right length.
bool tokens_match(std::string_view given, std::string_view expected) {
  if (given.size() != expected.size()) return false;
  int difference = 0;
  for (std::size_t i = 0; i < given.size(); ++i)
    difference |= given[i] ^ expected[i];
  return difference == 0;
}

struct Flows {
  std::vector<Fd> up;    // we receive
  std::vector<Fd> down;  // we send
};

// Takes the flows of one test in. A connection without the nonce, or that stays silent, costs a
// place only.
class FlowAcceptor {
 public:
  FlowAcceptor(int listener, std::uint64_t nonce, const ProbeRequest& request)
      : listener_(listener), nonce_(nonce) {
    if (request.load != Load::down) flows_.up.resize(request.flows);
    if (request.load != Load::up) flows_.down.resize(request.flows);
    missing_ = flows_.up.size() + flows_.down.size();
  }

  std::optional<Flows> run(Instant deadline, const std::stop_token& stop) {
    while (missing_ > 0) {
      if (stop.stop_requested() || std::chrono::steady_clock::now() >= deadline)
        return std::nullopt;
      std::vector<pollfd> polled{{listener_, POLLIN, 0}};
      for (const Fd& fd : pending_)
        polled.push_back({fd.get(), POLLIN, 0});
      ::poll(polled.data(), polled.size(), static_cast<int>(turn.count()));
      greet(polled);
      if (polled.front().revents != 0) take_in();
    }
    return std::move(flows_);
  }

 private:
  void take_in() {
    Fd fd(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
    if (fd.is_open() && pending_.size() < pending_max) pending_.push_back(std::move(fd));
  }

  // Each pending connection that has spoken either becomes a flow or goes.
  void greet(const std::vector<pollfd>& polled) {
    std::vector<Fd> silent;
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      if (polled[i + 1].revents == 0) {
        silent.push_back(std::move(pending_[i]));
      } else {
        admit(std::move(pending_[i]));
      }
    }
    pending_ = std::move(silent);
  }

  void admit(Fd fd) {
    std::array<Byte, FlowGreeting::bytes> raw{};
    if (!receive_all(fd.get(), raw, std::chrono::steady_clock::now() + turn)) return;
    const auto greeting = FlowGreeting::decode(raw);
    if (!greeting || greeting->nonce != nonce_) return;
    std::vector<Fd>& side = greeting->is_up ? flows_.up : flows_.down;
    if (greeting->flow >= side.size() || side[greeting->flow].is_open()) return;
    const std::array<Byte, 1> welcome{1};
    if (!send_all(fd.get(), welcome, std::chrono::steady_clock::now() + turn)) return;
    side[greeting->flow] = std::move(fd);
    --missing_;
  }

  int listener_;
  std::uint64_t nonce_;
  Flows flows_;
  std::size_t missing_{0};
  std::vector<Fd> pending_;
};

// One test, from its plan to its report.
class ServedTest {
 public:
  static Result<std::unique_ptr<ServedTest>> open(const ProbeRequest& request) {
    LT_TRY(BoundSocket tcp, listen_tcp(request.data, request.data_port, request.congestion));
    LT_TRY(BoundSocket udp, bind_udp(request.data, request.data_port));
    return std::unique_ptr<ServedTest>(new ServedTest(request, std::move(tcp), std::move(udp)));
  }

  [[nodiscard]] Json ports() const {
    return {{"tcp", tcp_port_}, {"udp", udp_port_}, {"nonce", to_hex(nonce_bytes())}};
  }

  Status go() {
    LT_TRY(Flows flows, collect());
    load_ = std::make_unique<LoadRun>(
        LoadOptions{std::move(flows.down), std::move(flows.up), request_.omit, request_.duration});
    return {};
  }

  [[nodiscard]] bool is_running() const { return load_ != nullptr; }
  [[nodiscard]] bool is_measured() const { return load_ && load_->is_measured(); }

  [[nodiscard]] Json report() {
    LoadReport load = load_->finish();
    Json value = {{"cpu", cpu_to_json(load.cpu)},
                  {"starved", load.starved},
                  {"retransmits", load.retransmits},
                  {"rtt_us", load.rtt_us},
                  {"congestion", load.congestion}};
    value["received"] = load.received ? flow_to_json(*load.received) : Json(nullptr);
    for (const auto& [name, phase] :
         {std::pair("idle", EchoPhase::idle), std::pair("loaded", EchoPhase::loaded)}) {
      const EchoCount count = echo_.count(phase);
      value[name] = {{"arrived", count.arrived}, {"replied", count.replied}};
    }
    return value;
  }

 private:
  ServedTest(const ProbeRequest& request, BoundSocket tcp, BoundSocket udp)
      : request_(request),
        nonce_(fresh_seed()),
        tcp_port_(tcp.port),
        udp_port_(udp.port),
        listener_(std::move(tcp.fd)),
        echo_(std::move(udp.fd), nonce_) {
    const Instant deadline = std::chrono::steady_clock::now() + path_patience + silence_max;
    std::promise<std::optional<Flows>> promise;
    flows_ = promise.get_future();
    accepting_ = std::jthread(
        [this, deadline, arrived = std::move(promise)](const std::stop_token& stop) mutable {
          arrived.set_value(FlowAcceptor(listener_.get(), nonce_, request_).run(deadline, stop));
        });
  }

  [[nodiscard]] std::array<Byte, 8> nonce_bytes() const {
    std::array<Byte, 8> raw{};
    store_be64(raw.data(), nonce_);
    return raw;
  }

  // The client has our welcome on every flow before it says go.
  Result<Flows> collect() {
    if (!flows_.valid() || flows_.wait_for(turn * 5) != std::future_status::ready) {
      return fail(Errc::protocol, "go came before all flows were there");
    }
    std::optional<Flows> flows = flows_.get();
    if (!flows) return fail(Errc::timed_out, "the flows did not arrive");
    return std::move(*flows);
  }

  ProbeRequest request_;
  std::uint64_t nonce_;
  std::uint16_t tcp_port_;
  std::uint16_t udp_port_;
  Fd listener_;
  EchoServer echo_;
  std::future<std::optional<Flows>> flows_;
  std::jthread accepting_;
  std::unique_ptr<LoadRun> load_;
};

// One client, from its token to its last test.
class Session {
 public:
  Session(ControlLine line, const ProbeServerOptions& options)
      : line_(std::move(line)), options_(options) {}

  Status run(const std::stop_token& stop) {
    LT_CHECK(greet(stop));
    for (;;) {
      if (stop.stop_requested()) return fail(Errc::interrupted, "the server was asked to end");
      LT_TRY(const auto said, line_.read(turn));
      const Instant now = std::chrono::steady_clock::now();
      if (said) {
        last_heard_ = now;
        Status status = answer(*said);
        if (!status) return refuse(status.error());
      } else if (now - last_heard_ > silence_max) {
        return fail(Errc::timed_out, "the client has gone silent");
      }
      LT_CHECK(tick(now));
      LT_CHECK(report_when_done());
    }
  }

 private:
  Status greet(const std::stop_token& stop) {
    const Instant deadline = std::chrono::steady_clock::now() + hello_patience;
    while (std::chrono::steady_clock::now() < deadline && !stop.stop_requested()) {
      LT_TRY(const auto said, line_.read(turn));
      if (!said) continue;
      const auto version = whole_field(*said, "linktune_probe", {1, 1});
      if (!version)
        return refuse(
            {Errc::protocol,
             "this server speaks version 1 of the probe; use the same linktune at both ends", 0});
      const auto token = has_field(*said, "token") ? text_field(*said, "token", token_bytes_max)
                                                   : Result<std::string>("");
      if (!token || (options_.token && !tokens_match(*token, options_.token->hex))) {
        return refuse(
            {Errc::not_permitted,
             "the token is not this server's; give the client the token that the server printed",
             0});
      }
      last_heard_ = std::chrono::steady_clock::now();
      return line_.write(
          {{"linktune_probe", 1}, {"boot_id", boot_id()}, {"kernel", kernel_version()}, {"path", path_version}});
    }
    return fail(Errc::timed_out, "it said nothing");
  }

  // Tells the client why before the line closes.
  Status refuse(const Error& error) {
    static_cast<void>(line_.write({{"error", error_to_json(error)}}));
    return fail(error);
  }

  Status answer(const Json& said) {
    if (has_field(said, "tick")) return {};
    if (has_field(said, "plan") && !path_) return open_test(said);
    if (has_field(said, "path") && !path_ && !test_) return open_path(said);
    if (path_ && ServedPath::is_for_path(said)) {
      LT_TRY(const Json answer, path_->answer(said));
      return line_.write(answer);
    }
    if (path_ && has_field(said, "path_end")) {
      path_.reset();
      return line_.write({{"path_ended", true}});
    }
    if (has_field(said, "abandon")) {
      test_.reset();
      is_finishing_ = false;
      return line_.write({{"abandoned", true}});
    }
    if (has_field(said, "go") && test_ && !test_->is_running()) {
      LT_CHECK(test_->go());
      return line_.write({{"going", true}});
    }
    if (has_field(said, "finish") && test_ && test_->is_running()) {
      is_finishing_ = true;
      return {};
    }
    return fail(Errc::protocol, "this is no time for that word");
  }

  Status open_test(const Json& said) {
    if (test_) return fail(Errc::protocol, "a test is running already");
    LT_TRY(const Json plan, object_field(said, "plan"));
    LT_TRY(const ProbeRequest request, probe_request_from_json(plan));
    if (options_.data && *options_.data != request.data) {
      return fail(Errc::rejected, "this server tests on " + options_.data->text() + " only");
    }
    auto opened = ServedTest::open(request);
    if (!opened) return fail(with_context(opened.error(), "at the server"));
    test_ = std::move(*opened);
    return line_.write({{"ports", test_->ports()}});
  }

  Status open_path(const Json& said) {
    LT_TRY(path_, ServedPath::open(said, options_.data));
    return line_.write(path_->port());
  }

  Status tick(Instant now) {
    if (!test_ || now - last_tick_ < tick_period) return {};
    last_tick_ = now;
    return line_.write({{"tick", true}});
  }

  Status report_when_done() {
    if (!is_finishing_ || !test_->is_measured()) return {};
    const Json report = test_->report();
    test_.reset();
    is_finishing_ = false;
    return line_.write({{"report", report}});
  }

  ControlLine line_;
  const ProbeServerOptions& options_;
  std::unique_ptr<ServedTest> test_;
  std::unique_ptr<ServedPath> path_;
  Instant last_heard_{};
  Instant last_tick_{};
  bool is_finishing_{false};
};

}  // namespace

struct ProbeServer::State {
  ProbeServerOptions options;
  ControlListener listener;
  Log& log;
};

ProbeServer::ProbeServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
ProbeServer::ProbeServer(ProbeServer&&) noexcept = default;
ProbeServer::~ProbeServer() = default;

Result<ProbeServer> ProbeServer::create(const ProbeServerOptions& options, Log& log) {
  LT_TRY(ControlListener listener, ControlListener::listen(options.control));
  return ProbeServer(std::unique_ptr<State>(new State{options, std::move(listener), log}));
}

const ControlAddress& ProbeServer::address() const {
  return state_->listener.address();
}

Status ProbeServer::serve(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    LT_TRY(auto line, state_->listener.accept(turn));
    if (!line) continue;
    const std::string peer = line->peer();
    state_->log.info("probe_client", {{"peer", peer}});
    const Status status = Session(std::move(*line), state_->options).run(stop);
    if (!status && status.error().code != Errc::closed) {
      state_->log.warn("probe_client_ended", {{"peer", peer}, {"reason", status.error().text()}});
    }
    if (state_->options.once) return {};
  }
  return {};
}

ProbeToken ProbeToken::random() {
  std::array<Byte, 16> raw{};
  store_be64(raw.data(), fresh_seed());
  store_be64(raw.data() + 8, fresh_seed());
  return {to_hex(raw)};
}

Result<ProbeToken> ProbeToken::parse(std::string_view text) {
  const std::string_view hex = trim(text);
  if (hex.size() < 16 || hex.size() > 128 || !from_hex(hex)) {
    return fail(Errc::invalid, "a probe token has 16 to 128 hexadecimal digits");
  }
  return ProbeToken{std::string(hex)};
}

Result<ProbeToken> ProbeToken::load(const std::string& path) {
  LT_TRY(const std::string text, read_file(path, token_bytes_max));
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return fail_errno(errno, path);
  if ((status.st_mode & 077U) != 0) {
    return fail(Errc::not_permitted, path + " may be read by others; run: chmod 600 " + path);
  }
  auto token = parse(text);
  if (!token) return fail(with_context(token.error(), path));
  return token;
}

Result<ControlAddress> ControlAddress::parse(std::string_view text) {
  constexpr std::string_view scheme = "unix:";
  if (text.starts_with(scheme)) {
    const std::string path(text.substr(scheme.size()));
    if (path.empty() || path.size() > 107 || path.front() != '/') {
      return fail(Errc::invalid, "a control socket is written unix:/path, at most 107 characters");
    }
    return ControlAddress{std::nullopt, path};
  }
  const auto endpoint = Endpoint::parse(text);
  if (!endpoint) {
    return fail(Errc::invalid,
                "a control address is written ADDRESS:PORT, [ADDRESS]:PORT or unix:/path, not " +
                    printable(text, 80));
  }
  return ControlAddress{endpoint, {}};
}

std::string ControlAddress::text() const {
  return tcp ? tcp->text() : "unix:" + unix_path;
}

}  // namespace lt::tuner
