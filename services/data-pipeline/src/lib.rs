//! Builds dataset versions through the seven steps.
