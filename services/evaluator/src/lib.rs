//! Measures a version over a dataset version and checks the acceptance criteria.
