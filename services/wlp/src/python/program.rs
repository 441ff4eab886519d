//! Programs that are run to their end.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::process::Command;

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
