#!/usr/bin/env bash
# Builds the unit tests under the address and undefined behaviour sanitizers, then those that have threads of their own under
# the thread sanitizer, each in a build tree of its own, and runs them. Called by `./run test --san`; further words go to ctest.
# Two cores build for half an hour the first time; a later run compiles what has changed. With LINKTUNE_COMPLETE=1 all
# tests are built and run under both, those in network namespaces too.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

# What matters first comes first: bytes of others, threads, then the rest.
asan_targets=(tunnel_test sim_light_test hostile_test crypto_test configs_test base_test lab_test tuner_test mirror_test)
tsan_targets=(tunnel_test lab_test base_test)

# What cannot run under a sanitizer: an expression of test names, then the reason, in tests/sanitizer_exceptions.txt.
exceptions() {  # the sanitizer
  sed -n "s/^$1 | *\(.*[^ ]\) *| .*/\1/p" tests/sanitizer_exceptions.txt | paste -sd '|'
}

build() {  # the preset, the targets
  echo "== building under $1: ${*:2}"
  mkdir -p build
  [ -f build/"$1"/build.ninja ] || cmake --preset "$1" >build/"$1"-configure.log 2>&1 || {
    tail -n 30 build/"$1"-configure.log >&2
    return 1
  }
  cmake --build build/"$1" --target "${@:2}" >build/"$1"-build.log 2>&1 || {
    tail -n 30 build/"$1"-build.log >&2
    return 1
  }
}

sanitize() {  # the preset, the targets; words for ctest are in ctest_words
  local left_out names
  build "$@" || return 1
  left_out=$(exceptions "$1")
  echo "== testing under $1"
  if [ "${*:2}" = all ]; then
    ctest --test-dir build/"$1" --output-on-failure --no-tests=error -j "$(nproc)" --timeout 600 \
      ${left_out:+--exclude-regex "$left_out"} "${ctest_words[@]}" || return 1
  else
    # A test is named after its program; what was not built is not asked for.
    names=$(printf '%s\n' "${@:2}" | paste -sd '|')
    ctest --test-dir build/"$1" --output-on-failure --no-tests=error -j "$(nproc)" --timeout 600 --label-regex '^unit$' \
      --tests-regex "^($names): " ${left_out:+--exclude-regex "$left_out"} "${ctest_words[@]}" || return 1
  fi
  if [ -n "$left_out" ]; then
    echo "== left out under $1, and why:"
    sed -n "s/^$1 | */   /p" tests/sanitizer_exceptions.txt
  fi
}

export ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"
export TSAN_OPTIONS="second_deadlock_stack=1:suppressions=$PWD/tests/tsan_suppressions.txt:${TSAN_OPTIONS:-}"
if [ -n "${LINKTUNE_COMPLETE:-}" ]; then
  asan_targets=(all)
  tsan_targets=(all)
fi
ctest_words=("$@")
failed=0
sanitize asan "${asan_targets[@]}" || failed=1
sanitize tsan "${tsan_targets[@]}" || failed=1
exit $failed
