//! The decisions of the registry from evaluation to retirement, through its real `build` on a manual clock.

#[path = "../registry/desk.rs"]
#[allow(dead_code)]
mod desk;
mod experiment;
mod gates;
mod incidents;
mod line;
mod phases;
mod retirement;
mod revocation;
mod rollout;
mod shadow;
#[path = "../registry/steps.rs"]
#[allow(dead_code)]
mod steps;
mod traceability;
