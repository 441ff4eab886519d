//! The two services that the evaluator serves.

mod evaluate;
mod operations;
