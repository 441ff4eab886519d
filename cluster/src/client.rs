//! The client: profiles a table in its own process or on a cluster, by one plan, and compares profiles.

use std::io::Write;
use std::path::{Path, PathBuf};

use aggregates::profile::TableProfile;
use aggregates::table;
use anyhow::{Context, Result, bail};
use ballista::prelude::{SessionConfigExt, SessionContextExt};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

/// Profiles tables in this process or on a cluster.
#[derive(Debug, clap::Parser)]
#[command(name = "wlp-cluster", version)]
pub struct Client {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Prints a table's profile as JSON: exact numbers, and the bounds of all others
    Profile {
        /// A Parquet file, or a folder of such; executors must see it under the same path
        file: PathBuf,
        /// The scheduler, http://host:port; in this process unless given
        #[arg(long, env = "WLP_SCHEDULER")]
        scheduler: Option<String>,
        /// Parts that the table is cut into at most
        #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
        parts: u16,
    },
    /// Tells whether two profiles can be of the same rows; fails where they cannot
    Compare {
        /// A profile's JSON
        first: PathBuf,
        /// Another one
        second: PathBuf,
    },
}

impl Client {
    /// Does what is asked for.
    pub async fn run(self) -> Result<()> {
        match self.command {
            Command::Profile { file, scheduler, parts } => {
                let context = context(scheduler.as_deref(), parts.into()).await?;
                let told = TableProfile::of(table::open(&context, &file).await?).await?;
                print(&serde_json::to_string_pretty(&told)?)
            }
            Command::Compare { first, second } => {
                let found = read(&first)?.disagreements(&read(&second)?);
                if !found.is_empty() {
                    bail!("not the same rows:\n{}", found.join("\n"));
                }
                print("no disagreement")
            }
        }
    }
}

/// A context whose plans run in this process, or by a scheduler.
pub async fn context(scheduler: Option<&str>, parts: usize) -> Result<SessionContext> {
    let mut context = match scheduler {
        None => SessionContext::new_with_config(SessionConfig::new().with_target_partitions(parts)),
        Some(url) => {
            let config = SessionConfig::new_with_ballista().with_target_partitions(parts);
            let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
            SessionContext::remote_with_state(url, state).await?
        }
    };
    // Last: a context for a cluster begins with the functions that Ballista knows.
    aggregates::register(&mut context)?;
    Ok(context)
}

fn read(path: &Path) -> Result<TableProfile> {
    let text = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no profile", path.display()))
}

fn print(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("the answer cannot be written")
}
