//! `atrous doctor`: what this build can do on this machine, and what it may use.

use super::args::{count, grouped};
use anyhow::Result;
use atrous::Error;
use atrous::engine::cpu::Isa;
use atrous::job::limits::{Memory, Threads, free_bytes};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::env;
use std::fmt::{self, Write as _};
use std::fs;
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};

/// Show what this build can do here, and how much of the machine it may use.
///
/// Version, processor and instruction sets, threads and memory with who grants them, libtorch and
/// GPUs, temporary folder, terminal, settings. Ends with 1 if something is broken.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  atrous doctor
  srun -c 8 --mem 16G atrous doctor --json | jq .threads";

/// What was found.
#[derive(Debug, Serialize)]
struct Findings {
    version: &'static str,
    build: Build,
    system: System,
    instruction_sets: InstructionSets,
    threads: ThreadsFound,
    memory: MemoryFound,
    libtorch: Libtorch,
    temporary_folder: Folder,
    working_folder: Folder,
    terminal: Terminal,
    environment: BTreeMap<String, String>,
    /// What is broken, each with what to do.
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Build {
    profile: &'static str,
    target: String,
    engines: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct System {
    name: &'static str,
    release: Option<String>,
    processor: Option<String>,
}

#[derive(Debug, Serialize)]
struct InstructionSets {
    available: Vec<String>,
    chosen: String,
}

#[derive(Debug, Serialize)]
struct ThreadsFound {
    granted: usize,
    granted_by: &'static str,
    machine: Option<usize>,
    affinity: Option<usize>,
    slurm_cpus_per_task: Option<String>,
}

#[derive(Debug, Serialize)]
struct MemoryFound {
    machine_bytes: Option<u64>,
    available_bytes: Option<u64>,
    cgroup_limit_bytes: Option<u64>,
    slurm_mem_per_node_bytes: Option<u64>,
}

/// The library for GPUs and training.
#[derive(Debug, Serialize)]
struct Libtorch {
    in_this_build: bool,
    /// What was found, or why there is nothing.
    says: String,
    /// Why a GPU that is there cannot be used.
    broken: Option<String>,
}

#[derive(Debug, Serialize)]
struct Folder {
    path: PathBuf,
    writable: bool,
    free_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Terminal {
    stderr_is_terminal: bool,
    stdout_is_terminal: bool,
    progress: &'static str,
}

/// Runs the subcommand.
pub fn run(args: &DoctorArgs) -> Result<()> {
    let findings = Findings::gather();
    let text = match args.json {
        true => serde_json::to_string_pretty(&findings)? + "\n",
        false => findings.text()?,
    };
    let written = io::stdout().lock().write_all(text.as_bytes());
    written.map_err(|error| Error::io(Path::new("-"), "write", error))?;
    match findings.problems.as_slice() {
        [] => Ok(()),
        problems => Err(Error::new("something is broken").found(problems.join("; ")).into()),
    }
}

impl Findings {
    fn gather() -> Self {
        let temporary_folder = Folder::look_at(env::temp_dir());
        let working_folder =
            Folder::look_at(env::current_dir().unwrap_or_else(|_| PathBuf::from(".")));
        let mut problems = Vec::new();
        if !temporary_folder.writable {
            problems.push(format!(
                "the temporary folder {} cannot be written to: set TMPDIR to one that can",
                temporary_folder.path.display()
            ));
        }
        let libtorch = libtorch();
        if let Some(why) = &libtorch.broken {
            problems.push(format!("the GPU cannot be used: {why}"));
        }
        let threads = Threads::ask();
        let memory = Memory::ask();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            build: Build {
                profile: if cfg!(debug_assertions) { "debug: slow" } else { "release" },
                target: format!("{}-{}", env::consts::ARCH, env::consts::OS),
                engines: match cfg!(feature = "torch") {
                    true => vec!["cpu", "torch", "oracle"],
                    false => vec!["cpu", "oracle"],
                },
            },
            system: System {
                name: env::consts::OS,
                release: fs::read_to_string("/proc/sys/kernel/osrelease")
                    .ok()
                    .map(|text| text.trim().into()),
                processor: fs::read_to_string("/proc/cpuinfo")
                    .ok()
                    .and_then(|text| processor(&text)),
            },
            instruction_sets: InstructionSets {
                available: Isa::ALL
                    .into_iter()
                    .filter(|isa| isa.is_available())
                    .map(|isa| isa.to_string())
                    .collect(),
                chosen: Isa::best().to_string(),
            },
            threads: ThreadsFound {
                granted: threads.granted,
                granted_by: threads.granted_by,
                machine: threads.machine,
                affinity: threads.affinity,
                slurm_cpus_per_task: threads.scheduler,
            },
            memory: MemoryFound {
                machine_bytes: memory.machine,
                available_bytes: memory.available,
                cgroup_limit_bytes: memory.cgroup,
                slurm_mem_per_node_bytes: memory.scheduler,
            },
            libtorch,
            temporary_folder,
            working_folder,
            terminal: Terminal::look_at(),
            environment: environment(env::vars_os()),
            problems,
        }
    }

    fn text(&self) -> std::result::Result<String, fmt::Error> {
        let mut text = String::new();
        let mut line = |name: &str, value: String| writeln!(text, "{name:17}{value}");
        line("atrous", self.version.into())?;
        let Build { profile, target, engines } = &self.build;
        line("build", format!("{profile}, {target}, engines {}", engines.join(", ")))?;
        line("system", join([Some(self.system.name), self.system.release.as_deref()]))?;
        line("processor", self.system.processor.clone().unwrap_or_else(unknown))?;
        let InstructionSets { available, chosen } = &self.instruction_sets;
        line("instructions", format!("{chosen} of {}", available.join(", ")))?;
        let threads = &self.threads;
        line("threads", format!("{}, granted by {}", threads.granted, threads.granted_by))?;
        let number = |number: Option<usize>| number.map_or_else(unknown, |n| n.to_string());
        line(
            "",
            format!(
                "machine {}, affinity {}, SLURM_CPUS_PER_TASK {}",
                number(threads.machine),
                number(threads.affinity),
                threads.slurm_cpus_per_task.as_deref().unwrap_or("not set")
            ),
        )?;
        let memory = &self.memory;
        let [machine, available] =
            [memory.machine_bytes, memory.available_bytes].map(|b| b.map_or_else(unknown, size));
        line("memory", format!("{machine}, of which {available} available"))?;
        let limit = |bytes: Option<u64>, none: &str| bytes.map_or_else(|| none.into(), size);
        line(
            "",
            format!(
                "cgroup limit {}, SLURM_MEM_PER_NODE {}",
                limit(memory.cgroup_limit_bytes, "none"),
                limit(memory.slurm_mem_per_node_bytes, "not set")
            ),
        )?;
        line("libtorch", self.libtorch.says.clone())?;
        for (name, folder) in
            [("temporary files", &self.temporary_folder), ("this folder", &self.working_folder)]
        {
            let writable = if folder.writable { "" } else { ", NOT WRITABLE" };
            let free = folder.free_bytes.map_or_else(unknown, size);
            line(name, format!("{}: {free} free{writable}", folder.path.display()))?;
        }
        line("progress", self.terminal.progress.into())?;
        let settings: Vec<String> =
            self.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        match settings.is_empty() {
            true => line("environment", "nothing that begins with ATROUS_".into())?,
            false => line("environment", settings.join(" "))?,
        }
        match self.problems.len() as u64 {
            0 => line("problems", "none".into())?,
            number => line("problems", count(number, "problem"))?,
        }
        Ok(text)
    }
}

/// Whether libtorch is there, and whether it has a GPU to run on.
#[cfg(feature = "torch")]
fn libtorch() -> Libtorch {
    use atrous::engine::torch::{Gpu, find_gpu, installation};
    let found = installation();
    let folder = found.folder.map_or("a folder unknown".into(), |at| at.display().to_string());
    let cards = match found.cards {
        Ok(cards) if cards.is_empty() => "the driver shows no card".into(),
        Ok(cards) => {
            let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
            let card = |(name, bytes): &(String, u64)| format!("{name}, {:.1} GiB", gib(*bytes));
            cards.iter().map(card).collect::<Vec<_>>().join("; ")
        }
        Err(why) => why,
    };
    let (gpu, broken) = match find_gpu() {
        Gpu::Ready => ("with a GPU", None),
        Gpu::Absent => ("no GPU found: it runs on the CPU", None),
        Gpu::Unusable(why) => ("there is a GPU that cannot be used", Some(why)),
    };
    let says = format!("{} from {folder}, {gpu} ({cards})", found.version);
    Libtorch { in_this_build: true, says, broken }
}

/// A build without libtorch has nothing to look for.
#[cfg(not(feature = "torch"))]
fn libtorch() -> Libtorch {
    let says = "not in this build, and so no GPU and no training: `make install` has it";
    Libtorch { in_this_build: false, says: says.into(), broken: None }
}

impl Folder {
    fn look_at(path: PathBuf) -> Self {
        let writable = tempfile::tempfile_in(&path).is_ok();
        Self { writable, free_bytes: free_bytes(&path), path }
    }
}

impl Terminal {
    fn look_at() -> Self {
        let stderr_is_terminal = io::stderr().is_terminal();
        Self {
            stderr_is_terminal,
            stdout_is_terminal: io::stdout().is_terminal(),
            progress: match stderr_is_terminal {
                true => "a bar: standard error is a terminal",
                false => "lines in the log: standard error is no terminal",
            },
        }
    }
}

/// Our settings among the variables of the environment.
fn environment(
    variables: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
) -> BTreeMap<String, String> {
    variables
        .map(|(name, value)| (name.to_string_lossy().into(), value.to_string_lossy().into()))
        .filter(|(name, _): &(String, String)| name.starts_with("ATROUS_"))
        .collect()
}

/// The name of the first processor of `/proc/cpuinfo`.
fn processor(info: &str) -> Option<String> {
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().into())
}

fn join(words: [Option<&str>; 2]) -> String {
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn unknown() -> String {
    "unknown".into()
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000_000_000 => format!("{} MB", grouped(bytes / 1_000_000)),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_text_and_our_variables_are_found() {
        let info = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: Other\n";
        assert_eq!(processor(info).as_deref(), Some("Some CPU @ 2 GHz"));
        assert_eq!(processor("Features: neon\n"), None);
        let list = [("ATROUS_X", "1"), ("PATH", "/bin"), ("atrous_y", "2")];
        let found = environment(list.iter().map(|(n, v)| (n.into(), v.into())));
        assert_eq!(found, BTreeMap::from([("ATROUS_X".into(), "1".into())]));
    }

    #[test]
    fn a_folder_that_is_not_there_cannot_be_written_to() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Folder::look_at(folder.path().into()).writable);
        assert!(!Folder::look_at(folder.path().join("no")).writable);
    }

    #[test]
    fn sizes_have_readable_units() {
        assert_eq!(
            [5_000_000, 9_999_000_000, 25_300_000_000].map(size),
            ["5 MB", "9,999 MB", "25.3 GB"]
        );
    }
}
