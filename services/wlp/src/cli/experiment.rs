//! `wlp experiment`: what a canary is compared with stable for, and what came out.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use contracts::gateway::v1::serving_service_client::ServingServiceClient;
use contracts::gateway::v1::{ArmResult, ExperimentResult, ListExperimentsRequest};
use contracts::registry::v1::experiment::Metric as WireMetric;
use contracts::registry::v1::rollout_service_client::RolloutServiceClient;
use contracts::registry::v1::{DeclareExperimentRequest, Experiment as Declared};

use super::Caller;
use super::figures::number;
use crate::reach::To;

#[derive(Debug, Subcommand)]
pub enum Experiment {
    /// Declares an experiment over the split of a rollout; once, and for good.
    Declare(Declare),
    /// Shows the arms of a gateway's experiments, step by step, and what can be said of their difference.
    Show(Show),
}

#[derive(Debug, Args)]
pub struct Declare {
    /// `deployments/{d}/rollouts/{r}`
    rollout: String,
    /// What is expected, in words.
    #[arg(long)]
    hypothesis: String,
    /// What the verdict is about.
    #[arg(long, value_enum)]
    metric: Metric,
    /// Probability that the interval holds at all looks together.
    #[arg(long)]
    confidence: f64,
    #[command(flatten)]
    caller: Caller,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Metric {
    /// Share of requests that the model failed.
    ModelFaultRate,
    /// Mean milliseconds from admission to the answer.
    Latency,
}

#[derive(Debug, Args)]
pub struct Show {
    /// Only of this endpoint.
    #[arg(default_value = "")]
    endpoint: String,
    #[command(flatten)]
    caller: Caller,
}

impl Experiment {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Declare(declare) => declare.run().await,
            Self::Show(show) => show.run().await,
        }
    }
}

impl Declare {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut rollouts = RolloutServiceClient::new(self.caller.peer(To::Registry, "ml-ops-engineer")?);
        let metric = match self.metric {
            Metric::ModelFaultRate => WireMetric::ModelFaultRate,
            Metric::Latency => WireMetric::Latency,
        };
        let experiment = Declared {
            hypothesis: self.hypothesis,
            primary_metric: metric.into(),
            confidence: self.confidence,
            ..Declared::default()
        };
        let request = DeclareExperimentRequest {
            name: self.rollout,
            experiment: Some(experiment),
            ..DeclareExperimentRequest::default()
        };
        let rollout = rollouts.declare_experiment(request).await?.into_inner();
        println!("{} is compared with {}", rollout.version, rollout.previous_version);
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut serving = ServingServiceClient::new(self.caller.peer(To::Gateway, "auditor")?);
        let request = ListExperimentsRequest { endpoint: self.endpoint };
        let told = serving.list_experiments(request).await?.into_inner();
        if told.experiments.is_empty() {
            println!("gateway {} counts for no experiment", told.gateway);
        }
        for experiment in &told.experiments {
            print!("{}", table(experiment));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One step: the arms, the difference, the verdict.
fn table(result: &ExperimentResult) -> String {
    let mut text = String::new();
    let declared = result.experiment.clone().unwrap_or_default();
    let state = if result.running { "running" } else { "over" };
    let _ = writeln!(
        text,
        "{} at {} % of {}: {state}\n  {}",
        result.rollout, result.canary_percent, result.endpoint, declared.hypothesis
    );
    let _ = writeln!(
        text,
        "  {:8} {:>10} {:>10} {:>12} {:>12}  version",
        "arm", "requests", "faults", "mean ms", "p95 ms"
    );
    for (name, arm) in [("stable", &result.stable), ("canary", &result.canary)] {
        let arm = arm.clone().unwrap_or_default();
        let ArmResult { requests, model_faults, mean_latency_ms, p95_latency_ms, version, .. } = &arm;
        let (mean, p95) = (number(*mean_latency_ms), number(*p95_latency_ms));
        let _ =
            writeln!(text, "  {name:8} {requests:>10} {model_faults:>10} {mean:>12} {p95:>12}  {version}");
    }
    let (difference, lower, upper) = (number(result.difference), number(result.lower), number(result.upper));
    let _ = writeln!(
        text,
        "  {}, canary less stable: {difference}, between {lower} and {upper} ({} of all looks): {}",
        declared.primary_metric().as_str_name(),
        declared.confidence,
        result.verdict().as_str_name()
    );
    text
}
