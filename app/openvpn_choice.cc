#include "app/openvpn_choice.h"

#include <algorithm>

namespace lt::app {

namespace {

using tuner::ArmCarrier;

constexpr std::string_view fact_name = "openvpn";
constexpr std::string_view far_fact_end = "_openvpn";  // "offsite_openvpn": the other site's

bool is_openvpn(const tuner::Report& report, std::size_t arm) {
  return report.result.header.arms[arm].carrier == ArmCarrier::openvpn;
}

std::optional<std::size_t> arm_of(const tuner::Report& report) {
  if (report.decision) {
    const auto& decision = *report.decision;
    if (decision.choice && is_openvpn(report, *decision.choice)) return decision.choice;
    const auto found = std::find_if(decision.not_worse.begin(), decision.not_worse.end(),
                                    [&](std::size_t arm) { return is_openvpn(report, arm); });
    if (found != decision.not_worse.end()) return *found;
  }
  return report.verdict.best_of(ArmCarrier::openvpn, report.result.header);
}

std::vector<std::pair<std::string, std::string>> versions_of(const tuner::SweepHeader& header) {
  std::vector<std::pair<std::string, std::string>> versions;
  for (const tuner::Fact& fact : header.facts) {
    if (fact.name == fact_name) versions.emplace_back("", fact.value);
    if (fact.name.ends_with(far_fact_end))
      versions.emplace_back(fact.name.substr(0, fact.name.size() - far_fact_end.size()),
                            fact.value);
  }
  return versions;
}

}  // namespace

Result<OpenVpnChoice> openvpn_choice_of(const tuner::Report& report) {
  const tuner::SweepHeader& header = report.result.header;
  const auto arm = arm_of(report);
  if (!arm) {
    return fail(Errc::not_found,
                "no OpenVPN setting of sweep " + header.id +
                    " carried all its trials; sweep again with OpenVPN, or export with --knob");
  }
  OpenVpnChoice choice;
  for (const tuner::Setting& setting : header.arms[*arm].settings)
    choice.knobs.emplace_back(setting.name, setting.value);
  choice.versions = versions_of(header);
  const bool is_chosen = report.decision && report.decision->choice == *arm;
  choice.basis = std::string(is_chosen ? "the choice" : "the best OpenVPN setting") + " of sweep " +
                 header.id + ": " + tuner::canonical_text(header.arms[*arm]);
  return choice;
}

Result<OpenVpnChoice> read_openvpn_choice(const std::string& journal) {
  LT_TRY(auto result, tuner::replay_sweep(journal, tuner::Objective::slower_way));
  return openvpn_choice_of(tuner::make_report(std::move(result)));
}

}  // namespace lt::app
