//! The picture of the one region of a request, drawn when all its values are there.

use super::outputs::label;
use super::{Request, Windowed, written_regions};
use crate::error::{Error, Result};
use crate::genome::{Contigs, Interval, Strand};
use crate::job::OutputFile;
use crate::job::summary::Written;
use crate::model::TrackStrand;
use crate::picture::axis::grouped;
use crate::picture::locus::{LocusPlot, Panel, draw};
use crate::track::name::Label;
use crate::track::{Missing, Signal};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Longest region of a picture, in bases: its values are held in memory.
pub const MAX_PLOT: u64 = 1_000_000;

/// A picture of the tracks of a region.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// An SVG file.
    pub path: PathBuf,
    /// Its second line: the model, and what is shown of it.
    pub subtitle: String,
    /// What is drawn beside the predicted tracks.
    pub measured: Vec<Measured>,
}

/// A measured track over the bases of [`plotted`].
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Its name in the picture.
    pub name: String,
    /// One value per base; NaN where there is no data.
    pub values: Vec<f32>,
}

impl Measured {
    /// The values of a file over some bases, under the name of the file without its endings.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(signal: &mut Signal, bases: Interval) -> Result<Self> {
        let values = signal.values(bases.contig, bases.start, bases.end, Missing::Na)?;
        let name = signal.path().file_name().unwrap_or_default().to_string_lossy();
        let endings = [".gz", ".bedGraph", ".bedgraph", ".bdg", ".bw", ".bigWig", ".bigwig"];
        let stem = endings.iter().fold(&*name, |name, end| name.strip_suffix(end).unwrap_or(name));
        let name = stem.to_owned();
        Ok(Self { name, values })
    }
}

/// The bases that the picture of a request shows: those of its one region, or the outputs of the
/// window around it.
///
/// # Errors
/// A usage error: no region or several, or too long a one; a window that has no output in its contig.
pub fn plotted(
    request: &Request,
    windowed: Option<&Windowed>,
    contigs: &Contigs,
) -> Result<Interval> {
    let [_] = &request.regions[..] else {
        return Err(Error::usage("a picture shows one region")
            .found(format!("{} regions", request.regions.len()))
            .remedy("name it with --region, or leave out --plot"));
    };
    let written = written_regions(request, windowed, contigs)?;
    let bases = written.as_ref().unwrap_or(request).regions[0].interval;
    match bases.len() > MAX_PLOT {
        true => Err(Error::usage("the region is too long for a picture")
            .found(format!("{} bases", bases.len()))
            .expected(format!("at most {MAX_PLOT}"))
            .remedy("draw a part of it, or leave out --plot")),
        false => Ok(bases),
    }
}

impl Request {
    /// Refuses a picture that cannot be meant.
    pub(super) fn check_plot(&self) -> Result<()> {
        let Some(Plot { path, .. }) = &self.plot else { return Ok(()) };
        if self.shard.is_some() || self.resume {
            return Err(Error::usage("a picture is drawn by one run, from beginning to end")
                .at(path)
                .remedy("leave out --plot"));
        }
        svg_name(path)
    }
}

/// Refuses a picture that is not called one.
///
/// # Errors
/// A usage error: another ending than `.svg`.
pub fn svg_name(path: &Path) -> Result<()> {
    match path.extension().is_some_and(|ending| ending == "svg") {
        true => Ok(()),
        false => Err(Error::usage("the picture is an SVG file")
            .at(path)
            .expected("a name that ends in .svg")),
    }
}

/// The picture while values come in.
pub(super) struct Locus {
    plot: Plot,
    file: OutputFile,
    bases: Interval,
    contig: String,
    rows: Vec<Row>,
}

/// A track on the strand that is read.
struct Row {
    name: String,
    unit: String,
    strand: TrackStrand,
    /// Index into the request's tracks.
    track: usize,
    read: Strand,
    /// One per base; NaN where none came yet.
    values: Vec<f32>,
}

