//! What a process and its children take, as Linux tells in `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::Context;

/// Length of a tick of `/proc/PID/stat`: `USER_HZ` is 100 on every architecture that is built for (proc(5)).
const TICK: Duration = Duration::from_millis(10);

/// CPU time and memory of a process and everything below it, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// User and system time, that of children that have ended included.
    pub cpu: Duration,
    /// Resident memory, KiB; a page that two of them share counts twice.
    pub resident_kib: u64,
    /// The part of it that belongs to no file, KiB.
    pub anonymous_kib: u64,
}

/// What the tree of `root` has taken.
///
/// # Errors
/// If there is no such process.
pub fn taken(root: u32) -> anyhow::Result<Taken> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut ticks = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("/proc cannot be read")?.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process that ended in between is none of the tree any more: its parent has its time.
        let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        if let Some((parent, spent)) = stat(&text) {
            children.entry(parent).or_default().push(process);
            ticks.insert(process, spent);
        }
    }
    anyhow::ensure!(ticks.contains_key(&root), "there is no process {root}");
    let (mut sum, mut spent, mut open) = (Taken::default(), 0, vec![root]);
    while let Some(process) = open.pop() {
        spent += ticks.get(&process).copied().unwrap_or_default();
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        sum.resident_kib += kib(&status, "VmRSS:");
        sum.anonymous_kib += kib(&status, "RssAnon:");
        open.extend(children.get(&process).into_iter().flatten());
    }
    sum.cpu = TICK * u32::try_from(spent).unwrap_or(u32::MAX);
    Ok(sum)
}

/// Load average over one, five and fifteen minutes, as `/proc/loadavg` writes it.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Parent and ticks of `/proc/PID/stat`: fields 4 and 14 to 17 of proc(5). The name in field 2 may hold anything, so what
/// follows its last parenthesis is read.
fn stat(text: &str) -> Option<(u32, u64)> {
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    let spent: Option<u64> = fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum();
    Some((parent, spent?))
}

/// A line `VmRSS:   123 kB` of `/proc/PID/status`.
fn kib(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_is_read() {
        let text = "7 (a) R (b) S 3 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 5 0 100 200 300";
        assert_eq!(stat(text), Some((3, 100)));
        assert_eq!(stat(""), None);
        assert_eq!(stat("7 (a) S x"), None);
    }

    #[test]
    fn this_process_takes_time_and_memory() -> anyhow::Result<()> {
        let before = taken(std::process::id())?;
        assert!(before.resident_kib >= before.anonymous_kib && before.anonymous_kib > 0, "{before:?}");
        let until = std::time::Instant::now() + TICK * 20;
        while std::time::Instant::now() < until {
            std::hint::spin_loop();
        }
        // Much less than was spun: the machine may be busy with more than this.
        let spent = taken(std::process::id())?.cpu.saturating_sub(before.cpu);
        assert!(spent >= TICK, "{spent:?}");
        Ok(())
    }

    #[test]
    fn a_child_is_counted() -> anyhow::Result<()> {
        // A shell that waits for a child of its own: more than it takes alone.
        let mut shell = std::process::Command::new("sh").args(["-c", "sleep 2; :"]).spawn()?;
        let own = |id: u32| {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            kib(&status, "VmRSS:")
        };
        let mut counted = false;
        while !counted && shell.try_wait()?.is_none() {
            let alone = own(shell.id());
            counted = alone > 0 && taken(shell.id()).is_ok_and(|all| all.resident_kib > alone + 200);
        }
        shell.wait()?;
        assert!(counted);
        assert!(taken(u32::MAX).is_err());
        Ok(())
    }
}
