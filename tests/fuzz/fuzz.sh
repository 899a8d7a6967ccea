#!/usr/bin/env bash
# Builds and runs the fuzz targets. Called by ./run, from the root of the tree.
#
#   fuzz.sh TIME        all targets in turn, TIME in all (90, 90s, 10m, 2h); what is new is kept in build/fuzz/found
#   fuzz.sh --short     each over its seeds, and a few seconds from there: part of ./run test
#   fuzz.sh --planted [NAME ...]
#                       plants each bug of tests/fuzz/planted in a copy of the sources: its target must find it
#   fuzz.sh --keep      puts into tests/fuzz/corpus what reaches code that its seeds do not
#   fuzz.sh --seeds     writes the first seeds anew
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

tree=build/fuzz
seconds_for_a_bug=60

configure() {  # the sources, the build tree
  [ -f "$2/build.ninja" ] && return
  mkdir -p build
  (cd "$1" && cmake --preset fuzz) >build/fuzz-configure.log 2>&1 || {
    tail -n 30 build/fuzz-configure.log >&2
    exit 1
  }
}

build() {  # a target
  echo "== building the fuzz targets (clang, address and undefined behaviour sanitizers)"
  configure . $tree
  cmake --build $tree --target "$1" | grep -vE '^\[[0-9]+/[0-9]+\]|ninja: ' || true
  [ "${PIPESTATUS[0]}" -eq 0 ]
}

seconds_of() {  # TIME
  local number=${1%[smh]}
  case "$1" in
    *[!0-9smh]* | '' | [smh]*) echo "run: '$1' is no time; write 90s, 10m or 2h" >&2; exit 2 ;;
  esac
  case "$1" in
    *m) echo $((number * 60)) ;;
    *h) echo $((number * 3600)) ;;
    *) echo "$number" ;;
  esac
}

stat_of() {  # the log, the figure's name
  sed -n "s/^stat::$2: *//p" "$1" | tail -n 1
}

# One target, for so many seconds. What breaks a promise is left in build/fuzz/broken.
fuzz_one() {  # name, largest input, seconds
  local log=$tree/found/$1.log
  mkdir -p $tree/found/"$1" $tree/broken
  local status=0
  $tree/tests/fuzz/"$1"_fuzz -max_total_time="$3" -max_len="$2" -timeout=60 -rss_limit_mb=2048 -verbosity=0 \
    -print_funcs=0 -print_final_stats=1 -artifact_prefix=$tree/broken/"$1"- \
    $tree/found/"$1" tests/fuzz/corpus/"$1" >"$log" 2>&1 || status=$?
  printf '%-16s %12s runs %8s a second %6s inputs   %s\n' "$1" "$(stat_of "$log" number_of_executed_units)" \
    "$(stat_of "$log" average_exec_per_sec)" "$(find $tree/found/"$1" -type f | wc -l)" \
    "$([ $status -eq 0 ] && echo "no promise broken" || echo "BROKEN: see $log")"
  return $status
}

fuzz_all() {  # TIME
  local total targets status=0
  total=$(seconds_of "$1")
  build fuzz_targets
  targets=$(wc -l <$tree/fuzz_targets)
  while read -r name bytes; do
    fuzz_one "$name" "$bytes" $(((total + targets - 1) / targets)) || status=1
  done <$tree/fuzz_targets
  [ $status -eq 0 ] || echo "run: an input that breaks a promise is in $tree/broken; give it to its target to see it again" >&2
  return $status
}

short() {
  build fuzz_targets
  rm -rf $tree/short
  while read -r name bytes; do mkdir -p $tree/short/"$name"; done <$tree/fuzz_targets
  ctest --test-dir $tree --output-on-failure --no-tests=error -j "$(nproc)"
}

keep() {
  build fuzz_targets
  while read -r name bytes; do
    mkdir -p $tree/found/"$name"
    $tree/tests/fuzz/"$name"_fuzz -merge=1 -max_len=512 -verbosity=0 tests/fuzz/corpus/"$name" $tree/found/"$name" \
      >$tree/found/"$name".log 2>&1 || { tail -n 5 $tree/found/"$name".log >&2; return 1; }
    printf '%-16s %5s seeds\n' "$name" "$(find tests/fuzz/corpus/"$name" -type f | wc -l)"
  done <$tree/fuzz_targets
}

