#!/usr/bin/env bash
# Runs the suite and the bench of a folder that pack.sh packed: the tests of the engine and the gateway with the packed ONNX
# Runtime; `wlp serve` on the provider, which must be the one in use, its answers held against those of the processor; the
# bench with the floor and the limit on the same provider.
#
#   ./run.sh --provider cuda
#   ./run.sh --provider tensorrt --rounds 5 --seconds 5 --out DIR
#   ./run.sh --provider cpu --rounds 1 --seconds 1     where there is no GPU: everything but the GPU is checked
set -euo pipefail
PACK=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROVIDER='' ROUNDS=3 SECONDS_EACH=3 OUT="$PACK/results"

while [ $# -gt 0 ]; do
    case $1 in
        --provider) PROVIDER=${2:?}; shift 2 ;;
        --rounds) ROUNDS=${2:?}; shift 2 ;;
        --seconds) SECONDS_EACH=${2:?}; shift 2 ;;
        --out) OUT=${2:?}; shift 2 ;;
        -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        *) echo "run.sh: there is no argument $1 (see --help)" >&2; exit 1 ;;
    esac
done
case $PROVIDER in
    cpu) KIND=KIND_CPU ;;
    cuda | tensorrt) KIND=KIND_GPU ;;
    *) echo "run.sh: --provider is cuda, tensorrt or cpu" >&2; exit 1 ;;
esac

export WLP_BENCH_BIN="$PACK/bin" WLP_BENCH_MODELS="$PACK/models" WLP_BENCH_PROVIDER=$PROVIDER
ORT_DYLIB_PATH="$PACK/libraries/$(cat "$PACK/onnxruntime")"
export ORT_DYLIB_PATH LD_LIBRARY_PATH="$PACK/libraries:${LD_LIBRARY_PATH:-}"
# an engine of TensorRT is built for minutes
export WLP_BENCH_WAIT=${WLP_BENCH_WAIT:-600}
# what runs on a device that is not there is a failure of the tests, not left out
export CI=true

# shellcheck source=../programs.sh
source "$PACK/programs.sh"
# shellcheck source=../peers.sh
source "$PACK/peers.sh"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/wlp-gpu.XXXXXX")
trap 'stop_peers; rm -rf "$WORK"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
LOGS="$OUT/logs"
mkdir -p "$LOGS"
FAILED=()

if [ "$PROVIDER" != cpu ]; then
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | tee "$OUT/gpu.txt" || fail "there is no GPU"
fi

# Each test program in a folder of its own; all of them run, whatever one says.
suite() {
    local program name
    for program in "$PACK/tests"/*; do
        name=$(basename "$program")
        mkdir -p "$WORK/$name"
        if (cd "$WORK/$name" && "$program") >"$LOGS/test-$name.log" 2>&1; then
            say "$name: $(grep '^test result' "$LOGS/test-$name.log" || echo 'no result')"
        else
            tail -n 30 "$LOGS/test-$name.log" >&2
            FAILED+=("$name")
        fi
    done
}

# The provider that is in use, as the server states it, is the one that was asked for.
in_use() {
    start_wlp wlp 64
    ready wlp mlp 64
    ready wlp resnetish 3,64,64
    local model
    for model in mlp resnetish; do
        if python3 -c 'import sys, urllib.request; sys.exit(sys.argv[2] not in urllib.request.urlopen(sys.argv[1]).read().decode())' \
            "http://${PEER_REST[wlp]}/v2/models/$model/config" "$KIND"; then
            say "$model runs on $PROVIDER"
        else
            FAILED+=("$model does not run on $PROVIDER")
        fi
    done
    stop_peers
}

programs
onnxruntime
models "$PACK/models"
suite
in_use
"$PACK/serving.sh" --rounds "$ROUNDS" --seconds "$SECONDS_EACH" --out "$OUT" || FAILED+=(bench)
if [ ${#FAILED[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${FAILED[@]}" >&2
    exit 1
fi
say "all passed; results in $OUT"
