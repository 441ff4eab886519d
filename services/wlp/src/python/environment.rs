//! The virtual environment: made once for its requirements, with stubs once for its contracts.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use storage::Digest;
use tokio::process::Command;

use super::finished;

const REQUIREMENTS: &str = include_str!("../../demo/requirements.txt");
/// The oldest Python that the pinned packages run on.
const OLDEST: (u32, u32) = (3, 11);
/// Names under which a Python may be found, the usual one first.
const PYTHONS: [&str; 5] = ["python3", "python3.14", "python3.13", "python3.12", "python3.11"];
/// Longest time of a script, real.
const PATIENCE: Duration = Duration::from_mins(5);
/// Longest time of the set-up, which downloads.
const SETUP: Duration = Duration::from_mins(20);

/// A virtual environment with what the demo needs.
#[derive(Debug, Clone)]
pub struct Python {
    interpreter: PathBuf,
    stubs: PathBuf,
}

impl Python {
    /// Makes the environment and the stubs, unless those very ones are there. Two at once wait for each other.
    ///
    /// # Errors
    /// If there is no Python of [`OLDEST`] or later with venv and pip, no network, or no room.
    pub async fn ensure() -> anyhow::Result<Self> {
        let cache = cache_folder()?.join("python");
        fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
        let lock = File::create(cache.join("setup.lock"))?;
        let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
        let venv = cache.join(format!("venv-{}", short(REQUIREMENTS.as_bytes())));
        let interpreter = venv.join("bin").join("python");
        if !(venv.join("complete").exists() && runs(&interpreter).await) {
            install(&venv).await?;
        }
        let stubs =
            cache.join(format!("stubs-{}-{}", short(contracts::DESCRIPTORS), short(REQUIREMENTS.as_bytes())));
        if !stubs.join("complete").exists() {
            generate(&interpreter, &stubs).await?;
        }
        drop(lock);
        Ok(Self { interpreter, stubs })
    }

    /// Runs a script of the demo that lies in `folder`; gives what it printed.
    pub(super) async fn run(
        &self,
        folder: &Path,
        arguments: &[&str],
        variables: &[(&str, String)],
    ) -> anyhow::Result<String> {
        let mut command = Command::new(&self.interpreter);
        command.args(arguments).current_dir(folder).env("PYTHONPATH", &self.stubs);
        // Beside the mesh on few cores: one thread each is faster than many that wait for each other.
        command.env("OMP_NUM_THREADS", "1").env("OPENBLAS_NUM_THREADS", "1").env("GRPC_VERBOSITY", "ERROR");
        command.envs(variables.iter().map(|(name, value)| (*name, value.as_str())));
        finished(command, PATIENCE, arguments.first().copied().unwrap_or("python")).await
    }
}

/// Whether an environment that was made before can still be used: the Python that it was made from may be gone.
async fn runs(interpreter: &Path) -> bool {
    let mut command = Command::new(interpreter);
    command.args(["-c", "import grpc, numpy, onnxruntime, sklearn"]);
    finished(command, PATIENCE, "the Python environment").await.is_ok()
}

/// A Python that is new enough.
async fn system_python() -> anyhow::Result<String> {
    let mut seen = Vec::new();
    for name in PYTHONS {
        let mut command = Command::new(name);
        command.args(["-c", "import sys; print(*sys.version_info[:2])"]);
        let Ok(said) = finished(command, PATIENCE, name).await else { continue };
        match version(&said) {
            Some(version) if OLDEST <= version => return Ok(name.to_owned()),
            _ => seen.push(format!("{name} is {}", said.trim().replace(' ', "."))),
        }
    }
    let seen = if seen.is_empty() { "there is no python3".to_owned() } else { seen.join(", ") };
    anyhow::bail!("{seen}, required Python {}.{} or later with venv and pip", OLDEST.0, OLDEST.1)
}

fn version(said: &str) -> Option<(u32, u32)> {
    let (major, minor) = said.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

async fn install(venv: &Path) -> anyhow::Result<()> {
    if venv.exists() {
        fs::remove_dir_all(venv).with_context(|| format!("cannot replace {}", venv.display()))?;
    }
    let python = system_python().await?;
    let mut command = Command::new(&python);
    command.args(["-m", "venv"]).arg(venv);
    let needed = || format!("Python {}.{} or later with venv and pip is needed", OLDEST.0, OLDEST.1);
    finished(command, SETUP, &format!("{python} -m venv")).await.with_context(needed)?;
    let requirements = venv.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    let mut command = Command::new(venv.join("bin").join("python"));
    command.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--requirement",
    ]);
    command.arg(&requirements);
    finished(command, SETUP, "pip install").await?;
    Ok(fs::write(venv.join("complete"), "")?)
}

/// Stubs of every contract, from the descriptors that are built in.
async fn generate(interpreter: &Path, stubs: &Path) -> anyhow::Result<()> {
    if stubs.exists() {
        fs::remove_dir_all(stubs).with_context(|| format!("cannot replace {}", stubs.display()))?;
    }
    fs::create_dir_all(stubs)?;
    let set = stubs.join("descriptors.bin");
    fs::write(&set, contracts::DESCRIPTORS)?;
    let pool = crate::wire_json::pool()?;
    let ours =
        pool.files().map(|file| file.name().to_owned()).filter(|name| !name.starts_with("google/protobuf/"));
    let mut command = Command::new(interpreter);
    command.args(["-m", "grpc_tools.protoc"]);
    for option in ["--descriptor_set_in", "--python_out", "--grpc_python_out"] {
        let value = if option == "--descriptor_set_in" { &set } else { &stubs.to_owned() };
        command.arg(format!("{option}={}", value.display()));
    }
    command.args(ours);
    finished(command, SETUP, "grpc_tools.protoc").await?;
    Ok(fs::write(stubs.join("complete"), "")?)
}

fn short(bytes: &[u8]) -> String {
    Digest::of(bytes).to_hex()[..12].to_owned()
}

/// `$XDG_CACHE_HOME/wlp`, `~/.cache/wlp`.
fn cache_folder() -> anyhow::Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    Ok(cache.context("neither XDG_CACHE_HOME nor HOME is set")?.join("wlp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_by_its_numbers() {
        assert!(version("3 9\n").is_some_and(|version| version < OLDEST));
        assert!(version("3 14\n").is_some_and(|version| OLDEST <= version));
        assert_eq!(version("Python"), None);
    }

    #[tokio::test]
    async fn an_environment_whose_python_is_gone_is_made_again() {
        assert!(!runs(Path::new("/nowhere/bin/python")).await);
    }
}
