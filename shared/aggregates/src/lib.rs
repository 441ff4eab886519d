//! Sketches as DataFusion aggregates, and one plan that profiles a table.
//!
//! Each aggregate's answer is the state of its sketch ([`statistics::state`]), so a number is only had together with the
//! bound that the sketch knows for it. Partial answers are such states too: they merge in any grouping, in the threads of a
//! process or between machines. What runs a plan must know the functions: [`register`] for a context, [`functions`] for
//! whatever else keeps a registry.
//!
//! - rows, missing values, smallest and largest ones, the digest of rows: exact, equal however the table is cut up;
//! - distinct values: exact while few, else an estimate with its interval, and equal however the table is cut up;
//! - quantiles, frequent values: within a bound that always holds;
//! - mean and variance: within the rounding of their sums, which is stated.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp))]

mod agreement;
mod cells;
mod function;
pub mod plan;
pub mod profile;
mod sketches;
pub mod table;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::AggregateUDF;
use statistics::Moments;
use statistics::distinct::DistinctSketch;
use statistics::frequent::Frequent;
use statistics::quantiles::QuantileSketch;
use statistics::row_digest::RowDigest;

pub use function::{Sketch, function};

/// All aggregates of this crate.
pub fn functions() -> Vec<AggregateUDF> {
    vec![
        function::<DistinctSketch>(),
        function::<Frequent<String>>(),
        function::<Moments>(),
        function::<QuantileSketch>(),
        function::<RowDigest>(),
    ]
}

/// Makes all aggregates known to a context or a session's state.
/// # Errors
/// Where the registry takes no aggregates.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for function in functions() {
        registry.register_udaf(Arc::new(function))?;
    }
    Ok(())
}
