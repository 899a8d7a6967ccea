#include "tuner/path_server.h"

#include "base/bytes.h"
#include "tuner/fields.h"
#include "tuner/random.h"

namespace lt::tuner {

namespace {

Result<IpAddress> data_address(const Json& plan) {
  LT_TRY(const std::string text, text_field(plan, "data", 64));
  const auto address = IpAddress::parse(text);
  if (!address) return fail(Errc::invalid, "`data` must be a numeric address");
  PathRequest request;
  request.data = *address;
  LT_CHECK(validate(request));
  return *address;
}

Result<unsigned> whole_below(const Json& value, std::string_view name, unsigned min, unsigned max) {
  LT_TRY(const std::uint64_t number, whole_field(value, name, {min, max}));
  return static_cast<unsigned>(number);
}

}  // namespace

Result<std::unique_ptr<ServedPath>> ServedPath::open(const Json& said,
                                                     const std::optional<IpAddress>& only) {
  LT_TRY(const Json plan, object_field(said, "path"));
  LT_TRY(const IpAddress data, data_address(plan));
  LT_TRY(const unsigned port, whole_below(plan, "data_port", 0, 65535));
  if (only && *only != data)
    return fail(Errc::rejected, "this server tests on " + only->text() + " only");
  const std::uint64_t nonce = fresh_seed();
  auto end = PathEnd::open(data.family, data, static_cast<std::uint16_t>(port), nonce);
  if (!end) return fail(with_context(end.error(), "at the server"));
  return std::unique_ptr<ServedPath>(new ServedPath(data.family, nonce, std::move(*end)));
}

Json ServedPath::port() const {
  std::array<Byte, 8> raw{};
  store_be64(raw.data(), nonce_);
  return {{"path_port", {{"udp", end_->port()}, {"nonce", to_hex(raw)}}}};
}

bool ServedPath::is_for_path(const Json& said) {
  return has_field(said, "path_seen") || has_field(said, "path_send");
}

Result<Json> ServedPath::answer(const Json& said) {
  if (has_field(said, "path_seen")) {
    LT_TRY(const unsigned round, whole_below(said, "path_seen", 0, path_rounds_max - 1));
    return Json{{"path_arrived", end_->arrived(round)}};
  }
  LT_TRY(const Json wish, object_field(said, "path_send"));
  return send(wish);
}

// Only to where the test's own datagrams came from: nobody else can be made to receive.
Result<Json> ServedPath::send(const Json& wish) {
  const auto peer = end_->peer();
  if (!peer) return fail(Errc::protocol, "nothing has come up the path that could be answered");
  PathRound round;
  LT_TRY(round.round, whole_below(wish, "round", 0, path_rounds_max - 1));
  LT_TRY(const auto sizes, whole_list_field(wish, "sizes", path_round_max));
  for (const std::uint64_t size : sizes) {
    if (size < PathDatagram::bytes || size > udp_payload_max(family_))
      return fail(Errc::invalid, "`sizes` holds what is no size of a datagram");
    round.sizes.push_back(static_cast<unsigned>(size));
  }
  LT_TRY(const unsigned gap_ms,
         whole_below(wish, "gap_ms", 0, static_cast<unsigned>(path_gap_max.count())));
  round.gap = Milliseconds(gap_ms);
  LT_TRY(round.is_fragmented, truth_field(wish, "fragmented"));
  LT_TRY(round.fragment_bytes, whole_below(wish, "fragment_bytes", 0, 65'575));
  LT_TRY(const auto refused, end_->send(*peer, round));
  return Json{{"path_sent", {{"refused", refused}}}};
}

}  // namespace lt::tuner
