# The servers that are measured: one function starts each. Sourced by serving.sh and soak.sh, which set BIN, MODELS, WORK
# and LOGS before. Every server listens on a free port of loopback, has two threads where it can be told, ONNX Runtime
# with one thread in an operator, and serves the models under their own names.
#
# WLP_BENCH_MLSERVER  virtual environment with mlserver and onnxruntime
# WLP_BENCH_KSERVE    virtual environment with kserve and onnxruntime
# WLP_BENCH_TRITON    virtual environment with nvidia-pytriton; in its folder `backends` (or WLP_BENCH_TRITON_BACKENDS)
#                     there is onnxruntime/libtriton_onnxruntime.so
# WLP_BENCH_SERVE     more arguments of `wlp serve`
# WLP_BENCH_SESSIONS  copies of each model in wlp and in the floor (1)
# shellcheck shell=bash

# PEER_REST: of wlp alone
declare -A PEER_PID=() PEER_ADDRESS=() PEER_REST=()
SESSIONS=${WLP_BENCH_SESSIONS:-1}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start NAME ADDRESS COMMAND...
start() {
    local name=$1 address=$2
    shift 2
    "$@" >"$LOGS/$name.log" 2>&1 </dev/null &
    PEER_PID[$name]=$!
    PEER_ADDRESS[$name]=$address
}

# Ends what was started here, and waits for it.
stop_peers() {
    local name
    for name in "${!PEER_PID[@]}"; do kill "${PEER_PID[$name]}" 2>/dev/null || true; done
    for name in "${!PEER_PID[@]}"; do wait "${PEER_PID[$name]}" 2>/dev/null || true; done
    PEER_PID=()
}

# ready NAME MODEL SHAPE: waits for a right answer.
ready() {
    if ! "$BIN/bench-load" --addr "${PEER_ADDRESS[$1]}" --model "$2" --shape "$3" --variants 1 --warm 0 --seconds 0.1 \
        --wait "${WLP_BENCH_WAIT:-120}" >/dev/null; then
        tail -n 20 "$LOGS/$1.log" >&2 || true
        fail "$1 does not serve $2"
    fi
}

# Takes the spans of wlp, so that sampled tracing is on.
start_sink() {
    local address
    address="127.0.0.1:$(free_port)"
    start sink "$address" "$BIN/bench-sink" --listen "$address"
}

# start_wlp NAME ROWS [ARGUMENT...]: ours, with so many rows in a batch.
start_wlp() {
    local name=$1 rows=$2 address tracing=()
    shift 2
    address="127.0.0.1:$(free_port)"
    PEER_REST[$name]="127.0.0.1:$(free_port)"
    if traces && [ -n "${PEER_ADDRESS[sink]:-}" ]; then tracing=(--otlp-endpoint "http://${PEER_ADDRESS[sink]}"); fi
    # shellcheck disable=SC2086 # WLP_BENCH_SERVE is a list of arguments
    start "$name" "$address" env TOKIO_WORKER_THREADS=2 "$BIN/wlp" serve "$MODELS" --grpc "$address" --rest "${PEER_REST[$name]}" \
        --metrics "127.0.0.1:$(free_port)" --max-batch "$rows" --instances "$SESSIONS" --provider "$PROVIDER" \
        "${tracing[@]}" "$@" ${WLP_BENCH_SERVE:-}
}

# Whether `wlp serve` can send spans.
traces() { "$BIN/wlp" serve --help 2>/dev/null | grep -q -- --otlp-endpoint; }

