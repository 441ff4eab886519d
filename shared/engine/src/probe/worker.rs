//! The worker: one model from standard input, one line of answer.

use std::io::{BufRead, Read, Write};
use std::time::Duration;

use bytes::Bytes;

use super::confine;
use super::report::{Fault, Job, Kind, Report};
use crate::inspect::sha256;
use crate::{Batching, Engine, LoadOptions, OnnxRuntime, Optimization, RunOptions, Session, session};

/// The first argument of a worker.
pub(super) const ARGUMENT: &str = "--try-one-model-from-stdin";
/// Bytes of the job at most.
const JOB_BYTES: u64 = 64 << 10;

/// Does not return if this process was started to try a model: it tries it, answers, and ends. The first thing in a main,
/// before threads, configuration and telemetry.
pub fn answer_if_asked() {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == ARGUMENT) {
        let code = match work() {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("{error}");
                2
            }
        };
        std::process::exit(code);
    }
}

fn work() -> std::io::Result<()> {
    let no_network = confine::rights()?;
    let mut input = std::io::BufReader::new(std::io::stdin());
    let mut line = String::new();
    input.by_ref().take(JOB_BYTES).read_line(&mut line)?;
    let job: Job = serde_json::from_str(&line)?;
    confine::amounts(job.memory, job.cpu_s)?;
    let mut model = vec![0; job.bytes];
    input.read_exact(&mut model)?;
    end_with_the_service(input)?;
    let model = Bytes::from(model);
    let digest = sha256(&model);
    let fault = tried(model, job).err();
    let report = Report { digest, peak_bytes: peak_bytes(), no_network, fault };
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, &report)?;
    output.write_all(b"\n")?;
    output.flush()
}

/// The service keeps the pipe open as long as it waits for the answer.
fn end_with_the_service(mut input: impl Read + Send + 'static) -> std::io::Result<()> {
    let watch = move || {
        let _ = std::io::copy(&mut input, &mut std::io::sink());
        std::process::abort();
    };
    std::thread::Builder::new().name("probe-watch".into()).stack_size(64 << 10).spawn(watch).map(drop)
}

/// Loads the model as services do and runs it once. One that is made to batch is also run on several rows: loading does.
fn tried(model: Bytes, job: Job) -> Result<(), Fault> {
    let host = |error: std::io::Error| Fault::new(Kind::Host, &error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(host)?;
    runtime.block_on(async {
        let options = LoadOptions {
            optimization: Optimization::All,
            batching: Batching::default(),
            // The service keeps the time.
            load_limit: Duration::from_secs(job.wall_s.saturating_mul(2)),
            limits: job.limits,
            ..LoadOptions::default()
        };
        let loaded = OnnxRuntime::new().load(model, options).await;
        let session = loaded.map_err(|error| Fault::of_load(&error))?;
        run(&*session).await
    })
}

async fn run(session: &dyn Session) -> Result<(), Fault> {
    let Some(inputs) = session::made_up(session.signature()) else {
        return Ok(()); // no request can bring such inputs either
    };
    match session.run(inputs, Vec::new(), RunOptions::default()).await {
        Ok(_) => Ok(()),
        Err(error) => Fault::of_run(&error).map_or(Ok(()), Err),
    }
}

/// Most memory that this process had in use at a time; 0 where the kernel does not tell.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib =
        line.and_then(|line| line.trim().strip_suffix("kB")).and_then(|kib| kib.trim().parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}