impl Locus {
    /// For a request whose regions are those that are written.
    ///
    /// # Errors
    /// As [`plotted`]; a file that cannot be opened.
    pub fn open(plot: &Plot, request: &Request, contigs: &Contigs) -> Result<Self> {
        let bases = plotted(request, None, contigs)?;
        let count = usize::try_from(bases.len()).expect("not more than a picture holds");
        let mut rows = Vec::new();
        for &read in request.strands.read() {
            for (index, track) in request.tracks.iter().enumerate() {
                let Label { strand, .. } = label(track, read, request.strands);
                rows.push(Row {
                    name: match strand {
                        Some(strand) => format!("{} ({})", track.name, strand.symbol()),
                        None => track.name.clone(),
                    },
                    unit: track.unit.clone(),
                    strand: track.strand,
                    track: index,
                    read,
                    values: vec![f32::NAN; count],
                });
            }
        }
        let (plot, file) = (plot.clone(), OutputFile::create(&plot.path)?);
        Ok(Self { plot, file, bases, contig: contigs.name(bases.contig).to_owned(), rows })
    }

    /// Takes the values of some bases, by track of the request.
    pub fn add(&mut self, read: Strand, start: u64, values: &[&[f32]]) {
        let at = usize::try_from(start - self.bases.start).expect("a base of the region");
        for row in self.rows.iter_mut().filter(|row| row.read == read) {
            let own = values[row.track];
            row.values[at..at + own.len()].copy_from_slice(own);
        }
    }

    /// The complete picture, and what was written.
    ///
    /// # Errors
    /// A failure to write.
    pub fn finish(mut self) -> Result<(Written, OutputFile)> {
        let Interval { start, end, .. } = self.bases;
        let title = format!("{}:{}-{}", self.contig, grouped(start + 1), grouped(end));
        let picture = draw(&LocusPlot {
            title: &title,
            subtitle: &self.plot.subtitle,
            contig: &self.contig,
            first: start + 1,
            panels: self.panels(),
        });
        let file = &mut self.file;
        file.write_all(picture.as_bytes()).map_err(|error| file.error(error))?;
        Ok((Written { path: self.plot.path, records: 1 }, self.file))
    }

    fn panels(&self) -> Vec<Panel<'_>> {
        let back_to_back = |a: &Row, b: &Row| {
            let strands = (a.strand, b.strand) == (TrackStrand::Read, TrackStrand::Opposite);
            let counts = |row: &Row| row.values.iter().all(|&x| x >= 0.0 || x.is_nan());
            strands && a.read == b.read && a.unit == b.unit && counts(a) && counts(b)
        };
        let mut panels = Vec::new();
        let mut rows = &self.rows[..];
        let mut stranded = false;
        while let [row, rest @ ..] = rows {
            let (unit, measured) = (row.unit.as_str(), false);
            rows = rest;
            match rest.first().filter(|next| back_to_back(row, next)) {
                Some(next) => {
                    let (up, down) = match row.read {
                        Strand::Plus => (row, next),
                        Strand::Minus => (next, row),
                    };
                    let name = format!("predicted: {} above, {} below", up.name, down.name);
                    let (up, down) = (&up.values[..], Some(&down.values[..]));
                    panels.push(Panel { name, unit, measured, up, down });
                    rows = &rest[1..];
                    stranded = true;
                }
                None => {
                    let name = format!("predicted: {}", row.name);
                    panels.push(Panel { name, unit, measured, up: &row.values, down: None });
                }
            }
        }
        let (unit, measured) = ("value", true);
        match &self.plot.measured[..] {
            [up, down] if stranded => {
                let name = format!("measured: {} above, {} below", up.name, down.name);
                let (up, down) = (&up.values[..], Some(&down.values[..]));
                panels.push(Panel { name, unit, measured, up, down });
            }
            list => panels.extend(list.iter().map(|Measured { name, values }| Panel {
                name: format!("measured: {name}"),
                unit,
                measured,
                up: values,
                down: None,
            })),
        }
        panels
    }
}
