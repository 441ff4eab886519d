#!/usr/bin/env bash
# Measures `wlp serve` beside the floor and, where they are there, other servers: all in one run, interleaved, in random
# order within each round. Writes results.jsonl (a line for each cell and round) and results.md (medians, by table.py).
#
#   tests/bench/serving.sh                      three rounds: wlp, floor, noop, and the peers whose environments are named
#   tests/bench/serving.sh --peers              the same with MLServer and KServe, installed with pip where they are not named
#   tests/bench/serving.sh --rounds 5 --seconds 5 --out DIR
#   tests/bench/serving.sh --only '^(wlp|floor) mlp 1$'    the cells "PEER MODEL CALLERS" that fit
#   tests/bench/serving.sh --no-payload         without the sweep of payloads
#
# The variables of programs.sh and peers.sh say where things are. Ends with 1 if an answer was wrong or missing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/programs.sh"
source "$(dirname "${BASH_SOURCE[0]}")/peers.sh"

ROUNDS=3 SECONDS_EACH=3 OUT='' INSTALL=0 ONLY=. PAYLOAD=1
# bytes of one input in the sweep
PAYLOADS=(1024 16384 262144 1048576 4194304 16777216)

while [ $# -gt 0 ]; do
    case $1 in
        --rounds) ROUNDS=${2:?}; shift 2 ;;
        --seconds) SECONDS_EACH=${2:?}; shift 2 ;;
        --out) OUT=${2:?}; shift 2 ;;
        --only) ONLY=${2:?}; shift 2 ;;
        --peers) INSTALL=1; shift ;;
        --no-payload) PAYLOAD=0; shift ;;
        -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        *) fail "there is no argument $1 (see --help)" ;;
    esac
done

workplace bench
RESULTS="$OUT/results.jsonl"
: >"$RESULTS"

# cells PEER: what is measured of it, "PEER MODEL SHAPE CALLERS SECONDS VARIANTS" a line.
cells() {
    local peer=$1 callers bytes
    case $peer in
        wlp-alone) echo "$peer mlp 64 1 $SECONDS_EACH $VARIANTS"; return ;;
        noop) for callers in 1 8 64; do echo "$peer mlp 64 $callers $SECONDS_EACH $VARIANTS"; done; return ;;
    esac
    for callers in 1 8 64; do
        echo "$peer mlp ${SHAPES[mlp]} $callers $SECONDS_EACH $VARIANTS"
        # a request takes milliseconds: twice the time for half as noisy a median
        echo "$peer resnetish ${SHAPES[resnetish]} $callers $((SECONDS_EACH * 2)) $VARIANTS"
    done
    case $peer in
        wlp | floor | triton)
            if [ "$PAYLOAD" = 1 ]; then
                for bytes in "${PAYLOADS[@]}"; do echo "$peer identity $((bytes / 4)) 1 $SECONDS_EACH 2"; done
            fi
            ;;
    esac
}

# Those of the arguments' peers that --only keeps.
wanted() {
    local peer line
    for peer in "$@"; do
        cells "$peer" | while read -r line; do
            read -r -a cell <<<"$line"
            if [[ "${cell[0]} ${cell[1]} ${cell[3]}" =~ $ONLY ]]; then printf '%s\n' "$line"; fi
        done
    done
}

measure() {
    local peer=$1 model=$2 shape=$3 callers=$4 seconds=$5 variants=$6 expect=()
    # noop answers zeros; elsewhere ONNX Runtime alone says what is right
    if [ "$peer" != noop ]; then expect=(--expect "$(answers "$model" "$shape" "$variants")" --tolerance "$TOLERANCE"); fi
    "$BIN/bench-load" --addr "${PEER_ADDRESS[$peer]}" --pid "${PEER_PID[$peer]}" --label "$peer" --model "$model" \
        --shape "$shape" --concurrency "$callers" --seconds "$seconds" --variants "$variants" "${expect[@]}" >>"$RESULTS"
}

programs
onnxruntime
models "$WORK/models"
# another device adds in another order
if [ "$PROVIDER" = cpu ]; then TOLERANCE=1e-4; else TOLERANCE=1e-2; fi

PEERS=(wlp wlp-alone floor noop)
if [ "$INSTALL" = 1 ]; then
    [ -n "${WLP_BENCH_MLSERVER:-}" ] || install_peer mlserver
    [ -n "${WLP_BENCH_KSERVE:-}" ] || install_peer kserve
fi
if [ -n "${WLP_BENCH_MLSERVER:-}" ]; then PEERS+=(mlserver); fi
if [ -n "${WLP_BENCH_KSERVE:-}" ]; then PEERS+=(kserve); fi
if [ -n "${WLP_BENCH_TRITON:-}" ]; then PEERS+=(triton); fi

mapfile -t CELLS < <(wanted "${PEERS[@]}")
[ ${#CELLS[@]} -gt 0 ] || fail "no cell fits --only '$ONLY'"
mapfile -t PEERS < <(printf '%s\n' "${CELLS[@]}" | cut -d' ' -f1 | sort -u)

start_sink
for peer in "${PEERS[@]}"; do
    case $peer in
        wlp) start_wlp wlp 64 ;;
        wlp-alone) start_wlp wlp-alone 1 ;;
        *) "start_$peer" ;;
    esac
done
for peer in "${PEERS[@]}"; do ready "$peer" mlp 64; done

if traces; then TRACING=true; else TRACING=false; fi
python3 "$BENCH/table.py" --machine --rounds "$ROUNDS" --provider "$PROVIDER" --tracing "$TRACING" >"$RESULTS"
for round in $(seq "$ROUNDS"); do
    say "round $round of $ROUNDS: ${#CELLS[@]} cells"
    while read -r -a cell; do measure "${cell[@]}"; done < <(printf '%s\n' "${CELLS[@]}" | shuf)
    for model in mlp resnetish; do
        "$BIN/bench-limit" "$MODELS/$model.onnx" --shape "${SHAPES[$model]}" --seconds "$SECONDS_EACH" --provider "$PROVIDER" >>"$RESULTS"
    done
done

python3 "$BENCH/table.py" "$RESULTS" | tee "$OUT/results.md"
say "written: $RESULTS, $OUT/results.md"
python3 "$BENCH/table.py" --check "$RESULTS"
