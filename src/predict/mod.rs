//! The main job: regions of a reference in, base-resolution tracks out.
//!
//! [`predict`] is the whole walk: regions become tiles ([`tiles`]), tiles become letters and values
//! ([`stitch`], [`pipeline`]), values become tracks and tables ([`outputs`]).

mod letters;
pub mod locus;
mod long_tiles;
mod outputs;
mod pipeline;
pub mod readout;
mod settings;
mod share;
mod stitch;
pub(crate) mod tiles;
mod windowed;
pub mod windows;

pub use locus::{Measured, Plot};
pub use long_tiles::LongTiles;
pub use readout::{OutputKind, RcAverage, Readout};
pub use windowed::Windowed;
pub use windows::WindowAt;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::genome::sequence::LetterCounts;
use crate::genome::{Contigs, Interval, Reference, Region, Strand};
use crate::job::distinct::refuse_shared;
use crate::job::journal::Settings;
use crate::job::manifest::Manifest;
use crate::job::output::keeps_parts;
use crate::job::shard::{Shard, Share};
use crate::job::summary::Written;
use crate::job::{OutputFile, Progress};
use crate::model::Track;
use crate::track::Style;
use crate::track::bigwig::not_resumable;
use crate::track::name::{Format, Kind};
use letters::Letters;
use outputs::{Opening, Outputs, Reached};
use share::Section;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tiles::{Sizing, Tile};

/// Bytes that the working buffers of one thread may take unless the request says otherwise.
pub const MEMORY_PER_THREAD: u64 = 128 << 20;

/// Which strand the network reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strands {
    /// The reference as written.
    #[default]
    Plus,
    /// Its reverse complement.
    Minus,
    /// Both, one after the other.
    Both,
    /// Each region's own; a region without one is an error. Outputs of both strands are written,
    /// whatever the regions, so that the names of files depend on the request alone.
    Bed,
}

impl Strands {
    /// The strands that outputs are opened for.
    fn read(self) -> &'static [Strand] {
        match self {
            Self::Plus => &[Strand::Plus],
            Self::Minus => &[Strand::Minus],
            Self::Both | Self::Bed => &[Strand::Plus, Strand::Minus],
        }
    }
}

impl FromStr for Strands {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "+" | "plus" => Ok(Self::Plus),
            "-" | "minus" => Ok(Self::Minus),
            "both" => Ok(Self::Both),
            "bed" => Ok(Self::Bed),
            _ => Err(Error::usage("no such strand")
                .found(text)
                .expected("+ (plus), - (minus), both or bed")),
        }
    }
}

/// What to predict and where to write it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Regions in any order, which may overlap; each base is computed and written once.
    pub regions: Vec<Region>,
    /// Which strand the network reads.
    pub strands: Strands,
    /// The tracks that the engine was built for, in its order.
    pub tracks: Vec<Track>,
    /// Where the tracks go: `-` or a name that [`crate::track::name`] knows.
    pub output: Option<PathBuf>,
    /// Where the region table goes.
    pub table: Option<PathBuf>,
    /// A picture of the tracks of the region, where there is one only.
    pub plot: Option<Plot>,
    /// How the values of the tracks are written.
    pub style: Style,
    /// Tile length in bases; chosen from work and memory when not given. Never changes a value.
    pub tile: Option<u64>,
    /// Bytes that the working buffers of one thread may take when the tile length is chosen.
    pub memory_per_thread: u64,
    /// Tiles that the engine computes at a time.
    pub threads: usize,
    /// Continue an interrupted run of the same request, if one left its parts.
    pub resume: bool,
    /// Do this part of the request alone, and write a manifest beside the output.
    pub shard: Option<Shard>,
    /// What else decides the values, such as the hash of the model; compared when resuming.
    pub identity: Settings,
}

impl Request {
    /// A request for these regions and tracks with every other setting at its default; it still
    /// needs an output or a table.
    pub fn new(regions: Vec<Region>, tracks: Vec<Track>) -> Self {
        Self {
            regions,
            strands: Strands::default(),
            tracks,
            output: None,
            table: None,
            plot: None,
            style: Style::default(),
            tile: None,
            memory_per_thread: MEMORY_PER_THREAD,
            threads: 1,
            resume: false,
            shard: None,
            identity: Settings::new(),
        }
    }

    /// The files that the request writes, but for the indexes of tracks, whatever its regions.
    ///
    /// # Errors
    /// A name whose ending is not known, or several tracks for one stream (usage).
    pub fn output_paths(&self) -> Result<Vec<PathBuf>> {
        let mut paths: Vec<PathBuf> =
            outputs::track_files(self)?.into_iter().map(|(path, ..)| path).collect();
        if let Some(table) = &self.table {
            Format::of_table(table)?;
            paths.push(table.clone());
        }
        paths.extend(self.plot.iter().map(|plot| plot.path.clone()));
        Ok(paths)
    }

