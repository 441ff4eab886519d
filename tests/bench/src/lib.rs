//! What the programs of the serving benchmark share: the values that are sent, calls over HTTP/2, the check of answers,
//! latencies, what a process tree takes, ONNX Runtime without anything around it, and a server of one method.

pub mod answer;
pub mod call;
pub mod drive;
pub mod input;
pub mod latency;
pub mod model;
pub mod process;
pub mod server;
