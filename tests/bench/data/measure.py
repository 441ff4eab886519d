"""Runs programs by turns, each in a process of its own, and writes what they took: user and system time, peak memory, time.

    python measure.py ROUNDS RESULTS.jsonl CELL...

A cell is NAME=COMMAND, the command in words as a shell has them. Within a round the cells come in random order. The last
line that a command prints is kept; where it is a JSON object, cells whose names begin with the same word must agree in every
member that both have. Prints a table of medians as Markdown. Ends with 1 if a command fails or answers differ.
"""

import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
# ru_maxrss is in kilobytes, but on macOS in bytes
UNIT = 1 if sys.platform == "darwin" else 1024


def run(name, command):
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begin = time.monotonic()
        process = subprocess.Popen(shlex.split(command), stdout=output, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - begin
        output.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            sys.exit(f"{name}: ended with {process.returncode}: {errors.read()[-2000:].decode(errors='replace')}")
        lines = output.read().decode().strip().splitlines()
    return {
        "name": name,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mib": used.ru_maxrss * UNIT / MIB,
        "wall_s": wall,
        "load": os.getloadavg()[0],
        "answer": lines[-1] if lines else "",
    }


def answer(line):
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def disagreements(results):
    seen = {}
    for one in results:
        for member, value in answer(one["answer"]).items():
            first = seen.setdefault((one["name"].split()[0], member), (value, one["name"]))
            if first[0] != value:
                yield f"{member}: {value} by {one['name']}, {first[0]} by {first[1]}"


def main():
    rounds, path, cells = int(sys.argv[1]), sys.argv[2], [cell.split("=", 1) for cell in sys.argv[3:]]
    order, results = random.Random(1), []
    with open(path, "w") as file:
        for at in range(rounds):
            print(f"round {at + 1} of {rounds}: {len(cells)} cells", file=sys.stderr)
            for name, command in order.sample(cells, len(cells)):
                results.append(run(name, command))
                file.write(json.dumps(results[-1]) + "\n")
                file.flush()
    print("| what | CPU seconds | least | peak MiB | seconds |\n| --- | ---: | ---: | ---: | ---: |")
    for name, _ in cells:
        own = [one for one in results if one["name"] == name]
        median = lambda key: statistics.median(one[key] for one in own)
        least = min(one["cpu_s"] for one in own)
        print(f"| {name} | {median('cpu_s'):.2f} | {least:.2f} | {median('peak_mib'):.0f} | {median('wall_s'):.2f} |")
    loads = [one["load"] for one in results]
    print(f"\n{os.cpu_count()} cores, load {min(loads):.1f} to {max(loads):.1f}, medians of {rounds} rounds")
    differ = sorted(set(disagreements(results)))
    print("\n".join(differ), file=sys.stderr)
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
