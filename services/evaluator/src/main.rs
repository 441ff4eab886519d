//! The `evaluator` binary.
fn main() {}
