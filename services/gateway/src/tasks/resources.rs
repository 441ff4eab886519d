//! Tells the monitor how full this machine is (§9.1): memory and out-of-memory events of the gateway's cgroup, the GPU where
//! `nvidia-smi` is there. What cannot be read is left out, never guessed. Each deployment that is served here is told of, for
//! an alert about the machine is one about what it serves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contracts::monitor::v1::ReportResourcesRequest;
use runtime::Tasks;
use tokio::process::Command;
use tonic::{Code, Status};

use crate::gateway::Gateway;

/// How often the gauges are read, real time.
const PERIOD: Duration = Duration::from_secs(10);
/// How often a gateway that has just started looks whether it serves something by now, real time.
const LOOK: Duration = Duration::from_millis(200);
/// How long `nvidia-smi` may take, real time.
const PATIENCE: Duration = Duration::from_secs(3);
const CGROUPS: &str = "/sys/fs/cgroup";

/// One reading.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Gauges {
    /// Share of the busiest GPU in use.
    gpu: Option<f64>,
    /// Share of the memory in use.
    memory: Option<f64>,
    /// Out-of-memory events since the cgroup was made.
    oom_events_total: Option<u64>,
}

/// Reads and reports until the stop.
pub(super) fn start(tasks: &Tasks, gateway: &Gateway) {
    let gateway = gateway.clone();
    tasks.spawn("report-resources", move |stop| {
        let gateway = gateway.clone();
        async move {
            let turns = async {
                let host = host().await;
                gateway.first_deployment().await;
                loop {
                    gateway.say(requests(&host, &read().await, &gateway.deployments())).await;
                    tokio::time::sleep(PERIOD).await;
                }
            };
            tokio::select! { () = stop.cancelled() => Ok::<_, Status>(()), () = turns => Ok(()) }
        }
    });
}

impl Gateway {
    /// Deployments that production requests reach a model of.
    fn deployments(&self) -> BTreeSet<String> {
        let live = self.live();
        let served = live.endpoints.values().filter(|one| !one.staging && !one.targets.is_empty());
        served.map(|endpoint| endpoint.deployment.clone()).collect()
    }

    /// Until something is served, but no longer than a period: the first reading shall be told of it.
    async fn first_deployment(&self) {
        let served = async {
            while self.deployments().is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        };
        let _ = tokio::time::timeout(PERIOD, served).await;
    }

    /// What is not taken does not come again: the next reading tells as much and more, for events are told as a total.
    async fn say(&self, requests: Vec<ReportResourcesRequest>) {
        for request in requests {
            let Err(status) = self.clients().observations.clone().report_resources(request).await else {
                continue;
            };
            if status.code() == Code::InvalidArgument {
                tracing::error!(%status, "the monitor refuses the gauges of this machine");
            } else {
                tracing::debug!(%status, "the monitor does not take gauges, the next reading follows");
            }
        }
    }
}

/// One reading for each deployment; one of the machine alone where it serves none.
fn requests(host: &str, seen: &Gauges, deployments: &BTreeSet<String>) -> Vec<ReportResourcesRequest> {
    let of = |deployment: &str| ReportResourcesRequest {
        host: host.to_owned(),
        deployment: deployment.to_owned(),
        gpu_utilisation: seen.gpu,
        memory_utilisation: seen.memory,
        oom_events_total: seen.oom_events_total,
        request_id: uuid::Uuid::new_v4().to_string(),
        ..ReportResourcesRequest::default()
    };
    if deployments.is_empty() {
        return vec![of("")];
    }
    deployments.iter().map(|deployment| of(deployment)).collect()
}

/// Name of the machine; in a container, of the container.
async fn host() -> String {
    let name = text(Path::new("/proc/sys/kernel/hostname")).await.unwrap_or_default();
    let plain: String = name.trim().chars().filter(char::is_ascii_graphic).take(128).collect();
    if plain.is_empty() { "unknown".to_owned() } else { plain }
}

async fn read() -> Gauges {
    let own = text(Path::new("/proc/self/cgroup")).await.unwrap_or_default();
    let folder = folder(Path::new(CGROUPS), &own);
    let meminfo = text(Path::new("/proc/meminfo")).await.unwrap_or_default();
    let used = text(&folder.join("memory.current")).await;
    let limit = text(&folder.join("memory.max")).await;
    let events = text(&folder.join("memory.events")).await;
    Gauges {
        gpu: gpu().await,
        memory: memory(used.as_deref(), limit.as_deref(), &meminfo),
        oom_events_total: field(events.as_deref().unwrap_or_default(), "oom_kill"),
    }
}

