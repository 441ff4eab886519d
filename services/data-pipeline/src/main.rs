//! The `data-pipeline` binary.
fn main() {}
