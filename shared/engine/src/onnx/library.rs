//! Where the shared library of ONNX Runtime is, and opening it once.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ort::environment::Environment;

use crate::{EngineError, ONNXRUNTIME_CPU_VERSION, ONNXRUNTIME_GPU_VERSION};

/// The environment of this process: ONNX Runtime allows one, and it stays until the process ends.
static OPEN: Mutex<Option<(Environment, String)>> = Mutex::new(None);

/// The folder under which `wlp runtime install` unpacks: `$XDG_DATA_HOME/wlp/onnxruntime`, by default in
/// `~/.local/share`. `None` if neither variable nor home is set.
pub fn library_folder() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = variable("XDG_DATA_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| variable("HOME").map(|home| home.join(".local/share")))?;
    Some(data.join("wlp").join("onnxruntime"))
}

/// The library to open: `ORT_DYLIB_PATH` if set, else an installed GPU build, else the installed CPU build.
///
/// # Errors
/// [`EngineError::NotInstalled`] with the places that were looked at.
pub fn locate_library() -> Result<PathBuf, EngineError> {
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()).map(PathBuf::from)
    {
        let missing = || EngineError::NotInstalled(format!("ORT_DYLIB_PATH={} is no file", path.display()));
        return if path.is_file() { Ok(path) } else { Err(missing()) };
    }
    let Some(folder) = library_folder() else {
        return Err(EngineError::NotInstalled("neither XDG_DATA_HOME nor HOME is set".into()));
    };
    let gpu = folder.join(format!("{ONNXRUNTIME_GPU_VERSION}-gpu"));
    let cpu = folder.join(ONNXRUNTIME_CPU_VERSION);
    library_in(&gpu, ONNXRUNTIME_GPU_VERSION)
        .or_else(|| library_in(&cpu, ONNXRUNTIME_CPU_VERSION))
        .ok_or_else(|| EngineError::NotInstalled(format!("there is no library in {}", cpu.display())))
}

fn library_in(folder: &Path, version: &str) -> Option<PathBuf> {
    [format!("libonnxruntime.so.{version}"), "libonnxruntime.so".into()]
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}

/// The process's environment and the library's version.
pub(super) fn environment() -> Result<(Environment, String), EngineError> {
    let mut open = OPEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(found) = &*open {
        return Ok(found.clone());
    }
    let path = locate_library()?;
    let refused =
        |why: String| EngineError::NotInstalled(format!("{} cannot be opened: {why}", path.display()));
    let environment = ort::init_from(&path)
        .map_err(|error| refused(error.to_string()))?
        .with_name("wlp")
        .with_telemetry(false)
        .with_logger(std::sync::Arc::new(|level, category: &str, _: &str, at: &str, message: &str| {
            // Messages quote names of untrusted models: `?` escapes them.
            tracing::debug!(?level, category, at, ?message, "onnx runtime");
        }))
        .build()
        .map_err(|error| refused(error.to_string()))?;
    environment.set_log_level(ort::logging::LogLevel::Error);
    let version = version();
    tracing::info!(library = %path.display(), version, "onnx runtime is open");
    *open = Some((environment.clone(), version.clone()));
    Ok((environment, version))
}

/// The library's version from its build information, `ORT Build Info: git-branch=..., ...`, or its file name.
fn version() -> String {
    let path = locate_library().ok().and_then(|path| std::fs::canonicalize(path).ok());
    let name = path.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let version = name.as_deref().and_then(|name| name.strip_prefix("libonnxruntime.so."));
    version.map_or_else(|| "of unknown version".into(), String::from)
}
