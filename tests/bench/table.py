"""Makes the tables of a run of serving.sh from its results.jsonl.

    python table.py RESULTS            medians over the rounds as Markdown
    python table.py --check RESULTS    ends with 1 if an answer was wrong or missing, and says which
    python table.py --machine ...      a line of JSON about this machine, to begin results.jsonl with
"""

import argparse
import collections
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

CALLERS = (1, 8, 64)


class Results:
    """Medians over the rounds of what one run measured."""

    def __init__(self, lines):
        self.machine = next((line for line in lines if line["kind"] == "machine"), {})
        self.loads = [line for line in lines if line["kind"] == "load"]
        self._cells, self._limits = collections.defaultdict(list), collections.defaultdict(list)
        for line in self.loads:
            self._cells[line["label"], line["model"], line["shape"], line["concurrency"]].append(line)
        for line in lines:
            if line["kind"] == "limit":
                self._limits[line["model"], line["rows"]].append(line)

    def shapes(self, model):
        shapes = {shape for _, name, shape, _ in self._cells if name == model}
        return sorted(shapes, key=lambda shape: [int(size) for size in shape.split(",")])

    def peers(self, model):
        """In the order of the first cell's name, ours and the floor before others."""
        first = ["wlp", "wlp-alone", "floor", "noop"]
        found = {peer for peer, name, _, _ in self._cells if name == model}
        return [peer for peer in first if peer in found] + sorted(found - set(first))

    def of(self, peer, model, callers, what, shape=None):
        """The median of a number; none where it was not measured."""
        shapes = [shape] if shape else self.shapes(model)
        lines = [line for one in shapes for line in self._cells.get((peer, model, one, callers), [])]
        return median(line.get(what) for line in lines)

    def batches(self, model):
        return sorted(rows for name, rows in self._limits if name == model)

    def limit(self, model, rows, what):
        return median(line[what] for line in self._limits[model, rows])


def median(numbers):
    numbers = [number for number in numbers if number is not None]
    return statistics.median(numbers) if numbers else None


def ratio(above, below):
    return None if above is None or not below else above / below


def shown(number, digits=0):
    return "-" if number is None else f"{number:,.{digits}f}"


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cells(results, model):
    """Each peer by callers: requests a second, latency, CPU, and the floor's part in them."""
    head = ["peer", "callers", "requests/s", "x floor", "p50 us", "x floor", "p99 us", "p99.9 us"]
    head += ["server CPU us", "x floor", "client CPU us"]
    rows = []
    for peer in results.peers(model):
        for callers in CALLERS:
            def of(what, peer=peer, callers=callers):
                return results.of(peer, model, callers, what)

            def to_floor(what, of=of, callers=callers):
                return shown(ratio(of(what), results.of("floor", model, callers, what)), 2)

            if of("requests_s") is None:
                continue
            rate, p50, cpu = "requests_s", "p50_us", "server_cpu_us"
            row = [peer, str(callers), shown(of(rate)), to_floor(rate), shown(of(p50)), to_floor(p50)]
            row += [shown(of("p99_us")), shown(of("p99_9_us")), shown(of(cpu), 1), to_floor(cpu)]
            rows.append([*row, shown(of("client_cpu_us"), 1)])
    return table(head, rows)


def payloads(results):
    """One caller, one tensor there and back."""
    head = ["payload", "peer", "requests/s", "MB/s each way", "p50 us", "server CPU us", "x floor"]
    rows = []
    for shape in results.shapes("identity"):
        size = int(shape) * 4
        for peer in results.peers("identity"):
            def of(what, peer=peer, shape=shape):
                return results.of(peer, "identity", 1, what, shape)

            rate, cpu = of("requests_s"), of("server_cpu_us")
            if rate is None:
                continue
            floor = ratio(cpu, results.of("floor", "identity", 1, "server_cpu_us", shape))
            name = f"{size // 1024} KiB" if size < 1 << 20 else f"{size >> 20} MiB"
            row = [name, peer, shown(rate, 1), shown(rate * size / 1e6, 1), shown(of("p50_us"))]
            rows.append([*row, shown(cpu, 1), shown(floor, 2)])
    return table(head, rows)


def limits(results):
    head = ["model", "rows in a run", "rows/s", "p50 us", "CPU us a row"]
    rows = []
    for model in ("mlp", "resnetish"):
        for batch in results.batches(model):
            rate, p50, cpu = (results.limit(model, batch, what) for what in ("rows_s", "p50_us", "cpu_us_row"))
            rows.append([model, str(batch), shown(rate), shown(p50), shown(cpu, 1)])
    return table(head, rows)


