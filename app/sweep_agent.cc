#include "app/sweep_agent.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <list>
#include <thread>

#include "app/applied.h"
#include "app/control.h"
#include "app/trial_host.h"
#include "base/format.h"
#include "base/socket_address.h"
#include "base/text.h"
#include "channel/socket.h"
#include "configs/toml_reader.h"
#include "tuner/fields.h"
#include "tuner/probe.h"
#include "tuner/probe_host.h"

namespace lt::app {

namespace {

constexpr std::size_t guests_max = 8;
constexpr Seconds greeting_patience{10};
constexpr Seconds silence_patience{60};  // of a connection whose line was cut: its place is somebody else's then
constexpr Milliseconds poll_max{200};
constexpr Seconds tend_interval{1};
constexpr std::size_t buffer_bytes = 2 * (channel::frame_header_bytes + sweep_request_bytes_max);

struct Guest {
  channel::Connection connection;
  channel::PeerProof proof;
  Instant came;
  Instant heard;
  bool is_proven{false};
  bool is_over{false};

  Guest(Fd socket, const channel::PeerProof& begun, Instant now)
      : connection(std::move(socket), now, sweep_frame_lengths, buffer_bytes), proof(begun), came(now), heard(now) {}
};

// A probe server for the peer, in a thread of its own, with a token of its own: gone with this object.
class PeerProbe {
 public:
  static Result<std::unique_ptr<PeerProbe>> start(const IpAddress& control, const IpAddress& data) {
    std::unique_ptr<PeerProbe> probe(new PeerProbe());
    probe->token_ = tuner::ProbeToken::random();
    LT_TRY(auto server, tuner::ProbeServer::create({.control = {.tcp = Endpoint{control.text(), 0}}, .token = probe->token_, .data = data}, probe->log_));
    probe->port_ = server.address().tcp->port;
    probe->thread_ = std::jthread([held = std::make_shared<tuner::ProbeServer>(std::move(server))](const std::stop_token& stop) {
      if (const Status served = held->serve(stop); !served) return;  // the asker sees it: nobody answers
    });
    return probe;
  }
  [[nodiscard]] Json json(const IpAddress& data) const {
    return {{"probe_port", port_}, {"token", token_.hex}, {"data", data.text()}};
  }

 private:
  PeerProbe() = default;
  Log log_ = Log::silent();
  tuner::ProbeToken token_;
  std::uint16_t port_{0};
  std::jthread thread_;
};

// What the other site has borrowed.
struct Lease {
  LeaseId id{};
  TrialPeer peer;
  std::unique_ptr<TrialHost> host;
  std::unique_ptr<PeerProbe> probe;
  Guest* guest{nullptr};
  Instant heard{};
  std::string until;  // as the asker means it, UTC
  std::string arm{"nothing yet"};
};

// The address by which this machine speaks to `peer` when no tunnel is between them.
Result<IpAddress> line_address(const IpAddress& peer) {
  const SocketAddress to = SocketAddress::of(peer, 9);
  const Fd socket(::socket(to.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  SocketAddress own;
  own.length = sizeof own.storage;
  if (!socket.is_open() || ::connect(socket.get(), to.raw(), to.length) != 0 ||
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own.storage), &own.length) != 0) {
    return fail_errno(errno, "the bare line to " + peer.text() + " cannot be found");
  }
  return own.address();
}

std::string utc_in(Seconds from_now) {
  const std::time_t at = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now() + from_now);
  std::tm parts{};
  ::gmtime_r(&at, &parts);
  char text[32];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, length};
}

class Agent {
 public:
  Agent(configs::LinkConfig config, const SweepAgentOptions& options, SweepWay way, Fd listener, Log& log)
      : config_(std::move(config)), options_(options), way_(std::move(way)), listener_(std::move(listener)), log_(log) {}

  Status run(const std::stop_token& stop) {
    log_.info("sweep_listening", {{"at", Endpoint{way_.own.text(), way_.port}.text()}, {"allow", config_.sweep.allow ? "true" : "false"}});
    if (!config_.sweep.allow) log_.warn("sweep_not_allowed", {{"cure", "write allow = true below [sweep]"}});
    while (!stop.stop_requested()) LT_CHECK(turn());
    end_lease("this agent ends");
    return {};
  }

