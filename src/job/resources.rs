//! What this process may use and has used.

use std::fs;
use std::num::NonZero;
use std::thread;

/// Kernel clock ticks per second in `/proc/self/stat`; 100 on every Linux platform
/// (`USER_HZ`, proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// Threads that the cgroup, the CPU affinity and the scheduler grant; at least 1.
///
/// What the scheduler says lowers what the operating system says, it never raises it.
pub fn default_threads() -> usize {
    let granted = thread::available_parallelism().map_or(1, NonZero::get);
    threads_within(granted, scheduler_threads().as_ref().map(|(_, text)| text.as_str()))
}

/// What the scheduler says of processors, and in which variable: those of the task, or where no
/// number was asked for, those of the job on this node.
pub fn scheduler_threads() -> Option<(&'static str, String)> {
    let variables = ["SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"];
    variables.into_iter().find_map(|name| Some((name, std::env::var(name).ok()?)))
}

fn threads_within(granted: usize, scheduler: Option<&str>) -> usize {
    match scheduler.and_then(|text| text.trim().parse::<usize>().ok()) {
        Some(count) if count > 0 => granted.min(count),
        _ => granted,
    }
}

/// Highest resident memory so far, in bytes; known on Linux only.
pub fn peak_memory_bytes() -> Option<u64> {
    peak_of(&fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// CPU time of all threads so far, user and system, in seconds; known on Linux only.
pub fn cpu_seconds() -> Option<f64> {
    cpu_of(&fs::read_to_string("/proc/self/stat").ok()?)
}

fn cpu_of(stat: &str) -> Option<f64> {
    // The second field, the program's name in brackets, may hold spaces and brackets; utime and
    // stime are fields 14 and 15 of proc(5), so the 12th and 13th after it.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduler_lowers_the_thread_count_and_nonsense_does_not() {
        let cases = [(None, 8), (Some("3"), 3), (Some("99"), 8), (Some("0"), 8), (Some("all"), 8)];
        for (scheduler, expected) in cases {
            assert_eq!(threads_within(8, scheduler), expected, "{scheduler:?}");
        }
    }

    #[test]
    fn the_kernel_texts_are_read_by_field() {
        assert_eq!(peak_of("Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t 9 kB\n"), Some(2 << 20));
        assert_eq!(peak_of("Name:\tx\n"), None);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 5";
        assert_eq!(cpu_of(stat), Some(2.0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_memory() {
        assert!(peak_memory_bytes().unwrap() > 1 << 20);
        assert!(cpu_seconds().is_some());
    }
}
