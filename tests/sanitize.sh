#!/usr/bin/env bash
# Builds the tests under the address and undefined behaviour sanitizers, then under the thread sanitizer, each in a build
# tree of its own, and runs all that can run there. Called by `./run test --san`; further words go to ctest.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

# What cannot run under a sanitizer: an expression of test names, then the reason, in tests/sanitizer_exceptions.txt.
exceptions() {  # the sanitizer
  sed -n "s/^$1 | *\(.*[^ ]\) *| .*/\1/p" tests/sanitizer_exceptions.txt | paste -sd '|'
}

sanitize() {  # the preset
  local left_out
  echo "== building under $1"
  mkdir -p build
  [ -f build/"$1"/build.ninja ] || cmake --preset "$1" >build/"$1"-configure.log 2>&1 || {
    tail -n 30 build/"$1"-configure.log >&2
    return 1
  }
  cmake --build build/"$1" --target all >build/"$1"-build.log 2>&1 || {
    tail -n 30 build/"$1"-build.log >&2
    return 1
  }
  left_out=$(exceptions "$1")
  echo "== testing under $1"
  ctest --test-dir build/"$1" --output-on-failure --no-tests=error -j "$(nproc)" --timeout 600 \
    ${left_out:+--exclude-regex "$left_out"} "${@:2}" || return 1
  if [ -n "$left_out" ]; then
    echo "== left out under $1, and why:"
    sed -n "s/^$1 | */   /p" tests/sanitizer_exceptions.txt
  fi
}

export ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"
export TSAN_OPTIONS="second_deadlock_stack=1:suppressions=$PWD/tests/tsan_suppressions.txt:${TSAN_OPTIONS:-}"
failed=0
for preset in asan tsan; do
  sanitize $preset "$@" || failed=1
done
exit $failed
