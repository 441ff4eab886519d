//! What a test needs from outside of the workspace.

use std::path::PathBuf;

/// A fact of the environment that a test needs; none, with one line, where it is missing.
///
/// # Panics
/// Under `CI=true`: there everything must be had.
pub fn variable(name: &str) -> Option<String> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Some(value),
        _ => {
            missing(&format!("{name} is not set (tests/run sets it)"));
            None
        }
    }
}

/// Says what is missing.
///
/// # Panics
/// Under `CI=true`.
pub fn missing(what: &str) {
    println!("skipped: {what}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "under CI=true nothing may be missing: {what}");
}

/// ONNX Runtime can be found, so real engines work.
pub fn onnx_runtime() -> bool {
    let found = engine::locate_library().is_ok();
    if !found {
        missing("ONNX Runtime is not installed (wlp runtime install, or ORT_DYLIB_PATH)");
    }
    found
}

/// A folder of foreign data beside the repository; never needed, so its absence is one line and no failure.
pub fn shared(below: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(below);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: ../shared/{below} is not here");
    None
}
