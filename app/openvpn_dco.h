// OpenVPN's kernel data channel (DCO): whether this machine has it, in a sentence for a report.
#pragma once

#include <string>

namespace lt::app {

struct OpenVpnDco {
  bool is_there{false};  // the program can use it, and the kernel has its module
  std::string sentence;
};

/// @param version_text  what `openvpn --version` says. @param module_folder  where the kernel shows its modules
[[nodiscard]] OpenVpnDco openvpn_dco_of(const std::string& version_text, const std::string& module_folder);
/// Of the OpenVPN that is installed; none: it is not there.
[[nodiscard]] OpenVpnDco installed_openvpn_dco();

}  // namespace lt::app
