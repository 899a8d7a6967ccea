#include "app/cli_mirror.h"

namespace lt::app {

void add_mirror(CLI::App& app, Shell&) {
  CLI::App* group = app.add_subcommand("mirror", "ZFS datasets carried to the other site by Syncoid, over the link");
  group->require_subcommand(1);
}

}  // namespace lt::app
