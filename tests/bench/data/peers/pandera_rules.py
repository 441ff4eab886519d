"""The rules of the bench as pandera checks them over a polars table: no profile, the checks alone."""

import json
import sys

import pandera.polars as pandera
import polars

EMAIL = r"^[A-Za-z0-9._]+@[A-Za-z0-9-]+\.[a-z]+$"

table = polars.read_parquet(sys.argv[1])
within, listed = pandera.Check.in_range, pandera.Check.isin
columns = {
    "num_unif": pandera.Column(checks=within(0, 1)),
    "score": pandera.Column(checks=within(0, 1)),
    "num_int_small": pandera.Column(checks=pandera.Check.ge(0)),
    "label": pandera.Column(checks=listed([0, 1])),
    "cat_low_0": pandera.Column(checks=listed(["a", "b", "c", "d"]), nullable=True),
    "cat_low_1": pandera.Column(checks=listed(["F", "M", "X"])),
    "cat_high": pandera.Column(checks=pandera.Check.str_length(1, 12)),
    "email": pandera.Column(checks=pandera.Check.str_matches(EMAIL)),
}
for name in table.columns:
    if name.startswith("num_") and name not in columns:
        columns[name] = pandera.Column(checks=within(-1000, 1e8), nullable=True)
failures = None
try:
    pandera.DataFrameSchema(columns, unique=["id", "email", "ts"]).validate(table, lazy=True)
except pandera.errors.SchemaErrors as error:
    failures = error.failure_cases
emails = 0 if failures is None else failures.filter(polars.col("column") == "email").height
print(json.dumps({"n": table.height, "bad_email": emails}))
