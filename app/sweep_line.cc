#include "app/sweep_line.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <csignal>

#include "base/defer.h"
#include "channel/socket.h"
#include "crypto/identity.h"

namespace lt::app {

namespace {

constexpr std::size_t buffer_bytes = 2 * (channel::frame_header_bytes + answer_bytes_max);
constexpr Milliseconds turn{100};
constexpr Milliseconds connect_patience{4'000};

}  // namespace

std::optional<channel::Lengths> sweep_frame_lengths(std::uint8_t type) {
  if (type == request_frame) return channel::Lengths{2, sweep_request_bytes_max};
  if (type == answer_frame) return channel::Lengths{2, answer_bytes_max};
  return channel::greeting_lengths(type);
}

Result<SweepWay> SweepWay::of(const configs::LinkConfig& config) {
  ::prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  std::signal(SIGPIPE, SIG_IGN);
  const auto peer = config.sweep.peer_address ? config.sweep.peer_address : configs::peer_address(config.tunnel_addresses);
  std::optional<IpAddress> own;
  for (const Prefix& address : config.tunnel_addresses) {
    if (peer && !own && address.address.family == peer->family && address.contains(*peer)) own = address.address;
  }
  if (!peer || !own) {
    return fail(Errc::invalid, "the other site's tunnel address does not follow from tunnel.addresses; write peer_address = \"ADDRESS\" below [sweep]");
  }
  LT_TRY(auto loaded, crypto::Identity::load(config.key_path));
  const auto identity = std::make_shared<const crypto::Identity>(std::move(loaded));
  return SweepWay{.own = *own,
                  .peer = *peer,
                  .port = config.sweep.port,
                  .device = config.device,
                  .identification = {.sign = [identity](ByteView text) { return identity->sign(text); },
                                     .is_peer = [key = config.peer_public_key](ByteView text, const channel::Signature& signature) {
                                       return crypto::is_signed(text, signature, key);
                                     }}};
}

Status SweepLine::reach(const std::stop_token& stop) {
  const std::lock_guard lock(mutex_);
  return connection_ ? Status{} : connect(SteadyClock().now() + connect_patience, stop);
}

Result<Json> SweepLine::ask(const SweepRequest& request, Milliseconds patience, const std::stop_token& stop) {
  const std::lock_guard lock(mutex_);
  const Instant until = SteadyClock().now() + patience;
  Status status = connection_ ? Status{} : connect(std::min(until, SteadyClock().now() + connect_patience), stop);
  if (!status) return fail(status.error());
  channel::put_frame(connection_->out(), request_frame, as_bytes(to_line(to_json(request))));
  std::optional<Result<Json>> answer;
  status = exchange(until, stop, [&]() -> Result<bool> {
    LT_TRY(const auto frame, connection_->next_frame());
    if (!frame) return false;
    if (frame->type != answer_frame) return fail(Errc::protocol, "the other end sent a frame out of its order");
    answer = read_answer(as_text(frame->payload));
    return true;
  });
  if (status) return *answer;
  connection_.reset();  // an answer that comes late would be taken for that of another question
  return fail(status.error());
}

void SweepLine::hang_up() {
  const std::lock_guard lock(mutex_);
  connection_.reset();
}

Status SweepLine::connect(Instant until, const std::stop_token& stop) {
  const std::string where = Endpoint{way_.peer.text(), way_.port}.text();
  auto socket = channel::begin_connecting(way_.own, way_.peer, way_.port, way_.device);
  if (!socket) return fail(Errc::unreachable, "the other site cannot be reached: " + socket.error().text() + ": is the link up?");
  pollfd waits{socket->get(), POLLOUT, 0};
  while (::poll(&waits, 1, static_cast<int>(turn.count())) <= 0) {
    if (stop.stop_requested()) return fail(Errc::interrupted, "interrupted");
    if (SteadyClock().now() > until) return fail(Errc::unreachable, "no sweep agent answers at " + where + ": is the link up?");
  }
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(socket->get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) {
    return fail(Error{Errc::unreachable, "no sweep agent answers at " + where + ": start `linktune sweep agent` at the other site", error});
  }
  connection_.emplace(std::move(*socket), SteadyClock().now(), sweep_frame_lengths, buffer_bytes);
  LT_TRY(const auto nonce, channel::make_nonce());
  channel::PeerProof proof(way_.identification, sweep_purpose, channel::Role::client, nonce);
  proof.begin(connection_->out());
  Status proven = exchange(until, stop, [&]() -> Result<bool> {
    for (;;) {
      LT_TRY(const auto frame, connection_->next_frame());
      if (!frame) return false;
      LT_TRY(const bool is_proven, proof.take(frame->type, frame->payload, connection_->out()));
      if (is_proven) return true;
    }
  });
  if (!proven) connection_.reset();
  return proven;
}

// Sends what is to be sent and reads until `is_done`. Silence is judged by `until` alone: an agent that takes a trial
// down says nothing meanwhile.
Status SweepLine::exchange(Instant until, const std::stop_token& stop, const std::function<Result<bool>()>& is_done) {
  for (;;) {
    const Instant now = SteadyClock().now();
    LT_CHECK(connection_->flush(now));
    LT_TRY(const bool done, is_done());
    if (done) return connection_->flush(now);
    if (stop.stop_requested()) return fail(Errc::interrupted, "interrupted");
    if (now > until) return fail(Errc::unreachable, "the other site's sweep agent does not answer: the line may be cut");
    pollfd waits{connection_->fd(), static_cast<short>(connection_->has_output() ? POLLIN | POLLOUT : POLLIN), 0};
    if (::poll(&waits, 1, static_cast<int>(turn.count())) > 0 && (waits.revents & ~POLLOUT) != 0) {
      if (const Status filled = connection_->fill(now); !filled) {
        return fail(Errc::unreachable, "the other site's sweep agent is gone: " + filled.error().text());
      }
    }
  }
}

}  // namespace lt::app
