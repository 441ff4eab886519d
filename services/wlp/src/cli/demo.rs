//! `wlp demo`: all set-up, then the whole story.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::Args;
use engine::OnnxRuntime;

use super::up::telemetry;
use crate::keys::{Keyring, files};
use crate::mesh::{Mesh, MeshOptions, Sockets};
use crate::python::{Python, PythonMakers};
use crate::reach::{Reach, To};
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
    /// Ports that the system picks, in place of the usual ones.
    #[arg(long)]
    free_ports: bool,
    /// OTLP over gRPC for traces, `http://127.0.0.1:4317`.
    #[arg(long, env = "WLP_OTLP_ENDPOINT", default_value = "")]
    otlp_endpoint: String,
}

impl Demo {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let screen = Arc::new(Screen::new());
        let folder = self.folder()?;
        screen.chapter("set-up");
        screen.begin("ONNX Runtime");
        let library = tokio::task::spawn_blocking(|| crate::onnxruntime::ensure(false)).await??;
        screen.line(&format!("ONNX Runtime  {}", library.display()));
        screen.begin("Python environment and stubs");
        let python = Python::ensure().await?;
        let mut quiet = telemetry(&self.otlp_endpoint, "error");
        quiet.sample_ratio = 1.0;
        let _telemetry = runtime::telemetry::init("wlp", &quiet)?;
        let pace = Arc::new(FilePace::create(folder.join("clock.json"))?);
        screen.begin("five services");
        let mut mesh = Mesh::start(MeshOptions {
            data_dir: Some(folder.clone()),
            clock: pace.clock(),
            engine: Arc::new(OnnxRuntime::new()),
            keys: Keyring::development(&folder)?,
            sockets: Some(Sockets { free_ports: self.free_ports, ..Sockets::USUAL }),
            configured: false,
        })
        .await?;
        let reach: Arc<dyn Reach> = mesh.reach();
        let makers = PythonMakers::new(python, folder.join("work"), reach.clone())?;
        let story = Story::new(reach.clone(), Arc::new(makers), pace, screen.clone(), folder.clone());
        let told = tokio::select! {
            told = story::tell(&story) => told,
            () = runtime::shutdown_signal() => Err(anyhow::anyhow!("interrupted")),
            error = mesh.broken() => Err(error),
        };
        screen.end();
        println!("\n{}", table(&story.outcomes()));
        if let Err(error) = &told {
            println!("\nthe story ended early: {}", crate::refusal::of_error(error));
        }
        self.show(&mesh, &folder);
        let good = told.is_ok() && story.as_expected();
        if !self.exit && told.is_ok() {
            println!("\nthe mesh stays up; Ctrl-C ends it");
            tokio::select! { () = runtime::shutdown_signal() => {} error = mesh.broken() => return Err(error) }
        }
        mesh.stop().await?;
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Names in a story are taken once: it needs a folder of its own.
    fn folder(&self) -> anyhow::Result<PathBuf> {
        let folder = match &self.data_dir {
            Some(given) => given.clone(),
            None => {
                let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                let data = engine::library_folder().context("neither XDG_DATA_HOME nor HOME is set")?;
                data.parent().unwrap_or(&data).join("demo").join(second.to_string())
            }
        };
        anyhow::ensure!(
            !folder.join(To::Registry.name()).exists(),
            "{} holds a mesh already; give an empty folder",
            folder.display()
        );
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(std::path::absolute(folder)?)
    }

    /// Where to look.
    fn show(&self, mesh: &Mesh, folder: &Path) {
        let reach = mesh.reach();
        println!("\nwhere to look");
        for to in To::ALL {
            let rpc = reach.address(to).map_or_else(String::new, |at| at.to_string());
            let metrics =
                reach.metrics_address(to).map_or_else(String::new, |at| format!("http://{at}/metrics"));
            println!("  {:14} grpc {rpc:16} {metrics}", to.name());
        }
        println!("  documents      {}", folder.join("documents").display());
        println!("  audit log      {}", folder.join("audit.jsonl").display());
        println!("                 wlp audit verify {}", folder.join("audit.jsonl").display());
        println!("  keys           {}", files(folder).1.display());
        println!("  resources      wlp list models/digits/versions --names --data-dir {}", folder.display());
        match self.otlp_endpoint.as_str() {
            "" => println!(
                "  traces         give --otlp-endpoint http://127.0.0.1:4317, then look in Jaeger at http://127.0.0.1:16686"
            ),
            endpoint => {
                println!("  traces         sent to {endpoint}; Jaeger shows them at http://127.0.0.1:16686")
            }
        }
        let gateway = reach.address(To::Gateway).map_or_else(String::new, |at| at.to_string());
        let key = reach.key("client").unwrap_or_default();
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
