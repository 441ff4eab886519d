//! The wlp command: the mesh in one process, the demo, the client commands. No rules here.

pub mod audit_export;
pub mod audit_file;
pub mod cli;
mod dynamic;
pub mod keys;
pub mod mesh;
pub mod onnxruntime;
pub mod python;
pub mod reach;
mod refusal;
pub mod replay;
pub mod settings;
mod show;
pub mod story;
pub mod verified_log;
mod wire_json;
