#!/usr/bin/env bash
# Runs every test under the address and undefined behaviour sanitizers (asan), then under the thread sanitizer (tsan), each in
# a build tree of its own. Called by `./run test --san`. Words choose: asan or tsan, and names of test programs
# (`./run test --san tsan tunnel_test`); without any, all. Two cores build and test for more than an hour; what has passed is
# written to build/<sanitizer>/passed and not run again until its program, or linktune itself, is built anew.
#
# Our own programs are instrumented, also those that tests start (linktune, byte_flow, lab_tool); real peers (openvpn,
# iperf3, zfs-fuse, Chromium) are what Debian built. A report of any of them fails the test program during which it came,
# even where nobody looked at the exit code.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

sanitizers=()
chosen=()
for word in "$@"; do
  case "$word" in
    asan | tsan) sanitizers+=("$word") ;;
    *) chosen+=("$word") ;;
  esac
done
[ ${#sanitizers[@]} -gt 0 ] || sanitizers=(asan tsan)

# What cannot run under a sanitizer: an expression of test names, then the reason, in tests/sanitizer_exceptions.txt.
left_out() {  # the sanitizer
  sed -n "s/^$1 | *\(.*[^ ]\) *| .*/\1/p" tests/sanitizer_exceptions.txt | paste -sd '|'
}

build() {  # the sanitizer
  local targets=("${chosen[@]}")
  echo "== building under $1"
  mkdir -p build
  [ -f build/"$1"/build.ninja ] || cmake --preset "$1" >build/"$1"-configure.log 2>&1 || {
    tail -n 30 build/"$1"-configure.log >&2
    return 1
  }
  [ ${#targets[@]} -gt 0 ] || targets=(all)
  cmake --build build/"$1" --target "${targets[@]}" >build/"$1"-build.log 2>&1 || {
    tail -n 30 build/"$1"-build.log >&2
    return 1
  }
}

# The test programs that are built: a test is named after its program.
programs() {  # the sanitizer
  if [ ${#chosen[@]} -gt 0 ]; then
    printf '%s\n' "${chosen[@]}"
  else
    ctest --test-dir build/"$1" -N | sed -n 's/^ *Test *#[0-9]*: \([a-z0-9_]*\):.*/\1/p' | sort -u
  fi
}

has_passed() {  # the sanitizer, the program
  local mark=build/$1/passed/$2 file
  for file in build/"$1"/app/linktune build/"$1"/tests/*/"$2"; do
    [ "$mark" -nt "$file" ] || [ ! -e "$file" ] || return 1
  done
  [ -e "$mark" ]
}

# One line of the table: program, verdict, tests passed of all, seconds.
run_program() {  # the sanitizer, the program
  local reports=$PWD/build/$1/reports output=build/$1/output/$2.log without begun verdict=passed count
  if has_passed "$1" "$2"; then
    printf '%-5s %-28s %s\n' "$1" "$2" "$(cat build/"$1"/passed/"$2") before"
    return 0
  fi
  rm -rf "$reports"
  mkdir -p "$reports" build/"$1"/output build/"$1"/passed
  chmod 1777 "$reports"  # a daemon that has given up its privileges writes here, too
  without=$(left_out "$1")
  begun=$SECONDS
  ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1:log_path=$reports/report" \
  UBSAN_OPTIONS="print_stacktrace=1:log_path=$reports/report" \
  TSAN_OPTIONS="second_deadlock_stack=1:suppressions=$PWD/tests/tsan_suppressions.txt:log_path=$reports/report" \
    ctest --test-dir build/"$1" --output-on-failure --no-tests=error -j "$(nproc)" --tests-regex "^$2:" \
    ${without:+--exclude-regex "$without"} >"$output" 2>&1 || verdict=FAILED
  if [ -n "$(ls "$reports")" ]; then
    verdict=FAILED
    { echo "== reports of the sanitizer"; cat "$reports"/*; } >>"$output"
  fi
  count=$(sed -n 's/.*% tests passed, \([0-9]*\) tests failed out of \([0-9]*\).*/\1 failed of \2/p' "$output")
  printf '%-5s %-28s %s\n' "$1" "$2" "$verdict, ${count:-no test ran}, $((SECONDS - begun)) s" | tee -a build/"$1"/table
  if [ $verdict = passed ]; then
    echo "passed, ${count}, $((SECONDS - begun)) s" >build/"$1"/passed/"$2"
  else
    tail -n 60 "$output" >&2
    return 1
  fi
}

failed=0
for sanitizer in "${sanitizers[@]}"; do
  build "$sanitizer" || { failed=1; continue; }
  for program in $(programs "$sanitizer"); do
    run_program "$sanitizer" "$program" || failed=1
  done
  if [ -n "$(left_out "$sanitizer")" ]; then
    echo "== left out under $sanitizer, and why:"
    sed -n "s/^$sanitizer | */   /p" tests/sanitizer_exceptions.txt
  fi
done
exit $failed