 private:
  // --- connections ---

  void accept_all(Instant now) {
    for (;;) {
      Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!socket.is_open()) return;
      const auto peer = channel::peer_of(socket.get());
      if (peer != way_.peer) {
        log_.warn("sweep_stranger", {{"detail", "a connection from " + (peer ? peer->text() : "an unknown address")}});
        continue;
      }
      const auto nonce = channel::make_nonce();
      if (guests_.size() >= guests_max || !nonce || !channel::prepare_socket(socket.get(), config_.device)) continue;
      Guest& guest = guests_.emplace_back(std::move(socket), channel::PeerProof(way_.identification, sweep_purpose, channel::Role::agent, *nonce), now);
      guest.proof.begin(guest.connection.out());
    }
  }

  Status serve(Guest& guest, Instant now) {
    LT_CHECK(guest.connection.fill(now));
    guest.heard = now;
    while (!guest.is_over) {
      LT_TRY(const auto frame, guest.connection.next_frame());
      if (!frame) return {};
      if (!guest.is_proven) {
        LT_TRY(guest.is_proven, guest.proof.take(frame->type, frame->payload, guest.connection.out()));
        continue;
      }
      if (frame->type != request_frame) return fail(Errc::protocol, "a frame out of its order");
      const auto request = parse_sweep_request(as_text(frame->payload));
      const Result<Json> outcome = request ? answer(guest, *request) : Result<Json>(fail(request.error()));
      if (!outcome) log_.warn("sweep_refused", {{"why", outcome.error().text()}});
      channel::put_frame(guest.connection.out(), answer_frame, as_bytes(to_line(answer_of(outcome))));
    }
    return {};
  }

  // The connection goes. Its end says whether the lease goes with it.
  void part(Guest& guest, const Error& error) {
    guest.is_over = true;
    guest.connection.abort();
    if (!guest.is_proven) return log_.warn("sweep_stranger", {{"detail", error.text()}});
    if (!lease_ || lease_->guest != &guest) return;
    lease_->guest = nullptr;
    if (error.code == Errc::closed || error.sys_errno == ECONNRESET) return end_lease("the other site's sweep has ended");
    log_.warn("sweep_lost", {{"why", error.text()}, {"waits_s", lease_time.count()}});
  }

  // --- requests, in the order of a sweep ---

  Result<Json> answer(Guest& guest, const SweepRequest& request) {
    if (!config_.sweep.allow) {
      return fail(Errc::rejected, "the other site, " + config_.site + ", does not allow it: its owner has to write allow = true below [sweep] in its config, and start its agent again");
    }
    if (const auto* open = std::get_if<OpenRequest>(&request)) return begin_lease(guest, *open);
    if (const auto* resume = std::get_if<ResumeRequest>(&request)) return resume_lease(guest, *resume);
    if (const auto* apply = std::get_if<ApplyRequest>(&request)) return begin_applying(*apply);
    if (std::holds_alternative<ConfirmRequest>(request)) return applied_answer(confirm_applied(place()));
    if (std::holds_alternative<RollbackRequest>(request)) return applied_answer(roll_back_soon(place()));
    if (std::holds_alternative<MeasureRequest>(request)) return serve_probe(way_.own);
    if (!lease_ || lease_->guest != &guest) return fail(Errc::rejected, "the lease is over: the other site took all of it down");
    lease_->heard = SteadyClock().now();
    if (const auto* start = std::get_if<StartRequest>(&request)) return start_arm(*start);
    if (std::holds_alternative<StateRequest>(request)) return state();
    if (std::holds_alternative<StopRequest>(request)) {
      lease_->probe.reset();
      lease_->host->stop();
      note("nothing at the moment");
      lease_->heard = SteadyClock().now();
    } else if (std::holds_alternative<CloseRequest>(request)) {
      end_lease("the other site's sweep is done");
    }
    return Json::object();
  }

  Result<Json> begin_lease(Guest& guest, const OpenRequest& open) {
    if (lease_) return fail(Errc::busy, "a sweep of " + lease_->peer.site + " runs here already, until " + lease_->until);
    LT_TRY(auto host, TrialHost::create(config_, options_.run_directory));
    Lease lease{.peer = {open.site, open.keys, *IpAddress::parse(open.trial_address)}, .host = std::move(host)};
    LT_TRY(const auto nonce, channel::make_nonce());
    std::copy_n(nonce.begin(), lease.id.size(), lease.id.begin());
    lease.guest = &guest;
    lease.heard = SteadyClock().now();
    lease.until = utc_in(open.planned);
    lease_.emplace(std::move(lease));
    log_.info("sweep_lease", {{"who", open.site}, {"until", lease_->until}});
    note("nothing yet");
    Json facts{{"linktune", LINKTUNE_VERSION}, {"kernel", tuner::kernel_version()}};
    if (const auto version = openvpn_here()) facts["openvpn"] = version->text();
    return Json{{"lease", to_hex(lease_->id)},
                {"site", config_.site},
                {"keys", to_json(lease_->host->shown())},
                {"trial_address", lease_->host->address().address.text()},
                {"trial_port", config_.sweep.trial_port},
                {"listens", config_.listen.has_value()},
                {"facts", facts}};
  }

  Result<Json> resume_lease(Guest& guest, const ResumeRequest& resume) {
    if (!lease_ || lease_->id != resume.lease) return fail(Errc::rejected, "the lease is over: the other site took all of it down");
    if (lease_->guest != nullptr && lease_->guest != &guest) lease_->guest->is_over = true;
    lease_->guest = &guest;
    lease_->heard = SteadyClock().now();
    log_.info("sweep_resumed", {{"who", lease_->peer.site}});
    return Json::object();
  }

  Result<Json> start_arm(const StartRequest& start) {
    lease_->probe.reset();
    LT_CHECK(lease_->host->start(start.arm, lease_->peer));
    note(tuner::canonical_text(start.arm));
    IpAddress data = lease_->host->address().address;
    if (start.arm.carrier == tuner::ArmCarrier::bare) {
      LT_TRY(data, bare_address());
    }
    log_.info("sweep_trial", {{"who", lease_->peer.site}, {"what", lease_->arm}});
    data_ = data;
    return Json{{"data", data.text()}};
  }

  // Ready: this end is up, and its probe serves on the path under test.
  Result<Json> state() {
    LT_TRY(const bool is_ready, lease_->host->is_ready());
    Json json{{"ready", is_ready}, {"last_words", lease_->host->last_words()}};
    if (!is_ready) return json;
    if (!lease_->probe) {
      LT_TRY(lease_->probe, PeerProbe::start(way_.own, data_));
    }
    json.update(lease_->probe->json(data_));
    return json;
  }

  // Of the link's own connection: the daemon knows where the other site is.
  [[nodiscard]] Result<IpAddress> bare_address() const {
    LT_TRY(const Json status, ask_daemon(control_path(options_.run_directory, config_.site), "status"));
    const auto peer = status.contains("peer") && status["peer"].is_string() ? Endpoint::parse(status["peer"].get<std::string>()) : std::nullopt;
    const auto address = peer ? IpAddress::parse(peer->host) : std::nullopt;
    if (!address) return fail(Errc::unreachable, "the link of " + config_.site + " does not say where the other site is");
    return line_address(*address);
  }

  void note(const std::string& arm) {
    lease_->arm = arm;
    lease_->host->note({.who = lease_->peer.site, .what = arm, .until = lease_->until});
  }

  void end_lease(const std::string& why) {
    if (!lease_) return;
    const std::string who = lease_->peer.site;
    lease_.reset();  // ends trial, probe, watcher; removes the folder
    log_.info("sweep_over", {{"who", who}, {"why", why}});
  }

  // --- what a sweep has found ---

  [[nodiscard]] AppliedPlace place() const {
    return {.config_path = options_.config_path, .run_directory = options_.run_directory, .state_directory = options_.state_directory};
  }

  Result<Json> begin_applying(const ApplyRequest& apply) {
    LT_CHECK(prepare_applying(place(), apply.arm, apply.patience));
    LT_CHECK(start_apply_watch(place()));
    log_.info("sweep_apply", {{"what", tuner::canonical_text(apply.arm)}, {"confirm_within_s", apply.patience.count()}});
    return Json::object();
  }

  Result<Json> applied_answer(const Status& status) {
    if (!status) return fail(status.error());
    return Json::object();
  }

  Result<Json> serve_probe(const IpAddress& data) {
    LT_TRY(link_probe_, PeerProbe::start(way_.own, data));
    return link_probe_->json(data);
  }

  // --- the turn ---

  Status turn() {
    std::vector<pollfd> waits{{listener_.get(), POLLIN, 0}};
    for (const Guest& guest : guests_) {
      waits.push_back({guest.connection.fd(), static_cast<short>(guest.connection.has_output() ? POLLIN | POLLOUT : POLLIN), 0});
    }
    if (::poll(waits.data(), waits.size(), static_cast<int>(poll_max.count())) < 0 && errno != EINTR) return fail_errno(errno, "the agent cannot wait");
    const Instant now = SteadyClock().now();
    std::size_t at = 1;
    for (Guest& guest : guests_) {
      const bool is_ready = (waits[at++].revents & ~POLLOUT) != 0;
      if (is_ready && !guest.is_over) {
        if (const Status served = serve(guest, now); !served) part(guest, served.error());
      }
      if (guest.is_over) continue;
      if (const Status flushed = guest.connection.flush(now); !flushed) part(guest, flushed.error());
      if (!guest.is_proven && now - guest.came > greeting_patience) part(guest, {Errc::timed_out, "it did not greet", 0});
      if (!guest.is_over && now - guest.heard > silence_patience) part(guest, {Errc::timed_out, "it is silent", 0});
    }
    guests_.remove_if([](const Guest& guest) { return guest.is_over; });
    if ((waits[0].revents & POLLIN) != 0) accept_all(now);
    if (lease_ && SteadyClock().now() - lease_->heard > lease_time) end_lease("the other site has been silent for " + std::to_string(lease_time.count()) + " s");
    if (now - tended_ > tend_interval) {
      tended_ = now;
      if (const Status tended = tend_applied(place(), Tending::if_free); !tended) log_.error("sweep_apply_failed", {{"why", tended.error().text()}});
    }
    return {};
  }

  configs::LinkConfig config_;
  SweepAgentOptions options_;
  SweepWay way_;
  Fd listener_;
  Log& log_;
  std::list<Guest> guests_;
  std::optional<Lease> lease_;
  IpAddress data_{};
  std::unique_ptr<PeerProbe> link_probe_;
  Instant tended_{};
};

}  // namespace

