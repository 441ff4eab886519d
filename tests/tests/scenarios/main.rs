//! The procedure through the mesh, phase by phase, on a manual clock with the fake engine: what must work does, what must
//! not is refused with the clause, what was required and what was observed.

mod access;
mod audit;
mod bad_input;
mod data;
mod deployment;
mod evaluation;
mod gates;
mod idempotency;
mod load;
mod plan;
mod property;
mod reviews;
mod rollback;
mod rollout;
mod serving;
mod shadow;
mod skew;
mod story;
mod tracing;
mod training;
mod versions;
