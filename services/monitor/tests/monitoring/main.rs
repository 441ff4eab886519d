//! The monitor through `build`: a clock moved by hand, and a registry of its own in this process. Every test runs on SQLite
//! and, where `WLP_TEST_POSTGRES_URL` is set, on PostgreSQL.
#![allow(clippy::unwrap_used)]
#![allow(clippy::duplicate_mod)] // the same tests on two databases

macro_rules! on {
    ($database:ident, $kind:ident) => {
        #[path = "."]
        mod $database {
            pub const DATABASE: super::Database = super::Database::$kind;

            mod alerts;
            mod callers;
            mod canary;
            mod clocks;
            mod drift;
            mod incidents;
            mod late;
            mod machines;
            mod observations;
            mod plans;
            mod production;
            mod registry;
            mod service_days;
            mod world;
        }
    };
}

/// What the monitor keeps its windows in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Database {
    Sqlite,
    Postgres,
}

on!(sqlite, Sqlite);
on!(postgres, Postgres);
