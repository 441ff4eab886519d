# Runs stages, counts what they counted, prints one line for each, and cleans up. Sourced by tests/run.
# shellcheck shell=bash

PASSED=0
FAILED=0
LINES=()
declare -A DONE=()

say() { printf '%s\n' "$*"; }

# One line, also beside the stage in the summary.
note() {
    say "$*"
    NOTE="${NOTE:+$NOTE; }$*"
}

# A tool that cannot be had: a failure under CI=true, else a stage that did less.
missing() {
    note "missing: $*"
    [ "${CI:-}" != true ]
}

# What a stage needs first. These run before its output is redirected, so that stages never nest.
declare -A NEEDS=([protos]=tools [deploy]=tools [test]="services tools build runtime")

# Adds up the closing lines of cargo test and pytest in a log; prints "passed failed", nothing if there is none.
counted() {
    awk '
        /^test result: / { for (i = 1; i <= NF; i++) { if ($i ~ /^passed/) p += $(i-1); if ($i ~ /^failed/) f += $(i-1) } seen = 1 }
        /^=* *[0-9]+ (passed|failed|error).* in [0-9.]+s/ {
            for (i = 1; i <= NF; i++) { if ($i ~ /^passed/) p += $(i-1); if ($i ~ /^(failed|errors?)/) f += $(i-1) } seen = 1 }
        END { if (seen) print p + 0, f + 0 }' "$1"
}

run_stage() {
    local stage=$1 log="$WORK/$1.log" other started code counts p f outcome
    [ -z "${DONE[$stage]:-}" ] || return 0
    for other in ${NEEDS[$stage]:-}; do run_stage "$other"; done
    DONE[$stage]=running
    NOTE=
    started=$(date +%s)
    say "--- $stage"
    # not in a pipe: a stage exports what later stages use
    exec 8>&1 9>&2
    exec > >(tee "$log") 2>&1
    local tee_pid=$!
    code=0
    for other in ${NEEDS[$stage]:-}; do
        if [ "${DONE[$other]}" != ok ]; then say "not run: $other failed"; code=1; fi
    done
    if [ $code -eq 0 ]; then "stage_$stage"; code=$?; fi
    exec 1>&8 2>&9 8>&- 9>&-
    wait "$tee_pid" 2>/dev/null
    counts=$(counted "$log")
    read -r p f <<<"${counts:-0 0}"
    if [ "$code" -eq 0 ] && [ "$f" -eq 0 ]; then
        outcome=ok
        [ "$p" -gt 0 ] || p=1
    else
        outcome=FAILED
        [ "$f" -gt 0 ] || f=1
    fi
    PASSED=$((PASSED + p))
    FAILED=$((FAILED + f))
    DONE[$stage]=$outcome
    LINES+=("$(printf '%-9s %-6s %5ds  %5d passed %4d failed  %s' "$stage" "$outcome" \
        "$(($(date +%s) - started))" "$p" "$f" "$NOTE")")
    say "${LINES[-1]}"
}

summary() {
    say ''
    say "stage     result  time"
    printf '%s\n' "${LINES[@]}"
    say ''
    say "$PASSED passed, $FAILED failed"
    [ "$FAILED" -eq 0 ]
    exit
}

finish() {
    local code=$?
    trap - EXIT
    if [ "$KEEP" = 1 ] && [ "$code" -eq 0 ]; then
        say "left running; stop with: $WORK/stop"
        exit 0
    fi
    stop_services
    rm -rf "$WORK"
    exit "$code"
}
