# linktune_test(NAME SOURCES ... USES ... [LABELS ...] [SERIAL] [LOCK NAME] [SKIPS])
#
# One Catch2 program per folder. Every test case becomes a test of its own in CTest, prefixed by the program's name.
# SKIPS: a test that says `SKIPPED:` and why, instead of testing, counts as skipped, not as passed.
# SERIAL: its tests own a network namespace or measure the machine, so nothing else runs beside them.
# LOCK: what tests of one name share is used by one at a time.
include_guard(GLOBAL)
find_package(Catch2 2.13 REQUIRED)
include(Catch)

# CATCH_CONFIG_MAIN costs 17 s to compile: once for all programs.
add_library(linktune_catch_main OBJECT ${PROJECT_SOURCE_DIR}/tests/catch_main.cc)
target_link_libraries(linktune_catch_main PUBLIC Catch2::Catch2)

function(linktune_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL;SKIPS" "TIMEOUT;LOCK" "SOURCES;USES;PRIVATE_USES;LABELS")
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE LINKTUNE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             LINKTUNE_BINARY_DIR="${PROJECT_BINARY_DIR}")
  target_link_libraries(${name} PRIVATE ${arg_USES} ${arg_PRIVATE_USES} linktune_catch_main linktune_warnings
                                        Threads::Threads)
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  math(EXPR arg_TIMEOUT "${arg_TIMEOUT} * ${LINKTUNE_TEST_SLOWNESS}")
  set(properties LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
  if(arg_SERIAL)
    list(APPEND properties RUN_SERIAL TRUE)
  endif()
  if(arg_LOCK)
    list(APPEND properties RESOURCE_LOCK ${arg_LOCK})
  endif()
  if(arg_SKIPS)
    list(APPEND properties SKIP_REGULAR_EXPRESSION "SKIPPED:")
  endif()
  catch_discover_tests(${name} TEST_PREFIX "${name}: " PROPERTIES ${properties})
endfunction()
