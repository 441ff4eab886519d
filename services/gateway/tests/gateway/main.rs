//! The gateway as its callers, the registry and the monitor meet it: in process, with a fake engine.
#![allow(clippy::unwrap_used, missing_docs)]

mod breaker;
mod cache;
mod extensions;
mod lane;
mod limits;
mod local;
mod memory;
mod observe;
mod peers;
mod protocol;
mod providers;
mod rest;
mod rollback_time;
mod routes;
mod sequence;
mod shadow;
mod split;
mod stage;
mod together;
