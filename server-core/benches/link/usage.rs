//! The resources that this process uses. From `/proc`, so zero where there is none.

use std::time::Duration;

/// The kernel's clock ticks for user programs: 100 a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of all threads.
pub fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may hold spaces; user and system time are 12th and 13th after it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u32 = fields.skip(11).take(2).filter_map(|f| f.parse::<u32>().ok()).sum();
    TICK * ticks
}

/// Resident memory in KiB.
pub fn resident_kib() -> usize {
    number_after("/proc/self/status", "VmRSS:")
}

/// Returns the number of files that this process may open.
pub fn open_files_limit() -> usize {
    match number_after("/proc/self/limits", "Max open files") {
        0 => usize::MAX,
        limit => limit,
    }
}

fn number_after(file: &str, name: &str) -> usize {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    (value.and_then(|v| v.split_whitespace().next()?.parse().ok())).unwrap_or(0)
}