start_floor() {
    local address
    address="127.0.0.1:$(free_port)"
    start floor "$address" "$BIN/bench-floor" "$MODELS"/*.onnx --listen "$address" --sessions "$SESSIONS" --provider "$PROVIDER"
}

start_noop() {
    local address
    address="127.0.0.1:$(free_port)"
    start noop "$address" "$BIN/bench-floor" --noop --listen "$address"
}

start_mlserver() {
    local address folder="$WORK/mlserver" grpc model
    grpc=$(free_port)
    address="127.0.0.1:$grpc"
    mkdir -p "$folder"
    for model in mlp resnetish identity; do
        mkdir -p "$folder/$model"
        printf '{"name": "%s", "implementation": "mlserver_ort.OnnxFile", "parameters": {"uri": "%s"}}\n' \
            "$model" "$MODELS/$model.onnx" >"$folder/$model/model-settings.json"
    done
    printf '{"host": "127.0.0.1", "http_port": %s, "grpc_port": %s, "metrics_port": %s, "parallel_workers": 0, "debug": false, "grpc_max_message_length": %s}\n' \
        "$(free_port)" "$grpc" "$(free_port)" $((64 << 20)) >"$folder/settings.json"
    start mlserver "$address" env PYTHONPATH="$BENCH/peers" "$WLP_BENCH_MLSERVER/bin/mlserver" start "$folder"
}

start_kserve() {
    local address grpc
    grpc=$(free_port)
    address="127.0.0.1:$grpc"
    start kserve "$address" "$WLP_BENCH_KSERVE/bin/python" "$BENCH/peers/kserve_ort.py" \
        --grpc-port "$grpc" --http-port "$(free_port)" "$MODELS"/{mlp,resnetish,identity}.onnx
}

start_triton() {
    local address packages server repository="$WORK/triton" backends="$WORK/triton-backends"
    address="127.0.0.1:$(free_port)"
    packages=$("$WLP_BENCH_TRITON/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    server="$packages/pytriton/tritonserver"
    mkdir -p "$backends"
    ln -sfn "${WLP_BENCH_TRITON_BACKENDS:-$WLP_BENCH_TRITON/backends}/onnxruntime" "$backends/onnxruntime"
    triton_model "$repository" mlp 64 10
    triton_model "$repository" resnetish "3, 64, 64" 100
    triton_model "$repository" identity -1 -1
    start triton "$address" env LD_LIBRARY_PATH="$packages/nvidia_pytriton.libs:$(python_libraries):${LD_LIBRARY_PATH:-}" \
        "$server/bin/tritonserver" --model-repository "$repository" --backend-directory "$backends" \
        --grpc-address 127.0.0.1 --grpc-port "${address##*:}" --http-address 127.0.0.1 --http-port "$(free_port)" \
        --metrics-address 127.0.0.1 --metrics-port "$(free_port)"
}

# triton_model REPOSITORY NAME INPUT-DIMENSIONS OUTPUT-DIMENSIONS: dynamic batching of up to 64 rows, no delay.
triton_model() {
    local kind=KIND_CPU
    if [ "$PROVIDER" != cpu ]; then kind=KIND_GPU; fi
    mkdir -p "$1/$2/1"
    cp "$MODELS/$2.onnx" "$1/$2/1/model.onnx"
    cat >"$1/$2/config.pbtxt" <<PBTXT
name: "$2"
backend: "onnxruntime"
max_batch_size: 64
input [ { name: "X" data_type: TYPE_FP32 dims: [ $3 ] } ]
output [ { name: "Y" data_type: TYPE_FP32 dims: [ $4 ] } ]
instance_group [ { kind: $kind count: $SESSIONS } ]
dynamic_batching { }
parameters { key: "intra_op_thread_count" value: { string_value: "1" } }
PBTXT
}

# Where the shared library of Triton's Python is.
python_libraries() {
    "$WLP_BENCH_TRITON/bin/python" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))'
}

# install_peer NAME: sets WLP_BENCH_MLSERVER or WLP_BENCH_KSERVE to an environment with the pinned packages.
install_peer() {
    local name=$1 requirements="$BENCH/peers/requirements-$1.txt" folder variable="WLP_BENCH_${1^^}"
    folder="${WLP_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/wlp}/bench-$name-$(sha256sum "$requirements" | cut -c1-12)"
    if [ ! -e "$folder/complete" ]; then
        rm -rf "$folder"
        "${PYTHON:-python3}" -m venv "$folder"
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" >&2
        touch "$folder/complete"
    fi
    export "$variable=$folder"
}