async fn text(path: &Path) -> Option<String> {
    tokio::fs::read_to_string(path).await.ok()
}

/// The folder of the process's cgroup (version 2); inside a container it is the root of what is mounted.
fn folder(root: &Path, own: &str) -> PathBuf {
    let below = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let folder = root.join(below);
    if folder.join("memory.current").exists() { folder } else { root.to_owned() }
}

/// Share of the cgroup's limit in use; without a limit, of the machine's memory.
fn memory(used: Option<&str>, limit: Option<&str>, meminfo: &str) -> Option<f64> {
    let number = |text: Option<&str>| text?.trim().parse::<u64>().ok();
    let share = |part: u64, whole: u64| (whole > 0).then(|| (part as f64 / whole as f64).min(1.0));
    if let (Some(used), Some(limit)) = (number(used), number(limit)) {
        return share(used, limit);
    }
    let (total, free) = (field(meminfo, "MemTotal:")?, field(meminfo, "MemAvailable:")?);
    share(total.saturating_sub(free), total)
}

/// The number after a word at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut rest =
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix([' ', '\t']))?.split_whitespace();
    rest.next()?.parse().ok()
}

async fn gpu() -> Option<f64> {
    let asked = Command::new("nvidia-smi")
        .args(["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"])
        .kill_on_drop(true)
        .output();
    let answer = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?;
    busiest(&String::from_utf8_lossy(&answer.stdout))
}

/// The busiest of the GPUs, as a share; lines that are no percentage (`[N/A]`) are left out.
fn busiest(lines: &str) -> Option<f64> {
    let percents = lines.lines().filter_map(|line| line.trim().parse::<f64>().ok());
    percents.filter(|percent| (0.0..=100.0).contains(percent)).map(|percent| percent / 100.0).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    250 kB\n";

    #[test]
    fn memory_is_of_the_limit_and_else_of_the_machine() {
        assert_eq!(memory(Some("300\n"), Some("400\n"), MEMINFO), Some(0.75));
        assert_eq!(memory(Some("300\n"), Some("max\n"), MEMINFO), Some(0.75));
        assert_eq!(memory(None, None, "MemTotal: 1000 kB\n"), None);
        assert_eq!(memory(Some("500"), Some("400"), MEMINFO), Some(1.0));
    }

    /// Events that nobody could read are not none.
    #[test]
    fn events_are_told_as_a_total_and_only_where_they_were_read() {
        let events = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n";
        assert_eq!((field(events, "oom_kill"), field(events, "oom_gone")), (Some(2), None));
        let told = |oom_events_total| {
            let seen = Gauges { oom_events_total, ..Gauges::default() };
            requests("h", &seen, &BTreeSet::new()).remove(0).oom_events_total
        };
        let totals = [Some(2), Some(2), Some(5), None, Some(0)];
        assert_eq!(totals.map(told), totals);
    }

    #[test]
    fn each_deployment_is_told_of_and_a_machine_without_one_too() {
        let seen = Gauges { gpu: Some(0.5), memory: Some(0.25), oom_events_total: Some(3) };
        let served = ["deployments/a", "deployments/b"].map(String::from);
        let told = requests("h", &seen, &served.clone().into());
        assert_eq!(told.iter().map(|one| one.deployment.as_str()).collect::<Vec<_>>(), served);
        assert_ne!(told[0].request_id, told[1].request_id, "the monitor counts an id of a host once");
        for one in &told {
            assert_eq!((one.gpu_utilisation, one.memory_utilisation), (Some(0.5), Some(0.25)));
            assert_eq!(one.oom_events_total, Some(3));
        }
        assert_eq!(requests("h", &seen, &BTreeSet::new())[0].deployment, "");
    }

    #[test]
    fn the_busiest_gpu_counts() {
        assert_eq!(busiest("12\n93\n[N/A]\n"), Some(0.93));
        assert_eq!(busiest("NVIDIA-SMI has failed\n"), None);
    }

    #[test]
    fn the_cgroup_is_the_processs_own_where_it_is_mounted() {
        let root = tempfile::tempdir().expect("a folder");
        let own = root.path().join("wlp.slice/gateway.service");
        std::fs::create_dir_all(&own).expect("a folder");
        let line = "0::/wlp.slice/gateway.service\n";
        assert_eq!(folder(root.path(), line), root.path());
        std::fs::write(own.join("memory.current"), "1").expect("written");
        assert_eq!(folder(root.path(), line), own);
        assert_eq!(folder(root.path(), ""), root.path());
    }
}
