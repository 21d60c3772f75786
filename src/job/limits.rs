//! How much of the machine this process may use, and who says so.

use super::resources::{default_threads, scheduler_threads};
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

/// Threads that are granted, and what was asked to find out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threads {
    /// What a run uses without `--threads`.
    pub granted: usize,
    /// Who set that: `the machine`, `the CPU affinity`, `the cgroup` or the scheduler's variable.
    pub granted_by: &'static str,
    /// Processors of the machine that are switched on, where known.
    pub machine: Option<usize>,
    /// Processors that this process may run on, where known.
    pub affinity: Option<usize>,
    /// `SLURM_CPUS_PER_TASK`, else `SLURM_CPUS_ON_NODE`.
    pub scheduler: Option<String>,
}

/// Memory in bytes, where known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Of the machine.
    pub machine: Option<u64>,
    /// Of it, what could be had without swapping.
    pub available: Option<u64>,
    /// What the cgroup lets this process and its like have.
    pub cgroup: Option<u64>,
    /// `SLURM_MEM_PER_NODE`.
    pub scheduler: Option<u64>,
}

impl Threads {
    /// Asks the operating system and the scheduler.
    pub fn ask() -> Self {
        let (variable, scheduler) = scheduler_threads().unzip();
        let system = thread::available_parallelism().map_or(1, NonZero::get);
        let granted = default_threads();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let affinity = field(&status, "Cpus_allowed_list:").and_then(count_of_list);
        let machine = fs::read_to_string("/sys/devices/system/cpu/online");
        let machine = machine.ok().and_then(|list| count_of_list(list.trim()));
        let granted_by = granted_by(granted, system, affinity, machine);
        let granted_by = match (granted_by, variable) {
            (SCHEDULER, Some(variable)) => variable,
            (other, _) => other,
        };
        Self { granted, granted_by, machine, affinity, scheduler }
    }
}

/// Stands for whichever variable of the scheduler it is.
const SCHEDULER: &str = "the scheduler";

fn granted_by(
    granted: usize,
    system: usize,
    affinity: Option<usize>,
    machine: Option<usize>,
) -> &'static str {
    if granted < system {
        SCHEDULER
    } else if affinity.is_some_and(|affinity| system < affinity) {
        "the cgroup"
    } else if affinity < machine {
        "the CPU affinity"
    } else {
        "the machine"
    }
}

impl Memory {
    /// Asks the operating system and the scheduler.
    pub fn ask() -> Self {
        let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let limits = limit_files(&groups, Path::new("/sys/fs/cgroup"));
        let limit = |path: PathBuf| limit_of(&fs::read_to_string(path).ok()?);
        let scheduler = std::env::var("SLURM_MEM_PER_NODE").ok();
        Self {
            machine: field(&info, "MemTotal:").and_then(kib),
            available: field(&info, "MemAvailable:").and_then(kib),
            cgroup: limits.into_iter().filter_map(limit).min(),
            // in MiB, as sbatch --mem counts
            scheduler: scheduler
                .and_then(|mib| mib.trim().parse::<u64>().ok()?.checked_mul(1 << 20)),
        }
    }
}

/// Bytes that can still be written in a folder, where known.
#[cfg(unix)]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

/// Bytes that can still be written in a folder, where known.
#[cfg(not(unix))]
pub fn free_bytes(_folder: &Path) -> Option<u64> {
    None
}

/// The rest of the line that begins with a name.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn kib(text: &str) -> Option<u64> {
    text.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// How many numbers a list as `0-3,8` names.
fn count_of_list(list: &str) -> Option<usize> {
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(last.checked_sub(first)? + 1)
    };
    list.split(',').map(count).sum()
}

/// The files that may hold a memory limit for the groups of `/proc/self/cgroup`: of version 2 the
/// group's own and those above it; of version 1, where a container may not see its own path, also
/// the topmost.
fn limit_files(groups: &str, mount: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (mount, name) = match controllers {
            "" => (mount.to_path_buf(), "memory.max"),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                (mount.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let own = mount.join(path.trim_start_matches('/'));
        let above = own.ancestors().take_while(|folder| folder.starts_with(&mount));
        files.extend(above.map(|folder| folder.join(name)));
    }
    files
}

/// A limit in bytes; none where it says `max` or, as version 1, a number near 2^63.
fn limit_of(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|&bytes: &u64| bytes < 1 << 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_grant_is_named() {
        let cases = [
            ((2, 8, Some(8), Some(8)), SCHEDULER),
            ((2, 2, Some(8), Some(8)), "the cgroup"),
            ((2, 2, Some(2), Some(8)), "the CPU affinity"),
            ((8, 8, Some(8), Some(8)), "the machine"),
            ((8, 8, None, None), "the machine"),
        ];
        for ((granted, system, affinity, machine), expected) in cases {
            assert_eq!(granted_by(granted, system, affinity, machine), expected);
        }
    }

    #[test]
    fn lists_and_sizes_of_the_kernel_are_read() {
        assert_eq!(count_of_list("0-3,8,10-11"), Some(7));
        assert_eq!(count_of_list("5"), Some(1));
        assert_eq!((count_of_list(""), count_of_list("3-1")), (None, None));
        assert_eq!(field("a: 1\nMemTotal:   2 kB\n", "MemTotal:").and_then(kib), Some(2048));
        assert_eq!((limit_of("max\n"), limit_of("9223372036854771712\n")), (None, None));
        assert_eq!(limit_of("1048576\n"), Some(1 << 20));
    }

    #[test]
    fn limits_are_looked_for_in_both_versions_of_cgroups() {
        let files = limit_files("4:cpu,memory:/a/b\n3:cpuset:/\n0::/c\n", Path::new("/m"));
        let expected = [
            "/m/memory/a/b/memory.limit_in_bytes",
            "/m/memory/a/memory.limit_in_bytes",
            "/m/memory/memory.limit_in_bytes",
            "/m/c/memory.max",
            "/m/memory.max",
        ];
        assert_eq!(files, expected.map(PathBuf::from));
    }
}
