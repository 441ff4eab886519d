#!/usr/bin/env bash
# Runs the suite and the bench of a folder that pack.sh packed: the tests of the engine and the gateway with the packed ONNX
# Runtime; `wlp serve` on the provider, which must be the one in use, its answers held against those of the processor; the
# bench with the floor and the limit on the same provider.
#
#   ./run.sh --provider cuda
#   ./run.sh --provider tensorrt --rounds 5 --seconds 5 --out DIR
#   ./run.sh --provider cpu --rounds 1 --seconds 1     where there is no GPU: everything but the GPU is checked
#   ./run.sh --provider cuda --stage smoke             only a stage: smoke (libraries, provider in use, answers), suite or
#                                                      bench; may be given more than once
#   ./run.sh --provider cuda --stage bench --only '^(wlp|floor) (mlp|resnetish) (1|64)$'    cells as of serving.sh
set -euo pipefail
PACK=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROVIDER='' ROUNDS=3 SECONDS_EACH=3 OUT="$PACK/results" STAGES=() BENCHED=()
# largest difference between an answer of the provider and the processor's
NEAR=1e-3

while [ $# -gt 0 ]; do
    case $1 in
        --provider) PROVIDER=${2:?}; shift 2 ;;
        --rounds) ROUNDS=${2:?}; shift 2 ;;
        --seconds) SECONDS_EACH=${2:?}; shift 2 ;;
        --out) OUT=${2:?}; shift 2 ;;
        --stage) STAGES+=("${2:?}"); shift 2 ;;
        --only) BENCHED+=(--only "${2:?}"); shift 2 ;;
        --no-payload) BENCHED+=(--no-payload); shift ;;
        -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        *) echo "run.sh: there is no argument $1 (see --help)" >&2; exit 1 ;;
    esac
done
case $PROVIDER in
    cpu | cuda | tensorrt) ;;
    *) echo "run.sh: --provider is cuda, tensorrt or cpu" >&2; exit 1 ;;
esac
if [ ${#STAGES[@]} -eq 0 ]; then STAGES=(smoke suite bench); fi
for stage in "${STAGES[@]}"; do
    case $stage in
        smoke | suite | bench) ;;
        *) echo "run.sh: --stage is smoke, suite or bench" >&2; exit 1 ;;
    esac
done

