//! What a process costs: processor time, memory, sockets; and on which core it runs.
//!
//! Invariant: everything is read from the kernel at the moment of the call, of this process alone.

use std::fs;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Processor time of all threads of this process so far, user and system.
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// Resident memory of this process in bytes; zero where the kernel does not say.
pub fn resident_bytes() -> u64 {
    memory("/proc/self/status", "VmRSS:")
}

/// The part of [`resident_bytes`] that is no page of a file: what the kernel can't drop.
pub fn resident_anonymous_bytes() -> u64 {
    memory("/proc/self/status", "RssAnon:")
}

/// Resident memory of another process.
pub fn resident_bytes_of(process: u32) -> u64 {
    memory(&format!("/proc/{process}/status"), "VmRSS:")
}

/// The most resident memory since [`reset_peak`], in bytes.
pub fn peak_resident_bytes() -> u64 {
    memory("/proc/self/status", "VmHWM:")
}

/// Forgets the peak so far.
pub fn reset_peak() {
    // A kernel that does not allow it counts from the start of the process.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn memory(file: &str, name: &str) -> u64 {
    let status = fs::read_to_string(file).unwrap_or_default();
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| {
            rest.trim()
                .trim_end_matches("kB")
                .trim()
                .parse::<u64>()
                .ok()
        });
    kilobytes.unwrap_or_default() * 1024
}

/// The sockets that this process has open.
pub fn open_sockets() -> usize {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return 0;
    };
    entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

/// Keeps this process on one core, so that client and server don't share one and don't wander.
///
/// # Errors
/// When there is no such core.
pub fn pin_to_core(core: usize) -> std::io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}
