"""The difference of two keyed tables as DuckDB makes it: a full join on the key, each column compared."""

import json
import sys

import duckdb

before, after = sys.argv[1:3]
database = duckdb.connect()
database.execute("set threads = 2")
names = [row[0] for row in database.execute(f"describe select * from '{before}'").fetchall()]
changed = " or ".join(f"a.{name} is distinct from b.{name}" for name in names if name != "id")
added, removed, other = database.execute(
    f"select count(*) filter (a.id is null), count(*) filter (b.id is null), "
    f"count(*) filter (a.id is not null and b.id is not null and ({changed})) "
    f"from '{before}' a full join '{after}' b on a.id = b.id"
).fetchone()
print(json.dumps({"added": added, "removed": removed, "changed": other}))
