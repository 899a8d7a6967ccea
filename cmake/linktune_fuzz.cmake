# linktune_fuzz(NAME SOURCES ... USES ... [MAX_BYTES n])
#
# One libFuzzer program, NAME_fuzz. Its test runs it over its seeds in tests/fuzz/corpus/NAME, then for a few seconds
# (-seed=1, so that it is the same each time; searching is for ./run fuzz)
# from there; `./run fuzz TIME` runs it longer.
include_guard(GLOBAL)
include(linktune_target)

set(LINKTUNE_FUZZ_SECONDS 4 CACHE STRING "How long each target's test goes on beyond its seeds (unit: s)")

add_library(linktune_fuzz_entry OBJECT ${PROJECT_SOURCE_DIR}/tests/fuzz/entry.cc
                                       ${PROJECT_SOURCE_DIR}/tests/fuzz/steady_random.cc)
_linktune_common(linktune_fuzz_entry)
target_link_libraries(linktune_fuzz_entry PRIVATE linktune::base)

function(linktune_fuzz name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "MAX_BYTES" "SOURCES;USES")
  if(NOT arg_MAX_BYTES)
    set(arg_MAX_BYTES 4096)
  endif()
  add_executable(${name}_fuzz ${arg_SOURCES})
  _linktune_common(${name}_fuzz)
  target_link_libraries(${name}_fuzz PRIVATE linktune_fuzz_entry ${arg_USES} linktune::base OpenSSL::Crypto)
  target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
  set(seeds ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  set(found ${PROJECT_BINARY_DIR}/short/${name})  # what this test finds beyond the seeds; emptied before each run
  file(MAKE_DIRECTORY ${found} ${PROJECT_BINARY_DIR}/broken)
  add_test(NAME "fuzz: ${name}"
           COMMAND ${name}_fuzz -seed=1 -max_total_time=${LINKTUNE_FUZZ_SECONDS} -max_len=${arg_MAX_BYTES} -timeout=60
                   -rss_limit_mb=2048 -verbosity=0 -print_funcs=0 -print_final_stats=1 -artifact_prefix=${PROJECT_BINARY_DIR}/broken/${name}-
                   ${found} ${seeds})
  set_tests_properties("fuzz: ${name}" PROPERTIES LABELS fuzz TIMEOUT 120)
  set_property(GLOBAL APPEND PROPERTY linktune_fuzz_targets "${name} ${arg_MAX_BYTES}")
endfunction()
