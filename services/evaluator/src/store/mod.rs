//! What the evaluator keeps: its operations.

pub mod jobs;
