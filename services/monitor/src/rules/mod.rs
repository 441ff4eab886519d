//! From windows to verdicts: the rules themselves are `lifecycle`'s, the numbers are `statistics`'.

pub mod alerts;
pub mod budget;
pub mod canary;
pub mod drift;
pub mod reference;
