// The main function of every test program. Compiled once: it alone costs 17 s with g++ 12.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
