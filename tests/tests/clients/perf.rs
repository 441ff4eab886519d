//! `perf_analyzer` as it came with tritonclient 2.41, against `wlp serve`: no request of its may fail.

use tests::needs;
use tokio::process::Command;

use super::PATIENCE;
use super::served::Served;

/// The rows of the model `simple`, and of those like it.
const ROWS: [&str; 4] = ["--shape", "INPUT0:16", "--shape", "INPUT1:16"];

/// Requests a second that it measured.
fn throughput(said: &str) -> Option<f64> {
    let line = said.lines().find_map(|line| line.trim().strip_prefix("Throughput: "))?;
    line.strip_suffix(" infer/sec")?.parse().ok()
}

/// Sends so many requests of a model that it may measure them, however fast they are: nothing here is about speed.
async fn measured(program: &str, served: &Served, protocol: &str, model: &str, more: &[&str]) {
    let mut command = Command::new(program);
    let address = if protocol == "grpc" { &served.grpc } else { &served.rest };
    command.args(["-m", model, "-u", address, "-i", protocol, "-s", "1000", "-r", "3"]);
    command.args(["--measurement-mode", "count_windows", "--measurement-request-count", "50"]);
    command.args(more);
    let output = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output()).await;
    let output = output.expect("perf_analyzer ends").expect("perf_analyzer");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let said = format!("{protocol} {model} {more:?}: {out}{err}");
    let failed = ["error", "fail", "not stable"].iter().any(|word| said.to_lowercase().contains(word));
    assert!(output.status.success() && !failed, "{said}");
    let throughput = throughput(&out);
    assert!(throughput.is_some_and(|rate| rate > 0.0), "{said}");
    println!("{protocol}, {model}, {more:?}: {throughput:?} a second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perf_analyzer_over_grpc() {
    let Some(program) = needs::variable("WLP_TEST_PERF_ANALYZER") else { return };
    let Some(served) = Served::start(&[]) else { return };
    for way in [
        &["--concurrency-range", "1"][..],
        &["--concurrency-range", "8"],
        &["--concurrency-range", "8", "--streaming"],
        &["--request-rate-range", "100", "-a"],
        &["--concurrency-range", "2", "-b", "4"],
    ] {
        measured(&program, &served, "grpc", "simple", &[&ROWS[..], way].concat()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perf_analyzer_over_http() {
    let Some(program) = needs::variable("WLP_TEST_PERF_ANALYZER") else { return };
    let Some(served) = Served::start(&[]) else { return };
    for way in [&["--concurrency-range", "1"][..], &["--concurrency-range", "8"]] {
        measured(&program, &served, "http", "simple", &[&ROWS[..], way].concat()).await;
    }
    let texts = ["--concurrency-range", "2", "-b", "4", "--string-data", "7"];
    measured(&program, &served, "http", "simple_string", &[&ROWS[..], &texts].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perf_analyzer_in_shared_memory() {
    let Some(program) = needs::variable("WLP_TEST_PERF_ANALYZER") else { return };
    let Some(served) = Served::start(&["--shared-memory"]) else { return };
    let way = [&ROWS[..], &["--concurrency-range", "2", "--shared-memory", "system"]].concat();
    for protocol in ["grpc", "http"] {
        measured(&program, &served, protocol, "simple", &way).await;
    }
}
