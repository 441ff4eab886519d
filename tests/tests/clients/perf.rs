//! `perf_analyzer` as it came with tritonclient 2.41, against `wlp serve`: no request of its may fail.

use tests::needs;
use tokio::process::Command;

use super::PATIENCE;
use super::served::Served;

/// Requests a second that it measured.
fn throughput(said: &str) -> Option<f64> {
    let line = said.lines().find_map(|line| line.trim().strip_prefix("Throughput: "))?;
    line.strip_suffix(" infer/sec")?.parse().ok()
}

async fn measures(protocol: &str) {
    let Some(program) = needs::variable("WLP_TEST_PERF_ANALYZER") else { return };
    let Some(served) = Served::start(&[]) else { return };
    let address = if protocol == "grpc" { &served.grpc } else { &served.rest };
    for (model, concurrency) in [("simple", "1"), ("simple", "8"), ("type_FP32", "8")] {
        let mut command = Command::new(&program);
        // So many requests, however fast they are: nothing here is about speed.
        command.args(["-m", model, "-u", address, "-i", protocol, "--concurrency-range", concurrency]);
        command.args(["--measurement-mode", "count_windows", "--measurement-request-count", "50"]);
        command.args(["-s", "1000", "-r", "3", "--shape"]);
        command.args(if model == "simple" {
            &["INPUT0:16", "--shape", "INPUT1:16"][..]
        } else {
            &["x:2"][..]
        });
        let output = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output()).await;
        let output = output.expect("perf_analyzer ends").expect("perf_analyzer");
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let failed = ["error", "fail", "not stable"].iter().any(|word| said.to_lowercase().contains(word));
        assert!(output.status.success() && !failed, "{protocol} {model} {concurrency}: {said}");
        let throughput = throughput(&said);
        assert!(throughput.is_some_and(|rate| rate > 0.0), "{said}");
        println!("{protocol}, {model}, {concurrency} at a time: {throughput:?} a second");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perf_analyzer_over_grpc() {
    measures("grpc").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perf_analyzer_over_http() {
    measures("http").await;
}
