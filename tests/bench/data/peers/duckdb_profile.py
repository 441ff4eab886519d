"""The profile as DuckDB makes it: SUMMARIZE of every column, the most frequent values, the rules of the bench, equal rows."""

import json
import sys

import duckdb

EMAIL = r"[A-Za-z0-9._]+@[A-Za-z0-9-]+\.[a-z]+"

file = sys.argv[1]
database = duckdb.connect()
database.execute("set threads = 2")
summary = database.execute(f"summarize select * from '{file}'").fetchall()
texts = [row[0] for row in summary if row[1] == "VARCHAR"]
names = [row[0] for row in summary]
tops = ", ".join(f"approx_top_k({name}, 10)" for name in texts)
database.execute(f"select {tops} from '{file}'").fetchall()
rows, missing, emails = database.execute(
    f"select count(*), count(*) - count(num_norm_0), count(*) filter (not regexp_full_match(email, '{EMAIL}')), "
    "count(*) filter (cat_low_1 not in ('F', 'M', 'X')), count(*) filter (score not between 0 and 1) "
    f"from '{file}'"
).fetchone()[:3]
hashed = f"select hash({', '.join(names)}) as row from '{file}'"
(different,) = database.execute(f"select count(distinct row) from ({hashed})").fetchone()
print(json.dumps({"n": rows, "null_norm0": missing, "bad_email": emails, "dups": rows - different}))
