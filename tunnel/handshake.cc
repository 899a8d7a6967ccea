#include "tunnel/handshake.h"

#include <algorithm>

#include "base/assert.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "tunnel/limits.h"

namespace lt::tunnel {

Handshake::Handshake(const HandshakeOptions& options, crypto::TlsChannel channel)
    : options_(options),
      channel_(std::move(channel)),
      knock_key_(options.role == crypto::Role::client ? options.peer_key : options.own_key, options.psk),
      state_(options.role == crypto::Role::client ? State::tls : State::awaiting_knock) {}

Result<Handshake> Handshake::create(const HandshakeOptions& options) {
  LT_ASSERT(options.tls != nullptr && (options.psk.empty() || options.psk.size() == 32));
  LT_TRY(auto channel, crypto::TlsChannel::create(*options.tls, {.role = options.role, .peer_key = options.peer_key}));
  Handshake handshake(options, std::move(channel));
  if (handshake.is_client()) {
    const auto knock = handshake.knock_key_.make();  // P-2: before anything else
    handshake.output_.assign(knock.begin(), knock.end());
    std::copy_n(knock.begin() + 8, knock_random_bytes, handshake.knock_random_.begin());
    LT_CHECK(handshake.advance());
  }
  return handshake;
}

std::size_t Handshake::bytes_wanted_max() const {
  return bytes_seen_ >= handshake_bytes_max ? 0 : handshake_bytes_max - bytes_seen_;
}

std::vector<Byte> Handshake::take_output() {
  std::vector<Byte> output = std::move(output_);
  output_.clear();
  // P-1: a stranger is not answered with a single byte.
  if (state_ != State::awaiting_knock && state_ != State::done) {
    const auto more = channel_.take_output();
    output.insert(output.end(), more.begin(), more.end());
  }
  return output;
}

Status Handshake::on_bytes(ByteView bytes) {
  if (has_failed_) return fail(Errc::closed, "the handshake has failed already");
  auto status = take(bytes);
  has_failed_ = !status;
  return status;
}

Status Handshake::take(ByteView bytes) {
  bytes_seen_ += bytes.size();
  if (state_ == State::awaiting_knock) {
    LT_CHECK(knock_in(bytes));
  } else {
    LT_CHECK(channel_.feed(bytes));
    LT_CHECK(advance());
  }
  if (bytes_wanted_max() == 0 && !is_established()) {  // P-54
    return fail(Errc::limit, "the handshake is longer than " + std::to_string(handshake_bytes_max) + " bytes");
  }
  return {};
}

Status Handshake::knock_in(ByteView bytes) {
  const std::size_t taken = std::min(bytes.size(), knock_bytes - knock_.size());
  knock_.insert(knock_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
  if (knock_.size() < knock_bytes) return {};
  const auto random = knock_key_.check(std::span<const Byte, knock_bytes>(knock_));
  if (!random) return fail(Errc::rejected, "a stranger: its knock is wrong");
  knock_random_ = *random;
  state_ = State::tls;
  LT_CHECK(channel_.feed(bytes.subspan(taken)));
  return advance();
}

// Walks on as far as the bytes that are here allow.
Status Handshake::advance() {
  if (state_ == State::tls) {
    LT_TRY(const bool complete, channel_.handshake());
    if (!complete) return {};
    LT_CHECK(enter_greeting());
  }
  if (state_ == State::awaiting_hello) {
    LT_TRY(const auto bytes, channel_.read_exactly(hello_bytes));
    if (!bytes) return {};
    LT_CHECK(take_hello(*bytes));
  }
  if (state_ == State::awaiting_reply) {
    if (reply_head_.empty()) {
      LT_TRY(const auto head, channel_.read_exactly(reject_header_bytes));
      if (!head) return {};
      reply_head_ = *head;
    }
    LT_TRY(const std::size_t length, reply_length(std::span<const Byte, reject_header_bytes>(reply_head_)));
    if (length > reject_header_bytes) {
      LT_TRY(const auto rest, channel_.read_exactly(length - reject_header_bytes));
      if (!rest) return {};
      reply_head_.insert(reply_head_.end(), rest->begin(), rest->end());
    }
    LT_CHECK(take_reply(reply_head_));
  }
  if (state_ == State::awaiting_go) {
    LT_TRY(const auto bytes, channel_.read_exactly(go.size()));
    if (!bytes) return {};
    if (!std::equal(go.begin(), go.end(), bytes->begin())) return fail(Errc::protocol, "GO is malformed");  // P-20
    LT_CHECK(establish());
  }
  return {};
}

Status Handshake::enter_greeting() {
  // P-24: the keys that were pinned, not fields of a message.
  const KeyContext context{.client = is_client() ? options_.own_key : options_.peer_key,
                           .server = is_client() ? options_.peer_key : options_.own_key,
                           .knock_random = knock_random_};
  const auto context_bytes = context.bytes();
  crypto::Secret<exporter_bytes> exported;
  LT_CHECK(channel_.export_keying(exporter_label, context_bytes, exported.writable()));
  LT_CHECK(channel_.export_keying(binding_label, context_bytes, binding_.writable()));
  secrets_ = derive_secrets(exported.reveal(), options_.psk);
  if (!is_client()) {
    state_ = State::awaiting_hello;
    return {};
  }
  return send_hello();
}

Mac Handshake::mac_of(const crypto::Secret<32>& key, ByteView first, ByteView second) const {
  return crypto::hmac_sha256(key.reveal(), {first, second, binding_.reveal()});
}

// P-64: bound to this lane's own handshake, so that it is worth nothing on another.
Mac Handshake::join_mac_of(const SessionTerms& terms, const Hello& hello) const {
  return crypto::hmac_sha256(terms.join.reveal(),
                             {hello.session_id, ByteView(&hello.lane_index, 1), binding_.reveal()});
}

Status Handshake::send_hello() {
  Hello hello{.offer = options_.offer};
  hello.offer.psk_used = !options_.psk.empty();
  if (options_.join) {
    hello.session_id = options_.join->session_id;
    hello.lane_index = options_.join->lane_index;
    hello.take_over = options_.join->take_over;
    hello.offer.lane_count = options_.join->terms->lane_count;
    hello.join_mac = join_mac_of(*options_.join->terms, hello);
  }
  hello_ = encode(hello);  // P-11
  const Mac mac = mac_of(secrets_->confirm_client, ByteView(hello_).first(hello_bytes - mac_bytes));
  std::copy(mac.begin(), mac.end(), hello_.end() - mac_bytes);
  state_ = State::awaiting_reply;
  return channel_.write(hello_);
}

Status Handshake::refuse(RejectCode code, std::string text) {
  LT_CHECK(channel_.write(encode(Reject{code, text})));
  return fail(Errc::rejected, "refused the peer: " + text);
}

Status Handshake::take_hello(ByteView bytes) {
  std::copy(bytes.begin(), bytes.end(), hello_.begin());
  const auto hello = decode_hello(hello_);
  if (!hello) {
    // P-12, P-13
    const auto code = hello.error().code == Errc::rejected ? RejectCode::version : RejectCode::bad_hello;
    return refuse(code, hello.error().what.substr(0, reject_text_bytes_max));
  }
  // P-14: no state changes before the MAC is checked (the rule of CVE-2020-11810).
  const Mac mac = mac_of(secrets_->confirm_client, ByteView(hello_).first(hello_bytes - mac_bytes));
  const bool psk_agrees = hello->offer.psk_used == !options_.psk.empty();
  if (!psk_agrees || !crypto::equal_constant_time(mac, hello->mac)) {
    return refuse(RejectCode::psk_mismatch, "the pre-shared keys differ: put the same psk file on both sites");
  }
  if (!crypto::equal_constant_time(hello->offer.prefix_hash, options_.offer.prefix_hash)) {  // P-15
    return refuse(RejectCode::prefix_mismatch,
                  "the sites disagree about their networks: compare local and peer prefixes of both configs");
  }
  // P-74
  accepted_.lane_count = std::min(hello->offer.lane_count, options_.offer.lane_count);
  accepted_.express = hello->offer.express && options_.offer.express && accepted_.lane_count > 1;
  crypto::fill_random(accepted_.session_id);
  if (hello->is_join()) {
    if (const auto reject = judge_join(*hello)) return refuse(reject->code, reject->text);
  }
  if (options_.sessions != nullptr) {
    if (const auto reject = options_.sessions->judge(*hello)) return refuse(reject->code, reject->text);
  }
  peer_hello_ = *hello;

  // P-16, P-17
  accepted_.record_limit = std::min(hello->offer.record_limit, options_.offer.record_limit);
  accepted_.tun_mtu = std::min(hello->offer.tun_mtu, options_.offer.tun_mtu);
  auto reply = encode(accepted_);
  accepted_.mac = mac_of(secrets_->confirm_server, hello_, ByteView(reply).first(accept_bytes - mac_bytes));
  reply = encode(accepted_);
  state_ = State::awaiting_go;
  return channel_.write(reply);
}

// P-65: a stolen session_id and a MAC copied from another lane get the same answer as an id that never was.
std::optional<Reject> Handshake::judge_join(const Hello& hello) {
  const SessionTerms* terms = options_.sessions == nullptr ? nullptr : options_.sessions->find(hello.session_id);
  if (terms == nullptr || !crypto::equal_constant_time(join_mac_of(*terms, hello), hello.join_mac)) {
    return Reject{RejectCode::unknown_session, "there is no such session to join"};
  }
  if (hello.lane_index >= terms->lane_count) return Reject{RejectCode::busy, "the session has no lane of that index"};
  accepted_.session_id = hello.session_id;
  accepted_.lane_count = terms->lane_count;
  accepted_.express = terms->express;
  return std::nullopt;
}

Status Handshake::take_reply(ByteView bytes) {
  if (!is_accept(bytes)) {
    LT_TRY(const Reject reject, decode_reject(bytes));
    rejected_ = reject.code;
    return fail(Errc::rejected, "the peer refused: " + reject.text);
  }
  // P-18
  LT_TRY(const Accept accept, decode_accept(std::span<const Byte, accept_bytes>(bytes)));
  const Mac mac = mac_of(secrets_->confirm_server, hello_, bytes.first(accept_bytes - mac_bytes));
  if (!crypto::equal_constant_time(mac, accept.mac)) return fail(Errc::protocol, "the MAC of ACCEPT is wrong");
  const std::uint8_t lanes_wanted = options_.join ? options_.join->terms->lane_count : options_.offer.lane_count;
  if (accept.record_limit > options_.offer.record_limit || accept.tun_mtu > options_.offer.tun_mtu ||
      accept.lane_count > lanes_wanted || (accept.express && !options_.offer.express)) {
    return fail(Errc::protocol, "ACCEPT allows more than was offered");
  }
  if (options_.join && accept.session_id != options_.join->session_id) {
    return fail(Errc::protocol, "ACCEPT names another session than was joined");
  }
  accepted_ = accept;
  LT_CHECK(channel_.write(go));
  return establish();
}

Status Handshake::establish() {
  const auto last_of_tls = channel_.take_output();
  output_.insert(output_.end(), last_of_tls.begin(), last_of_tls.end());
  LT_TRY(auto early_records, channel_.leave());  // P-21
  established_.emplace();
  established_->outbound = std::move(is_client() ? secrets_->traffic_client : secrets_->traffic_server);
  established_->inbound = std::move(is_client() ? secrets_->traffic_server : secrets_->traffic_client);
  established_->record_limit = accepted_.record_limit;
  established_->tun_mtu = accepted_.tun_mtu;
  established_->session_id = accepted_.session_id;
  established_->peer_boot_id = peer_hello_.offer.boot_id;
  established_->is_join = options_.join.has_value() || peer_hello_.is_join();
  established_->lane_index = options_.join ? options_.join->lane_index : peer_hello_.lane_index;
  established_->take_over = options_.join ? options_.join->take_over : peer_hello_.take_over;
  established_->terms.lane_count = accepted_.lane_count;
  established_->terms.express = accepted_.express;
  if (!established_->is_join) established_->terms.join = std::move(secrets_->join);
  established_->early_records = std::move(early_records);
  // P-26: what is left of the handshake's secrets goes now, the binding of this machine included.
  secrets_.reset();
  binding_ = {};
  state_ = State::done;
  return {};
}

Established Handshake::take_established() {
  LT_ASSERT(established_.has_value());
  Established established = std::move(*established_);
  established_.reset();
  return established;
}

}  // namespace lt::tunnel
