# The stages that build: format, lints, binaries, ONNX Runtime, tests. One profile for all of them. Sourced by tests/run.
# shellcheck shell=bash

stage_format() { cargo fmt --all -- --check; }

# The standard lints are errors; the pedantic ones are advice while one works.
stage_lint() { cargo clippy --release --workspace --all-targets -- -D warnings -A clippy::pedantic; }

# Only where it is asked for by name: Ballista takes long to compile, and nothing that is built by default has it.
stage_cluster() { cargo test --release --manifest-path cluster/Cargo.toml; }

# The process tests start these binaries; cargo test alone does not build the binaries of other packages.
stage_build() {
    cargo build --release --workspace --bins || return 1
    WLP_TEST_BIN_DIR="$(target_folder)/release"
    export WLP_TEST_BIN_DIR
}

target_folder() {
    cargo metadata --format-version 1 --no-deps | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])'
}

# Prints the path of the library as its last line.
stage_runtime() {
    if [ -n "${ORT_DYLIB_PATH:-}" ]; then
        say "ONNX Runtime: ORT_DYLIB_PATH is set"
        return 0
    fi
    local library
    library=$(cargo run --quiet --release -p wlp -- runtime install | tee /dev/stderr | tail -1) || return 1
    if [ ! -f "$library" ]; then missing "ONNX Runtime: 'wlp runtime install' did not end with the path of the library"; return; fi
    export ORT_DYLIB_PATH="$library"
}

# All tests of all crates: rules, services, scenarios, processes, clients, foreign models and data.
stage_test() {
    export WLP_TEST_METRICS="$WORK/metrics.txt"
    # Their tests pass without a look where there is nothing to look at, and what passes prints nothing.
    [ -d ../shared ] || note "no ../shared: nothing was tested of golden numbers, foreign models and foreign data"
    cargo test --release --workspace --no-fail-fast || return 1
    if [ -z "${WLP_TEST_PYTHON:-}" ]; then missing "Python environment"; return; fi
    "$WLP_TEST_PYTHON" -m pytest -q -p no:cacheprovider -k real_scrape tests/deploy
}
