//! One logical plan that profiles a table: the same in a process and on a cluster.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, Result, plan_err};
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::logical_expr::{Expr, cast};
use datafusion::prelude::DataFrame;
use serde::{Deserialize, Serialize};
use statistics::Moments;
use statistics::distinct::DistinctSketch;
use statistics::frequent::Frequent;
use statistics::quantiles::QuantileSketch;
use statistics::row_digest::RowDigest;

use crate::cells::{is_bytes, is_time};
use crate::function::{Sketch, function};

/// What the values of a column are, however they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No value at all.
    Nothing,
    /// True and false.
    Truth,
    /// Whole numbers.
    Integer,
    /// Floats.
    Number,
    /// Decimals with a fixed number of digits.
    Decimal,
    /// Texts.
    Text,
    /// Days, times of day, points in time, durations.
    Time,
    /// Bytes without a meaning.
    Bytes,
}

impl Kind {
    /// The kind of a type; none where values hold others (lists, structures, maps) or have no order (intervals).
    pub fn of(data_type: &DataType) -> Option<Self> {
        use DataType as T;
        Some(match data_type {
            T::Null => Self::Nothing,
            T::Boolean => Self::Truth,
            T::Float16 | T::Float32 | T::Float64 => Self::Number,
            T::Utf8 | T::LargeUtf8 | T::Utf8View => Self::Text,
            T::Dictionary(_, value) => return Self::of(value),
            kind if kind.is_integer() => Self::Integer,
            kind if kind.is_decimal() => Self::Decimal,
            kind if is_time(kind) => Self::Time,
            kind if is_bytes(kind) => Self::Bytes,
            _ => return None,
        })
    }

    /// Whether a smallest and a largest value say something.
    pub(crate) fn has_range(self) -> bool {
        !matches!(self, Self::Nothing | Self::Bytes)
    }

    /// Whether there are a mean and quantiles.
    pub(crate) fn has_moments(self) -> bool {
        matches!(self, Self::Integer | Self::Number | Self::Decimal)
    }
}

/// A column of a table that is profiled.
#[derive(Debug, Clone)]
pub(crate) struct Profiled {
    pub name: String,
    pub kind: Kind,
    /// Its values, of a dictionary what the keys stand for.
    values: Expr,
}

/// The table's columns.
/// # Errors
/// Names every column that cannot be profiled.
pub(crate) fn columns(table: &DataFrame) -> Result<Vec<Profiled>> {
    let (mut columns, mut wrong) = (Vec::new(), Vec::new());
    for (qualifier, field) in table.schema().iter() {
        let column = Expr::Column(Column::from((qualifier, field)));
        let Some(kind) = Kind::of(field.data_type()) else {
            wrong.push(format!("{:?} is {}", field.name(), field.data_type()));
            continue;
        };
        let values = match field.data_type() {
            DataType::Dictionary(_, value) => cast(column, value.as_ref().clone()),
            _ => column,
        };
        columns.push(Profiled { name: field.name().clone(), kind, values });
    }
    if !wrong.is_empty() {
        return plan_err!("columns that cannot be profiled: {}", wrong.join(", "));
    }
    if columns.is_empty() {
        return plan_err!("a table without columns cannot be profiled");
    }
    Ok(columns)
}

/// The plan: one aggregation without groups, so one row. First comes the digest of rows, then for each column its number of
/// values, distinct and frequent ones; its smallest and largest, where they have an order; its moments and quantiles, where
/// they are numbers. [`crate::profile::TableProfile`] reads the row.
///
/// # Errors
/// Names every column that cannot be profiled.
pub fn plan(table: DataFrame) -> Result<DataFrame> {
    let columns = columns(&table)?;
    let all = columns.iter().map(|column| column.values.clone()).collect();
    let mut answers = vec![function::<RowDigest>().call(all).alias("rows")];
    for (at, Profiled { kind, values, .. }) in columns.into_iter().enumerate() {
        // By place: names of columns may be anything.
        let mut ask = |what: &str, answer: Expr| answers.push(answer.alias(format!("{what} {at}")));
        ask("values", count(values.clone()));
        ask("distinct", of::<DistinctSketch>(&values));
        ask("frequent", of::<Frequent<String>>(&values));
        if kind.has_range() {
            ask("min", min(values.clone()));
            ask("max", max(values.clone()));
        }
        if kind.has_moments() {
            ask("moments", of::<Moments>(&values));
            ask("quantiles", of::<QuantileSketch>(&values));
        }
    }
    table.aggregate(Vec::new(), answers)
}

fn of<S: Sketch>(values: &Expr) -> Expr {
    function::<S>().call(vec![values.clone()])
}
