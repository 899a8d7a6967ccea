#include "app/sweep_request.h"

#include <algorithm>

#include "app/arm_knobs.h"
#include "base/ip.h"
#include "base/text.h"
#include "configs/link_config.h"
#include "tuner/fields.h"

namespace lt::app {

namespace {

using tuner::object_field;
using tuner::text_field;
using tuner::whole_field;

constexpr std::size_t certificate_bytes_max = 4096;
constexpr std::size_t arm_bytes_max = 2048;

template <std::size_t N>
Result<std::array<Byte, N>> hex_field(const Json& object, std::string_view name) {
  LT_TRY(const std::string text, text_field(object, name, 2 * N));
  const auto raw = from_hex(text);
  if (!raw || raw->size() != N) return fail(Errc::invalid, "`" + std::string(name) + "` is not " + std::to_string(2 * N) + " hexadecimal digits");
  std::array<Byte, N> value{};
  std::copy(raw->begin(), raw->end(), value.begin());
  return value;
}

bool is_base64(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '=';
}

// One certificate and nothing else: it goes into a config of OpenVPN as a block.
bool is_certificate(std::string_view text) {
  constexpr std::string_view head = "-----BEGIN CERTIFICATE-----\n";
  constexpr std::string_view tail = "-----END CERTIFICATE-----\n";
  if (!text.starts_with(head) || !text.ends_with(tail) || text.size() <= head.size() + tail.size()) return false;
  const std::string_view body = text.substr(head.size(), text.size() - head.size() - tail.size());
  return std::all_of(body.begin(), body.end(), [](char c) { return is_base64(c) || c == '\n'; });
}

bool is_fingerprint(std::string_view text) {
  if (text.size() != 32 * 3 - 1) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'A' && text[i] <= 'F');
    if (i % 3 == 2 ? text[i] != ':' : !is_digit) return false;
  }
  return true;
}

Result<SweepRequest> read_open(const Json& said) {
  OpenRequest open;
  LT_TRY(open.site, text_field(said, "site", 32));
  if (!configs::is_site_name(open.site)) return fail(Errc::invalid, "`site` names no site");
  LT_TRY(const Json keys, object_field(said, "keys"));
  LT_TRY(open.keys, trial_keys_from_json(keys));
  LT_TRY(open.trial_address, text_field(said, "trial_address", 64));
  if (!IpAddress::parse(open.trial_address)) return fail(Errc::invalid, "`trial_address` is not an address");
  LT_TRY(const std::uint64_t planned, whole_field(said, "planned_s", {0, static_cast<std::uint64_t>(planned_max.count())}));
  open.planned = Seconds(planned);
  return open;
}

Result<tuner::Arm> read_arm(const Json& said) {
  LT_TRY(const std::string text, text_field(said, "arm", arm_bytes_max));
  return parse_checked_arm(text);
}

Result<SweepRequest> read_apply(const Json& said) {
  ApplyRequest apply;
  LT_TRY(apply.arm, read_arm(said));
  LT_TRY(const std::uint64_t patience, whole_field(said, "patience_s", {static_cast<std::uint64_t>(patience_min.count()), static_cast<std::uint64_t>(patience_max.count())}));
  apply.patience = Seconds(patience);
  return apply;
}

}  // namespace

Result<tuner::Arm> parse_checked_arm(std::string_view text) {
  LT_TRY(tuner::Arm arm, tuner::parse_arm(text));
  switch (arm.carrier) {
    case tuner::ArmCarrier::bare: return arm;
    case tuner::ArmCarrier::native: {
      if (const auto knobs = native_knobs_of(arm); !knobs) return fail(knobs.error());
      return arm;
    }
    case tuner::ArmCarrier::openvpn: {
      if (const auto knobs = openvpn_knobs_of(arm); !knobs) return fail(knobs.error());
      return arm;
    }
    case tuner::ArmCarrier::wireguard: break;
  }
  return fail(Errc::unsupported, "WireGuard is not tried between two hosts: write a native or openvpn arm");
}

