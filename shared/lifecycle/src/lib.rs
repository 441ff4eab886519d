//! The rules of WLP-MLDEV-001 as pure functions over the policy.
//!
//! No I/O, no clock, no async: facts and [`policy::Policy`] come in, a new state or a [`rejection::Rejection`] goes
//! out. No number of the procedure stands in this code; all are in `deploy/policy/wlp-mldev-001.yaml`.

pub mod acceptance;
pub mod alert;
pub mod approval;
pub mod calendar;
pub mod checklist;
pub mod dataset;
pub mod dataset_number;
pub mod deployment;
pub mod documents;
pub mod drift;
pub mod duty;
pub mod entry;
pub mod ethics;
pub mod evaluation;
pub mod feedback;
pub mod gate;
pub mod health;
pub mod incident;
mod kinds;
pub mod phase;
pub mod planning;
pub mod policy;
pub mod policy_change;
pub mod quality;
mod refuse;
pub mod rejection;
pub mod retirement;
pub mod role;
pub mod rollback;
pub mod rollout;
pub mod selection;
pub mod selection_criteria;
pub mod separation;
pub mod share;
pub mod slo;
pub mod source;
pub mod traceability;
pub mod training;
pub mod training_record;
pub mod verdict;
pub mod version;
pub mod version_state;

pub use approval::{Approval, NotApplicable};
pub use policy::Policy;
pub use rejection::{Finding, Findings, Rejection};
pub use role::Role;
pub use share::Share;
pub use verdict::{Comparator, Measured, Strict, Verdict};
pub use version::{Bump, Version};
