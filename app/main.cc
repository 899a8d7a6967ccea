#include <cstdio>
#include <exception>
#include <string_view>

#include "app/cli.h"
#include "app/interrupt.h"
#include "app/ssh_shim.h"

namespace {

// Syncoid finds this program under the name of ssh (app/ssh_shim.h).
bool is_called_ssh(int argc, char** argv) {
  const std::string_view name = argc > 0 ? argv[0] : "";
  return name.substr(name.rfind('/') + 1) == "ssh";
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (is_called_ssh(argc, argv)) {
      const lt::app::Interrupt interrupt;
      return lt::app::run_ssh_shim({argv + 1, argv + argc}, interrupt.token());
    }
    return lt::app::run_cli(argc, argv);
  } catch (const std::exception& exception) {  // memory, or a library that broke its word
    std::fprintf(stderr, "linktune: a bug: %s\n", exception.what());
    return 1;
  }
}
