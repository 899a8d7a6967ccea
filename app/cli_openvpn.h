// The table of the commands that write and judge OpenVPN configs: `linktune openvpn export | lint`.
#pragma once

#include "app/cli_shell.h"

namespace lt::app {

void add_openvpn(CLI::App& app, Shell& shell);

}  // namespace lt::app
