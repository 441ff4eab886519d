//! `wlp gate replay`: a stored decision is made again from its evidence under its policy.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use contracts::registry::v1::ReplayGateDecisionRequest;
use contracts::registry::v1::gate_service_client::GateServiceClient;

use super::Caller;
use crate::reach::To;

#[derive(Debug, Subcommand)]
pub enum Gate {
    /// Decides again; exits with 0 if the answer is the same.
    Replay(Replay),
}

#[derive(Debug, Args)]
pub struct Replay {
    /// `models/{m}/versions/{v}/gateDecisions/{g}`
    name: String,
    #[command(flatten)]
    caller: Caller,
}

impl Gate {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Replay(Replay { name, caller }) = self;
        let mut gates = GateServiceClient::new(caller.peer(To::Registry, "auditor")?);
        let again =
            gates.replay_gate_decision(ReplayGateDecisionRequest { name: name.clone() }).await?.into_inner();
        let stored = again.stored.unwrap_or_default();
        let word = |passed| if passed { "passed" } else { "refused" };
        println!("{name}: stored {}, replayed {}", word(stored.passed), word(again.passed));
        println!("policy {}\nevidence {}", stored.policy_digest, stored.evidence_digest);
        for finding in &again.findings {
            println!("  {}", crate::story::finding_line(finding));
        }
        println!("{}", if again.same { "the same answer" } else { "ANOTHER answer" });
        Ok(if again.same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
