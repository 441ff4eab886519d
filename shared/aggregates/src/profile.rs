//! A table's profile: what the plan's one row says.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{Result, exec_err};
use datafusion::prelude::DataFrame;
use serde::{Deserialize, Serialize};
use statistics::Moments;
use statistics::distinct::DistinctSketch;
use statistics::frequent::Frequent;
use statistics::quantiles::{QuantileSketch, Sorted};
use statistics::row_digest::RowDigest;

use crate::function::{Sketch, external};
use crate::plan::{self, Kind, Profiled};
use crate::sketches::shown;

/// How sure the interval of an estimated number of distinct values is. All other bounds always hold.
pub const DISTINCT_CONFIDENCE: f64 = 0.9999;

/// Quantiles that a profile states.
pub const QUANTILES: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];

/// Frequent values that a profile states.
pub const TOP: usize = 10;

/// A number and the bounds that the true one is within. Equal bounds: it is exact.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounded {
    /// The number.
    pub value: f64,
    /// The true one is not smaller.
    pub lower: f64,
    /// The true one is not larger.
    pub upper: f64,
}

/// A frequent value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The value, of a long one its beginning.
    pub value: String,
    /// It occurs at least so often.
    pub at_least: u64,
    /// It occurs at most so often.
    pub at_most: u64,
}

/// A quantile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// The share of values up to it.
    pub at: f64,
    /// The value, by nearest rank.
    pub value: Bounded,
}

/// What a column of numbers has besides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumberProfile {
    /// NaN and infinite values; all that follows is of the others. Exact.
    pub not_finite: u64,
    /// Mean, within the rounding of its sum; none without values or where it is too large for a float.
    pub mean: Option<Bounded>,
    /// Sample variance (divisor n - 1), as the mean; none of fewer than two values.
    pub variance: Option<Bounded>,
    /// Quantiles, each within its bounds.
    pub quantiles: Vec<Quantile>,
    /// By how much the rank of a quantile may be wrong, as a share of the values.
    pub rank_error: f64,
}

/// A column's profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
    /// Rows without a value. Exact.
    pub missing: u64,
    /// Smallest value as text. Exact.
    pub min: Option<String>,
    /// Largest value as text. Exact.
    pub max: Option<String>,
    /// Different values: exact while they are few, else within the bounds with probability [`DISTINCT_CONFIDENCE`].
    pub distinct: Bounded,
    /// Most frequent values, the most frequent first.
    pub top: Vec<Counted>,
    /// Of a column of numbers.
    pub numbers: Option<NumberProfile>,
}

/// A table's profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableProfile {
    /// Rows. Exact.
    pub rows: u64,
    /// Sum of the rows' 128-bit hashes, in hexadecimal: equal for the same rows in any order. Exact.
    pub digest: String,
    /// Its columns, in order.
    pub columns: Vec<ColumnProfile>,
}

impl TableProfile {
    /// Runs the plan over a table, wherever the table's context runs it.
    ///
    /// # Errors
    /// Columns that cannot be profiled, and whatever goes wrong while it runs.
    pub async fn of(table: DataFrame) -> Result<Self> {
        let columns = plan::columns(&table)?;
        let batches = plan::plan(table)?.collect().await?;
        let Some(first) = batches.first() else { return exec_err!("the plan gave no answer") };
        Self::read(columns, &concat_batches(&first.schema(), &batches)?)
    }

    fn read(columns: Vec<Profiled>, row: &RecordBatch) -> Result<Self> {
        if row.num_rows() != 1 {
            return exec_err!("the plan gave {} rows, required 1", row.num_rows());
        }
        let mut answers = Answers { row, next: 0 };
        let digest: RowDigest = answers.sketch()?;
        let mut made = Vec::with_capacity(columns.len());
        for Profiled { name, kind, .. } in columns {
            let values = answers.count()?;
            let (distinct, frequent) = (answers.sketch()?, answers.sketch()?);
            let (min, max) = if kind.has_range() { (answers.text()?, answers.text()?) } else { (None, None) };
            let numbers = if kind.has_moments() {
                Some(numbers(&answers.sketch()?, &answers.sketch()?)?)
            } else {
                None
            };
            made.push(ColumnProfile {
                name,
                kind,
                missing: digest.rows().saturating_sub(values),
                min,
                max,
                distinct: different(&distinct, &frequent)?,
                top: top(&frequent),
                numbers,
            });
        }
        Ok(Self { rows: digest.rows(), digest: format!("{:032x}", digest.sum()), columns: made })
    }
}