    /// The output that the manifest of a shard lies beside.
    fn main_output(&self) -> Option<&Path> {
        self.output.as_ref().or(self.table.as_ref()).map(PathBuf::as_path)
    }

    /// Where the manifest of a shard is written.
    pub fn manifest_path(&self) -> Option<PathBuf> {
        self.shard.and(self.main_output()).map(Manifest::path_of)
    }

    /// Each region with each strand that is read of it, in the order of the regions.
    fn reads(&self) -> impl Iterator<Item = (&Region, Strand)> {
        self.indexed_reads().map(|(index, strand)| (&self.regions[index], strand))
    }

    /// The same by the index of each region.
    fn indexed_reads(&self) -> impl Iterator<Item = (usize, Strand)> {
        self.regions.iter().enumerate().flat_map(|(index, region)| {
            let own =
                |&strand: &Strand| self.strands != Strands::Bed || region.strand == Some(strand);
            self.strands.read().iter().copied().filter(own).map(move |strand| (index, strand))
        })
    }

    /// Refuses what cannot be meant, before any work.
    fn check(&self, reference: &Reference) -> Result<()> {
        let contigs = reference.contigs();
        if self.output.is_none() && self.table.is_none() && self.plot.is_none() {
            return Err(Error::usage("nothing to write").remedy("name an output or a table"));
        }
        self.check_plot()?;
        let paths = self.output_paths()?;
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        refuse_shared(&paths, &[reference.path()])?;
        if let (true, Some(output)) = (self.resume, &self.output)
            && Format::of_track(output)?.kind == Kind::BigWig
        {
            return Err(not_resumable(output));
        }
        if self.tracks.is_empty() {
            return Err(Error::usage("no track is chosen"));
        }
        if let (Some(_), Some(main)) = (self.shard, self.main_output())
            && OutputFile::part_of(main)?.is_none()
        {
            return Err(Error::usage("a shard is written to a regular file")
                .at(main)
                .remedy("name a file for each shard; `atrous merge` can write anywhere"));
        }
        if self.tile == Some(0) {
            return Err(Error::usage("a tile has at least one base").found(0));
        }
        for region in &self.regions {
            let Interval { contig, start, end } = region.interval;
            let name = || region.name.clone().unwrap_or_else(|| format!("{start}-{end}"));
            if contig.0 >= contigs.len() || start >= end || end > contigs.length(contig) {
                let error = region.origin.error("a region does not lie inside its contig");
                return Err(error.found(name()));
            }
            if self.strands == Strands::Bed && region.strand.is_none() {
                return Err(region
                    .origin
                    .error("a region has no strand of its own")
                    .found(name())
                    .expected("+ or - in column 6 of every region")
                    .remedy("add it, or choose --strand +, - or both"));
            }
        }
        Ok(())
    }

    /// The bases that are read on each strand, in the order of the walk.
    fn walk(&self) -> [(Strand, Vec<Interval>); 2] {
        [Strand::Plus, Strand::Minus].map(|strand| (strand, self.spans(strand)))
    }

    /// The bases that are read on a strand.
    fn spans(&self, strand: Strand) -> Vec<Interval> {
        let reads = self.reads().filter(|&(_, read)| read == strand);
        tiles::union(reads.map(|(region, _)| region.interval))
    }
}

/// What came out.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Regions that were asked for.
    pub regions: u64,
    /// Bases that were asked for, each once per strand.
    pub bases: u64,
    /// How many of them an interrupted run had already written.
    pub resumed: u64,
    /// Stretches that the network ran over.
    pub tiles: u64,
    /// Letters other than A, C, G, T and N among the bases.
    pub letters: LetterCounts,
    /// What was written.
    pub outputs: Vec<Written>,
}

/// Computes the tracks of a request and writes them. The engine must have been built for exactly
/// `request.tracks`. The bytes of the outputs depend on the model, the reference and the request's
/// regions, strands and style alone, never on tiles or threads.
///
/// # Errors
/// A request that cannot be meant, the engine of a model that must be run in windows, any failure to read or write, a value that is no finite number,
/// or a signal. No output has its name then; after a signal or on a full disk the partial ones are
/// kept for `resume`.
pub fn predict(
    reference: &mut Reference,
    engine: &dyn Engine,
    request: &Request,
    progress: &Progress,
) -> Result<Report> {
    run(reference, engine, request, None, progress)
}

