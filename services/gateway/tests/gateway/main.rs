//! The gateway as its callers, the registry and the monitor meet it: in process, with a fake engine.
#![allow(clippy::unwrap_used, missing_docs)]

mod breaker;
mod local;
mod observe;
mod peers;
mod protocol;
mod rest;
mod routes;
mod split;
mod stage;
