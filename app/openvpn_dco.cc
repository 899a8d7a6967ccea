#include "app/openvpn_dco.h"

#include <array>
#include <filesystem>

#include "base/process.h"

namespace lt::app {

namespace {

// Of OpenVPN 2.6, out of the kernel's tree, and of 2.7, in Linux from 6.16 on. @source openvpn.md 3
constexpr std::array module_names{"ovpn_dco_v2", "ovpn"};

}  // namespace

OpenVpnDco openvpn_dco_of(const std::string& version_text, const std::string& module_folder) {
  if (version_text.find("[DCO]") == std::string::npos)
    return {false, "OpenVPN's kernel data channel (DCO) is not tried: the installed OpenVPN is built without it"};
  std::error_code ignored;
  for (const char* name : module_names) {
    if (std::filesystem::exists(module_folder + "/" + name, ignored))
      return {true, std::string("OpenVPN's kernel data channel (DCO) is there: module ") + name};
  }
  return {false, "OpenVPN's kernel data channel (DCO) is not tried: the installed OpenVPN could use it, but the kernel has neither ovpn nor ovpn_dco_v2 loaded"};
}

OpenVpnDco installed_openvpn_dco() {
  const auto said = run_process({"openvpn", "--version"});
  return openvpn_dco_of(said ? said->out : std::string(), "/sys/module");
}

}  // namespace lt::app
