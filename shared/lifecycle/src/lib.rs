//! The rules of WLP-MLDEV-001 as pure functions over the policy.
//!
//! No I/O, no clock, no async: facts and [`policy::Policy`] come in, a new state or a [`rejection::Rejection`] goes
//! out. No number of the procedure stands in this code; all are in `deploy/policy/wlp-mldev-001.yaml`.

pub mod policy;
pub mod rejection;
pub mod role;
pub mod share;
pub mod verdict;
pub mod version;

pub use policy::Policy;
pub use rejection::{Finding, Findings, Rejection};
pub use role::Role;
pub use share::Share;
pub use verdict::{Comparator, Measured, Strict, Verdict};
pub use version::{Bump, Version};