seeds() {
  build write_seeds
  $tree/tests/fuzz/write_seeds tests/fuzz/corpus
  cp configs/examples/*.toml tests/fuzz/corpus/config/
}

# --- planted bugs ---

# A copy of the sources with its own build tree: a planted bug never touches the real ones.
copy_sources() {
  mkdir -p build/planted
  if [ -f build/planted/applied.patch ]; then  # a run that was broken off
    patch -d build/planted -R -p1 -s --no-backup-if-mismatch <build/planted/applied.patch
    rm build/planted/applied.patch
  fi
  # Only what is newer, with the time of now: then what is built anew is what has changed.
  find . -mindepth 1 -maxdepth 1 ! -name build ! -name .git -exec cp -ru -t build/planted {} +
  configure build/planted build/planted/build/fuzz
}

plant_one() {  # the patch
  local name target began took status=0 artifacts=build/planted/broken
  name=$(basename "$1" .patch)
  target=$(sed -n 's/^Target: //p' "$1")
  patch -d build/planted -p1 -s --dry-run <"$1" >build/planted/patch.log || {
    echo "$name: the patch does not apply any more; mend $1" >&2
    return 1
  }
  cp "$1" build/planted/applied.patch
  patch -d build/planted -p1 -s --no-backup-if-mismatch <"$1"
  cmake --build build/planted/build/fuzz --target "${target}_fuzz" >build/planted/build.log 2>&1 || {
    tail -n 20 build/planted/build.log >&2
    patch -d build/planted -R -p1 -s --no-backup-if-mismatch <"$1"
    rm build/planted/applied.patch
    return 1
  }
  rm -rf $artifacts && mkdir -p $artifacts/found
  began=$(date +%s%N)
  build/planted/build/fuzz/tests/fuzz/"${target}"_fuzz -max_total_time=$seconds_for_a_bug \
    -max_len="$(sed -n "s/^$target //p" build/planted/build/fuzz/fuzz_targets)" -timeout=60 -verbosity=0 -print_funcs=0 \
    -artifact_prefix=$artifacts/ $artifacts/found tests/fuzz/corpus/"$target" >build/planted/run.log 2>&1 || status=$?
  took=$((($(date +%s%N) - began) / 1000000))
  patch -d build/planted -R -p1 -s --no-backup-if-mismatch <"$1"
  rm build/planted/applied.patch
  if [ $status -ne 0 ] && [ -n "$(find $artifacts -maxdepth 1 -type f)" ]; then
    printf '%-34s %-16s found in %3d.%03d s   %s\n' "$name" "$target" $((took / 1000)) $((took % 1000)) \
      "$(grep -m1 -oE 'BROKEN PROMISE: .*|a bug: .* does not hold|SUMMARY: [A-Za-z]*Sanitizer: [a-z-]*' build/planted/run.log || true)"
    return 0
  fi
  printf '%-34s %-16s NOT FOUND in %d s\n' "$name" "$target" $seconds_for_a_bug
  return 1
}

planted() {  # names of bugs; none: all
  local found=0 all=0
  echo "== copying the sources to build/planted"
  copy_sources
  echo "== the targets without a bug pass their seeds"
  cmake --build build/planted/build/fuzz --target fuzz_targets >build/planted/build.log 2>&1 || {
    tail -n 20 build/planted/build.log >&2
    exit 1
  }
  while read -r name bytes; do
    build/planted/build/fuzz/tests/fuzz/"$name"_fuzz -runs=0 -max_len="$bytes" -verbosity=0 tests/fuzz/corpus/"$name" \
      >build/planted/run.log 2>&1 || { tail -n 20 build/planted/run.log >&2; exit 1; }
  done <build/planted/build/fuzz/fuzz_targets
  for patch in tests/fuzz/planted/*.patch; do
    [ $# -eq 0 ] || [[ " $* " == *" $(basename "$patch" .patch) "* ]] || continue
    all=$((all + 1))
    if plant_one "$patch"; then found=$((found + 1)); fi
  done
  echo "$found of $all planted bugs are found"
  [ $found -eq $all ]
}

case "${1:-}" in
  --short) short ;;
  --planted) shift && planted "$@" ;;
  --keep) keep ;;
  --seeds) seeds ;;
  '' | -*) echo "run: 'fuzz' wants a TIME such as 10m, or --planted, --keep, --seeds" >&2; exit 2 ;;
  *) fuzz_all "$1" ;;
esac
