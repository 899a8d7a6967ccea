// In the place of TLS, where a simulation is to be quick: the same calls, about the same bytes on the wire, the same ways
// to fail, and no cryptography. Who links this file before the crypto library gets it; the product cannot.
//
//   client  u16 length | 'H' | 32 random bytes, filled up to 580
//   server  u16 length | 'S' | 32 random bytes, its key, a sum of all before, filled up to 599
//   client  u16 length | 'F' | its key, a sum of all before
//   either  u16 length | 'T' | a sum | text
#include <algorithm>
#include <cstring>

#include "crypto/random.h"
#include "crypto/tls_channel.h"
#include "tests/sim/dice.h"

namespace lt::crypto {

namespace {

constexpr std::size_t head_bytes = 3;
constexpr std::size_t sum_bytes = 8;

std::uint64_t mix(std::uint64_t state, ByteView bytes) {
  for (const Byte byte : bytes) state = (state ^ byte) * 0x100000001b3U;
  return sim::Dice(state).next();
}

}  // namespace

struct TlsContext::State {
  PublicKey own_key;
};

TlsContext::TlsContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsContext::TlsContext(TlsContext&&) noexcept = default;
TlsContext& TlsContext::operator=(TlsContext&&) noexcept = default;
TlsContext::~TlsContext() = default;

Result<TlsContext> TlsContext::create(const Identity& identity) {
  return TlsContext(std::make_unique<State>(State{identity.public_key()}));
}
TlsSettings TlsContext::settings() const { return {}; }

struct TlsChannel::State {
  Role role;
  PublicKey own_key;
  PublicKey peer_key;
  std::vector<Byte> waiting;
  std::vector<Byte> output;
  std::vector<Byte> text;
  std::uint64_t transcript{0x9e3779b97f4a7c15U};
  std::uint64_t sent{0};
  std::uint64_t received{0};
  bool has_begun{false};
  bool is_complete{false};
  bool has_left{false};
  std::optional<Error> failure;

  tl::unexpected<Error> break_off(const char* what) {
    failure = Error{Errc::protocol, what, 0};
    return lt::fail(*failure);
  }
  void put(char kind, ByteView body, std::size_t at_least) {
    const std::size_t begin = output.size();
    output.resize(begin + head_bytes);
    output[begin + 2] = static_cast<Byte>(kind);
    output.insert(output.end(), body.begin(), body.end());
    output.resize(std::max(output.size(), begin + at_least));
    store_be16(output.data() + begin, static_cast<std::uint16_t>(output.size() - begin));
    if (!is_complete) transcript = mix(transcript, ByteView(output).subspan(begin));
  }
  void put_sum(std::vector<Byte>& body) const {
    Byte sum[sum_bytes];
    store_be64(sum, mix(transcript, body));
    body.insert(body.end(), sum, sum + sum_bytes);
  }
  /// The next whole message, taken out of what waits.
  Result<std::optional<std::vector<Byte>>> take(char kind) {
    if (waiting.size() < head_bytes) return std::optional<std::vector<Byte>>();
    const std::size_t length = load_be16(waiting.data());
    if (waiting[2] != static_cast<Byte>(kind) || length < head_bytes || length > tls_text_bytes_max + 64) {
      return break_off("this is no TLS");
    }
    if (waiting.size() < length) return std::optional<std::vector<Byte>>();
    std::vector<Byte> message(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(length));
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(length));
    return std::optional(std::move(message));
  }
  /// Whether the sum in a message of the handshake, behind `signed_bytes`, is right; then it is part of the transcript.
  bool agrees(const std::vector<Byte>& message, std::size_t signed_bytes) {
    if (message.size() < head_bytes + signed_bytes + sum_bytes) return false;
    const ByteView body = ByteView(message).subspan(head_bytes, signed_bytes);
    const bool is_right = load_be64(message.data() + head_bytes + signed_bytes) == mix(transcript, body) &&
                          std::all_of(message.begin() + static_cast<std::ptrdiff_t>(head_bytes + signed_bytes + sum_bytes),
                                      message.end(), [](Byte byte) { return byte == 0; });
    transcript = mix(transcript, message);
    return is_right;
  }
};

