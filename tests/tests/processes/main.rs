//! The story over TCP: five processes on PostgreSQL and Redis, real models in ONNX Runtime, makers in Python; each service
//! is killed in the middle of the canary.

mod chaos;
mod compose;
mod refusal;
