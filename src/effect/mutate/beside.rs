//! What is written beside the table of changes, and how a run ends: with outputs under their names,
//! or with those of a shard and its manifest.

use super::{Effects, MAX_PLOT, Report};
use crate::error::{Error, Result};
use crate::genome::{ContigId, Contigs, Interval};
use crate::job::OutputFile;
use crate::job::journal::Settings;
use crate::job::manifest::{Finished, Join, Manifest, Role};
use crate::job::output::commit_all;
use crate::job::shard::{Shard, Share};
use crate::job::summary::Written;
use crate::picture::letters::{Letters, draw};
use crate::track::{self, Segment, Sink, Style};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Refuses a picture of too long a region or of a part of one, and a shard of what cannot be joined.
///
/// # Errors
/// A usage error.
pub(in crate::effect) fn check(
    region: Interval,
    table: &Path,
    plot: Option<&Path>,
    shard: Option<Shard>,
) -> Result<()> {
    if let (Some(_), Some(plot)) = (shard, plot) {
        return Err(Error::usage("a shard draws no picture of a region that it has a part of")
            .at(plot)
            .remedy("leave out --plot"));
    }
    if plot.is_some() && region.len() > MAX_PLOT {
        return Err(Error::usage("the region is too long for a picture of its letters")
            .found(format!("{} bases", region.len()))
            .expected(format!("at most {MAX_PLOT}"))
            .remedy("draw a part of it, or leave out --plot"));
    }
    if shard.is_some() && OutputFile::part_of(table)?.is_none() {
        return Err(Error::usage("a shard is written to a regular file")
            .at(table)
            .remedy("name a file for each shard; `atrous merge` can write anywhere"));
    }
    Ok(())
}

/// The track of how much each base matters, and the picture.
pub(in crate::effect) struct Beside {
    importance: Option<(Box<dyn Sink>, PathBuf)>,
    plot: Option<(OutputFile, Drawn)>,
}

/// What the end of a run needs to know.
pub(in crate::effect) struct Ending<'a> {
    /// The bases that were asked for.
    pub region: Interval,
    /// Those of the reference.
    pub contigs: &'a Contigs,
    /// The second line of the picture.
    pub subtitle: &'a str,
    /// Whether the picture shows deletions.
    pub deletions: bool,
    /// What a shard did, and what decides its bytes.
    pub shard: Option<(Shard, Share, Settings)>,
}

impl Beside {
    /// Opens what is wanted, before any work.
    ///
    /// # Errors
    /// A name that is no track's, or a file that cannot be opened.
    pub fn open(
        importance: Option<&PathBuf>,
        plot: Option<&PathBuf>,
        contigs: &Contigs,
        style: &Style,
    ) -> Result<Self> {
        let sink = |path: &PathBuf| track::open(path, contigs, style, None);
        let sink = importance.map(sink).transpose()?;
        let file = plot.map(|path| OutputFile::create(path)).transpose()?;
        Ok(Self {
            importance: sink.zip(importance.cloned()),
            plot: file.map(|file| (file, Drawn::default())),
        })
    }

    /// Adds bases from `start` on: their letters, the effects of their changes, how much they matter.
    ///
    /// # Errors
    /// A failure to write.
    pub fn add(
        &mut self,
        (contig, start): (ContigId, u64),
        letters: &[u8],
        effects: Vec<Effects>,
        matters: Vec<Option<f32>>,
    ) -> Result<()> {
        if let Some((sink, _)) = &mut self.importance {
            for (offset, values) in runs(&matters) {
                sink.write(Segment { contig, start: start + offset as u64, values: &values })?;
            }
        }
        if let Some((_, drawn)) = &mut self.plot {
            drawn.letters.extend(letters);
            drawn.effects.extend(effects);
            drawn.importance.extend(matters);
        }
        Ok(())
    }

    /// Writes what is left and gives all outputs their names; those of a shard get a manifest.
    ///
    /// # Errors
    /// A failure to write.
    pub fn finish(self, table: Finished, ending: Ending<'_>, report: &mut Report) -> Result<()> {
        let main = table.files[0].path().to_owned();
        report.outputs.push(Written { path: main.clone(), records: table.records });
        let mut finished = vec![table];
        if let Some((mut sink, path)) = self.importance {
            sink.finish()?;
            let records = sink.records();
            report.outputs.push(Written { path, records });
            let (role, join) = (Role::Importance, Join::Values);
            finished.push(Finished { role, join, records, files: sink.into_files() });
        }
        if let Some((shard, share, settings)) = ending.shard {
            let mut manifest = Manifest::new("mutate", shard, share, settings);
            let contigs = ending.contigs.iter();
            manifest.contigs = contigs.map(|(_, name, length)| (name.to_owned(), length)).collect();
            return manifest.commit(&main, finished);
        }
        let mut files: Vec<OutputFile> =
            finished.into_iter().flat_map(|output| output.files).collect();
        if let Some((mut file, drawn)) = self.plot {
            file.write_all(drawn.picture(&ending).as_bytes()).map_err(|e| file.error(e))?;
            report.outputs.push(Written { path: file.path().to_owned(), records: 1 });
            files.push(file);
        }
        commit_all(files)
    }
}

/// What the picture shows.
#[derive(Default)]
struct Drawn {
    letters: Vec<u8>,
    effects: Vec<Effects>,
    importance: Vec<Option<f32>>,
}

impl Drawn {
    fn picture(&self, ending: &Ending<'_>) -> String {
        let Interval { contig, start, end } = ending.region;
        let contig = ending.contigs.name(contig);
        let names = ["A", "C", "G", "T", "del"];
        let shown = if ending.deletions { 5 } else { 4 };
        let rows: Vec<(String, Vec<Option<f32>>)> = (0..shown)
            .map(|place| {
                let effects = self.effects.iter().map(|effects| effects[place]).collect();
                (names[place].to_string(), effects)
            })
            .collect();
        draw(&Letters {
            title: &format!("{contig}:{}-{end}", start + 1),
            subtitle: ending.subtitle,
            contig,
            first: start + 1,
            letters: &self.letters,
            importance: &self.importance,
            rows: &rows,
        })
    }
}

/// Stretches of bases that have a value, with the index of the first.
fn runs(values: &[Option<f32>]) -> Vec<(usize, Vec<f32>)> {
    let mut runs: Vec<(usize, Vec<f32>)> = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let Some(value) = *value else { continue };
        match runs.last_mut().filter(|(start, run)| start + run.len() == index) {
            Some((_, run)) => run.push(value),
            None => runs.push((index, vec![value])),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_without_a_value_part_the_runs() {
        let values = [None, Some(1.0), Some(2.0), None, Some(3.0)];
        assert_eq!(runs(&values), [(1, vec![1.0, 2.0]), (4, vec![3.0])]);
    }
}
