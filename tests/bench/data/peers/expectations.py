"""The profile and rules as Great Expectations checks them over pandas."""

import json
import sys
import warnings

import great_expectations
import pandas
from great_expectations import expectations

warnings.filterwarnings("ignore")
EMAIL = r"^[A-Za-z0-9._]+@[A-Za-z0-9-]+\.[a-z]+$"
QUANTILES = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
WIDE = {"min_value": -1e9, "max_value": 1e9}

table = pandas.read_parquet(sys.argv[1])
for name in table.select_dtypes("str"):
    table[name] = table[name].astype(object)
# expectations cannot be written without a context
context = great_expectations.get_context(mode="ephemeral")
suite = great_expectations.ExpectationSuite(name="bench")


def expect(kind, **arguments):
    suite.add_expectation(getattr(expectations, f"Expect{kind}")(**arguments))


for name in table:
    expect("ColumnValuesToNotBeNull", column=name, mostly=0.9)
    if pandas.api.types.is_bool_dtype(table[name]) or pandas.api.types.is_datetime64_dtype(table[name]):
        continue
    expect("ColumnUniqueValueCountToBeBetween", column=name, min_value=1)
    if pandas.api.types.is_numeric_dtype(table[name]):
        for what in ("Min", "Max", "Mean", "Stdev"):
            expect(f"Column{what}ToBeBetween", column=name, **WIDE)
        ranges = {"quantiles": QUANTILES, "value_ranges": [[-1e9, 1e9]] * len(QUANTILES)}
        expect("ColumnQuantileValuesToBeBetween", column=name, quantile_ranges=ranges)
    else:
        expect("ColumnValueLengthsToBeBetween", column=name, min_value=1, max_value=64)
expect("ColumnValuesToMatchRegex", column="email", regex=EMAIL, mostly=0.9)
expect("ColumnValuesToBeInSet", column="cat_low_1", value_set=["F", "M", "X"])
expect("ColumnValuesToBeInSet", column="label", value_set=[0, 1])
for name in ("num_unif", "score"):
    expect("ColumnValuesToBeBetween", column=name, min_value=0, max_value=1)
expect("CompoundColumnsToBeUnique", column_list=["id", "email", "ts"])

asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("table")
batch = asset.add_batch_definition_whole_dataframe("all").get_batch(batch_parameters={"dataframe": table})
told = batch.validate(suite, result_format="SUMMARY")


def unexpected(kind, column):
    for one in told.results:
        if one.expectation_config.type == kind and one.expectation_config.kwargs.get("column") == column:
            return one.result["unexpected_count"]
    sys.exit(f"{kind} of {column} was not checked")


missing = unexpected("expect_column_values_to_not_be_null", "num_norm_0")
emails = unexpected("expect_column_values_to_match_regex", "email")
print(json.dumps({"n": len(table), "null_norm0": missing, "bad_email": emails}))
