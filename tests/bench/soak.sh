#!/usr/bin/env bash
# Memory of `wlp serve`: over loads and unloads of a model, and over a long constant load. Writes churn.jsonl,
# constant.jsonl and what soak.py makes of them; ends with 1 if memory grew or a request failed.
#
#   tests/bench/soak.sh                        10,000 loads and unloads, then an hour at 1,000 requests a second
#   tests/bench/soak.sh --cycles 200 --minutes 2 --rate 500 --out DIR
#
# The variables of programs.sh say where things are.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/programs.sh"
source "$(dirname "${BASH_SOURCE[0]}")/peers.sh"

CYCLES=10000 MINUTES=60 RATE=1000 OUT=''
# pieces of the constant load: memory is read between them
PIECES=24

while [ $# -gt 0 ]; do
    case $1 in
        --cycles) CYCLES=${2:?}; shift 2 ;;
        --minutes) MINUTES=${2:?}; shift 2 ;;
        --rate) RATE=${2:?}; shift 2 ;;
        --out) OUT=${2:?}; shift 2 ;;
        -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        *) fail "there is no argument $1 (see --help)" ;;
    esac
done

workplace soak

programs
onnxruntime
models "$WORK/models"

say "$CYCLES loads and unloads"
start_wlp churn 64 --model-control explicit
"$BIN/bench-churn" --addr "${PEER_ADDRESS[churn]}" --pid "${PEER_PID[churn]}" --model mlp --shape 64 \
    --cycles "$CYCLES" --every $((CYCLES / 40 + 1)) >"$OUT/churn.jsonl"
stop_peers

say "$MINUTES minutes at $RATE requests a second"
start_wlp constant 64
ready constant mlp 64
expect=$(answers mlp 64 "$VARIANTS")
: >"$OUT/constant.jsonl"
for _ in $(seq "$PIECES"); do
    "$BIN/bench-load" --addr "${PEER_ADDRESS[constant]}" --pid "${PEER_PID[constant]}" --label constant --model mlp --shape 64 \
        --rate "$RATE" --concurrency 64 --connections 4 --warm 0 --seconds $((MINUTES * 60 / PIECES)) --variants "$VARIANTS" \
        --expect "$expect" >>"$OUT/constant.jsonl"
done
stop_peers

python3 "$BENCH/soak.py" "$OUT/churn.jsonl" "$OUT/constant.jsonl" | tee "$OUT/soak.md"
