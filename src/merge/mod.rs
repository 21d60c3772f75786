//! The outputs of shards become those of the whole job.
//!
//! [`merge`] first proves from the manifests ([`crate::job::manifest`]) that the shards are those of
//! one job, each once and none missing ([`shards`]); then it joins each output: parts of text and
//! of BGZF blocks one after the other as they are ([`append`]), bigWigs value by value
//! ([`values`]), region tables row by row ([`rows`]). Every part is hashed while it is read, and
//! the outputs get their names when every hash is right.

mod append;
mod rows;
mod shards;
mod values;

use crate::error::{Error, Result};
use crate::genome::Strand;
use crate::job::distinct::refuse_shared;
use crate::job::manifest::{Join, Manifest, Part, Role};
use crate::job::output::{OutputFile, commit_all};
use crate::job::shard::Share;
use crate::job::summary::Written;
use crate::job::{Progress, signal};
use crate::track::name::{Format, Kind, Label, track_paths};
use crate::track::variants::VariantFormat;
use shards::Shards;
use std::path::{Path, PathBuf};

/// What is merged, and where it goes.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The manifests of the shards, or the outputs that they lie beside, in any order.
    pub shards: Vec<PathBuf>,
    /// Tracks, variants or changes: what `-o` of the command was.
    pub output: Option<PathBuf>,
    /// The region table.
    pub table: Option<PathBuf>,
    /// The list of alleles without a score.
    pub skipped: Option<PathBuf>,
    /// The track of how much bases matter.
    pub importance: Option<PathBuf>,
    /// Accepts shards that were computed by different engines, devices or instruction sets.
    pub allow_mixed_isa: bool,
}

/// What was done.
#[derive(Debug, Clone)]
pub struct Report {
    /// Shards that were merged.
    pub shards: u64,
    /// The whole job.
    pub share: Share,
    /// Bytes of all parts.
    pub bytes: u64,
    /// What was written.
    pub outputs: Vec<Written>,
    /// Outputs that the shards have and nobody asked for.
    pub left_out: Vec<&'static str>,
}

/// An output and what it is made of.
struct Target<'a> {
    path: PathBuf,
    /// Where each part lies, in the order of the shards.
    parts: Vec<(PathBuf, &'a Part)>,
}

impl Request {
    /// Where a kind of output goes, and the flag that says so.
    fn place(&self, role: &Role) -> (&'static str, Option<&PathBuf>) {
        match role {
            Role::Variants | Role::Track { .. } => ("--output", self.output.as_ref()),
            Role::Table => ("--table", self.table.as_ref()),
            Role::Skipped => ("--skipped", self.skipped.as_ref()),
            Role::Importance => ("--importance", self.importance.as_ref()),
        }
    }

    fn places(&self) -> [(&'static str, Option<&PathBuf>); 4] {
        let track = Role::Track { name: String::new(), strand: None };
        [&track, &Role::Table, &Role::Skipped, &Role::Importance].map(|role| self.place(role))
    }
}

/// Joins the outputs of shards. What comes out is what the whole job would have written: bedGraph
/// byte for byte, also in BGZF blocks and with its index; variants and tables as text (their BGZF
/// blocks are cut elsewhere); bigWig value by value.
///
/// # Errors
/// A shard that is missing, doubled, damaged or of another job; any failure to read or write. No
/// output has its name then.
pub fn merge(request: &Request, progress: &Progress) -> Result<Report> {
    if request.places().iter().all(|(_, path)| path.is_none()) {
        return Err(Error::usage("nothing to write").remedy("name an output with -o"));
    }
    let shards = Shards::read(&request.shards, request.allow_mixed_isa)?;
    let (targets, left_out) = targets(request, &shards)?;
    let parts = || targets.iter().flat_map(|target| &target.parts);
    let outputs: Vec<&Path> = targets.iter().map(|target| target.path.as_path()).collect();
    let inputs: Vec<&Path> =
        parts().map(|(path, _)| path.as_path()).chain(shards.paths()).collect();
    refuse_shared(&outputs, &inputs)?;
    parts().try_for_each(|(path, part)| look_at(path, part))?;
    let bytes = parts().map(|(_, part)| part.bytes).sum();
    progress.start_counting(bytes, "bytes");
    let (mut files, mut written) = (Vec::new(), Vec::new());
    for target in &targets {
        let (records, made) = join(target, &shards, progress)?;
        written.push(Written { path: target.path.clone(), records });
        files.extend(made);
    }
    progress.finish();
    commit_all(files)?;
    let (count, share) = shards.job();
    Ok(Report { shards: count, share, bytes, outputs: written, left_out })
}

/// The outputs that are asked for, with their parts, and the flags of those that are not.
fn targets<'a>(
    request: &Request,
    shards: &'a Shards,
) -> Result<(Vec<Target<'a>>, Vec<&'static str>)> {
    let first = shards.first();
    let mut left_out = Vec::new();
    for (flag, path) in request.places() {
        let has = first.outputs.iter().any(|part| request.place(&part.role).0 == flag);
        match (has, path) {
            (true, None) => left_out.push(flag),
            (false, Some(path)) => {
                return Err(Error::usage(format!("the shards have nothing for {flag}"))
                    .at(path)
                    .remedy("leave it out, or run the shards with it"));
            }
            _ => {}
        }
    }
    let tracks: Vec<Label<'_>> =
        first.outputs.iter().filter_map(|part| label(&part.role)).collect();
    let mut track_files = match &request.output {
        Some(output) if !tracks.is_empty() => track_paths(output, &tracks)?.into_iter(),
        _ => Vec::new().into_iter(),
    };
    let mut targets = Vec::new();
    for (number, part) in first.outputs.iter().enumerate() {
        let Some(path) = request.place(&part.role).1 else { continue };
        let path = match part.role {
            Role::Track { .. } => track_files.next().expect("as many files as labels"),
            _ => path.clone(),
        };
        targets.push(Target { path, parts: shards.parts(number) });
    }
    Ok((targets, left_out))
}

