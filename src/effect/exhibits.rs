//! Variants to look at: the tracks around them before and after, as bedGraph files and pictures.
//!
//! One set of files for each ALT and gene, called `CONTIG_POS_REF_ALT_GENE`.

use super::annotate::Scoring;
use super::outcome::{Window, WindowTrack, symbol};
use super::signed;
use crate::error::{Error, Result};
use crate::genome::{Contigs, Reference, Strand, Variant};
use crate::job::OutputFile;
use crate::job::output::commit_all;
use crate::job::summary::Written;
use crate::picture::variant::{GeneModel, Panel, VariantPlot, draw};
use crate::track::{self, Segment, Style};
use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Letters of an allele that a file name shows.
const SHOWN_ALLELE: usize = 12;

/// Folders that the files of some variants go to.
#[derive(Debug)]
pub struct Exhibits {
    tracks: Option<PathBuf>,
    plots: Option<PathBuf>,
    style: Style,
    taken: HashSet<String>,
}

impl Exhibits {
    /// Makes the folders, where they are not there yet.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn open(tracks: Option<&Path>, plots: Option<&Path>, style: Style) -> Result<Self> {
        for folder in [tracks, plots].into_iter().flatten() {
            fs::create_dir_all(folder).map_err(|e| Error::io(folder, "make the folder", e))?;
        }
        let own = |folder: Option<&Path>| folder.map(Path::to_path_buf);
        Ok(Self { tracks: own(tracks), plots: own(plots), style, taken: HashSet::new() })
    }

    /// Computes the windows of a variant again and writes their files: per track `.ref`, `.alt`
    /// and `.diff.bedGraph`, in coordinates of the reference and aligned as scored; and an `.svg`
    /// per ALT and gene.
    ///
    /// # Errors
    /// As [`Scoring::windows`], and any failure to write.
    pub fn add(
        &mut self,
        scorer: &dyn Scoring<'_>,
        reference: &mut Reference,
        variant: &Variant,
    ) -> Result<Vec<Written>> {
        let mut written = Vec::new();
        for window in scorer.windows(reference, variant)? {
            let contigs = reference.contigs();
            let name = self.unused_name(variant, &window);
            if let Some(folder) = &self.tracks {
                written.extend(write_tracks(folder, &name, &window, contigs, &self.style)?);
            }
            if let Some(folder) = &self.plots {
                let path = folder.join(format!("{name}.svg"));
                let picture = plot(variant, &window, contigs, &scorer.describe_window());
                let mut file = OutputFile::create(&path)?;
                file.write_all(picture.as_bytes()).map_err(|e| file.error(e))?;
                file.commit()?;
                written.push(Written { path, records: 1 });
            }
        }
        Ok(written)
    }

    /// The stem of the files of a window; a number tells those of equal variants and genes apart.
    fn unused_name(&mut self, variant: &Variant, window: &Window<'_>) -> String {
        let gene = match window.gene {
            Some(gene) => gene.name.clone(),
            None => window.strand.name().to_string(),
        };
        let alt = &variant.alternates[window.allele];
        let parts = [
            variant.chrom.clone(),
            variant.pos.to_string(),
            short(&variant.reference),
            short(alt),
            gene,
        ];
        let stem: String = parts.join("_").chars().map(safe).collect();
        let mut name = stem.clone();
        let mut number = 2;
        // Some file systems do not tell cases apart.
        while !self.taken.insert(name.to_ascii_lowercase()) {
            name = format!("{stem}-{number}");
            number += 1;
        }
        name
    }
}

/// A long allele by its first letters and its length.
fn short(allele: &str) -> String {
    match allele.char_indices().nth(SHOWN_ALLELE) {
        Some((end, _)) => format!("{}-{}bp", &allele[..end], allele.len()),
        None => allele.to_string(),
    }
}

fn safe(letter: char) -> char {
    if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '-' }
}

fn write_tracks(
    folder: &Path,
    name: &str,
    window: &Window<'_>,
    contigs: &Contigs,
    style: &Style,
) -> Result<Vec<Written>> {
    // Beyond the contig's ends there are values, but no bases for them to belong to.
    let length = contigs.length(window.contig).cast_signed();
    let rows = window.tracks.first().map_or(0, |track| track.reference.len());
    let inside = |position: i64| {
        usize::try_from(position.clamp(0, length) - window.start).unwrap_or(0).min(rows)
    };
    let (from, to) = (inside(0), inside(i64::MAX));
    let start = u64::try_from(window.start.max(0)).expect("not negative");
    let mut written = Vec::new();
    let mut files = Vec::new();
    for track in &window.tracks {
        for (what, values) in
            [("ref", &track.reference), ("alt", &track.alternative), ("diff", &track.difference)]
        {
            let path = folder.join(format!("{name}.{}.{what}.bedGraph", track.name));
            let mut sink = track::open(&path, contigs, style, None)?;
            if from < to {
                let values = &values[from..to];
                sink.write(Segment { contig: window.contig, start, values })?;
            }
            sink.finish()?;
            written.push(Written { path, records: sink.records() });
            files.extend(sink.into_files());
        }
    }
    commit_all(files)?;
    Ok(written)
}

/// The picture of one ALT and gene.
fn plot(variant: &Variant, window: &Window<'_>, contigs: &Contigs, what: &str) -> String {
    let alt = short(&variant.alternates[window.allele]);
    let title = format!("{}:{} {} > {alt}", variant.chrom, variant.pos, short(&variant.reference));
    let strand = window.strand.symbol();
    let gene = symbol(window.gene);
    let subtitle = match window.gene {
        Some(_) => format!("{gene} ({strand}), {what}"),
        None => format!("strand {strand}, {what}"),
    };
    let closed = |&(start, end): &(u64, u64)| (start.cast_signed() + 1, end.cast_signed());
    let first = variant.pos.cast_signed();
    let last = first + signed(variant.reference.len().max(1)) - 1;
    let panel = |track| {
        let WindowTrack { name, reference, alternative, difference }: &WindowTrack = track;
        Panel { name, reference, alternative, difference }
    };
    draw(&VariantPlot {
        title: &title,
        subtitle: &subtitle,
        contig: contigs.name(window.contig),
        first: window.start + 1,
        variant: (first, last),
        tracks: window.tracks.iter().map(panel).collect(),
        gene: window.gene.map(|gene| GeneModel {
            name: &gene.name,
            forward: gene.strand == Strand::Plus,
            span: closed(&(gene.span.start, gene.span.end)),
            exons: gene.exons.iter().map(closed).collect(),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_alleles_and_odd_letters_make_short_and_safe_names() {
        assert_eq!(short("ACGT"), "ACGT");
        assert_eq!(short(&"A".repeat(999)), "AAAAAAAAAAAA-999bp");
        assert_eq!("HLA:A*01/x".chars().map(safe).collect::<String>(), "HLA-A-01-x");
    }
}
