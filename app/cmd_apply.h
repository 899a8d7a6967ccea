// linktune apply, confirm, rollback: what a sweep has found, put into both sites' configs, and kept only when the new
// link has shown that it carries it (app/applied.h).
#pragma once

#include <stop_token>
#include <string>

#include "app/applied.h"
#include "app/outcome.h"

namespace lt::app {

/// Of the measured rate, what the new link has to carry while people work on it, too.
inline constexpr double rate_share_min = 0.75;

struct ApplyOptions {
  std::string result;  // a sweep's journal or report; or
  std::string arm;     // "native mtu=9000"
  long seconds{60};    // until it goes again by itself
  AppliedPlace place;
};

/// Both sites start again with the new settings, and go back by themselves unless run_confirm() comes in time.
/// @error inconclusive results, and those of OpenVPN, are not applied · timed_out: the new link did not come up
[[nodiscard]] Result<Outcome> run_apply(const ApplyOptions& options, const std::stop_token& stop);
/// Through the new link. @error not_found: nothing waits · rejected: it carries less than was measured
[[nodiscard]] Result<Outcome> run_confirm(const AppliedPlace& place, const std::stop_token& stop);
/// At both sites; at this one alone when the other cannot be reached, which then goes back by its own deadline.
[[nodiscard]] Result<Outcome> run_rollback(const AppliedPlace& place, const std::stop_token& stop);

}  // namespace lt::app