fn label(role: &Role) -> Option<Label<'_>> {
    let Role::Track { name, strand } = role else { return None };
    let strand = strand.and_then(|symbol| {
        [Strand::Plus, Strand::Minus].into_iter().find(|strand| strand.symbol() == symbol)
    });
    Some(Label { track: name, strand })
}

/// Whether a part is there and as long as its manifest says: what can be told before any work.
fn look_at(path: &Path, part: &Part) -> Result<()> {
    let found = std::fs::metadata(path).map_err(|e| Error::io(path, "read a shard's output", e))?;
    if found.len() != part.bytes {
        return Err(Error::new("a shard's output is not what its manifest says")
            .at(path)
            .found(format!("{} bytes", found.len()))
            .expected(format!("{} bytes", part.bytes))
            .remedy("copy it again, or run this shard again"));
    }
    Ok(())
}

/// A part whose bytes are not those that its manifest has the hash of.
fn changed(path: &Path) -> Error {
    Error::new("a shard's output was changed after it was written")
        .at(path)
        .remedy("copy it again, or run this shard again")
}

/// Makes one output; gives its lines and files, which are complete but not yet under their names.
fn join(
    target: &Target<'_>,
    shards: &Shards,
    progress: &Progress,
) -> Result<(u64, Vec<OutputFile>)> {
    let Target { path, parts } = target;
    let (_, first) = &parts[0];
    signal::check()?;
    let is_track = matches!(first.role, Role::Track { .. } | Role::Importance);
    match &first.join {
        Join::Rows(_) => rows::join(parts, path, progress),
        Join::Append { bgzip, .. } => {
            let like = match is_track {
                true => Format::of_track(path)?.kind == kind(*bgzip),
                false => like(path, &first.file)?,
            };
            match (like, is_track) {
                (true, _) => append::join(parts, path, progress),
                (false, true) => values::join(parts, path, shards.first(), progress),
                (false, false) => Err(Error::usage("the shards have another format")
                    .at(path)
                    .found(first.file.display())
                    .remedy("name an output with the same ending")),
            }
        }
        Join::Values => values::join(parts, path, shards.first(), progress),
    }
}

fn kind(bgzip: bool) -> Kind {
    if bgzip { Kind::Bgzf } else { Kind::Text }
}

/// Whether a name asks for the format that a part has.
fn like(path: &Path, part: &Path) -> Result<bool> {
    let of_part = VariantFormat::of(part)?;
    let compressed = part.extension().is_some_and(|ending| ending == "gz" || ending == "bcf");
    Ok(match VariantFormat::of(path)? {
        // a stream takes text
        None => !compressed,
        asked => asked == of_part,
    })
}

/// The manifest of the first shard, whose settings are those of all.
fn setting<'a>(manifest: &'a Manifest, name: &str) -> Option<&'a str> {
    manifest.settings.get(name).map(String::as_str)
}
