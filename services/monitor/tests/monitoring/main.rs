//! The monitor through `build`: SQLite in memory, a clock moved by hand, and a registry of its own in this process.
#![allow(clippy::unwrap_used)]

mod alerts;
mod canary;
mod clocks;
mod drift;
mod observations;
mod registry;
mod world;
