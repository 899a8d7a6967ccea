# linktune_library(NAME SOURCES ... USES linktune::... PRIVATE_USES third::party ...)
# linktune_program(NAME SOURCES ... USES ...)
#
# USES is the folder's row of the floor table in docs/ARCHITECTURE.md. Third parties are private:
# their headers stay behind one door (tests/tidy/layers_test.cc).
include_guard(GLOBAL)
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(linktune_warnings INTERFACE)
target_compile_options(
  linktune_warnings
  INTERFACE -Wall
            -Wextra
            -Wpedantic
            -Wconversion
            -Wsign-conversion
            -Wshadow
            -Wold-style-cast
            -Wnon-virtual-dtor
            -Woverloaded-virtual
            -Wcast-align
            -Wformat=2
            -Wimplicit-fallthrough
            # What a designated initializer leaves out has its default: that is the point of it.
            -Wno-missing-field-initializers
            $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond>
            $<$<CXX_COMPILER_ID:GNU>:-Wlogical-op>
            $<$<CXX_COMPILER_ID:GNU>:-Wuseless-cast>)

# Hardening (docs/adr/0013): what Debian builds its own network daemons with, and more.
add_library(linktune_hardening INTERFACE)
target_compile_options(
  linktune_hardening
  INTERFACE -fstack-protector-strong
            -fstack-clash-protection
            $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>:-fcf-protection>
            -D_GLIBCXX_ASSERTIONS
            $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>
            $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=3>
            $<$<CXX_COMPILER_ID:GNU>:-ftrivial-auto-var-init=zero>)
target_link_options(linktune_hardening INTERFACE -Wl,-z,relro,-z,now -pie)

function(_linktune_common target)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE linktune_warnings linktune_hardening Threads::Threads)
endfunction()

function(linktune_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;USES;PRIVATE_USES")
  add_library(linktune_${name} STATIC ${arg_SOURCES})
  add_library(linktune::${name} ALIAS linktune_${name})
  _linktune_common(linktune_${name})
  target_link_libraries(linktune_${name} PUBLIC ${arg_USES} PRIVATE ${arg_PRIVATE_USES})
endfunction()

function(linktune_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;USES;PRIVATE_USES")
  add_executable(${name} ${arg_SOURCES})
  _linktune_common(${name})
  target_link_libraries(${name} PRIVATE ${arg_USES} ${arg_PRIVATE_USES})
endfunction()
