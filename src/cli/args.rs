//! Flag groups that several subcommands share: a flag has one name and one meaning everywhere.

use atrous::genome::{Reference, Resolver};
use atrous::job::journal::Settings;
use atrous::job::manifest::Manifest;
use atrous::job::output::append;
use atrous::job::progress::{Mode, Progress};
use atrous::job::resources::default_threads;
use atrous::job::shard::Shard;
use atrous::job::summary::{ModelUsed, sample_of};
use atrous::model::{Model, Track, UnknownBase, file};
pub use atrous::picture::axis::grouped;
use atrous::{Error, Result};
use clap::{Args, ValueEnum};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Which part of the job is done.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Clusters")]
pub struct ShardArgs {
    /// Do the I-th of N parts of about equal work, and write a manifest NAME.shard.json beside the
    /// output; `atrous merge` puts the parts together, `atrous plan` says what they take.
    #[arg(long, value_name = "I/N", value_parser = str::parse::<Shard>)]
    pub shard: Option<Shard>,
    /// Write into this folder whatever the flags name, and a summary: for `atrous plan`.
    #[arg(long, value_name = "FOLDER", hide = true)]
    calibrate: Option<PathBuf>,
}

/// The summary of a run that `atrous plan` measures.
pub const CALIBRATION: &str = "calibration.json";

impl ShardArgs {
    /// Where an output goes: elsewhere in a run that is only measured.
    pub fn place(&self, output: &Path) -> PathBuf {
        match (&self.calibrate, output.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => output.to_path_buf(),
        }
    }

    /// Where the summary goes.
    pub fn summary(&self, wanted: Option<&Path>) -> Option<PathBuf> {
        let measured = self.calibrate.as_ref().map(|folder| folder.join(CALIBRATION));
        measured.or_else(|| wanted.map(Path::to_path_buf))
    }

    /// Where the manifest of a shard is written that has this output.
    pub fn manifest_of(&self, output: &Path) -> Option<PathBuf> {
        self.shard.map(|_| Manifest::path_of(output))
    }
}

/// How many cores are used, and where the machine-readable report goes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Running")]
pub struct RunArgs {
    /// Cores to use; default: what the scheduler or the machine grants.
    #[arg(short, long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Write what ran (versions, model, counts, seconds, memory): as JSON, or, where the name ends
    /// in .tsv, as a table for MultiQC, which looks for names ending in _mqc.tsv.
    #[arg(long, value_name = "FILE.json|FILE.tsv")]
    pub summary: Option<PathBuf>,
    /// What --summary calls this run; default: the name of the output without its endings.
    #[arg(long, value_name = "NAME", requires = "summary")]
    pub sample: Option<String>,
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

    /// What the summary calls this run.
    pub fn sample(&self, output: Option<&Path>) -> String {
        self.sample.clone().unwrap_or_else(|| sample_of(output))
    }

    /// Cores that are used.
    pub fn threads(&self) -> u64 {
        self.threads.map_or_else(default_threads, NonZeroUsize::get) as u64
    }

    /// Builds the program's one thread pool and returns its size.
    pub fn start_threads(&self) -> Result<usize> {
        start_threads(self.threads)
    }
}

/// Most threads that are started: beyond, waking them takes longer than the work.
const MOST_THREADS: usize = 1024;

/// Builds the program's one thread pool, by default of what is granted, and returns its size.
pub fn start_threads(wanted: Option<NonZeroUsize>) -> Result<usize> {
    let threads = wanted.map_or_else(default_threads, NonZeroUsize::get);
    if threads > MOST_THREADS && wanted.is_some() {
        return Err(Error::usage("too many threads")
            .found(threads)
            .expected(format!("--threads 1 to {MOST_THREADS}")));
    }
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

/// A model, or an ensemble of several, and the tracks that are wanted of it.
#[derive(Debug)]
pub struct Chosen {
    /// All members of all files.
    pub model: Model,
    /// The tracks, with the members that they come from.
    pub tracks: Vec<Track>,
    /// The files, for the summary.
    pub used: Vec<ModelUsed>,
}

impl ModelArgs {
    /// Reads the model files and selects tracks by name; without names, those marked as default.
    pub fn load(&self, tracks: &[String]) -> Result<Chosen> {
        let (model, used) = self.read()?;
        let tracks = model.select_tracks(tracks, self.member.as_deref())?;
        Ok(Chosen::new(model, used, tracks))
    }

    /// Reads the model files.
    pub fn read(&self) -> Result<(Model, Vec<ModelUsed>)> {
        let loaded: Vec<_> =
            self.model.iter().map(|path| file::read(path)).collect::<Result<_>>()?;
        let used = loaded
            .iter()
            .map(|loaded| ModelUsed {
                name: loaded.model.name.clone(),
                sha256: loaded.sha256.clone(),
                members: loaded.model.members.iter().map(|m| m.name.clone()).collect(),
            })
            .collect();
        let mut model = Model::ensemble(loaded)?;
        if self.n_uniform {
            model.unknown_base = UnknownBase::Uniform;
        }
        Ok((model, used))
    }

    /// What of these flags decides the numbers, for the journal and the summary.
    pub fn identity(&self, chosen: &Chosen) -> Settings {
        let hashes: Vec<&str> = chosen.used.iter().map(|file| file.sha256.as_str()).collect();
        Settings::from([
            ("model".into(), hashes.join(", ")),
            ("unknown base".into(), format!("{:?}", chosen.model.unknown_base).to_lowercase()),
        ])
    }
}

impl ModelArgs {
    /// The same for the summary.
    pub fn settings(&self, chosen: &Chosen) -> BTreeMap<String, serde_json::Value> {
        self.identity(chosen).into_iter().map(|(name, value)| (name, value.into())).collect()
    }
}

impl Chosen {
    /// A model with the tracks that are wanted; of its files, only the members that run are named.
    pub fn new(model: Model, mut used: Vec<ModelUsed>, tracks: Vec<Track>) -> Self {
        let runs = |index| tracks.iter().flat_map(|t| &t.sources).any(|s| s.member == index);
        let mut index = 0;
        for file in &mut used {
            file.members.retain(|_| {
                index += 1;
                runs(index - 1)
            });
        }
        Self { model, tracks, used }
    }
}

impl ReferenceArgs {
    /// Opens the reference, saves its indexes if asked to, and prepares the names of its contigs.
    pub fn open(&self) -> Result<(Reference, Resolver)> {
        let reference = Reference::open(&self.reference)?;
        if self.write_fai {
            for path in reference.write_indexes()? {
                tracing::info!("wrote {}", path.display());
            }
        }
        let resolver = Resolver::new(reference.contigs(), self.aliases.as_deref())?;
        Ok((reference, resolver))
    }
}

/// A number and what it counts: `1 region`, `244,019 bases`.
pub fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(number))
}

/// The files that a model and a reference are read from, indexes included: no output may replace one.
pub fn files_read(model: &ModelArgs, reference: &ReferenceArgs) -> Vec<PathBuf> {
    let fasta = &reference.reference;
    let indexes = [".fai", ".gzi"].map(|ending| append(fasta, ending));
    let named = model.model.iter().chain([fasta]).chain(&reference.aliases);
    named.cloned().chain(indexes).collect()
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn counts_are_grouped_and_agree_in_number() {
        let counted = [0, 1, 999, 1_000, 244_019].map(|number| count(number, "base"));
        assert_eq!(counted, ["0 bases", "1 base", "999 bases", "1,000 bases", "244,019 bases"]);
    }
}