/// The plan's row, answer by answer in the plan's order.
struct Answers<'a> {
    row: &'a RecordBatch,
    next: usize,
}

impl Answers<'_> {
    fn take(&mut self) -> Result<&ArrayRef> {
        let Some(array) = self.row.columns().get(self.next) else {
            return exec_err!("the plan gave too few answers");
        };
        self.next += 1;
        Ok(array)
    }

    fn count(&mut self) -> Result<u64> {
        let count = self.take()?.as_primitive_opt::<Int64Type>().map(|array| array.value(0));
        match count.map(u64::try_from) {
            Some(Ok(count)) => Ok(count),
            _ => exec_err!("the plan gave no count"),
        }
    }

    fn sketch<S: Sketch>(&mut self) -> Result<S> {
        match self.take()?.as_binary_opt::<i32>() {
            Some(array) if array.is_valid(0) => S::from_bytes(array.value(0)).map_err(external),
            _ => exec_err!("the plan gave no {}", S::NAME),
        }
    }

    fn text(&mut self) -> Result<Option<String>> {
        let array = self.take()?;
        if array.is_null(0) {
            return Ok(None);
        }
        let text = ArrayFormatter::try_new(array, &FormatOptions::default())?.value(0).to_string();
        Ok(Some(shown(&text).to_owned()))
    }
}

fn different(sketch: &DistinctSketch, frequent: &Frequent<String>) -> Result<Bounded> {
    if frequent.error() == 0 {
        let value = frequent.entries().len() as f64;
        return Ok(Bounded { value, lower: value, upper: value });
    }
    let interval = sketch.interval(DISTINCT_CONFIDENCE).map_err(external)?;
    Ok(Bounded { value: sketch.estimate(), lower: interval.lower, upper: interval.upper })
}

fn top(frequent: &Frequent<String>) -> Vec<Counted> {
    let counted = |entry: &statistics::frequent::Entry<String>| Counted {
        value: entry.item.clone(),
        at_least: entry.count,
        at_most: entry.count + frequent.error(),
    };
    frequent.top(TOP).into_iter().map(counted).collect()
}

fn numbers(moments: &Moments, quantiles: &QuantileSketch) -> Result<NumberProfile> {
    let sorted = quantiles.sorted();
    let (mean, variance) = match quantiles.range() {
        Ok(range) => rounded(moments, range),
        Err(_) => (None, None), // no values
    };
    Ok(NumberProfile {
        not_finite: moments.not_finite(),
        mean,
        variance,
        quantiles: if quantiles.count() == 0 { Vec::new() } else { stated(&sorted)? },
        rank_error: quantiles.rank_error(),
    })
}

fn stated(sorted: &Sorted) -> Result<Vec<Quantile>> {
    let one = |at: f64| {
        let (value, within) = sorted.quantile(at).map_err(external)?;
        Ok(Quantile { at, value: Bounded { value, lower: within.lower, upper: within.upper } })
    };
    QUANTILES.into_iter().map(one).collect()
}

/// Mean and variance with what rounding may have changed: each of the `n` steps of a running mean is off by a few units in
/// the last place of the largest value, and these errors add up at worst. Where a sum could be too large for a float there
/// is none. Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, sections 1.9 and 4.2; constants are rounded up.
fn rounded(moments: &Moments, (min, max): (f64, f64)) -> (Option<Bounded>, Option<Bounded>) {
    let (n, unit) = (moments.count() as f64, f64::EPSILON);
    let (largest, range) = (min.abs().max(max.abs()), max - min);
    let mean_error = 4.0 * n * unit * largest;
    let variance_error = 8.0 * range * (mean_error + unit * largest) + 4.0 * (n + 1.0) * unit * range * range;
    let within = |value: f64, error: f64, least: f64, sum: f64| {
        let bounded = Bounded { value, lower: (value - error).max(least), upper: value + error };
        (2.0 * sum).is_finite().then_some(bounded)
    };
    (
        moments.mean().ok().and_then(|mean| within(mean, mean_error, f64::MIN, n * largest)),
        moments.variance().ok().and_then(|variance| within(variance, variance_error, 0.0, n * range * range)),
    )
}
