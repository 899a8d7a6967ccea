// linktune openvpn lint: what is wrong with somebody's own OpenVPN config, line by line.
#pragma once

#include <string>
#include <vector>

#include "app/outcome.h"
#include "base/result.h"

namespace lt::app {

struct OpenVpnLintOptions {
  std::vector<std::string> files;  // one, or the two ends of a pair
  std::string version;             // "2.6", "2.6.14"; empty: of the installed openvpn
};

/// Exit code 1 when a line is fatal or dangerous.
/// @error invalid: a file that OpenVPN cannot read (file:line, cure), a version · not_found: a file, or
///        no openvpn and no version
[[nodiscard]] Result<Outcome> lint_openvpn(const OpenVpnLintOptions& options);

}  // namespace lt::app
