#include "app/cmd_apply.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "app/cmd_verify.h"
#include "app/sweep_line.h"
#include "base/format.h"
#include "configs/toml_reader.h"
#include "tuner/bench.h"
#include "tuner/decision.h"
#include "tuner/fields.h"
#include "tuner/verification.h"

namespace lt::app {

namespace {

constexpr Milliseconds answer_patience{8'000};
constexpr Milliseconds look{250};

struct Wish {
  tuner::Arm arm;
  double expected_bps{0};
};

// Of a staged sweep its choice, of a ranking who is ahead.
Result<Wish> wish_in(const Json& report, const std::string& path) {
  const Json decision = report.value("decision", Json());
  if (decision.is_object() && decision.value("verdict", "") == tuner::name_of(tuner::Claim::inconclusive)) {
    return fail(Errc::rejected, path + " came to no decision, and what is not shown to be better is not applied: go on with the sweep as its report says, or name a setting with --arm");
  }
  const Json chosen = decision.is_object() ? decision.value("choice", Json()) : report.value("ahead", Json());
  if (!chosen.is_string()) return fail(Errc::rejected, path + " shows no setting ahead of the others: measure more blocks, or name one with --arm");
  LT_TRY(const Json rows, tuner::list_field(report, "arms", tuner::arms_max));
  const auto recorded = tuner::recorded_arm(rows, chosen.get<std::string>());
  if (!recorded) return fail(with_context(recorded.error(), path));
  return Wish{recorded->arm, recorded->bits_per_second};
}

Result<Wish> wish_of(const ApplyOptions& options) {
  if (options.arm.empty() == options.result.empty()) return fail(Errc::invalid, "name a sweep's journal or report, or a setting with --arm \"native mtu=9000\"");
  if (!options.arm.empty()) {
    LT_TRY(auto arm, parse_checked_arm(options.arm));
    return Wish{std::move(arm)};
  }
  LT_TRY(const Json report, read_sweep_report(options.result));
  return wish_in(report, options.result);
}

Result<std::unique_ptr<SweepLine>> line_of(const AppliedPlace& place) {
  if (::geteuid() != 0) return fail(Errc::not_permitted, "the site's config and its link are root's: run it as root");
  LT_TRY(const auto config, configs::load_link_config(place.config_path));
  LT_TRY(auto way, SweepWay::of(config));
  return std::make_unique<SweepLine>(std::move(way));
}

struct Rates {
  double up{0};
  double down{0};
  [[nodiscard]] double slower() const { return std::min(up, down); }
  [[nodiscard]] std::string text() const { return format("{:.0f} Mbit/s up, {:.0f} down", up / 1e6, down / 1e6); }
};

Result<Rates> measure_link(SweepLine& line, const std::stop_token& stop) {
  LT_TRY(const Json served, line.ask(MeasureRequest{}, answer_patience, stop));
  LT_TRY(const std::uint64_t port, tuner::whole_field(served, "probe_port", {1, 65535}));
  LT_TRY(const std::string token, tuner::text_field(served, "token", 128));
  tuner::ProbeClientOptions probe;
  probe.control.tcp = Endpoint{line.way().peer.text(), static_cast<std::uint16_t>(port)};
  LT_TRY(probe.token, tuner::ProbeToken::parse(token));
  const tuner::TrialPlan plan{.duration = Milliseconds(2'000), .omit = Milliseconds(1'000), .idle = Milliseconds(200)};
  LT_TRY(const auto sample, tuner::measure_by_probe(probe, line.way().peer, line.way().own, plan, stop));
  if (sample.failure) return fail(*sample.failure);
  if (!sample.up || !sample.down) return fail(Errc::io, "the new link was measured one way only");
  return Rates{static_cast<double>(sample.up->value), static_cast<double>(sample.down->value)};
}

// Until the other site answers over the link with its new settings, or these are gone again.
Status wait_for_link(SweepLine& line, const AppliedPlace& place, const std::stop_token& stop) {
  for (;;) {
    LT_TRY(const Applied applied, read_applied(place));
    if (applied.stage == AppliedStage::rolled_back) return fail(Errc::timed_out, "the link did not come up with `" + applied.arm + "`: both sites are back to what they had");
    if (applied.stage == AppliedStage::installed && line.ask(MeasureRequest{}, Milliseconds(2'000), stop)) return {};
    if (stop.stop_requested()) return fail(Errc::interrupted, "interrupted: unless `linktune confirm` follows, both sites go back by themselves");
    std::this_thread::sleep_for(look);
  }
}

}  // namespace

Result<Outcome> run_apply(const ApplyOptions& options, const std::stop_token& stop) {
  LT_TRY(const Wish wish, wish_of(options));
  LT_TRY(const auto line, line_of(options.place));
  const Seconds patience{options.seconds};
  LT_CHECK(prepare_applying(options.place, wish.arm, patience, wish.expected_bps));
  if (const auto far = line->ask(ApplyRequest{wish.arm, patience}, answer_patience, stop); !far) {
    LT_CHECK(roll_back_soon(options.place));
    return fail(with_context(far.error(), "at the other site"));
  }
  LT_CHECK(start_apply_watch(options.place));
  line->hang_up();
  LT_CHECK(wait_for_link(*line, options.place, stop));
  const std::string text = tuner::canonical_text(wish.arm);
  return Outcome{{{"schema", "linktune.apply.1"}, {"arm", text}, {"confirm_within_s", options.seconds}},
                 "both sites run with `" + text + "` now\nkeep it within " + std::to_string(options.seconds) +
                     " s of the beginning: linktune confirm --config " + options.place.config_path + "\n"};
}

Result<Outcome> run_confirm(const AppliedPlace& place, const std::stop_token& stop) {
  LT_TRY(const auto line, line_of(place));
  LT_TRY(const Applied applied, read_applied(place));
  if (applied.stage != AppliedStage::installed) {
    return fail(Errc::not_found, "nothing waits for a confirmation: `" + applied.arm + "` is " + std::string(name_of(applied.stage)));
  }
  LT_TRY(const Rates rates, measure_link(*line, stop));
  if (rates.slower() < rate_share_min * applied.expected_bps) {
    return fail(Errc::rejected, "the new link carries " + rates.text() + ", less than three quarters of the " +
                                    format("{:.0f}", applied.expected_bps / 1e6) + " Mbit/s that were measured: it is not kept; it goes by itself, or now by `linktune rollback`");
  }
  LT_TRY(const Json far, line->ask(ConfirmRequest{}, answer_patience, stop));
  LT_CHECK(confirm_applied(place));
  return Outcome{{{"schema", "linktune.confirm.1"}, {"arm", applied.arm}, {"up_bps", rates.up}, {"down_bps", rates.down}},
                 "`" + applied.arm + "` stays at both sites; it carries " + rates.text() + "\n"};
}

Result<Outcome> run_rollback(const AppliedPlace& place, const std::stop_token& stop) {
  LT_TRY(const auto line, line_of(place));
  const auto far = line->ask(RollbackRequest{}, answer_patience, stop);
  LT_CHECK(roll_back_soon(place));
  const std::string other = far ? "so does the other site" : "the other site: " + far.error().text();
  return Outcome{{{"schema", "linktune.rollback.1"}, {"peer", far ? Json("rolls back") : Json(far.error().text())}},
                 "this site goes back to its settings of before; " + other + "\n"};
}

}  // namespace lt::app
