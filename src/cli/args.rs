//! Flag groups that several subcommands share: a flag has one name and one meaning everywhere.

use atrous::Error;
use atrous::job::progress::{Mode, Progress};
use atrous::job::resources::default_threads;
use clap::{Args, ValueEnum};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// How many cores are used, and where the machine-readable report goes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Running")]
pub struct RunArgs {
    /// Cores to use; default: what the scheduler or the machine grants.
    #[arg(short, long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Write what ran (versions, model, counts, seconds, memory) as JSON.
    #[arg(long, value_name = "FILE.json")]
    pub summary: Option<PathBuf>,
    /// A bar on a terminal, else lines in the log; `always`: these even with --quiet.
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    progress: ProgressChoice,
}

/// What `--progress` offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ProgressChoice {
    #[default]
    Auto,
    Always,
    Never,
}

impl RunArgs {
    /// Progress as `--progress` wants it.
    pub fn progress(&self) -> Progress {
        Progress::new(match self.progress {
            ProgressChoice::Auto => Mode::Auto,
            ProgressChoice::Always => Mode::Always,
            ProgressChoice::Never => Mode::Never,
        })
    }

    /// Builds the program's one thread pool and returns its size.
    pub fn start_threads(&self) -> atrous::Result<usize> {
        let threads = self.threads.map_or_else(default_threads, NonZeroUsize::get);
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("atrous-{index}"))
            .build_global()
            .map_err(|error| {
                Error::new(format!("cannot start {threads} threads: {error}"))
                    .remedy("ask for fewer with --threads")
            })?;
        Ok(threads)
    }
}

/// The sequence that is read, and how other files' contig names find it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sequence")]
pub struct ReferenceArgs {
    /// FASTA file, plain or bgzipped; missing indexes are built in memory.
    #[arg(short, long, value_name = "FASTA")]
    pub reference: PathBuf,
    /// Save missing indexes next to the FASTA file.
    #[arg(long)]
    pub write_fai: bool,
    /// Contig names that mean the same: a table of two columns, any two naming styles.
    #[arg(long, value_name = "TSV")]
    pub aliases: Option<PathBuf>,
}

/// The network and its weights.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// Model file, as `atrous import` writes it; repeat it to average like models.
    #[arg(short, long, value_name = "MODEL", required = true)]
    pub model: Vec<PathBuf>,
    /// Use one member of the ensemble alone, by name or number from 0.
    #[arg(long, value_name = "NAME")]
    pub member: Option<String>,
    /// Read N and other unknown letters as a quarter of each base, whatever the model says.
    #[arg(long)]
    pub n_uniform: bool,
}
