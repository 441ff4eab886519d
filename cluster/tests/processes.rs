//! A scheduler and three executors as processes: the same profile as in one process, also when an executor is killed.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aggregates::profile::TableProfile;
use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::parquet::arrow::ArrowWriter;

const FILES: usize = 24;
/// So many that a job takes seconds, quick code or slow: the loss must come before it is over.
const ROWS_OF_A_FILE: usize = if cfg!(debug_assertions) { 8_000 } else { 60_000 };
const LONGEST: Duration = Duration::from_secs(240);

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Cluster {
    url: String,
    executors: Vec<Running>,
    logs: Vec<PathBuf>,
    _scheduler: Running,
}

fn program(name: &str) -> Command {
    Command::new(match name {
        "scheduler" => env!("CARGO_BIN_EXE_wlp-scheduler"),
        "executor" => env!("CARGO_BIN_EXE_wlp-executor"),
        _ => env!("CARGO_BIN_EXE_wlp-cluster"),
    })
}

/// Ports that were free a moment ago.
fn ports<const N: usize>() -> [u16; N] {
    let held: Vec<TcpListener> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    std::array::from_fn(|at| held[at].local_addr().unwrap().port())
}

/// Looks until a fact is there.
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < LONGEST, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Cluster {
    fn start(folder: &Path) -> Self {
        let [port] = ports();
        let scheduler = Running(
            program("scheduler")
                .args([
                    "--listen",
                    &format!("127.0.0.1:{port}"),
                    "--min-executors",
                    "3",
                    "--executor-timeout",
                    "4",
                ])
                .stderr(File::create(folder.join("scheduler.log")).unwrap())
                .spawn()
                .unwrap(),
        );
        let (mut executors, mut logs) = (Vec::new(), Vec::new());
        for at in 0..3 {
            let [data, tasks] = ports();
            let log = folder.join(format!("executor-{at}.log"));
            let child = program("executor")
                .args(["--scheduler", &format!("127.0.0.1:{port}"), "--cores", "1", "--heartbeat", "1"])
                .args(["--port", &data.to_string(), "--task-port", &tasks.to_string()])
                .arg("--work-dir")
                .arg(folder.join(format!("work-{at}")))
                .stderr(File::create(&log).unwrap())
                .spawn()
                .unwrap();
            executors.push(Running(child));
            logs.push(log);
        }
        wait("three executors", || ready(port).then_some(()));
        Self { url: format!("http://127.0.0.1:{port}"), executors, logs, _scheduler: scheduler }
    }

    fn profile(&self, table: &Path) -> Child {
        let mut client = program("client");
        client.arg("profile").arg(table).args(["--parts", &FILES.to_string(), "--scheduler", &self.url]);
        client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// How often each partition of the first stage of each job was begun by an executor.
    fn begun(&self, executor: usize) -> BTreeMap<(String, usize), usize> {
        let mut begun = BTreeMap::new();
        for line in std::fs::read_to_string(&self.logs[executor]).unwrap().lines() {
            let Some((_, said)) = line.split_once("task begins ") else { continue };
            let field = |name: &str| said.split_once(&format!("{name}=")).unwrap().1;
            if field("stage").split(' ').next() != Some("1") {
                continue;
            }
            let job = field("job").split(' ').next().unwrap().to_owned();
            let list = field("partitions").trim_start_matches('[').split_once(']').unwrap().0;
            for partition in list.split(", ") {
                *begun.entry((job.clone(), partition.parse().unwrap())).or_default() += 1;
            }
        }
        begun
    }
}

fn ready(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut said = String::new();
    let asked = stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    asked.is_ok() && stream.read_to_string(&mut said).is_ok() && said.starts_with("HTTP/1.1 200")
}

fn profile_of(output: &Output) -> TableProfile {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Files with a key, a float with gaps, a text of few and one of many values.
fn table(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    for file in 0..FILES {
        let rows = || (file * ROWS_OF_A_FILE..(file + 1) * ROWS_OF_A_FILE).map(|at| at as u64);
        let drawn = |at: u64| at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        let id: ArrayRef = Arc::new(Int64Array::from_iter_values(rows().map(|at| at.cast_signed())));
        let weight = rows().map(|at| (at % 11 != 0).then(|| (drawn(at) % 100_000) as f64 / 7.0));
        let few = rows().map(|at| ["red", "grün", "青"][(drawn(at) % 3) as usize]);
        let many = rows().map(|at| format!("n{}", drawn(at) % 50_000));
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("id", id, true),
            ("weight", Arc::new(weight.collect::<Float64Array>()) as ArrayRef, true),
            ("color", Arc::new(StringArray::from_iter_values(few)) as ArrayRef, true),
            ("name", Arc::new(StringArray::from_iter_values(many)) as ArrayRef, true),
        ])
        .unwrap();
        let path = File::create(folder.join(format!("{file:02}.parquet"))).unwrap();
        let mut writer = ArrowWriter::try_new(path, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

/// One test, as its processes share the machine's cores: undisturbed, then with a loss in the middle.
#[test]
fn a_cluster_answers_as_one_process_does_also_when_an_executor_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("table");
    table(&data);
    let here = profile_of(&program("client").arg("profile").arg(&data).output().unwrap());
    assert_eq!(here.rows, (FILES * ROWS_OF_A_FILE) as u64);

    let mut cluster = Cluster::start(folder.path());
    let there = profile_of(&cluster.profile(&data).wait_with_output().unwrap());
    assert_eq!(here.disagreements(&there), Vec::<String>::new());
    assert_eq!(here.digest, there.digest);
    let mut counts: BTreeMap<(String, usize), usize> = BTreeMap::new();
    for executor in 0..3 {
        let begun = cluster.begun(executor);
        assert!(!begun.is_empty(), "executor {executor} had nothing to do");
        begun.into_iter().for_each(|(task, times)| *counts.entry(task).or_default() += times);
    }
    assert_eq!(counts.len(), FILES, "{counts:?}");
    assert!(counts.values().all(|times| *times == 1), "undisturbed, each task runs once: {counts:?}");
    let first_job = counts.into_keys().next().unwrap().0;

    let of_the_second = |cluster: &Cluster, executor: usize| -> BTreeMap<usize, usize> {
        let begun = cluster.begun(executor).into_iter();
        begun.filter(|((job, _), _)| *job != first_job).map(|((_, at), times)| (at, times)).collect()
    };
    let client = cluster.profile(&data);
    wait("the second executor's third task", || (of_the_second(&cluster, 1).len() >= 3).then_some(()));
    cluster.executors[1].0.kill().unwrap(); // SIGKILL
    let lost = of_the_second(&cluster, 1);
    let others: usize = [0, 2].iter().map(|at| of_the_second(&cluster, *at).len()).sum();
    assert!(lost.len() + others < FILES, "the job was over before the loss");
    let after = profile_of(&client.wait_with_output().unwrap());
    assert_eq!(here.disagreements(&after), Vec::<String>::new());
    assert_eq!(here.digest, after.digest);
    let mut again: BTreeMap<usize, usize> = BTreeMap::new();
    for executor in [0, 2] {
        for (at, times) in of_the_second(&cluster, executor) {
            *again.entry(at).or_default() += times;
        }
    }
    assert_eq!(again.len(), FILES, "every partition is of an executor that is still there: {again:?}");
    assert!(
        again.values().all(|times| *times == 1),
        "only what was lost ran again: {again:?}, lost {lost:?}"
    );
    println!("{} of {FILES} tasks were lost with the executor and ran again", lost.len());
}
