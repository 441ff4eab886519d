#!/usr/bin/env bash
# Packs into one folder what a machine with a GPU and without network needs to run the suite and the bench: programs, tests
# of the engine and the gateway, models, the GPU build of ONNX Runtime, scripts. There, run.sh in the folder runs them.
#
#   tests/bench/gpu/pack.sh DIR
#   tests/bench/gpu/pack.sh DIR --cuda               with the libraries of CUDA and cuDNN that the wheel asks for, from PyPI
#   tests/bench/gpu/pack.sh DIR --libraries FOLDER   with the shared libraries of a folder, TensorRT's for one
#   tests/bench/gpu/pack.sh DIR --cpu                with the CPU build: checks the pack where there is no GPU
#   tests/bench/gpu/pack.sh DIR --capability 90      of ONNX Runtime's kernels only those of one compute capability
#   tests/bench/gpu/pack.sh DIR --split FOLDER       and the pack in parts of at most 48 MiB (--part MIB), with unpack.sh
#
# The machine needs the NVIDIA driver, Python 3.11 or newer, and where they are not packed CUDA 13, cuDNN 9 and TensorRT 10:
# those of NVIDIA's wheels are found where that Python has them. Where WLP_BENCH_BIN and WLP_BENCH_TESTS name folders of
# programs and test programs that are built, nothing is built.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../programs.sh"

PACK='' CUDA=0 GPU=1 LIBRARIES=() CAPABILITY='' SPLIT='' PART=48
# the platforms whose wheels run where the pinned one does
PLATFORMS=(manylinux_2_28_x86_64 manylinux_2_27_x86_64 manylinux_2_24_x86_64 manylinux2014_x86_64)

while [ $# -gt 0 ]; do
    case $1 in
        --cuda) CUDA=1; shift ;;
        --cpu) GPU=0; shift ;;
        --capability) CAPABILITY=${2:?}; shift 2 ;;
        --split) SPLIT=${2:?}; shift 2 ;;
        --part) PART=${2:?}; shift 2 ;;
        --libraries) LIBRARIES+=("${2:?}"); shift 2 ;;
        -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        -*) fail "there is no argument $1 (see --help)" ;;
        *) PACK=$1; shift ;;
    esac
done
[ -n "$PACK" ] || fail "name the folder to pack into"
for folder in "$PACK" ${SPLIT:+"$SPLIT"}; do
    [ ! -e "$folder" ] || [ -z "$(ls -A "$folder")" ] || fail "$folder is not empty"
done
mkdir -p "$PACK"
PACK=$(cd "$PACK" && pwd)
ROOT=$(cd "$BENCH/../.." && pwd)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/wlp-pack.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$PACK"/{bin,tests,libraries}

# The executables that cargo makes of the tests, as "PACKAGE-KIND-TARGET PATH" a line.
test_programs() {
    local program
    if [ -n "${WLP_BENCH_TESTS:-}" ]; then
        for program in "$WLP_BENCH_TESTS"/*; do echo "$(basename "$program") $program"; done
        return
    fi
    (cd "$ROOT" && cargo test --release --no-run --message-format json -p engine -p gateway) | python3 -c '
import json, sys
for line in sys.stdin:
    made = json.loads(line)
    if made.get("reason") == "compiler-artifact" and made["profile"]["test"] and made["executable"]:
        package = made["manifest_path"].split("/")[-2]
        print("-".join([package, made["target"]["kind"][0], made["target"]["name"]]), made["executable"])'
}

programs
for program in wlp bench-load bench-floor bench-limit bench-churn bench-sink; do cp "$BIN/$program" "$PACK/bin/"; done
# these start a program or read files where they were built
test_programs | grep -v -E '^engine-test-(probe|shared_models) ' >"$WORK/tests"
[ -s "$WORK/tests" ] || fail "cargo made no tests"
while read -r name path; do cp "$path" "$PACK/tests/$name"; done <"$WORK/tests"
models "$PACK/models"
if [ "$MODELS" != "$PACK/models" ]; then cp -r "$MODELS" "$PACK/models"; fi

strip "$PACK"/bin/* "$PACK"/tests/*

if [ "$GPU" = 1 ]; then arguments=(--gpu); else arguments=(); fi
library=$(XDG_DATA_HOME="$WORK/data" "$BIN/wlp" runtime install "${arguments[@]}" | tail -1)
cp -a "$(dirname "$library")"/libonnxruntime* "$PACK/libraries/"
basename "$library" >"$PACK/onnxruntime"
if [ -n "$CAPABILITY" ]; then
    python3 "$BENCH/gpu/prune.py" "$PACK/libraries/libonnxruntime_providers_cuda.so" "$CAPABILITY"
fi

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

if [ -n "$SPLIT" ]; then
    mkdir -p "$SPLIT"
    cp "$BENCH/gpu/unpack.sh" "$SPLIT/"
    # what is alike stands together: programs, then tests, each a copy of much the same libraries
    tar --sort=name --owner=0 --group=0 --numeric-owner -C "$PACK" -c . | xz -6 --threads=0 --block-size=256MiB \
        | split --bytes="${PART}M" --numeric-suffixes --suffix-length=3 - "$SPLIT/part-"
    (cd "$SPLIT" && sha256sum part-* >parts.sha256)
    say "in parts: $(find "$SPLIT" -name 'part-*' | wc -l) of at most $PART MiB, $(du -sh "$SPLIT" | cut -f1) in $SPLIT"
fi
