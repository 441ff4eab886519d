"""Writes the tables of the data bench: the same rows for the same arguments, on every machine.

    python generate.py profile FILE ROWS    20 columns: 3 % of num_norm_0 missing, 1 % of the e-mails none, 0.8 % of the rows twice
    python generate.py keyed FOLDER ROWS    before.parquet and after.parquet: a thousandth removed, added and changed
    python generate.py long FILE ROWS       3 columns, written piece by piece: memory stays small whatever ROWS is
"""

import pathlib
import sys

import numpy
import pyarrow
import pyarrow.parquet

SEED = 20_261_126
DAY = 86_400_000_000
GROUP = 131_072


def gaps(random, values, share):
    return pyarrow.array(values, mask=random.random(len(values)) < share)


def columns(random, rows, first):
    """Twenty columns of rows numbered from `first`."""
    made = {"id": pyarrow.array(numpy.arange(first, first + rows, dtype=numpy.int64))}
    for at in range(3):
        made[f"num_norm_{at}"] = gaps(random, random.standard_normal(rows), 0.03)
    for at in range(2):
        made[f"num_gamma_{at}"] = gaps(random, random.gamma(2.0, 1.0, rows), 0.02)
    made["num_lognorm"] = gaps(random, random.lognormal(3.0, 1.0, rows), 0.01)
    made["num_unif"] = pyarrow.array(random.random(rows))
    made["num_int_small"] = pyarrow.array(random.poisson(4, rows).astype(numpy.int32))
    made["num_int_big"] = gaps(random, random.integers(0, 10_000_000, rows), 0.05)
    far = random.standard_normal(rows)
    far[random.random(rows) < 0.001] *= 50
    made["num_outlier"] = pyarrow.array(far)
    made["score"] = pyarrow.array(1 / (1 + numpy.exp(-0.8 * random.standard_normal(rows) - 0.2)))
    letters = numpy.array(["a", "b", "c", "d"])
    made["cat_low_0"] = gaps(random, random.choice(letters, rows, p=[0.5, 0.3, 0.15, 0.05]), 0.02)
    made["cat_low_1"] = pyarrow.array(random.choice(numpy.array(["F", "M", "X"]), rows, p=[0.49, 0.49, 0.02]))
    weights = 1 / numpy.arange(1, 101)
    levels = numpy.array([f"L{level:03d}" for level in range(100)])
    made["cat_mid"] = gaps(random, random.choice(levels, rows, p=weights / weights.sum()), 0.04)
    made["cat_high"] = pyarrow.array([f"u{one}" for one in random.integers(0, 200_000, rows)])
    made["flag"] = pyarrow.array(random.random(rows) < 0.3)
    domains = random.choice(numpy.array(["example.com", "mail.org", "bad domain"]), rows, p=[0.6, 0.39, 0.01])
    people = random.integers(0, 900_000, rows)
    made["email"] = pyarrow.array([f"user{one}@{domain}" for one, domain in zip(people, domains)])
    made["label"] = pyarrow.array((random.random(rows) < 0.35).astype(numpy.int8))
    times = numpy.datetime64("2026-10-01", "us").astype(numpy.int64) + (random.random(rows) * 20 * DAY).astype(numpy.int64)
    made["ts"] = pyarrow.array(times, type=pyarrow.timestamp("us"))
    return pyarrow.table(made)


def profile(path, rows):
    random = numpy.random.default_rng(SEED)
    table = columns(random, rows, 0)
    order = numpy.arange(rows)
    twice = random.choice(rows, rows * 8 // 1000, replace=False)
    order[twice] = random.integers(0, rows, len(twice))
    pyarrow.parquet.write_table(table.take(pyarrow.array(order)), path, row_group_size=GROUP)


def keyed(folder, rows):
    random = numpy.random.default_rng(SEED + 1)
    before = columns(random, rows, 0)
    few = max(rows // 1000, 1)
    score = before["score"].to_numpy().copy()
    score[random.choice(numpy.arange(few, rows), few, replace=False)] += 1
    at = before.schema.get_field_index("score")
    kept = before.set_column(at, "score", pyarrow.array(score)).slice(few)
    after = pyarrow.concat_tables([kept, columns(random, few, rows)])
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    # the order of the rows says nothing
    after = after.take(pyarrow.array(random.permutation(after.num_rows)))
    for name, table in (("before", before), ("after", after)):
        pyarrow.parquet.write_table(table, f"{folder}/{name}.parquet", row_group_size=GROUP)


def long(path, rows):
    random = numpy.random.default_rng(SEED + 2)
    levels = numpy.array([f"L{level:03d}" for level in range(100)])
    schema = pyarrow.schema([("id", pyarrow.int64()), ("x", pyarrow.float64()), ("c", pyarrow.string())])
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for first in range(0, rows, 1_000_000):
            count = min(1_000_000, rows - first)
            numbers = numpy.arange(first, first + count)
            x = numpy.round(random.standard_normal(count), 3)
            c = levels[random.integers(0, 100, count)]
            # the first thousand rows of each piece are those of the file
            again = min(1000, count)
            numbers[:again], x[:again], c[:again] = numpy.arange(again), 1.0, "L000"
            writer.write_table(pyarrow.table([numbers, x, c], schema=schema), row_group_size=GROUP)


if __name__ == "__main__":
    what = {"profile": profile, "keyed": keyed, "long": long}.get(sys.argv[1] if len(sys.argv) == 4 else "")
    if what is None:
        sys.exit(__doc__)
    what(sys.argv[2], int(sys.argv[3]))