Result<SweepRequest> parse_sweep_request(std::string_view text) {
  if (text.size() > sweep_request_bytes_max) return fail(Errc::invalid, "the request is too long");
  LT_TRY(const Json said, parse_json(text, "the request"));
  if (!said.is_object()) return fail(Errc::invalid, "the request is no object");
  LT_TRY(const std::string what, text_field(said, "do", 16));
  if (what == "open") return read_open(said);
  if (what == "resume") {
    LT_TRY(const auto lease, hex_field<16>(said, "lease"));
    return SweepRequest(ResumeRequest{lease});
  }
  if (what == "start") {
    LT_TRY(auto arm, read_arm(said));
    return SweepRequest(StartRequest{std::move(arm)});
  }
  if (what == "apply") return read_apply(said);
  if (what == "beat") return SweepRequest(BeatRequest{});
  if (what == "state") return SweepRequest(StateRequest{});
  if (what == "stop") return SweepRequest(StopRequest{});
  if (what == "close") return SweepRequest(CloseRequest{});
  if (what == "confirm") return SweepRequest(ConfirmRequest{});
  if (what == "rollback") return SweepRequest(RollbackRequest{});
  if (what == "measure") return SweepRequest(MeasureRequest{});
  return fail(Errc::invalid, "this agent knows no request `" + printable(what, 16) + "`; install the same linktune at both sites");
}

std::string_view name_of(const SweepRequest& request) {
  static constexpr std::array<std::string_view, std::variant_size_v<SweepRequest>> names{
      "open", "resume", "beat", "start", "state", "stop", "close", "apply", "confirm", "rollback", "measure"};
  return names.at(request.index());
}

Json to_json(const SweepRequest& request) {
  Json json{{"do", std::string(name_of(request))}};
  if (const auto* open = std::get_if<OpenRequest>(&request)) {
    json["site"] = open->site;
    json["keys"] = to_json(open->keys);
    json["trial_address"] = open->trial_address;
    json["planned_s"] = open->planned.count();
  } else if (const auto* resume = std::get_if<ResumeRequest>(&request)) {
    json["lease"] = to_hex(resume->lease);
  } else if (const auto* start = std::get_if<StartRequest>(&request)) {
    json["arm"] = tuner::canonical_text(start->arm);
  } else if (const auto* apply = std::get_if<ApplyRequest>(&request)) {
    json["arm"] = tuner::canonical_text(apply->arm);
    json["patience_s"] = apply->patience.count();
  }
  return json;
}

Json to_json(const TrialKeysShown& keys) {
  return {{"native", to_hex(keys.native)}, {"certificate", keys.certificate}, {"fingerprint", keys.fingerprint}};
}

Result<TrialKeysShown> trial_keys_from_json(const Json& value) {
  TrialKeysShown keys;
  LT_TRY(keys.native, hex_field<32>(value, "native"));
  LT_TRY(keys.certificate, text_field(value, "certificate", certificate_bytes_max));
  LT_TRY(keys.fingerprint, text_field(value, "fingerprint", 96));
  if (!is_certificate(keys.certificate)) return fail(Errc::invalid, "`certificate` is not one certificate in PEM");
  if (!is_fingerprint(keys.fingerprint)) return fail(Errc::invalid, "`fingerprint` is not 32 pairs of digits");
  return keys;
}

Json answer_of(const Result<Json>& outcome) {
  if (outcome) return {{"ok", *outcome}};
  return {{"error", tuner::error_to_json(outcome.error())}};
}

Result<Json> read_answer(std::string_view text) {
  LT_TRY(const Json said, parse_json(text, "the other site's answer"));
  if (!said.is_object()) return fail(Errc::protocol, "the other site's answer is no object");
  if (tuner::has_field(said, "error")) {
    LT_TRY(const Json error, object_field(said, "error"));
    LT_TRY(Error read, tuner::error_from_json(error));
    return fail(std::move(read));
  }
  return object_field(said, "ok");
}

}  // namespace lt::app