# Folders of the shared libraries in NVIDIA's wheels, where the Python that is installed has them, each with a colon before.
python_libraries_of_cuda() {
    python3 -c '
import pathlib, sys
folders = [pathlib.Path(path) for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
libraries = (file for folder in folders for file in folder.glob("nvidia/**/*.so*"))
print("".join(f":{folder}" for folder in sorted({str(file.parent) for file in libraries})))
for folder in folders:
    if (folder / "tensorrt_libs").is_dir():
        print(f":{folder}/tensorrt_libs")' | tr -d '\n'
}

export WLP_BENCH_BIN="$PACK/bin" WLP_BENCH_MODELS="$PACK/models" WLP_BENCH_PROVIDER=$PROVIDER
# the engine's tests run there too
export WLP_TEST_PROVIDER=$PROVIDER
ORT_DYLIB_PATH="$PACK/libraries/$(cat "$PACK/onnxruntime")"
LD_LIBRARY_PATH="$PACK/libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
if [ "$PROVIDER" != cpu ]; then LD_LIBRARY_PATH+=$(python_libraries_of_cuda); fi
# where a container's runtime mounts the driver
if [ -d /usr/local/nvidia/lib64 ]; then LD_LIBRARY_PATH+=:/usr/local/nvidia/lib64; fi
export ORT_DYLIB_PATH LD_LIBRARY_PATH
# an engine of TensorRT is built for minutes
export WLP_BENCH_WAIT=${WLP_BENCH_WAIT:-600}
# what runs on a device that is not there is a failure of the tests, not left out
export CI=true

# shellcheck source=../programs.sh
source "$PACK/programs.sh"
# shellcheck source=../peers.sh
source "$PACK/peers.sh"
workplace gpu
FAILED=()

if [ "$PROVIDER" != cpu ]; then
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | tee "$OUT/gpu.txt" || fail "there is no GPU"
fi

# Each test program in a folder of its own; all of them run, whatever one says.
suite() {
    local program name plain left
    for program in "$PACK/tests"/*; do
        name=$(basename "$program")
        mkdir -p "$WORK/$name"
        plain=() left=''
        if [[ $name == gateway-* && -z "${WLP_TEST_REDIS_URL:-}" ]]; then
            # what several gateways share needs Redis; with CI set, to be without is a failure
            plain=(env -u CI) left=' (nothing that needs Redis: WLP_TEST_REDIS_URL is not set)'
        fi
        if (cd "$WORK/$name" && "${plain[@]}" "$program") >"$LOGS/test-$name.log" 2>&1; then
            say "$name: $(grep '^test result' "$LOGS/test-$name.log" || echo 'no result')$left"
        else
            tail -n 30 "$LOGS/test-$name.log" >&2
            FAILED+=("$name")
        fi
    done
}

# The library of the provider finds everything that it needs.
libraries() {
    local library="$PACK/libraries/libonnxruntime_providers_$PROVIDER.so" missing
    [ -f "$library" ] || fail "the pack has no $library"
    missing=$(ldd "$library" | grep 'not found' || true)
    [ -z "$missing" ] || fail "$(basename "$library") lacks: $missing; LD_LIBRARY_PATH=$LD_LIBRARY_PATH"
}

# The provider that the server states is the one that was asked for, and its answers are near those of the processor, for a
# caller alone and for batches of many.
smoke() {
    local model callers line
    if [ "$PROVIDER" != cpu ]; then libraries; fi
    start_wlp wlp 64
    for model in mlp resnetish; do
        ready wlp "$model" "${SHAPES[$model]}"
        if python3 -c '
import json, sys, urllib.request
config = json.load(urllib.request.urlopen(sys.argv[1]))
sys.exit(config["parameters"]["provider"]["string_value"] != sys.argv[2])' \
            "http://${PEER_REST[wlp]}/v2/models/$model/config" "$PROVIDER"; then
            say "$model runs on $PROVIDER"
        else
            FAILED+=("$model does not run on $PROVIDER")
        fi
        for callers in 1 64; do
            line=$("$BIN/bench-load" --addr "${PEER_ADDRESS[wlp]}" --pid "${PEER_PID[wlp]}" --label smoke --model "$model" \
                --shape "${SHAPES[$model]}" --concurrency "$callers" --seconds 1 --warm 0.5 --variants "$VARIANTS" \
                --expect "$(answers "$model" "${SHAPES[$model]}" "$VARIANTS")" --tolerance "$NEAR")
            printf '%s\n' "$line" >>"$OUT/smoke.jsonl"
            if ! python3 -c '
import json, sys
line = json.loads(sys.argv[1])
told = "{model}, {concurrency} callers: {answered} answers, largest difference {max_difference}, p50 {p50_us:.0f} us".format(**line)
print(told, line["errors"] or "", line["parameters"], file=sys.stderr)
sys.exit(line["answered"] == 0 or line["mismatches"] != 0 or bool(line["errors"]))' "$line"; then
                FAILED+=("$model, $callers callers: answers")
            fi
        done
    done
    if [ "$PROVIDER" != cpu ]; then nvidia-smi --query-compute-apps=name,used_memory --format=csv,noheader >&2 || true; fi
    stop_peers
}

bench() {
    "$PACK/serving.sh" --rounds "$ROUNDS" --seconds "$SECONDS_EACH" --out "$OUT" "${BENCHED[@]}" || FAILED+=(bench)
}

programs
onnxruntime
models "$PACK/models"
for stage in "${STAGES[@]}"; do
    begun=$SECONDS
    "$stage"
    say "$stage: $((SECONDS - begun)) s"
done
if [ ${#FAILED[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${FAILED[@]}" >&2
    exit 1
fi
say "all passed; results in $OUT"
