//! ONNX Runtime through the `ort` crate: the only module that knows it.

mod convert;
mod independence;
mod instance;
mod library;
mod load;
mod pace;
mod padding;
mod placement;
mod queue;
#[cfg(test)]
mod sample;
mod seat;
mod session;
mod sizes;
mod switch;
mod texts;
mod threads;
mod transfer;
mod watch;
mod worker;

use std::sync::Arc;

use bytes::Bytes;

pub use library::{library_folder, locate_library};
pub use threads::settle;

use crate::{Engine, EngineError, LoadOptions, Provider, Session};

/// ONNX Runtime. The library is opened once in a process, at the first need, and stays open.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnnxRuntime;

impl OnnxRuntime {
    /// An engine that opens the library when it loads its first model; until then a missing one is no error.
    pub fn new() -> Self {
        Self
    }

    /// Opens the library that [`locate_library`] finds now.
    ///
    /// # Errors
    /// [`EngineError::NotInstalled`] with what was looked for and how to install it.
    pub fn open() -> Result<Self, EngineError> {
        library::environment().map(|_| Self)
    }

    /// Version of the library, `1.32.0`; opens it.
    ///
    /// # Errors
    /// As [`OnnxRuntime::open`].
    pub fn version(&self) -> Result<String, EngineError> {
        library::environment().map(|(_, version)| version)
    }
}

#[async_trait::async_trait]
impl Engine for OnnxRuntime {
    fn describe(&self) -> String {
        self.version()
            .map_or_else(|_| "onnxruntime, not installed".into(), |version| format!("onnxruntime {version}"))
    }

    fn providers(&self) -> Vec<Provider> {
        if library::environment().is_ok() { load::available() } else { Vec::new() }
    }

    async fn load(&self, model: Bytes, options: LoadOptions) -> Result<Arc<dyn Session>, EngineError> {
        let (environment, _) = library::environment()?;
        Ok(Arc::new(session::OnnxSession::load(environment, model, options).await?))
    }
}
