"""Says whether memory is flat in what soak.sh measured; ends with 1 if it is not, or if an answer was wrong or missing.

Flat: after the first half, in which caches and the allocator's arenas fill, the line of least squares through the memory
that belongs to no file rises by less than 5 % of its level, and less than 8 MiB where that is more.

usage: python soak.py CHURN.jsonl CONSTANT.jsonl
"""

import json
import pathlib
import statistics
import sys

SHARE, KIB = 0.05, 8 * 1024


def rise(points):
    """How far the line through the second half of (x, KiB) rises over that half, and its level."""
    half = points[len(points) // 2 :]
    if len(half) < 3:
        sys.exit(f"{len(points)} measurements are too few to see a trend")
    xs, ys = zip(*half)
    slope = statistics.linear_regression(xs, ys).slope
    return slope * (xs[-1] - xs[0]), statistics.mean(ys)


def verdict(what, points, unit):
    rises, level = rise(points)
    flat = rises < max(SHARE * level, KIB)
    cells = [what, f"{points[0][1] / 1024:.1f}", f"{points[-1][1] / 1024:.1f}"]
    cells += [f"{rises / 1024:+.2f} MiB in {points[-1][0] - points[len(points) // 2][0]:,.0f} {unit}"]
    print("| " + " | ".join([*cells, "yes" if flat else "no"]) + " |")
    return flat


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    churn, constant = ([json.loads(line) for line in pathlib.Path(path).read_text().splitlines()] for path in sys.argv[1:])
    print("| over | first MiB | last MiB | second half rises | flat |\n| --- | ---: | ---: | ---: | --- |")
    cycles = [(line["cycle"], line["anonymous_kib"]) for line in churn]
    answered, total = [], 0
    for line in constant:
        total += line["answered"]
        answered.append((total, line["anonymous_kib"][1]))
    flat = [
        verdict(f"{cycles[-1][0]:,} loads and unloads", cycles, "cycles"),
        verdict(f"{total:,} requests", answered, "requests"),
    ]
    bad = [line for line in constant if line["mismatches"] or line["errors"]]
    for line in bad:
        print(f"{line['mismatches']} wrong answers, errors {line['errors']} {line['error'] or ''}")
    sys.exit(0 if all(flat) and not bad else 1)


if __name__ == "__main__":
    main()
