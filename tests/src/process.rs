//! The resources that this process has used, as counted by the kernel.

use std::io;

/// Returns the peak resident memory of this process in bytes.
///
/// # Errors
///
/// Returns an error if `/proc/self/status` cannot be read. Only Linux has it.
pub fn peak_memory() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse().ok());
    peak.map(|kib: u64| kib * 1024).ok_or_else(|| io::Error::other("no VmHWM in /proc/self/status"))
}
