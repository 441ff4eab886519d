//! `wlp shadow`: a staged version gets copies of production's requests, and what it answers is compared.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use contracts::gateway::v1::serving_service_client::ServingServiceClient;
use contracts::gateway::v1::{ListShadowsRequest, OutputComparison, RunTime, ShadowComparison};
use contracts::registry::v1::rollout_service_client::RolloutServiceClient;
use contracts::registry::v1::{StartShadowRequest, StopShadowRequest};

use super::Caller;
use super::figures::{number, percentage};
use crate::reach::To;

#[derive(Debug, Subcommand)]
pub enum Shadow {
    /// Copies a share of the production endpoint's requests to the staged version of a rollout.
    Start(Start),
    /// Ends it.
    Stop(Stop),
    /// Shows how the versions in the shadow of a gateway's endpoints compare with those that answered.
    Show(Show),
}

#[derive(Debug, Args)]
pub struct Start {
    /// `deployments/{d}/rollouts/{r}`, staged and not started.
    rollout: String,
    /// Share of the requests that are copied, 1 to 100.
    #[arg(long)]
    percent: u32,
    #[command(flatten)]
    caller: Caller,
}

#[derive(Debug, Args)]
pub struct Stop {
    /// `deployments/{d}/rollouts/{r}`
    rollout: String,
    #[command(flatten)]
    caller: Caller,
}

#[derive(Debug, Args)]
pub struct Show {
    /// Only of this endpoint.
    #[arg(default_value = "")]
    endpoint: String,
    #[command(flatten)]
    caller: Caller,
}

impl Shadow {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Start(start) => start.run().await,
            Self::Stop(stop) => stop.run().await,
            Self::Show(show) => show.run().await,
        }
    }
}

impl Start {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut rollouts = RolloutServiceClient::new(self.caller.peer(To::Registry, "ml-ops-engineer")?);
        let request =
            StartShadowRequest { name: self.rollout, percent: self.percent, ..StartShadowRequest::default() };
        let rollout = rollouts.start_shadow(request).await?.into_inner();
        println!(
            "{} gets copies of {} % of the requests of {}",
            rollout.version, rollout.shadow_percent, rollout.previous_version
        );
        Ok(ExitCode::SUCCESS)
    }
}

impl Stop {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut rollouts = RolloutServiceClient::new(self.caller.peer(To::Registry, "ml-ops-engineer")?);
        let request = StopShadowRequest { name: self.rollout, ..StopShadowRequest::default() };
        let rollout = rollouts.stop_shadow(request).await?.into_inner();
        println!("{} gets no copies", rollout.version);
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut serving = ServingServiceClient::new(self.caller.peer(To::Gateway, "auditor")?);
        let told = serving.list_shadows(ListShadowsRequest { endpoint: self.endpoint }).await?.into_inner();
        if told.shadows.is_empty() {
            println!("no version is in the shadow on gateway {}", told.gateway);
        }
        for shadow in &told.shadows {
            print!("{}", table(shadow));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One version: how its copies ended, each output, the times.
fn table(shadow: &ShadowComparison) -> String {
    let mut text = String::new();
    let ShadowComparison { endpoint, version, percent, state, error, .. } = shadow;
    let _ = writeln!(text, "{version} in the shadow of {endpoint}: {state}, copies of {percent} %");
    if !error.is_empty() {
        let _ = writeln!(text, "  {error}");
    }
    let _ = writeln!(
        text,
        "  compared {}, model faults {}, host faults {}, incompatible {}, dropped {}",
        shadow.compared, shadow.model_faults, shadow.host_faults, shadow.incompatible, shadow.dropped
    );
    if !shadow.outputs.is_empty() {
        let _ = writeln!(
            text,
            "  {:24} {:>9} {:>9} {:>9} {:>12} {:>12} {:>12}",
            "output", "requests", "equal", "labels", "mean diff", "max diff", "incomparable"
        );
    }
    for output in &shadow.outputs {
        let OutputComparison { requests, incomparable, .. } = output;
        let _ = writeln!(
            text,
            "  {:24} {requests:>9} {:>9} {:>9} {:>12} {:>12} {incomparable:>12}",
            output.output,
            percentage(output.equal_share),
            percentage(output.label_agreement),
            number(output.mean_difference),
            number(output.max_difference),
        );
    }
    for (side, time) in [("production", &shadow.production), ("shadow", &shadow.shadow)] {
        let RunTime { p50_ms, p95_ms, p99_ms, .. } = time.unwrap_or_default();
        let (p50, p95, p99) = (number(p50_ms), number(p95_ms), number(p99_ms));
        let _ = writeln!(text, "  {side:10} in the model, ms: p50 {p50}, p95 {p95}, p99 {p99}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_seen_is_a_dash_and_no_zero() {
        let output = OutputComparison {
            output: "label".into(),
            requests: 4,
            equal_share: Some(0.5),
            label_agreement: Some(0.75),
            max_difference: Some(0.25),
            ..OutputComparison::default()
        };
        let shadow = ShadowComparison {
            version: "models/m/versions/1.1.0".into(),
            state: "ready".into(),
            outputs: vec![output],
            ..ShadowComparison::default()
        };
        let text = table(&shadow);
        let row: Vec<&str> =
            text.lines().find(|line| line.contains("label ")).expect("a line").split_whitespace().collect();
        assert_eq!(row, ["label", "4", "50.00", "%", "75.00", "%", "-", "2.500e-1", "0"]);
        assert!(text.contains("p50 -"), "{text}");
    }
}
