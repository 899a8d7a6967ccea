#!/bin/bash
# LONG: whole sweeps over equal settings in the lab, real daemons and traffic, minutes for each. Counts how often one
# is called better. As root: tests/app/equal_sweeps.sh LINKTUNE [SWEEPS] [BUDGET] [PROFILE] [FIRST_SEED]
#
# The arms are the same tunnel under two names: the MTU of the device differs by a byte, 1500 (the present settings, which
# are the defaults) and 1499, which moves no figure by a thousandth. Budgets of minutes are enough: the sweep
# fits its trials to them. A sweep of fewer than ten blocks claims nothing, so it is counted apart: it proves nothing.
set -u
linktune=${1:?the linktune program}
sweeps=${2:-30}
budget=${3:-5m}
profile=${4:-lan}
first=${5:-1}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
false_claims=0
done_sweeps=0
too_short=0
for ((i = first; i < first + sweeps; i++)); do
  "$linktune" sweep --lab "$profile" --no-openvpn --budget "$budget" --seed "$i" --journal "$folder/$i.jsonl" --json \
    --arm "native mtu=1499" >"$folder/$i.json" 2>"$folder/$i.log"
  code=$?
  if [ $code -ne 0 ] && [ $code -ne 5 ]; then
    echo "sweep $i failed with $code:"
    tail -3 "$folder/$i.log"
    continue
  fi
  blocks=$(grep -Eo '"blocks_done": [0-9]+' "$folder/$i.json" | grep -Eo '[0-9]+')
  if [ "$blocks" -lt 10 ]; then
    too_short=$((too_short + 1))
    echo "sweep $i: $blocks blocks only"
    continue
  fi
  done_sweeps=$((done_sweeps + 1))
  grep -Eq '"claim": "(better|worse)"' "$folder/$i.json" && false_claims=$((false_claims + 1))
  echo "sweep $i: $blocks blocks, $(grep -m1 '"sentence": "[BEI]' "$folder/$i.json")"
done
echo "$false_claims of $done_sweeps sweeps over equal settings claimed a difference; $too_short had no time for ten blocks"
[ $done_sweeps -gt 0 ]
