// What a sweep between two hosts asks of the other site's agent: typed, range-checked, and nothing else.
//
// An arm travels as its canonical text and is parsed by the asked site's own knob table. No config text, no path
// and no address is among what can be said: where trials run is each site's own `[sweep]`. A request and its answer
// are one JSON object each, in a frame of their own (app/sweep_line.h).
//
//     open      who asks, and the public halves of its keys of this lease   -> the same of the asked site, its facts
//     resume    the lease, after a connection was lost                      -> nothing
//     beat      nothing                                                     -> nothing; renews the lease
//     start     an arm                                                      -> where its probe listens
//     state     nothing                                                     -> whether the asked end is up
//     stop      nothing                                                     -> nothing, once all is down
//     close     nothing                                                     -> nothing; the lease is over
//     apply     an arm, how long to wait for a confirmation                 -> nothing; installed a moment later
//     confirm   nothing                                                     -> nothing; what was applied stays
//     rollback  nothing                                                     -> nothing; what was applied goes
//     measure   nothing                                                     -> a probe on the link itself
#pragma once

#include <array>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/json.h"
#include "base/result.h"
#include "base/units.h"
#include "tuner/arm.h"

namespace lt::app {

using LeaseId = std::array<Byte, 16>;

/// What one end of a link under trial shows of its keys, made for one lease.
struct TrialKeysShown {
  std::array<Byte, 32> native{};  // raw Ed25519
  std::string certificate;        // PEM, for OpenVPN
  std::string fingerprint;        // of it: "AA:BB:..."
};

struct OpenRequest {
  std::string site;  // whose sweep it is
  TrialKeysShown keys;
  std::string trial_address;  // numeric: the asker's end of a link under trial
  Seconds planned{0};         // how long it means to take, for the asked owner to see
};
struct ResumeRequest { LeaseId lease; };
struct BeatRequest {};
struct StartRequest { tuner::Arm arm; };
struct StateRequest {};
struct StopRequest {};
struct CloseRequest {};
struct ApplyRequest { tuner::Arm arm; Seconds patience{60}; };
struct ConfirmRequest {};
struct RollbackRequest {};
struct MeasureRequest {};

using SweepRequest = std::variant<OpenRequest, ResumeRequest, BeatRequest, StartRequest, StateRequest, StopRequest,
                                  CloseRequest, ApplyRequest, ConfirmRequest, RollbackRequest, MeasureRequest>;

inline constexpr std::size_t sweep_request_bytes_max = 16 << 10;
inline constexpr Seconds planned_max{std::chrono::hours(48)};
inline constexpr Seconds patience_min{10};
inline constexpr Seconds patience_max{600};

/// @error invalid: no request, or a value out of its range; the sentence may be shown
[[nodiscard]] Result<SweepRequest> parse_sweep_request(std::string_view text);
[[nodiscard]] Json to_json(const SweepRequest& request);
/// "open", "start": for logs.
[[nodiscard]] std::string_view name_of(const SweepRequest& request);

[[nodiscard]] Json to_json(const TrialKeysShown& keys);
[[nodiscard]] Result<TrialKeysShown> trial_keys_from_json(const Json& value);
/// An arm whose knobs the knob table takes. @error invalid · unsupported: a carrier that is not tried between hosts
[[nodiscard]] Result<tuner::Arm> parse_checked_arm(std::string_view text);

/// An answer: {"ok": {...}} or {"error": {...}}.
[[nodiscard]] Json answer_of(const Result<Json>& outcome);
/// @error what the other site said · protocol: no answer
[[nodiscard]] Result<Json> read_answer(std::string_view text);

}  // namespace lt::app
