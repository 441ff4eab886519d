//! The harness: the mesh in one process with a manual clock and a fake engine, and the mesh as five processes.
//!
//! Tests wait for facts ([`facts::eventually`]), never for time. What a test needs from outside (servers, ONNX Runtime, a
//! Python environment, foreign data) is asked for in [`needs`]: missing, it is one line, and a failure under `CI=true`.

pub mod digits;
pub mod facts;
pub mod infer;
pub mod line;
pub mod made;
pub mod mesh;
pub mod methods;
pub mod needs;
pub mod net;
pub mod otlp;
pub mod people;
pub mod processes;
pub mod raw;
pub mod refusal;
