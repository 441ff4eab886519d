//! From windows to verdicts: the rules themselves are `lifecycle`'s, the numbers are `statistics`'.

pub mod alerts;
pub mod budget;
pub mod canary;
pub mod candidate;
pub mod columns;
pub mod concept;
pub mod drift;
pub mod labelled;
pub mod machines;
pub mod reference;