TlsChannel::TlsChannel(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsChannel::TlsChannel(TlsChannel&&) noexcept = default;
TlsChannel& TlsChannel::operator=(TlsChannel&&) noexcept = default;
TlsChannel::~TlsChannel() = default;

Result<TlsChannel> TlsChannel::create(const TlsContext& context, const Options& options) {
  auto state = std::make_unique<State>();
  state->role = options.role;
  state->own_key = context.state_->own_key;
  state->peer_key = options.peer_key;
  return TlsChannel(std::move(state));
}

Status TlsChannel::feed(ByteView from_wire) {
  if (state_->failure) return fail(*state_->failure);
  state_->waiting.insert(state_->waiting.end(), from_wire.begin(), from_wire.end());
  return {};
}

std::vector<Byte> TlsChannel::take_output() { return std::exchange(state_->output, {}); }

Result<bool> TlsChannel::handshake() {
  State& state = *state_;
  if (state.failure) return fail(*state.failure);
  if (state.is_complete) return true;
  std::vector<Byte> body(32);
  if (state.role == Role::client) {
    if (!state.has_begun) {
      state.has_begun = true;
      fill_random(body);
      state.put('H', body, 580);
      return false;
    }
    LT_TRY(const auto message, state.take('S'));
    if (!message) return false;
    if (!state.agrees(*message, 64)) return state.break_off("bytes were changed on the way");
    if (!std::equal(state.peer_key.begin(), state.peer_key.end(), message->begin() + head_bytes + 32)) {
      return state.break_off("the peer shows another key than the pinned one");
    }
    std::copy(state.own_key.begin(), state.own_key.end(), body.begin());
    state.put_sum(body);
    state.put('F', body, 0);
    state.is_complete = true;
    return true;
  }
  if (!state.has_begun) {
    LT_TRY(const auto message, state.take('H'));
    if (!message) return false;
    state.has_begun = true;
    state.transcript = mix(state.transcript, *message);
    fill_random(body);
    body.insert(body.end(), state.own_key.begin(), state.own_key.end());
    state.put_sum(body);
    state.put('S', body, 599);
  }
  LT_TRY(const auto message, state.take('F'));
  if (!message) return false;
  if (!state.agrees(*message, 32) || !std::equal(state.peer_key.begin(), state.peer_key.end(), message->begin() + head_bytes)) {
    return state.break_off("bytes were changed on the way, or the peer's key is another one");
  }
  state.is_complete = true;
  return true;
}

Status TlsChannel::write(ByteView text) {
  State& state = *state_;
  if (state.failure) return fail(*state.failure);
  std::vector<Byte> body(sum_bytes);
  const std::uint64_t key = state.transcript + state.sent++ + (state.role == Role::client ? 1U : 0U) * 0x10000;
  store_be64(body.data(), mix(key, text));
  body.insert(body.end(), text.begin(), text.end());
  state.put('T', body, 0);
  return {};
}

Result<std::optional<std::vector<Byte>>> TlsChannel::read_exactly(std::size_t count) {
  State& state = *state_;
  if (state.failure) return fail(*state.failure);
  while (state.text.size() < count) {
    LT_TRY(const auto message, state.take('T'));
    if (!message) return std::optional<std::vector<Byte>>();
    const std::uint64_t key = state.transcript + state.received++ + (state.role == Role::server ? 1U : 0U) * 0x10000;
    if (message->size() < head_bytes + sum_bytes) return state.break_off("bytes were changed on the way");
    const ByteView text = ByteView(*message).subspan(head_bytes + sum_bytes);
    if (load_be64(message->data() + head_bytes) != mix(key, text)) return state.break_off("bytes were changed on the way");
    state.text.insert(state.text.end(), text.begin(), text.end());
  }
  std::vector<Byte> taken(state.text.begin(), state.text.begin() + static_cast<std::ptrdiff_t>(count));
  state.text.erase(state.text.begin(), state.text.begin() + static_cast<std::ptrdiff_t>(count));
  return std::optional(std::move(taken));
}

Status TlsChannel::export_keying(std::string_view label, ByteView context, ByteSpan out) const {
  sim::Dice stream(mix(mix(state_->transcript, as_bytes(label)), context));
  for (Byte& byte : out) byte = static_cast<Byte>(stream.next());
  return {};
}

Result<std::vector<Byte>> TlsChannel::leave() {
  if (state_->failure) return fail(*state_->failure);
  if (!state_->text.empty()) return state_->break_off("the peer sent more through TLS than the greeting has");
  return std::exchange(state_->waiting, {});
}

std::string TlsChannel::group_name() const { return "light"; }

}  // namespace lt::crypto
