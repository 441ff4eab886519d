//! The `wlp` binary.
fn main() {}
