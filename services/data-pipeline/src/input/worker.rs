//! The worker: one job from standard input, one file read, one line of answer.

use std::io::{BufRead, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tabular::raw::{Answer, Fault, Job, read};

use super::confine;

/// The first argument of a worker.
pub const ARGUMENT: &str = "--read-one-input";
/// Bytes of a job at most.
const JOB_BYTES: u64 = 16 << 20;

/// A job, and what its worker may take.
#[derive(Debug, Serialize, Deserialize)]
pub struct Work {
    /// What is to be read.
    pub job: Job,
    /// Address space, bytes.
    pub memory: u64,
    /// Processor time, seconds.
    pub cpu_s: u64,
    /// Bytes of a file that is written at most.
    pub file_bytes: u64,
}

/// Whether this program's main asks first whether it is a worker.
static ASKS: AtomicBool = AtomicBool::new(false);

/// Does not return if this process was started to read one input: it reads it, answers, and ends. The first thing in a main,
/// before threads, configuration and telemetry. A program that never calls this reads inputs in its own process.
pub fn answer_if_asked() {
    ASKS.store(true, Ordering::Relaxed);
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

/// This program, if it can be a worker.
pub fn this_program() -> Option<PathBuf> {
    if !ASKS.load(Ordering::Relaxed) {
        return None;
    }
    // The link stays good where the file was replaced by a newer one.
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { Some(link) } else { std::env::current_exe().ok() }
}

fn work() -> std::io::Result<()> {
    confine::rights()?;
    let mut input = std::io::BufReader::new(std::io::stdin());
    let mut line = String::new();
    input.by_ref().take(JOB_BYTES).read_line(&mut line)?;
    let work: Work = serde_json::from_str(&line)?;
    // The thread before the limits: a limit that is met by it would say nothing of the file.
    end_with_the_service(input)?;
    confine::amounts(work.memory, work.cpu_s, work.file_bytes)?;
    let answer: Answer = catch_unwind(AssertUnwindSafe(|| read(&work.job)))
        .unwrap_or_else(|_| Err(Fault::data("is damaged: its reader broke off")));
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, &answer)?;
    output.write_all(b"\n")?;
    output.flush()
}

/// The service keeps the pipe open as long as it waits for the answer.
fn end_with_the_service(mut input: impl Read + Send + 'static) -> std::io::Result<()> {
    let watch = move || {
        let _ = std::io::copy(&mut input, &mut std::io::sink());
        std::process::abort();
    };
    std::thread::Builder::new().name("reader-watch".into()).stack_size(64 << 10).spawn(watch).map(drop)
}
