//! ONNX Runtime through the `ort` crate: the only module that knows it.

mod convert;
mod library;
mod load;
mod placement;
mod queue;
mod session;
mod worker;

use std::sync::Arc;

use bytes::Bytes;

pub use library::{library_folder, locate_library};

use crate::{Engine, EngineError, LoadOptions, Provider, Session};

/// ONNX Runtime, opened once in a process.
#[derive(Debug, Clone)]
pub struct OnnxRuntime {
    environment: ort::environment::Environment,
    version: String,
}

impl OnnxRuntime {
    /// Opens the library that [`locate_library`] finds, or hands out the one that is open.
    ///
    /// # Errors
    /// [`EngineError::NotInstalled`] with what was looked for and how to install it.
    pub fn open() -> Result<Self, EngineError> {
        let (environment, version) = library::environment()?;
        Ok(Self { environment, version })
    }

    /// Version of the library, `1.32.0`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

#[async_trait::async_trait]
impl Engine for OnnxRuntime {
    fn describe(&self) -> String {
        format!("onnxruntime {}", self.version)
    }

    fn providers(&self) -> Vec<Provider> {
        load::available()
    }

    async fn load(&self, model: Bytes, options: LoadOptions) -> Result<Arc<dyn Session>, EngineError> {
        let session = session::OnnxSession::load(self.environment.clone(), model, options).await?;
        Ok(Arc::new(session))
    }
}
