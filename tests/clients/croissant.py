"""Reads croissant.json of a folder with the reference implementation, checks and all; the last line is what it found, as JSON."""

import collections
import json
import pathlib
import subprocess
import sys

import mlcroissant

path = pathlib.Path(sys.argv[1]) / "croissant.json"
subprocess.run([pathlib.Path(sys.executable).parent / "mlcroissant", "validate", "--jsonld", path], check=True)

dataset = mlcroissant.Dataset(path)
issues = dataset.metadata.ctx.issues
sets = {}
for name in [one.uuid for one in dataset.metadata.record_sets]:
    rows, missing, sums = 0, collections.Counter(), collections.Counter()
    for record in dataset.records(name):
        rows += 1
        for field, value in record.items():
            if value is None:
                missing[field] += 1
            elif not isinstance(value, (bytes, str)) and not hasattr(value, "year"):
                sums[field] += float(value)
    sets[name] = {"rows": rows, "missing": missing, "sums": sums, "fields": sorted(record)}
found = {
    "errors": sorted(map(str, issues.errors)),
    "warnings": sorted(map(str, issues.warnings)),
    "version": dataset.metadata.version,
    "conforms_to": str(dataset.metadata.ctx.conforms_to),
    "biases": dataset.metadata.data_biases,
    "sets": sets,
}
print(json.dumps(found))
