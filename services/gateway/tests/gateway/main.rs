//! The gateway as its callers, the registry and the monitor meet it: in process, with a fake engine;
//! on sockets with ONNX Runtime where it is about load and callers that go.
#![allow(clippy::unwrap_used, missing_docs)]

mod breaker;
mod cache;
mod cancel;
mod experiment;
mod extensions;
mod folder;
mod lane;
mod limits;
mod local;
mod memory;
mod model_control;
mod observe;
mod peers;
mod preprocessing;
mod protocol;
mod providers;
mod reload;
mod rest;
mod rollback_time;
mod routes;
mod sequence;
mod served;
mod shadow;
mod shelf;
mod split;
mod stage;
mod together;