/// The same for a model that must be run in windows; the engine must have been built for what
/// `windowed.readout` wants of it.
///
/// # Errors
/// As [`predict`], the engine of a model without a window, and a window around a region that has no output in its contig.
pub fn predict_windows(
    reference: &mut Reference,
    engine: &dyn Engine,
    request: &Request,
    windowed: &mut Windowed,
    progress: &Progress,
) -> Result<Report> {
    run(reference, engine, request, Some(windowed), progress)
}

/// What each of so many shards of a request does.
///
/// # Errors
/// A window around a region that has no output in its contig.
pub fn shares(
    request: &Request,
    windowed: Option<&Windowed>,
    contigs: &Contigs,
    of: u64,
) -> Result<Vec<Share>> {
    let written = written_regions(request, windowed, contigs)?;
    let walk = written.as_ref().unwrap_or(request).walk();
    Ok(Shard::all(of).map(|shard| Section::of(shard, &walk, contigs).share).collect())
}

/// The request with the regions that are written, where those are the outputs of windows.
fn written_regions(
    request: &Request,
    windowed: Option<&Windowed>,
    contigs: &Contigs,
) -> Result<Option<Request>> {
    let Some(windowed) = windowed.filter(|windowed| windowed.is_centred()) else {
        return Ok(None);
    };
    let regions = windows::regions(&request.regions, windowed.at, windowed.shape(), contigs)?;
    Ok(Some(Request { regions, ..request.clone() }))
}

fn run(
    reference: &mut Reference,
    engine: &dyn Engine,
    request: &Request,
    windowed: Option<&mut Windowed>,
    progress: &Progress,
) -> Result<Report> {
    request.check(reference)?;
    check_windows(engine, windowed.is_some())?;
    let contigs = reference.contigs().clone();
    let asked = &request.regions;
    let outputs_of_windows = written_regions(request, windowed.as_deref(), &contigs)?;
    let request = outputs_of_windows.as_ref().unwrap_or(request);
    let settings = settings::of(request, windowed.as_deref(), reference, engine)?;
    let mut tiles = match windowed.as_deref() {
        None => plan(request, &contigs, engine),
        Some(windowed) => plan_windows(request, asked, windowed, &contigs),
    };
    let section = request.shard.map(|shard| Section::of(shard, &request.walk(), &contigs));
    if let Some(section) = &section {
        tiles = section.cut(tiles);
    }
    let job = Opening {
        request,
        windowed: windowed.as_deref(),
        contigs: &contigs,
        settings: &settings,
        section: section.as_ref(),
        tiles: &tiles,
    };
    let (mut outputs, done) = Outputs::open(&job)?;
    let mut report = Report { regions: request.regions.len() as u64, ..Report::default() };
    let work = Work { tiles, done, windowed, progress };
    let computed = compute(reference, engine, request, work, &mut outputs, &mut report);
    progress.finish();
    match computed {
        Ok(()) => {
            let manifest = request
                .shard
                .zip(section)
                .map(|(shard, section)| Manifest::new("predict", shard, section.share, settings));
            report.outputs = outputs.finish(manifest)?;
            Ok(report)
        }
        Err(error) => {
            outputs.abandon(keeps_parts(&error));
            Err(error)
        }
    }
}

/// Refuses to run the engine of a model with a window without windows, and the other way round.
fn check_windows(engine: &dyn Engine, windowed: bool) -> Result<()> {
    match (engine.is_windowed(), windowed) {
        (true, false) => Err(Error::usage("the model must be run in its windows").remedy(
            "use predict_windows, or the model without its window (Model::without_window)",
        )),
        (false, true) => Err(Error::usage("the engine was built for a model without a window")),
        _ => Ok(()),
    }
}

/// What there is to compute, and who hears of it.
struct Work<'a> {
    tiles: Vec<Tile>,
    done: Option<Reached>,
    windowed: Option<&'a mut Windowed>,
    progress: &'a Progress,
}

fn compute(
    reference: &mut Reference,
    engine: &dyn Engine,
    request: &Request,
    work: Work<'_>,
    outputs: &mut Outputs,
    report: &mut Report,
) -> Result<()> {
    let Work { tiles: all, done, windowed, progress } = work;
    report.bases = all.iter().map(Tile::bases).sum();
    let mut letters = Letters::new(request.spans(Strand::Plus));
    let tiles = match &done {
        None => all,
        Some(done) => {
            let (finished, left) = split(all, done, reference.contigs())?;
            report.resumed = finished.iter().map(Tile::bases).sum();
            finished.iter().try_for_each(|tile| letters.count_only(tile, reference))?;
            tracing::info!("resuming after {} of {} bases", report.resumed, report.bases);
            left
        }
    };
    report.tiles = tiles.len() as u64;
    progress.start(tiles.iter().map(Tile::bases).sum());
    let (controls, readout) = windowed.map(Windowed::parts).unzip();
    let source = pipeline::Source {
        reference,
        engine,
        threads: request.threads,
        controls,
        readout,
        letters: &mut letters,
        progress,
    };
    pipeline::run(source, tiles, |piece| outputs.write(&piece, &request.tracks))?;
    report.letters = letters.report(reference.contigs());
    Ok(())
}

