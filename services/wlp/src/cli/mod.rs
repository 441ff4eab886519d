//! The command line: one file for each family of commands.

mod audit;
mod data;
mod demo;
mod embedded;
mod evaluate;
mod experiment;
mod figures;
mod gate;
mod health;
mod import;
mod keys;
mod profile;
mod resources;
mod secured;
mod serve;
mod shadow;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use runtime::Peer;
use runtime::config::Peers;

use crate::keys::Keyring;
use crate::reach::{To, url_of};

/// Machine-learning life cycle: the mesh in one process, the demo, and the client commands.
#[derive(Debug, Parser)]
#[command(name = "wlp", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts the five services in one process, on loopback with development keys.
    Up(up::Up),
    /// Serves ONNX files or a Triton model repository on loopback, without the mesh and without keys.
    Serve(serve::Serve),
    /// Sets everything up and tells the whole story: one model from plan to production, and back out.
    Demo(demo::Demo),
    /// Installs ONNX Runtime.
    #[command(subcommand)]
    Runtime(RuntimeCommand),
    /// Asks a service for its health; exits with 0 if it serves.
    Health(health::Health),
    /// Makes API keys.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Exports the audit log and its public key, and checks it offline.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Saves stored gate decisions, and decides them again.
    #[command(subcommand)]
    Gate(gate::Gate),
    /// Sends copies of production's requests to a staged version, and compares what it answers.
    #[command(subcommand)]
    Shadow(shadow::Shadow),
    /// Compares a canary with stable for what was declared before.
    #[command(subcommand)]
    Experiment(experiment::Experiment),
    /// Prints a resource by its name, `models/digits/versions/1.2.0` or `digits-v1.2.0`.
    Get(resources::Get),
    /// Prints the resources of a collection, `models` or `models/digits/versions`.
    List(resources::List),
    /// Takes models and data from elsewhere.
    #[command(subcommand)]
    Import(import::Import),
    /// Tells what is in a file: types, ranges, gaps, duplicates, quality, and what is worth a look.
    Profile(profile::Profile),
    /// Compares and splits files of data, without a mesh, and compares dataset versions of one.
    #[command(subcommand)]
    Data(data::Data),
    /// Evaluates a model version on a dataset version and prints each number, finding and verdict.
    Evaluate(evaluate::Evaluate),
}

#[derive(Debug, Subcommand)]
enum RuntimeCommand {
    /// Takes the pinned wheel from PyPI and unpacks its library under the user's data folder.
    Install {
        /// The build with CUDA and TensorRT.
        #[arg(long)]
        gpu: bool,
    },
}

/// Where the services are and who calls.
#[derive(Debug, Clone, Args)]
pub struct Caller {
    /// API key; wins over the development keys.
    #[arg(long, env = "WLP_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Folder of a mesh started with `wlp up`, for its development keys.
    #[arg(long, env = "WLP_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    /// Address of the registry.
    #[arg(long, env = "WLP_REGISTRY_URL")]
    registry: Option<String>,
    /// Address of the data-pipeline.
    #[arg(long, env = "WLP_DATA_PIPELINE_URL")]
    data_pipeline: Option<String>,
    /// Address of the evaluator.
    #[arg(long, env = "WLP_EVALUATOR_URL")]
    evaluator: Option<String>,
    /// Address of the gateway.
    #[arg(long, env = "WLP_GATEWAY_URL")]
    gateway: Option<String>,
    /// Address of the monitor.
    #[arg(long, env = "WLP_MONITOR_URL")]
    monitor: Option<String>,
    #[command(flatten)]
    secured: secured::Secured,
}

impl Caller {
    /// A service, called with `--key`, or with the development key of `principal`.
    fn peer(&self, to: To, principal: &str) -> anyhow::Result<Peer> {
        let key = match &self.key {
            Some(key) => key.clone(),
            None => self.keyring()?.key(principal)?.to_owned(),
        };
        let peers = self.peers();
        let peer = Peer::connect_with(url_of(&peers, to), &key, &self.secured.tls())?;
        Ok(peer.describe(contracts::DESCRIPTORS)?)
    }

    /// The development keys of `--data-dir`, which must be there.
    fn keyring(&self) -> anyhow::Result<Keyring> {
        let (_, secrets) = crate::keys::files(&self.data_dir);
        anyhow::ensure!(
            secrets.exists(),
            "{} does not exist: give --key, or --data-dir of a mesh started with `wlp up`",
            secrets.display()
        );
        Keyring::development(&self.data_dir)
    }

    fn peers(&self) -> Peers {
        let usual = Peers::default();
        let or = |given: &Option<String>, usual: String| given.clone().unwrap_or(usual);
        Peers {
            registry: or(&self.registry, usual.registry),
            data_pipeline: or(&self.data_pipeline, usual.data_pipeline),
            evaluator: or(&self.evaluator, usual.evaluator),
            gateway: or(&self.gateway, usual.gateway),
            monitor: or(&self.monitor, usual.monitor),
        }
    }
}

/// Waits for a long-running operation of the service that `peer` is.
async fn operation<M: prost::Message + Default>(
    peer: Peer,
    begun: contracts::longrunning::Operation,
) -> anyhow::Result<M> {
    crate::story::operation(peer, begun).await
}

/// Runs the command line; a refusal is printed with its reason and every bad field.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let code = runtime.block_on(carry_out(cli.command)).unwrap_or_else(|error| fail(&error));
    // What still runs beside is worth nothing any more: nobody waits for it.
    runtime.shutdown_background();
    code
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("wlp: {}", crate::refusal::of_error(error));
    ExitCode::FAILURE
}

async fn carry_out(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(up) => Box::pin(up.run()).await,
        Command::Serve(serve) => Box::pin(serve.run()).await,
        Command::Demo(demo) => Box::pin(demo.run()).await,
        Command::Runtime(RuntimeCommand::Install { gpu }) => {
            let library = crate::onnxruntime::install(gpu).await?;
            println!("{}", library.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Health(health) => health.run().await,
        Command::Keys(keys) => keys.run(),
        Command::Audit(audit) => audit.run().await,
        Command::Gate(gate) => gate.run().await,
        Command::Shadow(shadow) => shadow.run().await,
        Command::Experiment(experiment) => experiment.run().await,
        Command::Get(get) => get.run().await,
        Command::List(list) => list.run().await,
        Command::Import(import) => import.run().await,
        Command::Profile(profile) => profile.run(),
        Command::Data(data) => data.run().await,
        Command::Evaluate(evaluate) => evaluate.run().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
