//! The wlp command: the mesh in one process, the demo, the client commands.

pub mod onnxruntime;