/// The tiles of a request in the order in which they are written.
fn plan(request: &Request, contigs: &Contigs, engine: &dyn Engine) -> Vec<Tile> {
    let spans = request.walk();
    let reach = engine.reach();
    let overhead = engine.overhead_positions();
    let total: u64 = spans.iter().flat_map(|(_, spans)| spans).map(Interval::len).sum();
    let length = request.tile.unwrap_or_else(|| {
        Sizing {
            total: total.div_ceil(request.shard.map_or(1, |shard| shard.of)),
            threads: request.threads as u64,
            memory: request.memory_per_thread,
            bytes_per_position: engine.bytes_per_position(),
            context: reach.left + reach.right,
            overhead,
        }
        .length()
    });
    let cut = |(strand, spans): &(Strand, Vec<Interval>)| {
        tiles::cut(spans, *strand, contigs, length, overhead)
    };
    let tiles: Vec<Tile> = spans.iter().flat_map(cut).collect();
    tracing::debug!("{} tiles of at most {length} bases", tiles.len());
    tiles
}

/// The windows of a request in the order in which they are written. `asked` are its regions before
/// they became the outputs of their windows.
fn plan_windows(
    request: &Request,
    asked: &[Region],
    windowed: &Windowed,
    contigs: &Contigs,
) -> Vec<Tile> {
    let (at, shape) = (windowed.at, windowed.shape());
    let strand = |strand: Strand| match windowed.is_centred() {
        false => windows::grid(&request.spans(strand), strand, contigs, shape),
        true => {
            // the lines of the table follow the regions, and the strands of each
            let lines = request.indexed_reads().enumerate();
            let own = lines.filter(|&(_, (_, read))| read == strand);
            let own = own.map(|(line, (region, _))| (line, &asked[region]));
            windows::centred(own, strand, at, shape, contigs)
        }
    };
    [Strand::Plus, Strand::Minus].into_iter().flat_map(strand).collect()
}

/// Splits tiles into those that lie before a checkpoint and those after it.
fn split(tiles: Vec<Tile>, done: &Reached, contigs: &Contigs) -> Result<(Vec<Tile>, Vec<Tile>)> {
    let contig = contigs.iter().find(|(_, name, _)| *name == done.contig);
    let strand = [Strand::Plus, Strand::Minus].into_iter().find(|s| s.symbol() == done.strand);
    let (Some((contig, ..)), Some(strand)) = (contig, strand) else {
        return Err(Error::new("the journal names an unknown contig or strand")
            .found(format!("{} {}", done.contig, done.strand))
            .remedy("run again without --resume"));
    };
    let (mut finished, mut left) = (Vec::new(), Vec::new());
    for tile in tiles {
        match (tile.strand, tile.contig).cmp(&(strand, contig)) {
            std::cmp::Ordering::Less => finished.push(tile),
            std::cmp::Ordering::Greater => left.push(tile),
            std::cmp::Ordering::Equal => {
                // a window may be for lines of the table alone
                let is_whole = tile.start >= done.end;
                finished.extend(tile.clone().before(done.end));
                left.extend(if is_whole { Some(tile) } else { tile.after(done.end) });
            }
        }
    }
    Ok((finished, left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Oracle;
    use crate::genome::Resolver;
    use crate::genome::regions::{RegionOptions, read_bed};
    use crate::model::testing::tiny_model;
    use std::fs;

    #[test]
    fn progress_counts_the_bases_that_were_asked_for_and_no_gaps_between_them() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("r.fa"), ">c\nACGTACGTACGTACGTACGTACGT\n").unwrap();
        // the first two share a tile: the gap is smaller than the reach of 4 per side
        fs::write(at("r.bed"), "c\t2\t5\nc\t7\t9\nc\t8\t10\nc\t22\t24\n").unwrap();
        let mut reference = Reference::open(&at("r.fa")).unwrap();
        let resolver = Resolver::new(reference.contigs(), None).unwrap();
        let regions = read_bed(&at("r.bed"), &resolver, &RegionOptions::default()).unwrap();
        let model = tiny_model(1);
        let engine = Oracle::new(&model, &model.tracks);
        let request = Request {
            table: Some(at("t.tsv")),
            ..Request::new(regions.list, model.tracks.clone())
        };
        let progress = Progress::silent();
        let report = predict(&mut reference, &engine, &request, &progress).unwrap();
        assert_eq!((report.bases, report.tiles), (8, 2));
        assert_eq!(progress.counted(), (8, 8));
    }
}
