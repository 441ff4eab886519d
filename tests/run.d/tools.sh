# Tools from the registries: a Python virtual environment and buf. Also the stages that need only these.
# Sourced by tests/run; exports WLP_TEST_PYTHON (the environment's interpreter) and WLP_TEST_PERF_ANALYZER (a program).
# shellcheck shell=bash

TOOLS_FOLDER=tests/run.d/npm
PERF_ANALYZER=tests/run.d/perf_analyzer.txt

stage_tools() {
    local state=0
    python_environment || missing "Python environment: python3 with venv, and the packages of tests/requirements.txt" || state=1
    croissant_environment || missing "Croissant's reference implementation: the packages of tests/requirements-croissant.txt" || state=1
    node_tools || missing "buf and the compose schema: npm, and the packages of $TOOLS_FOLDER/package.json" || state=1
    promtool_tool || missing "promtool: Debian's package prometheus" || state=1
    perf_analyzer_tool || missing "perf_analyzer: an x86-64 host, the wheels of $PERF_ANALYZER, and Debian's package libb64-0d" || state=1
    return $state
}

python_environment() {
    ENVIRONMENT=
    virtual_environment python tests/requirements.txt --only-binary :all: || return 1
    export WLP_TEST_PYTHON="$ENVIRONMENT/bin/python"
    say "python: $("$WLP_TEST_PYTHON" --version) in $ENVIRONMENT"
}

# Apart, because it brings a data frame library and more with it. Some of its packages come as source, all of them pure Python.
croissant_environment() {
    ENVIRONMENT=
    virtual_environment croissant tests/requirements-croissant.txt || return 1
    export WLP_TEST_CROISSANT="$ENVIRONMENT/bin/python"
    say "croissant: $("$WLP_TEST_CROISSANT" -m pip show mlcroissant 2>/dev/null | sed -n 's/^Version: //p') in $ENVIRONMENT"
}

# virtual_environment NAME REQUIREMENTS [OPTION of pip ...]: sets ENVIRONMENT. One per content of the requirements file; one whose
# install broke off is made anew.
virtual_environment() {
    local name=$1 requirements=$2 digest folder python=${PYTHON:-python3}
    shift 2
    command -v "$python" >/dev/null || return 1
    digest=$({ cat "$requirements"; "$python" -VV; } | sha256sum | cut -c1-12)
    folder="$WLP_CACHE_DIR/$name-$digest"
    if [ ! -e "$folder/complete" ]; then
        rm -rf "$folder"
        mkdir -p "$WLP_CACHE_DIR"
        "$python" -m venv "$folder" || return 1
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@" -r "$requirements" || return 1
        touch "$folder/complete"
    fi
    ENVIRONMENT=$folder
}

node_tools() {
    local digest folder
    command -v npm >/dev/null || return 1
    digest=$(cat $TOOLS_FOLDER/package.json | sha256sum | cut -c1-12)
    folder="$WLP_CACHE_DIR/npm-$digest"
    if [ ! -e "$folder/complete" ]; then
        rm -rf "$folder"
        mkdir -p "$folder"
        cp $TOOLS_FOLDER/package.json "$folder/"
        (cd "$folder" && npm install --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error) || return 1
        touch "$folder/complete"
    fi
    export WLP_TEST_NODE_MODULES="$folder/node_modules"
    BUF="$WLP_TEST_NODE_MODULES/.bin/buf"
    say "buf: $("$BUF" --version) in $folder"
}

# Unpacked, not installed: the package would start a server.
promtool_tool() {
    local folder="$WLP_CACHE_DIR/promtool"
    if command -v promtool >/dev/null; then
        WLP_TEST_PROMTOOL=$(command -v promtool)
    else
        if [ ! -x "$folder/usr/bin/promtool" ]; then
            command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
            if ! apt-cache show prometheus >/dev/null 2>&1; then apt-get -qq update >/dev/null 2>&1; fi
            rm -rf "$folder"
            mkdir -p "$folder" "$WORK/promtool"
            (cd "$WORK/promtool" && chmod 777 . && apt-get -qq download prometheus >/dev/null 2>&1 && dpkg -x prometheus_*.deb "$folder") || return 1
        fi
        WLP_TEST_PROMTOOL="$folder/usr/bin/promtool"
    fi
    export WLP_TEST_PROMTOOL
    say "promtool: $("$WLP_TEST_PROMTOOL" --version 2>&1 | head -1)"
}

