//! `wlp demo`: all set-up, then the whole story.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::Args;
use runtime::config::Telemetry;

use super::embedded::{self, Embedded, INTERRUPTED};
use crate::keys::{Keyring, files};
use crate::mesh::{Mesh, MeshOptions, Sockets};
use crate::python::{Python, PythonMakers};
use crate::reach::{Reach, To};
use crate::settings::Settings;
use crate::show::{Screen, table};
use crate::story::{self, FilePace, Story, Teller};

#[derive(Debug, Args)]
pub struct Demo {
    /// Ends with the story; the status is 0 only if every step came out as it must.
    #[arg(long)]
    exit: bool,
    /// Empty folder for all data; without it, a new one under the user's data folder.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    embedded: Embedded,
}

impl Demo {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let sockets = self.embedded.sockets(Sockets::USUAL.host);
        sockets.free(&mut Settings::default())?;
        let screen = Arc::new(Screen::new());
        let folder = self.folder()?;
        let quiet = Telemetry { filter: "error".into(), ..Telemetry::default() };
        let _telemetry = runtime::telemetry::init("wlp", &self.embedded.telemetry(quiet))?;
        let python = tokio::select! {
            python = set_up(&screen) => python?,
            () = runtime::shutdown_signal() => return Ok(interrupted(&screen)),
        };
        let pace = Arc::new(FilePace::create(folder.join("clock.json"))?);
        screen.begin("five services");
        let keys = Keyring::development(&folder)?;
        let options =
            embedded::options(folder.clone(), sockets, pace.clock(), keys, &engine::ProbeOptions::default());
        let mut mesh = Mesh::start(MeshOptions { configured: false, ..options }).await?;
        let reach: Arc<dyn Reach> = mesh.reach();
        let makers = PythonMakers::new(python, folder.join("work"), reach.clone())?;
        let story = Story::new(reach, Arc::new(makers), pace, screen.clone(), folder.clone());
        let told = tokio::select! {
            told = story::tell(&story) => Some(told),
            () = runtime::shutdown_signal() => None,
            error = mesh.broken() => Some(Err(error)),
        };
        screen.end();
        println!("\n{}", table(&story.outcomes()));
        let Some(told) = told else {
            embedded::stop(mesh).await?;
            return Ok(interrupted(&screen));
        };
        if let Err(error) = &told {
            println!("\nthe story ended early: {}", crate::refusal::of_error(error));
        }
        println!("\nwhere to look");
        kept(&folder);
        let good = told.is_ok() && story.as_expected();
        if self.exit || told.is_err() {
            embedded::stop(mesh).await?;
        } else {
            self.show(&mesh, &folder);
            println!("\nthe mesh stays up; Ctrl-C ends it");
            embedded::serve(mesh).await?;
        }
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Names in a story are taken once: it needs a folder of its own.
    fn folder(&self) -> anyhow::Result<PathBuf> {
        let folder = if let Some(given) = &self.data_dir {
            given.clone()
        } else {
            let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let data = engine::library_folder().context("neither XDG_DATA_HOME nor HOME is set")?;
            data.parent().unwrap_or(&data).join("demo").join(second.to_string())
        };
        anyhow::ensure!(
            !folder.join(To::Registry.name()).exists(),
            "{} holds a mesh already; give an empty folder",
            folder.display()
        );
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(std::path::absolute(folder)?)
    }

    /// What can be asked while the mesh is up.
    fn show(&self, mesh: &Mesh, folder: &Path) {
        let reach = mesh.reach();
        for line in embedded::addresses(&reach, 16) {
            println!("  {line}");
        }
        let at = |to: To| embedded::address(&reach, to);
        let (wlp, registry, folder) = (command(), at(To::Registry), folder.display());
        println!(
            "  resources      {wlp} list models/digits/versions --names --registry http://{registry} --data-dir {folder}"
        );
        println!(
            "  decisions      {wlp} gate replay models/digits/versions/1.0.0/gateDecisions/g2-1 --registry http://{registry} --data-dir {folder}"
        );
        match self.embedded.traces() {
            None => println!(
                "  traces         give --otlp-endpoint http://127.0.0.1:4317, then look in Jaeger at http://127.0.0.1:16686"
            ),
            Some(endpoint) => {
                println!("  traces         sent to {endpoint}; Jaeger shows them at http://127.0.0.1:16686");
            }
        }
        let (gateway, key) = (at(To::Gateway), reach.key("client").unwrap_or_default());
        println!("\nfrom Python (pip install tritonclient[grpc]):");
        println!("  import numpy, tritonclient.grpc as triton");
        println!("  client = triton.InferenceServerClient({gateway:?})");
        println!(
            "  pixels = triton.InferInput('pixels', [1, 64], 'FP32'); pixels.set_data_from_numpy(numpy.zeros((1, 64), 'float32'))"
        );
        println!(
            "  print(client.infer('digits', [pixels], headers={{'authorization': 'Bearer {key}'}}).as_numpy('label'))"
        );
    }
}

/// ONNX Runtime, and Python with what the scripts need.
async fn set_up(screen: &Screen) -> anyhow::Result<Python> {
    screen.chapter("set-up");
    screen.begin("ONNX Runtime");
    let library = crate::onnxruntime::ensure().await?;
    screen.line(&format!("ONNX Runtime  {}", library.display()));
    screen.begin("Python environment and stubs");
    Python::ensure().await
}

fn interrupted(screen: &Screen) -> ExitCode {
    screen.end();
    println!("\ninterrupted");
    INTERRUPTED.into()
}

/// What is left in the folder, mesh or not.
fn kept(folder: &Path) {
    let (wlp, audit) = (command(), folder.join("audit.jsonl"));
    println!("  documents      {}", folder.join("documents").display());
    println!("  evidence       {}", folder.join("evidence").display());
    println!("  gate decisions {}", folder.join("decisions").display());
    println!("                 {wlp} gate replay --file FILE --audit {}", audit.display());
    println!("  audit log      {}", audit.display());
    println!("                 {wlp} audit verify {}", audit.display());
    println!("  keys           {}", files(folder).1.display());
}

/// How this command is called again.
fn command() -> String {
    if std::env::var_os("CARGO").is_some() {
        return "cargo run --release --".to_owned();
    }
    std::env::args().next().unwrap_or_else(|| "wlp".to_owned())
}
