//! What the worker may not do. It gives all of this up for good, by itself, before it sees the file.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::UnshareFlags;

/// Files open at a time: its own three, the input, temporary ones, and what libraries open.
const FILES: u64 = 64;
/// How much the worker stands back behind the service that serves meanwhile.
const NICER: i32 = 5;

/// Gives up rights and network. Called while the process has one thread.
///
/// # Errors
/// Of the kernel.
pub fn rights() -> std::io::Result<()> {
    // The host's memory ends with the worker first. A kernel without this file has other ways.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let _ = rustix::process::nice(NICER);
    rustix::thread::set_no_new_privs(true)?;
    lower(Resource::Core, 0, 0)?;
    lower(Resource::Nofile, FILES, FILES)?;
    // Where the kernel lets a process have a network of its own, it has no way out.
    let network = UnshareFlags::NEWNET | UnshareFlags::NEWIPC;
    let _alone = unshared(network) || unshared(network | UnshareFlags::NEWUSER);
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Limits memory (bytes of address space), processor time (seconds) and the size of a file that is written (bytes).
///
/// # Errors
/// Of the kernel.
pub fn amounts(memory: u64, cpu_s: u64, file_bytes: u64) -> std::io::Result<()> {
    lower(Resource::As, memory, memory)?;
    lower(Resource::Fsize, file_bytes, file_bytes)?;
    // The first limit ends the process with a signal of its own, by which it is known; the second only if that is ignored.
    lower(Resource::Cpu, cpu_s, cpu_s.saturating_add(1))
}

/// Deprecated because it can also take file descriptors from other threads, which these flags do not; the call that takes
/// its place is unsafe for that reason alone.
#[allow(deprecated)]
fn unshared(flags: UnshareFlags) -> bool {
    rustix::thread::unshare(flags).is_ok()
}

/// Lowers a limit; one that is lower already stays.
fn lower(resource: Resource, soft: u64, hard: u64) -> std::io::Result<()> {
    let now = getrlimit(resource);
    let most = now.maximum.unwrap_or(u64::MAX);
    let (soft, hard) = (soft.min(most).min(now.current.unwrap_or(u64::MAX)), hard.min(most));
    setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) }).map_err(Into::into)
}
