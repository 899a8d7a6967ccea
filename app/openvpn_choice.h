// The OpenVPN settings that a sweep chose, and the versions it found: what `openvpn export RESULT`
// begins with.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tuner/report.h"

namespace lt::app {

struct OpenVpnChoice {
  std::vector<std::pair<std::string, std::string>> knobs;  // name and text
  std::vector<std::pair<std::string, std::string>>
      versions;       // site and version; "": where it was swept
  std::string basis;  // a sentence: which arm, of which sweep
};

/// The choice where it is an OpenVPN arm; else the best OpenVPN arm that is not shown worse, else
/// the one that ranks highest.
/// @error not_found: no OpenVPN arm carried all its trials
[[nodiscard]] Result<OpenVpnChoice> openvpn_choice_of(const tuner::Report& report);

/// The same from a sweep's journal.
[[nodiscard]] Result<OpenVpnChoice> read_openvpn_choice(const std::string& journal);

}  // namespace lt::app
