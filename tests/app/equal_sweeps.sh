#!/bin/bash
# LONG: whole sweeps over equal settings in the lab, real daemons and traffic, minutes for each. Counts how often one
# is called better. As root: tests/app/equal_sweeps.sh LINKTUNE [SWEEPS] [BUDGET] [PROFILE]
#
# The arms are the same tunnel under four names: the MTU of the device differs by a byte, which no packet of the test
# feels on a line that is not bound by it.
set -u
linktune=${1:?the linktune program}
sweeps=${2:-30}
budget=${3:-20m}
profile=${4:-wan}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
false_claims=0
done_sweeps=0
for ((i = 1; i <= sweeps; i++)); do
  "$linktune" sweep --lab "$profile" --no-openvpn --budget "$budget" --seed "$i" --journal "$folder/$i.jsonl" --json \
    --arm "native mtu=1420" --arm "native mtu=1421" --arm "native mtu=1422" >"$folder/$i.json" 2>"$folder/$i.log"
  code=$?
  if [ $code -ne 0 ] && [ $code -ne 5 ]; then
    echo "sweep $i failed with $code:"
    tail -3 "$folder/$i.log"
    continue
  fi
  done_sweeps=$((done_sweeps + 1))
  grep -Eq '"claim": "(better|worse)"' "$folder/$i.json" && false_claims=$((false_claims + 1))
  echo "sweep $i: $(grep -m1 '"sentence": "[BEI]' "$folder/$i.json")"
done
echo "$false_claims of $done_sweeps sweeps over equal settings claimed a difference"
[ $done_sweeps -gt 0 ]