Status run_sweep_agent(const SweepAgentOptions& options, const std::stop_token& stop, Log& log) {
  if (::geteuid() != 0) return fail(Errc::not_permitted, "the sweep agent makes devices and starts daemons: run it as root");
  LT_TRY(auto config, configs::load_link_config(options.config_path));
  LT_TRY(auto way, SweepWay::of(config));
  LT_TRY(auto listener, channel::listen_on(way.own, way.port));
  // What a killed agent left goes before anybody is let in.
  LT_CHECK(clear_abandoned(options.run_directory, config.site, config.sweep.device));
  return Agent(std::move(config), options, std::move(way), std::move(listener), log).run(stop);
}

std::string sweep_notice_path(const std::string& run_directory, const std::string& site) {
  return trial_folder_path(run_directory, site) + "/notice.json";
}

std::optional<Json> running_sweep(const std::string& run_directory, const std::string& site) {
  const Fd folder(::open(trial_folder_path(run_directory, site).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const bool is_held = folder.is_open() && ::flock(folder.get(), LOCK_SH | LOCK_NB) != 0;
  const auto text = is_held ? read_file(sweep_notice_path(run_directory, site), 1 << 16) : Result<std::string>(fail(Errc::not_found, ""));
  if (!text) return std::nullopt;
  auto notice = parse_json(*text, "the notice");
  return notice && notice->is_object() ? std::optional(*notice) : std::nullopt;
}

std::string running_sweep_text(const Json& notice) {
  return format("  a sweep of {} tries {}, until {} at the latest\n", notice.value("who", ""), notice.value("what", ""), notice.value("until", ""));
}

}  // namespace lt::app
