//! `wlp serve` as a process over a model repository, for client programs that come as they are.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tests::needs;

use super::here;

/// Real time until it listens: it loads and warms every model first.
const START: Duration = Duration::from_secs(120);

/// A server of a folder.
pub struct Served {
    child: Child,
    /// `127.0.0.1:4242`, gRPC.
    pub grpc: String,
    /// `127.0.0.1:4243`, HTTP/REST.
    pub rest: String,
    _folder: tempfile::TempDir,
}

impl Served {
    /// Serves the suites' models; none, with one line, where a tool is missing.
    pub fn start(options: &[&str]) -> Option<Self> {
        let python = needs::variable("WLP_TEST_PYTHON")?;
        let programs = needs::variable("WLP_TEST_BIN_DIR")?;
        if !needs::onnx_runtime() {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let made = Command::new(python).arg(here("clients/served/models.py")).arg(folder.path()).output();
        let made = made.expect("Python");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut command = Command::new(Path::new(&programs).join("wlp"));
        command.arg("serve").arg(folder.path()).args(options);
        for address in ["--grpc", "--rest", "--metrics"] {
            command.args([address, "127.0.0.1:0"]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("wlp");
        let told = addresses(child.stdout.take().expect("its output"));
        let mut served = Self { child, grpc: String::new(), rest: String::new(), _folder: folder };
        let (grpc, rest) = told.unwrap_or_else(|said| panic!("wlp serve does not listen: {said}"));
        (served.grpc, served.rest) = (grpc, rest);
        Some(served)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the addresses of gRPC and REST; all that was said if they do not come.
fn addresses(output: ChildStdout) -> Result<(String, String), String> {
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        // To its end: a full pipe would stop the server.
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    let (mut said, mut grpc) = (String::new(), None);
    while let Ok(line) = lines.recv_timeout(START) {
        if let Some(address) = line.strip_prefix("grpc ") {
            grpc = Some(address.trim().to_owned());
        }
        let rest =
            line.strip_prefix("rest ").and_then(|at| at.trim().strip_prefix("http://")?.strip_suffix("/v2"));
        if let (Some(grpc), Some(rest)) = (grpc.clone(), rest) {
            return Ok((grpc, rest.to_owned()));
        }
        said.push_str(&line);
        said.push('\n');
    }
    Err(said)
}
