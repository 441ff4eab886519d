//! Client programs from the registries against `wlp serve`, as they come: suites in `tests/clients/served`, one file each.

use tests::needs;
use tokio::process::Command;

use super::served::Served;
use super::{PATIENCE, here};

/// Runs one file of the suite against a server of its own.
async fn passes(file: &str) {
    passes_with(file, &["--model-control", "explicit", "--load-model", "*"]).await;
}

/// As [`passes`], of a server that was started so.
async fn passes_with(file: &str, options: &[&str]) {
    let Some(python) = needs::variable("WLP_TEST_PYTHON") else { return };
    let Some(served) = Served::start(options) else { return };
    suite(&python, file, &[("WLP_GRPC", &served.grpc), ("WLP_REST", &served.rest)]).await;
}

/// Runs one file; that nothing was collected is a failure of pytest too.
async fn suite(python: &str, file: &str, variables: &[(&str, &String)]) {
    let mut command = Command::new(python);
    command
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short"])
        .arg(here("clients/served").join(file));
    command.env("PYTHONDONTWRITEBYTECODE", "1").envs(variables.iter().copied());
    let output = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output()).await;
    let output = output.expect("the suite ends").expect("pytest");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    println!("{file}: {}", out.lines().last().unwrap_or_default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tritonclient_over_grpc() {
    passes("test_grpc.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tritonclient_over_http() {
    passes("test_http.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tritonclient_of_asyncio_over_both() {
    passes("test_aio.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_data_type_in_every_form() {
    passes("test_types.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tritonclient_in_sequences() {
    passes("test_sequences.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tritonclient_over_shared_memory() {
    passes_with("test_shared_memory.py", &["--shared-memory"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kserve_over_both() {
    passes("test_kserve.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_that_of_the_published_protos() {
    let Some(python) = needs::variable("WLP_TEST_PYTHON") else { return };
    let protos = here("../proto").display().to_string();
    suite(&python, "test_protos.py", &[("WLP_PROTOS", &protos)]).await;
}
