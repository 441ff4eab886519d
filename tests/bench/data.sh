#!/usr/bin/env bash
# Measures the profile of a file, the difference of two tables and a long table beside what other tools take for the same:
# all in one run, by turns, in random order within each round. Writes results.jsonl and results.md (medians).
#
#   tests/bench/data.sh                       generates the tables, three rounds of all
#   tests/bench/data.sh FILE.parquet          the profile of this file, which has the columns that data/generate.py writes
#   tests/bench/data.sh --rounds 5 --out DIR
#   tests/bench/data.sh --rows 100000 --long 1000000   smaller tables
#   tests/bench/data.sh --only 'profile (wlp|duckdb)'  the cells that fit
#
# WLP_BENCH_BIN     folder of the built examples (profile, diff); without it they are built
# WLP_BENCH_PYTHON  a Python with data/requirements.txt; without it an environment is made in the output folder
# WLP_BENCH_THREADS threads of ours, default 2 as the others have
#
# Ends with 1 if a tool fails, or if two tools count otherwise.
set -euo pipefail
BENCH=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

ROUNDS=3 ROWS=1000000 LONG=100000000 OUT='' ONLY=. FILE='' THREADS=${WLP_BENCH_THREADS:-2}

say() { printf '%s\n' "$*" >&2; }
fail() { say "$(basename "$0"): $*"; exit 1; }

while [ $# -gt 0 ]; do
    case $1 in
        --rounds) ROUNDS=${2:?}; shift 2 ;;
        --rows) ROWS=${2:?}; shift 2 ;;
        --long) LONG=${2:?}; shift 2 ;;
        --out) OUT=${2:?}; shift 2 ;;
        --only) ONLY=${2:?}; shift 2 ;;
        -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        -*) fail "there is no argument $1 (see --help)" ;;
        *) FILE=$1; shift ;;
    esac
done

OUT=${OUT:-$(mktemp -d "${TMPDIR:-/tmp}/wlp-data-results.XXXXXX")}
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/wlp-data.XXXXXX")
trap 'rm -rf "$WORK"' EXIT

# Sets BIN: the two examples, built if nobody gives them.
BIN=${WLP_BENCH_BIN:-}
if [ -z "$BIN" ]; then
    root=$(cd "$BENCH/../.." && pwd)
    (cd "$root" && cargo build --release -p tabular --examples) >&2
    BIN=$(cd "$root" && cargo metadata --format-version 1 --no-deps \
        | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/release/examples
fi
for program in profile diff; do [ -x "$BIN/$program" ] || fail "there is no program $program in $BIN"; done

PYTHON=${WLP_BENCH_PYTHON:-}
if [ -z "$PYTHON" ]; then
    PYTHON="$OUT/venv/bin/python"
    [ -x "$PYTHON" ] || python3 -m venv "$OUT/venv"
    "$PYTHON" -m pip install --quiet --requirement "$BENCH/data/requirements.txt"
fi

fits() { [[ $1 =~ $ONLY ]]; }
CELLS=()
cell() { if fits "$1"; then CELLS+=("$1=$2"); fi; }
quoted() { printf '%q' "$1"; }
python() { printf '%q %q' "$PYTHON" "$BENCH/data/peers/$1"; }

FILE=${FILE:-$WORK/profile.parquet}
cell 'profile wlp' "$(quoted "$BIN/profile") $(quoted "$FILE") $THREADS bench"
cell 'profile duckdb' "$(python duckdb_profile.py) $(quoted "$FILE")"
cell 'profile polars' "$(python polars_profile.py) $(quoted "$FILE")"
cell 'profile great_expectations' "$(python expectations.py) $(quoted "$FILE")"
cell 'profile pandera, rules alone' "$(python pandera_rules.py) $(quoted "$FILE")"
cell 'diff wlp' "$(quoted "$BIN/diff") $(quoted "$WORK/keyed/before.parquet") $(quoted "$WORK/keyed/after.parquet") id"
cell 'diff duckdb, a join alone' "$(python duckdb_diff.py) $(quoted "$WORK/keyed/before.parquet") $(quoted "$WORK/keyed/after.parquet")"
cell 'long wlp' "$(quoted "$BIN/profile") $(quoted "$WORK/long.parquet") $THREADS bench"
[ ${#CELLS[@]} -gt 0 ] || fail "no cell fits --only '$ONLY'"

asked=$(printf '%s\n' "${CELLS[@]}")
if [ ! -f "$FILE" ] && grep -q '^profile ' <<<"$asked"; then
    say "generating $ROWS rows of 20 columns"
    "$PYTHON" "$BENCH/data/generate.py" profile "$FILE" "$ROWS"
fi
if grep -q '^diff ' <<<"$asked"; then
    say "generating two keyed tables of $ROWS rows"
    "$PYTHON" "$BENCH/data/generate.py" keyed "$WORK/keyed" "$ROWS"
fi
if grep -q '^long ' <<<"$asked"; then
    say "generating $LONG rows of 3 columns"
    "$PYTHON" "$BENCH/data/generate.py" long "$WORK/long.parquet" "$LONG"
fi

"$PYTHON" "$BENCH/data/measure.py" "$ROUNDS" "$OUT/results.jsonl" "${CELLS[@]}" | tee "$OUT/results.md"
say "written: $OUT/results.jsonl, $OUT/results.md"
