//! ONNX Runtime behind one trait; inspection of ONNX files without it.
//!
//! [`Engine`] loads the bytes of a model into a [`Session`], which runs [`Tensor`]s through it. [`OnnxRuntime`] is the
//! real one, [`fake::FakeEngine`] serves scenarios. [`inspect`] reads an ONNX file without ONNX Runtime and refuses
//! what must never reach it; [`trial`] is what a registration does: inspect, load without optimisation, compare.
//! [`probe`] loads and runs a model in a process that is thrown away before the service loads it.

mod datatype;
mod error;
pub mod fake;
pub mod inspect;
pub mod oip_bytes;
mod onnx;
pub mod probe;
mod session;
mod signature;
mod tensor;
mod trial;

pub use datatype::{DataType, Element};
pub use error::{EngineError, FaultKind};
pub use inspect::{InspectError, Inspection, Limits, inspect};
pub use onnx::{OnnxRuntime, library_folder, locate_library, settle};
pub use probe::{ProbeOptions, Probed};
pub use session::{
    Answer, Batching, Counts, Engine, LoadOptions, Optimization, Provider, ProviderPolicy, RunOptions,
    Session, Timings,
};
pub use signature::{Compatibility, Declared, Dim, FieldError, ModelSignature, TensorSpec};
pub use tensor::{MAX_RANK, Tensor, TensorData, TensorError, element_count};
pub use trial::{Trial, TrialError, TrialOptions, trial};

/// The version of ONNX Runtime that `wlp runtime install` brings for CPUs.
pub const ONNXRUNTIME_CPU_VERSION: &str = "1.32.0";
/// The version of ONNX Runtime that `wlp runtime install --gpu` brings.
pub const ONNXRUNTIME_GPU_VERSION: &str = "1.31.1";
