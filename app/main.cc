#include <cstdio>
#include <exception>

#include "app/cli.h"

int main(int argc, char** argv) {
  try {
    return lt::app::run_cli(argc, argv);
  } catch (const std::exception& exception) {  // memory, or a library that broke its word
    std::fprintf(stderr, "linktune: a bug: %s\n", exception.what());
    return 1;
  }
}