# From wheels and a package that are unpacked, not installed: its libraries are not on the host. Made aside, as above.
perf_analyzer_tool() {
    local digest folder parts="$WORK/perf-analyzer" python=${WLP_TEST_PYTHON:-${PYTHON:-python3}}
    digest=$(sha256sum <$PERF_ANALYZER | cut -c1-12)
    folder="$WLP_CACHE_DIR/perf-analyzer-$digest"
    if [ ! -e "$folder/complete" ]; then
        command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
        if ! apt-cache show libb64-0d >/dev/null 2>&1; then apt-get -qq update >/dev/null 2>&1; fi
        rm -rf "$folder"
        mkdir -p "$folder" "$parts"
        chmod 777 "$parts"
        "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
            --dest "$parts" -r $PERF_ANALYZER || return 1
        (cd "$parts" && apt-get -qq download libb64-0d >/dev/null 2>&1) || return 1
        local part
        for part in "$parts"/*.whl; do "$python" -m zipfile -e "$part" "$folder" || return 1; done
        dpkg -x "$parts"/libb64-0d_*.deb "$folder" || return 1
        perf_analyzer_program "$folder" || return 1
        touch "$folder/complete"
    fi
    export WLP_TEST_PERF_ANALYZER="$folder/perf_analyzer"
    say "perf_analyzer: $("$WLP_TEST_PERF_ANALYZER" --version 2>&1 | head -1) in $folder"
}

# The program with its libraries, as one that can be started from anywhere.
perf_analyzer_program() {
    local folder=$1 program libraries
    program=$(echo "$folder"/tritonclient-*.data/data/bin/perf_analyzer)
    libraries=$(find "$folder" \( -name 'libcudart.so.*' -o -name 'libb64.so.*' \) -printf '%h:')
    [ -f "$program" ] && [ -n "$libraries" ] || return 1
    chmod +x "$program"
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "${libraries%:}" "$program" >"$folder/perf_analyzer"
    chmod +x "$folder/perf_analyzer"
    "$folder/perf_analyzer" --version >/dev/null 2>&1
}

stage_protos() {
    if [ -z "${BUF:-}" ]; then missing "buf"; return; fi
    if [ -z "$(git ls-files proto/wlp)" ]; then say "no proto files"; return 1; fi
    say "buf lint" && "$BUF" lint || return 1
    say "buf build" && "$BUF" build -o /dev/null || return 1
    breaking
}

# Against the newest commit that is older than what is checked out here: the parent, or HEAD where proto/ has changes on top.
breaking() {
    local against=HEAD~1
    if [ -n "$(git status --porcelain -- proto buf.yaml)" ]; then against=HEAD; fi
    if ! git rev-parse --verify -q "$against^{commit}" >/dev/null || ! git cat-file -e "$against:buf.yaml" 2>/dev/null \
        || [ -z "$(git ls-tree -r --name-only "$against" -- proto/wlp)" ]; then
        say "buf breaking: no earlier contracts to compare with"
        return 0
    fi
    mkdir -p "$WORK/protos-before"
    git archive "$against" -- buf.yaml proto | tar -x -C "$WORK/protos-before" || return 1
    say "buf breaking against $against" && "$BUF" breaking --against "$WORK/protos-before"
}

stage_deploy() {
    if [ -z "${WLP_TEST_PYTHON:-}" ]; then missing "Python environment"; return; fi
    # the scrape is there only after the process tests: stage_test runs this one
    "$WLP_TEST_PYTHON" -m pytest -q -p no:cacheprovider -k "not real_scrape" tests/deploy
}
