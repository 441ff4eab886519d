//! Starts a worker, gives it its job, keeps the time, and says what it means where it does not answer.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};

use tabular::raw::{Answer, Fault, line};

use super::worker::{ARGUMENT, Work};

/// Bytes of its answer and of its complaints at most.
const SAID: u64 = 256 << 10;
/// Longest that a killed process may take to be gone before nobody waits for it any more.
const GONE: Duration = Duration::from_secs(5);

/// What it keeps of the environment: where the system's libraries are.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// The answer of a new worker. It is gone when this returns, and is killed if this is dropped.
///
/// # Errors
/// Of the file; of the host where the worker could not work.
pub async fn ask(program: &Path, work: &Work, folder: &Path, wall: Duration) -> Answer {
    let mut child = start(program, folder)?;
    let Ok(told) = tokio::time::timeout(wall, talk(&mut child, work)).await else {
        // It is a process of ours: it goes as soon as the kernel lets it.
        let _ = tokio::time::timeout(GONE, child.kill()).await;
        return Err(Fault::data(format!("reading it took longer than {} s (reader.wall_s)", wall.as_secs())));
    };
    let (answer, complaint, status) = told.map_err(|error| host(&error.to_string()))?;
    match serde_json::from_slice::<Answer>(&answer) {
        Ok(answer) => answer.map_err(|fault| Fault { what: line(&fault.what), ..fault }),
        Err(_) => Err(without_answer(work, status, &String::from_utf8_lossy(&complaint))),
    }
}

fn start(program: &Path, folder: &Path) -> Result<Child, Fault> {
    Command::new(program)
        .arg(ARGUMENT)
        .env_clear()
        .envs(std::env::var_os(LIBRARIES).map(|path| (LIBRARIES, path)))
        // What is unpacked lies beside the result, and goes with it.
        .env("TMPDIR", folder)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| host(&format!("{} cannot be started: {error}", program.display())))
}

/// What it wrote to its two outputs, and how it ended.
async fn talk(child: &mut Child, work: &Work) -> std::io::Result<(Vec<u8>, Vec<u8>, ExitStatus)> {
    let input = child.stdin.take();
    let (output, complaints) = (child.stdout.take(), child.stderr.take());
    // The input stays open until it has answered: a worker whose service is gone ends when it closes.
    let (_input, answer, complaint) = tokio::join!(feed(input, work), heard(output), heard(complaints));
    Ok((answer?, complaint?, child.wait().await?))
}

/// A worker that does not listen has ended or will be ended: how says more than that it did not.
async fn feed(input: Option<ChildStdin>, work: &Work) -> Option<ChildStdin> {
    let mut input = input?;
    let mut line = serde_json::to_vec(work).ok()?;
    line.push(b'\n');
    input.write_all(&line).await.ok()?;
    input.flush().await.ok()?;
    Some(input)
}

/// Reads to the end or the limit; then nobody listens any more.
async fn heard(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut said = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(SAID).read_to_end(&mut said).await?;
    }
    Ok(said)
}

/// What it means that it ended without an answer.
fn without_answer(work: &Work, status: ExitStatus, complaint: &str) -> Fault {
    use rustix::process::Signal;
    use std::os::unix::process::ExitStatusExt;
    let Some(number) = status.signal() else {
        let said = complaint.lines().next().map_or_else(|| "it said nothing".into(), line);
        return host(&format!("it ended without an answer, {status}: {said}"));
    };
    let is = |signal: Signal| signal.as_raw() == number;
    if is(Signal::XCPU) {
        return Fault::data(format!(
            "reading it used more than {} s of processor time (reader.cpu_s)",
            work.cpu_s
        ));
    }
    if is(Signal::XFSZ) {
        return Fault::data(format!("reading it wrote a file of more than {} bytes", work.file_bytes));
    }
    if is(Signal::KILL) || is(Signal::INT) || is(Signal::TERM) || is(Signal::HUP) || is(Signal::QUIT) {
        return host(&format!(
            "it was ended from outside, {status}, as a host does whose memory is at an end"
        ));
    }
    if is(Signal::ABORT) && complaint.contains("memory allocation of") {
        let most = work.memory >> 20;
        return Fault::data(format!(
            "reading it asked for more than {most} MiB of memory (reader.memory_mib)"
        ));
    }
    let said = complaint.lines().next().map(line).unwrap_or_default();
    Fault::data(format!("reading it broke the reader's process: {status}: {said}"))
}

fn host(why: &str) -> Fault {
    Fault::host(format!("the process that reads it failed: {why}"))
}