def targets(results):
    """What is asked for: (sentence, measured, holds)."""
    def of(peer, model, callers, what):
        return results.of(peer, model, callers, what)

    def against(peer, callers, what):
        return ratio(of("wlp", "mlp", callers, what), of(peer, "mlp", callers, what))

    def added(what):
        with_batches, alone = of("wlp", "mlp", 1, what), of("wlp-alone", "mlp", 1, what)
        return None if with_batches is None or alone is None else with_batches - alone

    bare = max((results.limit("resnetish", rows, "rows_s") for rows in results.batches("resnetish")), default=None)
    at_most, at_least = (lambda a, b: a <= b), (lambda a, b: a >= b)
    asked = [
        ("mlp, 1 caller: server CPU, x floor", against("floor", 1, "server_cpu_us"), "at most", 1.25, at_most),
        ("mlp, 1 caller: p50, x floor", against("floor", 1, "p50_us"), "at most", 1.2, at_most),
        ("mlp, 1 caller: server CPU, x MLServer", against("mlserver", 1, "server_cpu_us"), "at most", 0.2, at_most),
        ("mlp, 1 caller: server CPU, x KServe", against("kserve", 1, "server_cpu_us"), "at most", 0.2, at_most),
        ("mlp, 64 callers: requests/s, x floor", against("floor", 64, "requests_s"), "at least", 1.2, at_least),
        ("mlp, 64 callers: server CPU us", of("wlp", "mlp", 64, "server_cpu_us"), "at most", 30, at_most),
        ("batching adds for 1 caller, p50 us", added("p50_us"), "at most", 5, at_most),
        ("batching adds for 1 caller, server CPU us", added("server_cpu_us"), "at most", 5, at_most),
        (
            "resnetish, 64 callers: rows/s, x bare ONNX Runtime",
            ratio(of("wlp", "resnetish", 64, "rows_s"), bare),
            "at least",
            0.98,
            at_least,
        ),
    ]
    rows = []
    for sentence, measured, word, bound, holds in asked:
        verdict = "not measured" if measured is None else "yes" if holds(measured, bound) else "no"
        rows.append([sentence, shown(measured, 2), f"{word} {bound}", verdict])
    return table(["what", "measured", "asked", "holds"], rows)


def report(results):
    machine = results.machine
    load = [float(line["load_average"].split()[0]) for line in results.loads]
    first = ", ".join(f"{key} {value}" for key, value in machine.items() if key != "kind")
    parts = [first]
    if load:
        parts.append(f"Load average over a minute, before each cell: {min(load)} to {max(load)}.")
    parts += ["### Asked for", targets(results)]
    for model in ("mlp", "resnetish"):
        parts += [f"### {model}", cells(results, model)]
    if results.shapes("identity"):
        parts += ["### Payloads, 1 caller", payloads(results)]
    parts += ["### ONNX Runtime alone", limits(results)]
    return "\n\n".join(parts)


def faults(results):
    """Cells with wrong or missing answers."""
    found = []
    for line in results.loads:
        if line["mismatches"] or line["errors"] or not line["answered"]:
            cell = f"{line['label']} {line['model']} {line['shape']} {line['concurrency']}"
            what = f"{line['answered']} answered, {line['mismatches']} wrong, errors {line['errors']} {line['error'] or ''}"
            found.append(f"{cell}: {what}")
    return found


def machine(rounds, provider, tracing):
    """What a reader must know to compare."""
    processors = [
        line.split(":", 1)[1].strip()
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    here = pathlib.Path(__file__).parent
    commit = subprocess.run(
        ["git", "-C", here, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return {
        "kind": "machine",
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processor": processors[0] if processors else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "commit": commit.stdout.strip() or "unknown",
        "rounds": rounds,
        "provider": provider,
        "sampled tracing": tracing,
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("results", nargs="?", type=pathlib.Path)
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("--machine", action="store_true")
    arguments.add_argument("--rounds", type=int)
    arguments.add_argument("--provider")
    arguments.add_argument("--tracing")
    given = arguments.parse_args()
    if given.machine:
        print(json.dumps(machine(given.rounds, given.provider, given.tracing)))
        return
    if given.results is None:
        arguments.error("name a results.jsonl")
    results = Results([json.loads(line) for line in given.results.read_text().splitlines()])
    if not given.check:
        print(report(results))
        return
    found = faults(results)
    if found or not results.loads:
        sys.exit("\n".join(found) or "nothing was measured")


if __name__ == "__main__":
    main()
