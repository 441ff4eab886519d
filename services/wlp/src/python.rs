//! The Python side of the demo: a virtual environment under the user's cache folder with generated stubs, and scripts that
//! train, audit and test as programs of other people would.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use storage::Digest;
use tokio::process::Command;

use crate::reach::{Reach, To};
use crate::story::{Comparison, Data, Makers, Shortlist, Suite, Trained, Variant, names};

const REQUIREMENTS: &str = include_str!("../demo/requirements.txt");
/// Version of the test runner in the requirements.
const PYTEST: &str = "9.2.0";
const SCRIPTS: [(&str, &str); 7] = [
    ("audit.py", include_str!("../demo/audit.py")),
    ("compare_models.py", include_str!("../demo/compare_models.py")),
    ("export_data.py", include_str!("../demo/export_data.py")),
    ("test_integration.py", include_str!("../demo/test_integration.py")),
    ("test_model.py", include_str!("../demo/test_model.py")),
    ("train.py", include_str!("../demo/train.py")),
    ("wlp_client.py", include_str!("../demo/wlp_client.py")),
];
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
    async fn run(
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

/// The makers of the demo: scikit-learn's digits, models in ONNX, pytest.
pub struct PythonMakers {
    python: Python,
    folder: PathBuf,
    reach: Arc<dyn Reach>,
}

impl PythonMakers {
    /// Writes the scripts to `folder`, where models and reports come too.
    ///
    /// # Errors
    /// Of the file system.
    pub fn new(python: Python, folder: PathBuf, reach: Arc<dyn Reach>) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (name, text) in SCRIPTS {
            fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))?;
        }
        Ok(Self { python, folder, reach })
    }

    fn address(&self, to: To) -> anyhow::Result<String> {
        let at: SocketAddr =
            self.reach.address(to).with_context(|| format!("the {} has no socket", to.name()))?;
        Ok(at.to_string())
    }

    fn model(&self, variant: Variant) -> PathBuf {
        self.folder.join(format!("{}.onnx", variant.name()))
    }

    async fn run(&self, arguments: &[&str], variables: &[(&str, String)]) -> anyhow::Result<String> {
        self.python.run(&self.folder, arguments, variables).await
    }
}

#[async_trait]
impl Makers for PythonMakers {
    async fn export_data(&self) -> anyhow::Result<Data> {
        self.run(&["export_data.py", "."], &[]).await?;
        let read =
            |name: &str| fs::read(self.folder.join(name)).with_context(|| format!("{name} was not written"));
        Ok(Data { clean: read("digits.csv")?, dirty: read("dirty.csv")? })
    }

    async fn audit(&self, dataset_version: &str, rows: u32) -> anyhow::Result<String> {
        let (pipeline, registry) = (self.address(To::DataPipeline)?, self.address(To::Registry)?);
        let (key, rows) = (self.reach.key("qa-engineer")?, rows.to_string());
        let said =
            self.run(&["audit.py", &pipeline, &registry, &key, dataset_version, &rows, "2026"], &[]).await?;
        Ok(said.trim().to_owned())
    }

    async fn compare(&self, seed: u64, on: Option<Shortlist<'_>>) -> anyhow::Result<Comparison> {
        let name = if on.is_some() { "compared-on-dataset.json" } else { "compared-on-source.json" };
        let mut arguments = vec!["compare_models.py".to_owned(), seed.to_string(), name.to_owned()];
        if let Some(Shortlist { dataset_version, candidates }) = on {
            let key = self.reach.key(names::AUTHOR)?;
            arguments.extend([self.address(To::DataPipeline)?, key, dataset_version.to_owned()]);
            arguments.extend(candidates.iter().cloned());
        }
        self.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), &[]).await?;
        let text = fs::read(self.folder.join(name)).with_context(|| format!("{name} was not written"))?;
        serde_json::from_slice(&text).with_context(|| name.to_owned())
    }

    fn candidate(&self) -> &'static str {
        "kernel-ridge"
    }

    async fn train(&self, variant: Variant, dataset_version: &str, project: &str) -> anyhow::Result<Trained> {
        let (pipeline, registry) = (self.address(To::DataPipeline)?, self.address(To::Registry)?);
        let (key, run) = (self.reach.key(names::AUTHOR)?, format!("digits-{}", variant.name()));
        let (name, out) = (variant.name(), self.model(variant).display().to_string());
        let arguments = ["train.py", &pipeline, &registry, &key, dataset_version, project, &run, name, &out];
        let said = self.run(&arguments, &[]).await?;
        let words: Vec<&str> = said.trim().splitn(3, ' ').collect();
        let [digest, accuracy, search] = words[..] else { anyhow::bail!("train.py printed {said:?}") };
        Ok(Trained {
            run: format!("trainingRuns/{run}"),
            artifact_digest: digest.to_owned(),
            validation_accuracy: accuracy.parse()?,
            search: search.to_owned(),
        })
    }

    async fn test(
        &self,
        variant: Variant,
        suite: Suite,
        trained: &Trained,
        dataset_version: &str,
    ) -> anyhow::Result<Vec<u8>> {
        let script = match suite {
            Suite::Unit => "test_model.py",
            Suite::Integration => "test_integration.py",
        };
        let report = self.folder.join(format!("{}-{}.xml", variant.name(), suite.category()));
        let variables = [
            ("WLP_MODEL", self.model(variant).display().to_string()),
            ("WLP_DIGEST", trained.artifact_digest.clone()),
            ("WLP_DATASET", dataset_version.to_owned()),
            ("WLP_REGISTRY", self.address(To::Registry)?),
            ("WLP_PIPELINE", self.address(To::DataPipeline)?),
            ("WLP_KEY", self.reach.key("qa-engineer")?),
        ];
        let junit = format!("--junitxml={}", report.display());
        // Tests that fail are in the report: the gate judges them, not the exit status.
        let ran =
            self.run(&["-m", "pytest", "-q", "-p", "no:cacheprovider", &junit, script], &variables).await;
        match fs::read(&report) {
            Ok(xml) => Ok(xml),
            Err(_) => Err(ran.err().unwrap_or_else(|| anyhow::anyhow!("pytest left no report"))),
        }
    }

    fn test_tool(&self) -> (String, String) {
        ("pytest".into(), PYTEST.into())
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

/// Runs a program to its end; what it printed, or what it complained of.
pub(crate) async fn finished(mut command: Command, patience: Duration, what: &str) -> anyhow::Result<String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(patience, command.output())
        .await
        .with_context(|| format!("{what} took longer than {} s", patience.as_secs()))?
        .with_context(|| format!("{what} cannot be started"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = if output.stderr.is_empty() { output.stdout } else { output.stderr };
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    anyhow::bail!("{what} failed: {}", lines[lines.len().saturating_sub(6)..].join("; "))
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
