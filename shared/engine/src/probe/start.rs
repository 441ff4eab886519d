//! Starts the worker, gives it the model, keeps the time and reads what it says.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};

use super::report::{Job, Report, line, out_of_memory, tried};
use super::worker::ARGUMENT;
use crate::{EngineError, locate_library};

/// Bytes of its answer and of its complaints at most.
const SAID: u64 = 64 << 10;
/// Longest that a killed process may take to be gone before nobody waits for it any more.
const GONE: Duration = Duration::from_secs(5);
/// What it keeps of the environment: where ONNX Runtime finds its own libraries and locales.
const KEPT: [&str; 2] = ["LD_LIBRARY_PATH", "LOCPATH"];

/// A worker that is to be started.
pub(super) struct Worker<'a> {
    pub program: &'a Path,
    pub job: &'a Job,
}

impl Worker<'_> {
    /// The answer of a new worker. It is gone when this returns, and is killed if this is dropped.
    ///
    /// # Errors
    /// [`EngineError::Load`] if the model ended it or went over a limit, [`EngineError::Host`] if it could not work.
    pub async fn ask(&self, model: &Bytes) -> Result<Report, EngineError> {
        let mut child = self.start()?;
        let told = tokio::time::timeout(Duration::from_secs(self.job.wall_s), self.talk(&mut child, model));
        let Ok(told) = told.await else {
            // It is a process of ours: it goes as soon as the kernel lets it.
            let _ = tokio::time::timeout(GONE, child.kill()).await;
            return Err(tried(&format!("it took longer than {} s", self.job.wall_s)));
        };
        let (answer, complaint, status) = told.map_err(|error| host(&error.to_string()))?;
        match serde_json::from_slice(&answer) {
            Ok(report) => Ok(report),
            Err(_) => Err(self.without_answer(status, &String::from_utf8_lossy(&complaint))),
        }
    }

    fn start(&self) -> Result<Child, EngineError> {
        let library = std::path::absolute(locate_library()?).map_err(|error| host(&error.to_string()))?;
        let kept = KEPT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let mut command = Command::new(self.program);
        command
            .arg(ARGUMENT)
            .env_clear()
            .env("ORT_DYLIB_PATH", library)
            // While it is opened the library starts telemetry, with a database in the user's home: of a worker that may
            // write no file this would be the end.
            .env("ORT_DISABLE_TELEMETRY", "1")
            .envs(kept)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
            .spawn()
            .map_err(|error| host(&format!("{} cannot be started: {error}", self.program.display())))
    }

    /// What it wrote to its two outputs, and how it ended.
    async fn talk(
        &self,
        child: &mut Child,
        model: &Bytes,
    ) -> std::io::Result<(Vec<u8>, Vec<u8>, ExitStatus)> {
        let input = child.stdin.take();
        let (output, complaints) = (child.stdout.take(), child.stderr.take());
        // The input stays open until it has answered: a worker whose service is gone ends when it closes.
        let (_input, answer, complaint) =
            tokio::join!(self.feed(input, model), heard(output), heard(complaints));
        Ok((answer?, complaint?, child.wait().await?))
    }

    /// A worker that does not listen has ended or will be ended: how says more than that it did not.
    async fn feed(&self, input: Option<ChildStdin>, model: &Bytes) -> Option<ChildStdin> {
        let mut input = input?;
        let mut job = serde_json::to_vec(self.job).ok()?;
        job.push(b'\n');
        input.write_all(&job).await.ok()?;
        input.write_all(model).await.ok()?;
        input.flush().await.ok()?;
        Some(input)
    }

    /// What it means that it ended without an answer.
    fn without_answer(&self, status: ExitStatus, complaint: &str) -> EngineError {
        let Some(signal) = signal(status) else {
            let said = complaint.lines().next().map_or_else(|| "it said nothing".into(), line);
            return host(&format!("it ended without an answer, {status}: {said}"));
        };
        let job = self.job;
        match signal {
            Signal::Cpu => tried(&format!("it used more than {} s of processor time", job.cpu_s)),
            Signal::FileSize => tried("it tried to write a file"),
            Signal::Killed => tried("it was killed from outside, as a host does whose memory is at an end"),
            Signal::Stopped => host("it was told to stop"),
            Signal::Crash(_) if out_of_memory(complaint) => {
                tried(&format!("it asked for more than {} MiB of memory", job.memory >> 20))
            }
            Signal::Crash(name) => tried(&format!("it crashed the process: {name}")),
        }
    }
}

fn host(why: &str) -> EngineError {
    EngineError::Host(format!("the worker that tries models failed: {why}"))
}

/// Reads to the end or the limit; then nobody listens any more.
async fn heard(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut said = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(SAID).read_to_end(&mut said).await?;
    }
    Ok(said)
}

enum Signal {
    Cpu,
    FileSize,
    Killed,
    Stopped,
    Crash(String),
}

/// The signal that ended it.
fn signal(status: ExitStatus) -> Option<Signal> {
    use rustix::process::Signal as Named;
    use std::os::unix::process::ExitStatusExt;
    let number = status.signal()?;
    let name = [
        (Named::ILL, "SIGILL"),
        (Named::TRAP, "SIGTRAP"),
        (Named::ABORT, "SIGABRT"),
        (Named::BUS, "SIGBUS"),
        (Named::FPE, "SIGFPE"),
        (Named::SEGV, "SIGSEGV"),
        (Named::SYS, "SIGSYS"),
    ];
    let is = |named: Named| named.as_raw() == number;
    Some(if is(Named::XCPU) {
        Signal::Cpu
    } else if is(Named::XFSZ) {
        Signal::FileSize
    } else if is(Named::KILL) {
        Signal::Killed
    } else if is(Named::INT) || is(Named::TERM) || is(Named::HUP) || is(Named::QUIT) {
        Signal::Stopped
    } else {
        let known = name.iter().find(|(named, _)| is(*named)).map(|(_, name)| (*name).to_owned());
        Signal::Crash(known.unwrap_or_else(|| format!("signal {number}")))
    })
}
