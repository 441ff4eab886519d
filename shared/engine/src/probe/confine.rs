//! What the worker may not do. Everything here is given up for good, by the worker itself, before it sees the model.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::UnshareFlags;

/// Files open at a time: the library, its own, and three pipes.
const FILES: u64 = 64;
/// How much the worker stands back behind the service that serves meanwhile.
const NICER: i32 = 5;

/// Gives up rights, files and network; whether there is no network. Called while the process has one thread.
///
/// # Errors
/// Of the kernel.
pub(super) fn rights() -> std::io::Result<bool> {
    // The host's memory ends with the worker first. A kernel without this file has other ways.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let _ = rustix::process::nice(NICER);
    rustix::thread::set_no_new_privs(true)?;
    lower(Resource::Core, 0, 0)?;
    lower(Resource::Fsize, 0, 0)?;
    lower(Resource::Nofile, FILES, FILES)?;
    let alone = no_network();
    // After the namespaces: a process that nobody may look into may not make them either.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(alone)
}

/// Limits memory (bytes of address space) and processor time (seconds).
///
/// # Errors
/// Of the kernel.
pub(super) fn amounts(memory: u64, cpu_s: u64) -> std::io::Result<()> {
    lower(Resource::As, memory, memory)?;
    // The first limit ends the process with a signal of its own, by which it is known; the second only if that is ignored.
    lower(Resource::Cpu, cpu_s, cpu_s.saturating_add(1))
}

/// A network of its own without a way out, where the kernel lets a process have one.
fn no_network() -> bool {
    let network = UnshareFlags::NEWNET | UnshareFlags::NEWIPC;
    // A process with the right for it stays who it is; another becomes nobody in a namespace of its own.
    unshared(network) || unshared(network | UnshareFlags::NEWUSER)
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
