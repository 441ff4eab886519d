//! `wlp gate`: a stored decision is saved with all that it rests on, and made again here, with or without the registry.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use contracts::registry::v1::ReplayGateDecisionRequest;
use contracts::registry::v1::gate_service_client::GateServiceClient;
use runtime::Peer;

use super::Caller;
use crate::audit_file;
use crate::reach::To;
use crate::replay::{Replayed, Saved, word};

#[derive(Debug, Subcommand)]
pub enum Gate {
    /// Saves a decision with its evidence, its policy and the public key as one file.
    Save(Save),
    /// Checks signature and digests here and decides again; exits with 0 if everything is as stored.
    Replay(Replay),
}

#[derive(Debug, Args)]
pub struct Save {
    /// `models/{m}/versions/{v}/gateDecisions/{g}`
    name: String,
    /// File to write.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    caller: Caller,
}

#[derive(Debug, Args)]
pub struct Replay {
    /// `models/{m}/versions/{v}/gateDecisions/{g}`, taken from the registry, which decides again too.
    #[arg(required_unless_present = "file")]
    name: Option<String>,
    /// File that `wlp gate save` wrote: nothing is asked for.
    #[arg(long, conflicts_with = "name")]
    file: Option<PathBuf>,
    /// YAML file of the policy, in place of the saved one; its digest has to be the decision's.
    #[arg(long)]
    policy: Option<PathBuf>,
    /// PEM file of the public key that must have signed. Pin it: a file's own key proves only that the file is whole.
    #[arg(long)]
    key: Option<PathBuf>,
    /// File that `wlp audit export` wrote: it is checked, and the decision must stand in it.
    #[arg(long)]
    audit: Option<PathBuf>,
    #[command(flatten)]
    caller: Caller,
}

impl Gate {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Save(Save { name, out, caller }) => {
                Saved::fetch(&caller.peer(To::Registry, "auditor")?, &name).await?.write(&out)?;
                println!("{}", out.display());
                Ok(ExitCode::SUCCESS)
            }
            Self::Replay(replay) => replay.run().await,
        }
    }
}

impl Replay {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let registry = match self.file {
            Some(_) => None,
            None => Some(self.caller.peer(To::Registry, "auditor")?),
        };
        let mut saved = self.saved(registry.as_ref()).await?;
        if let Some(path) = &self.policy {
            saved.policy = read(path)?;
        }
        let pinned = self.key.as_ref().map(read).transpose()?;
        if pinned.is_none() {
            eprintln!("checked with the key that came with the decision; pin the registry's with --key");
        }
        let mut again = saved.replay(pinned.as_deref())?;
        if let Some(path) = &self.audit {
            let log = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            let place = saved.logged(audit_file::read(BufReader::new(log))?, pinned.as_deref())?;
            println!("audit entry {place} holds this decision");
        }
        if let Some(registry) = registry {
            again.differences.extend(ask(registry, &saved, &again).await?);
        }
        show(&saved, &again);
        Ok(if again.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn saved(&self, registry: Option<&Peer>) -> anyhow::Result<Saved> {
        match (&self.file, registry, &self.name) {
            (Some(path), ..) => Saved::read(path),
            (None, Some(registry), Some(name)) => Saved::fetch(registry, name).await,
            _ => anyhow::bail!("give a name or --file"),
        }
    }
}

fn read(path: &PathBuf) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// What the registry says otherwise than we do.
async fn ask(registry: Peer, saved: &Saved, ours: &Replayed) -> anyhow::Result<Vec<String>> {
    let request = ReplayGateDecisionRequest { name: saved.decision.name.clone() };
    let theirs = GateServiceClient::new(registry).replay_gate_decision(request).await?.into_inner();
    let alike = theirs.same && theirs.passed == ours.passed && theirs.findings == ours.findings;
    Ok(if alike { Vec::new() } else { vec![format!("the registry replays: {}", word(theirs.passed))] })
}

fn show(saved: &Saved, again: &Replayed) {
    let stored = &saved.decision;
    println!("{}: stored {}, replayed {}", stored.name, word(stored.passed), word(again.passed));
    println!("policy {}\nevidence {}", stored.policy_digest, stored.evidence_digest);
    for finding in &again.findings {
        println!("  {}", crate::story::finding_line(finding));
    }
    for difference in &again.differences {
        println!("DIFFERS  {difference}");
    }
    println!("{}", if again.differences.is_empty() { "the same answer" } else { "ANOTHER answer" });
}
