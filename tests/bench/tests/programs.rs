//! The load client against the floor without a model: what it reports is what happens.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;
use serving_bench::input;

/// A floor that ends with the test.
struct Floor {
    child: Child,
    address: String,
}

impl Floor {
    fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bench-floor"))
            .arg("--noop")
            .stdout(Stdio::piped())
            .spawn()
            .context("bench-floor does not start")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ").context("no address")?.to_owned();
        Ok(Self { child, address })
    }

    /// Measures for a third of a second.
    fn load(&self, more: &[&str]) -> anyhow::Result<Value> {
        let output = Command::new(env!("CARGO_BIN_EXE_bench-load"))
            .args(["--addr", &self.address, "--model", "noop", "--shape", "64"])
            .args(["--seconds", "0.3", "--warm", "0.1", "--pid", &self.child.id().to_string()])
            .args(more)
            .env_remove("WLP_KEY")
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{errors}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number(line: &Value, name: &str) -> f64 {
    line[name].as_f64().unwrap_or(f64::NAN)
}

#[test]
fn callers_are_answered_and_measured() -> anyhow::Result<()> {
    let floor = Floor::start()?;
    let line = floor.load(&["--concurrency", "8", "--connections", "2", "--label", "noop"])?;
    ensure!(number(&line, "answered") > 0.0 && number(&line, "requests_s") > 0.0, "{line}");
    let quantiles = ["p50_us", "p90_us", "p99_us", "p99_9_us", "max_us"].map(|name| number(&line, name));
    ensure!(quantiles[0] > 0.0 && quantiles.is_sorted(), "{line}");
    ensure!(line["errors"] == serde_json::json!({}) && line["mismatches"] == 0, "{line}");
    ensure!(line["label"] == "noop" && line["resident_kib"][1].as_u64() > Some(0), "{line}");
    Ok(())
}

#[test]
fn an_open_loop_keeps_its_rate() -> anyhow::Result<()> {
    let floor = Floor::start()?;
    let line = floor.load(&["--rate", "200", "--concurrency", "16"])?;
    // A busy machine may push some over the end of the window, but none can be added.
    let rate = number(&line, "requests_s");
    ensure!((20.0..=210.0).contains(&rate) && line["rate"] == 200.0, "{line}");
    Ok(())
}

#[test]
fn a_wrong_answer_is_seen() -> anyhow::Result<()> {
    let (floor, file) = (Floor::start()?, tempfile::NamedTempFile::new()?);
    std::fs::write(file.path(), input::raw(&[0.5; 20]))?;
    let expect = file.path().to_str().context("a path")?;
    let line = floor.load(&["--variants", "2", "--expect", expect])?;
    ensure!(line["mismatches"].as_f64() >= line["answered"].as_f64(), "{line}");
    ensure!(number(&line, "answered") > 0.0 && line["max_difference"] == 0.5, "{line}");
    Ok(())
}

#[test]
fn what_does_not_answer_is_said() -> anyhow::Result<()> {
    let floor = Floor::start()?;
    // More than a message may have: the server refuses it, and so nothing is measured.
    let refused = floor.load(&["--rows", "300000"]).expect_err("refused").to_string();
    ensure!(refused.contains("does not answer for noop") && refused.contains("OutOfRange"), "{refused}");
    let bad = floor.load(&["--shape", "64,x"]).expect_err("refused").to_string();
    ensure!(!bad.is_empty(), "no reason");
    let address = floor.address.clone();
    drop(floor);
    let gone = Floor { child: Command::new("true").spawn()?, address };
    let gone = gone.load(&[]).expect_err("refused").to_string();
    ensure!(gone.contains("cannot reach"), "{gone}");
    Ok(())
}
