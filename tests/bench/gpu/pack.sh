#!/usr/bin/env bash
# Packs into one folder what a machine with a GPU and without network needs to run the suite and the bench: programs, tests
# of the engine and the gateway, models, the GPU build of ONNX Runtime, scripts. There, run.sh in the folder runs them.
#
#   tests/bench/gpu/pack.sh DIR
#   tests/bench/gpu/pack.sh DIR --cuda               with the libraries of CUDA and cuDNN that the wheel asks for, from PyPI
#   tests/bench/gpu/pack.sh DIR --libraries FOLDER   with the shared libraries of a folder, TensorRT's for one
#   tests/bench/gpu/pack.sh DIR --cpu                with the CPU build: checks the pack where there is no GPU
#
# The machine needs the NVIDIA driver, Python 3.11 or newer, and where they are not packed CUDA, cuDNN and TensorRT.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../programs.sh"

PACK='' CUDA=0 GPU=1 LIBRARIES=()
# the platforms whose wheels run where the pinned one does
PLATFORMS=(manylinux_2_28_x86_64 manylinux_2_27_x86_64 manylinux_2_24_x86_64 manylinux2014_x86_64)

while [ $# -gt 0 ]; do
    case $1 in
        --cuda) CUDA=1; shift ;;
        --cpu) GPU=0; shift ;;
        --libraries) LIBRARIES+=("${2:?}"); shift 2 ;;
        -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        -*) fail "there is no argument $1 (see --help)" ;;
        *) PACK=$1; shift ;;
    esac
done
[ -n "$PACK" ] || fail "name the folder to pack into"
[ ! -e "$PACK" ] || [ -z "$(ls -A "$PACK")" ] || fail "$PACK is not empty"
mkdir -p "$PACK"
PACK=$(cd "$PACK" && pwd)
ROOT=$(cd "$BENCH/../.." && pwd)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/wlp-pack.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$PACK"/{bin,tests,libraries}

# The executables that cargo makes of the tests, as "PACKAGE-TARGET PATH" a line.
test_programs() {
    (cd "$ROOT" && cargo test --release --no-run --message-format json -p engine -p gateway) | python3 -c '
import json, sys
for line in sys.stdin:
    made = json.loads(line)
    if made.get("reason") == "compiler-artifact" and made["profile"]["test"] and made["executable"]:
        package = made["manifest_path"].split("/")[-2]
        print(package + "-" + made["target"]["name"], made["executable"])'
}

programs
for program in wlp bench-load bench-floor bench-limit bench-churn bench-sink; do cp "$BIN/$program" "$PACK/bin/"; done
test_programs >"$WORK/tests"
[ -s "$WORK/tests" ] || fail "cargo made no tests"
while read -r name path; do cp "$path" "$PACK/tests/$name"; done <"$WORK/tests"
models "$PACK/models"
if [ "$MODELS" != "$PACK/models" ]; then cp -r "$MODELS" "$PACK/models"; fi

if [ "$GPU" = 1 ]; then arguments=(--gpu); else arguments=(); fi
library=$(XDG_DATA_HOME="$WORK/data" "$BIN/wlp" runtime install "${arguments[@]}" | tail -1)
cp -a "$(dirname "$library")"/libonnxruntime* "$PACK/libraries/"
basename "$library" >"$PACK/onnxruntime"

if [ "$CUDA" = 1 ]; then
    version=${library##*.so.}
    platforms=()
    for platform in "${PLATFORMS[@]}"; do platforms+=(--platform "$platform"); done
    "${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --only-binary :all: --python-version 3.12 \
        --implementation cp --abi cp312 "${platforms[@]}" --target "$WORK/cuda" "onnxruntime-gpu[cuda,cudnn]==$version" >&2
    find "$WORK/cuda/nvidia" -name '*.so*' -exec cp -a {} "$PACK/libraries/" \;
fi
for folder in "${LIBRARIES[@]}"; do find "$folder" -name '*.so*' -exec cp -a {} "$PACK/libraries/" \;; done

cp "$BENCH"/{programs.sh,peers.sh,serving.sh,soak.sh,soak.py,table.py} "$BENCH/gpu/run.sh" "$PACK/"
say "packed: $(du -sh "$PACK" | cut -f1) in $PACK; there: $PACK/run.sh --provider cuda"
