# The programs, models and right answers that serving.sh and soak.sh use. Sourced by them.
#
# WLP_BENCH_BIN      folder of built programs (wlp, bench-*); without it they are built
# WLP_BENCH_MODELS   folder of models that models.py wrote; without it they are written
# ORT_DYLIB_PATH     the ONNX Runtime of all; without it the one of `wlp runtime install`
# WLP_BENCH_PROVIDER cpu (default), cuda or tensorrt: where the models run, in each server that can choose
# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is used by those who source this

BENCH=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROVIDER=${WLP_BENCH_PROVIDER:-cpu}
# sizes of one row of each model
declare -A SHAPES=([mlp]="64" [resnetish]="3,64,64")
# different requests to a model
VARIANTS=16

say() { printf '%s\n' "$*" >&2; }
fail() { say "$(basename "$0"): $*"; exit 1; }

# workplace NAME: sets WORK, which goes with the script and what it started, and OUT and LOGS, which stay.
workplace() {
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/wlp-$1.XXXXXX")
    trap 'stop_peers; rm -rf "$WORK"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    OUT=${OUT:-$(mktemp -d "${TMPDIR:-/tmp}/wlp-$1-results.XXXXXX")}
    mkdir -p "$OUT/logs"
    OUT=$(cd "$OUT" && pwd)
    LOGS="$OUT/logs"
}

# Sets BIN: the programs, built if nobody gives them.
programs() {
    BIN=${WLP_BENCH_BIN:-}
    if [ -z "$BIN" ]; then
        local root
        root=$(cd "$BENCH/../.." && pwd)
        (cd "$root" && cargo build --release -p wlp -p serving-bench --bins) >&2
        BIN=$(cd "$root" && cargo metadata --format-version 1 --no-deps \
            | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/release
    fi
    local program
    for program in wlp bench-load bench-floor bench-limit bench-churn bench-sink; do
        [ -x "$BIN/$program" ] || fail "there is no program $program in $BIN"
    done
}

# Sets ORT_DYLIB_PATH.
onnxruntime() {
    if [ -z "${ORT_DYLIB_PATH:-}" ]; then
        ORT_DYLIB_PATH=$("$BIN/wlp" runtime install | tail -1)
    fi
    [ -f "$ORT_DYLIB_PATH" ] || fail "ORT_DYLIB_PATH=$ORT_DYLIB_PATH is no file"
    export ORT_DYLIB_PATH
}

# Sets MODELS: the folder of models, written into the given one if nobody gives them.
models() {
    MODELS=${WLP_BENCH_MODELS:-}
    if [ -z "$MODELS" ]; then
        MODELS=$1
        if ! "${WLP_TEST_PYTHON:-python3}" -c 'import onnx' 2>/dev/null; then
            # the environment of tests/run has what writes them
            export WLP_CACHE_DIR="${WLP_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/wlp}"
            # shellcheck source=/dev/null
            source "$BENCH/../run.d/tools.sh"
            cd "$BENCH/../.." || return 1
            python_environment || fail "models.py needs a Python with the packages of tests/requirements.txt"
        fi
        "${WLP_TEST_PYTHON:-python3}" "$BENCH/models.py" "$MODELS" >&2
    fi
    local model
    for model in mlp resnetish identity; do
        [ -f "$MODELS/$model.onnx" ] || fail "there is no model $model.onnx in $MODELS"
    done
    MODELS=$(cd "$MODELS" && pwd)
}

# answers MODEL SHAPE VARIANTS: prints the file of right answers, which ONNX Runtime alone gives on the host's processors.
answers() {
    local file="$WORK/$1-$2-$3.f32"
    [ -f "$file" ] || "$BIN/bench-limit" "$MODELS/$1.onnx" --shape "$2" --batches 1 --variants "$3" --answers "$file"
    printf '%s\n' "$file"
}
