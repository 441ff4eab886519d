//! The registry through its real `build`, called in process by each role with its own key, on a manual clock. On SQLite in
//! memory, and on PostgreSQL where `WLP_TEST_POSTGRES_URL` is set.

mod access;
mod artifacts;
mod data;
mod desk;
mod policies;
mod preprocessing;
mod project;
#[allow(dead_code)]
mod steps;
mod versions;
