//! All outputs of one prediction: a file per track and strand, the region table, the journal.

use super::locus::Locus;
use super::share::Section;
use super::stitch::Piece;
use super::tiles::Tile;
use super::{Request, Strands, Windowed};
use crate::error::{Error, Result};
use crate::genome::{ContigId, Contigs, Strand};
use crate::job::Lock;
use crate::job::journal::{Checkpoint, Journal, Settings};
use crate::job::manifest::{Finished, Groups, Join, Lines, Manifest, Role, Rows};
use crate::job::output::{OutputFile, commit_all, keeps_parts};
use crate::job::summary::Written;
use crate::model::{Track, TrackStrand};
use crate::track::name::{Format, Kind, Label, track_paths};
use crate::track::table::RowSoFar;
use crate::track::{self, CHUNK, RegionTable, Segment, Sink, Style};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Opened before any work; becomes visible when everything is complete.
pub struct Outputs {
    lock: Option<Lock>,
    /// What the manifest of a shard lies beside.
    main: Option<PathBuf>,
    contigs: Contigs,
    style: Style,
    tracks: Vec<TrackFile>,
    /// Until it is written.
    table: Option<Table>,
    locus: Option<Locus>,
    journal: Option<Journal>,
    /// Where the last values went: strand, contig and one past the last base.
    last: Option<(Strand, ContigId, u64)>,
}

/// What decides which outputs there are, and how they begin.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    pub request: &'a Request,
    pub windowed: Option<&'a Windowed>,
    pub contigs: &'a Contigs,
    pub settings: &'a Settings,
    /// What of the request is computed, if not all of it …
    pub section: Option<&'a Section>,
    /// … and the tiles that are.
    pub tiles: &'a [Tile],
}

/// How far the walk is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reached {
    /// Strand that was being read, `+` or `-`.
    pub strand: char,
    /// Contig that was being read.
    pub contig: String,
    /// One past the last finished base, 0-based, on the reference's plus strand.
    pub end: u64,
    /// What is known of the rows of the table that were added to since the point before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowSoFar>,
}

/// The file of one track, read on one strand.
struct TrackFile {
    path: PathBuf,
    /// Index into the request's tracks.
    track: usize,
    read: Strand,
    role: Role,
    sink: Box<dyn Sink>,
}

struct Table {
    path: PathBuf,
    rows: RegionTable,
    file: OutputFile,
    bgzip: bool,
    /// Whether each line is a window of its own.
    of_windows: bool,
}

impl Outputs {
    /// Opens all outputs. When an interrupted run is continued, also tells up to where it is done.
    ///
    /// # Errors
    /// A name that cannot be meant, a file that cannot be opened, or an interrupted run with other
    /// settings.
    pub fn open(job: &Opening<'_>) -> Result<(Self, Option<Reached>)> {
        let Opening { request, contigs, settings, .. } = *job;
        let lock = request.main_output().map(Lock::take).transpose()?.flatten();
        let files = track_files(request)?;
        // Only a table that is written alone has its journal beside it.
        let first = files.first().map(|(path, ..)| path).or(request.table.as_ref());
        let journal_part = match first {
            Some(path) if Format::of_any(path)?.kind != Kind::BigWig => OutputFile::part_of(path)?,
            _ => None,
        };
        let kept = match (&journal_part, request.resume) {
            (Some(part), true) => {
                let lengths: Vec<u64> =
                    files.iter().map(|(path, ..)| part_length(path)).collect::<Result<_>>()?;
                Journal::resume(part, settings, &lengths)?
            }
            (None, true) => {
                return Err(Error::usage(
                    "only bedGraph and tables in regular files can be resumed",
                )
                .remedy("leave out --resume"));
            }
            (_, false) => None,
        };
        let (journal, points): (_, Option<Vec<Checkpoint<Reached>>>) = kept.unzip();
        let points = points.unwrap_or_default();
        let done = points.last().cloned();
        let resumed = journal.is_some();
        let mut outputs = Self {
            lock,
            main: request.main_output().map(Path::to_path_buf),
            contigs: contigs.clone(),
            style: Style { part: request.shard.is_some(), ..request.style.clone() },
            tracks: Vec::new(),
            table: None,
            locus: None,
            journal,
            last: None,
        };
        let opened = outputs.open_all(job, files, done.as_ref()).and_then(|()| {
            if let Some(table) = &mut outputs.table {
                points.iter().for_each(|point| table.rows.restore(&point.at.rows));
            }
            if let (None, Some(part)) = (&outputs.journal, &journal_part) {
                outputs.journal = Some(Journal::create(part, settings)?);
            }
            Ok(())
        });
        match opened {
            Ok(()) => Ok((outputs, done.map(|done| done.at))),
            // What could be resumed before this failure can be resumed after it.
            Err(error) => {
                outputs.abandon(resumed);
                Err(error)
            }
        }
    }

    fn open_all(
        &mut self,
        job: &Opening<'_>,
        files: Vec<(PathBuf, usize, Strand)>,
        done: Option<&Checkpoint<Reached>>,
    ) -> Result<()> {
        for (number, (path, track, read)) in files.into_iter().enumerate() {
            let kept = done.map(|done| done.bytes[number]);
            let sink = track::open(&path, &self.contigs, &self.style, kept)?;
            let role = role(&job.request.tracks[track], read, job.request.strands);
            self.tracks.push(TrackFile { path, track, read, role, sink });
        }
        let open = |path: &PathBuf| Table::open(job, path);
        self.table = job.request.table.as_ref().map(open).transpose()?;
        let open = |plot| Locus::open(plot, job.request, &self.contigs);
        self.locus = job.request.plot.as_ref().map(open).transpose()?;
        Ok(())
    }

    /// Adds the wanted values of a piece, to every file of its strand.
    ///
    /// # Errors
    /// Any failure to write, or a value that is no finite number.
    pub fn write(&mut self, piece: &Piece, tracks: &[Track]) -> Result<()> {
        let (strand, contig) = (piece.tile().strand, piece.tile().contig);
        self.write_lines(piece, tracks)?;
        for wanted in &piece.tile().wanted {
            let mut start = wanted.start;
            while start < wanted.end {
                let end = wanted.end.min((start / CHUNK + 1) * CHUNK);
                let values = piece.values(start, end);
                self.check(&values, tracks, (strand, contig, start))?;
                self.enter((strand, contig, start), end)?;
                for file in self.tracks.iter_mut().filter(|file| file.read == strand) {
                    file.sink.write(Segment { contig, start, values: values[file.track] })?;
                }
                if let Some(table) = self.table.as_mut().filter(|table| !table.of_windows) {
                    table.rows.add(strand, contig, start, &values);
                }
                if let Some(locus) = &mut self.locus {
                    locus.add(strand, start, &values);
                }
                start = end;
            }
        }
        Ok(())
    }

    /// Fills the lines of the table that the window of a piece is for.
    fn write_lines(&mut self, piece: &Piece, tracks: &[Track]) -> Result<()> {
        let Some(window) = &piece.tile().window else { return Ok(()) };
        let (strand, contig) = (piece.tile().strand, piece.tile().contig);
        let (start, values) = piece.inside(self.contigs.length(contig));
        self.check(&values, tracks, (strand, contig, start))?;
        if let Some(scalar) = piece.scalars().iter().find(|scalar| !scalar.is_finite()) {
            return Err(Error::new(format!(
                "the window at {}:{} on the {} strand has a count that is no finite number",
                self.contigs.name(contig),
                start + 1,
                strand.name(),
            ))
            .found(scalar));
        }
        let Some(table) = self.table.as_mut().filter(|table| table.of_windows) else {
            return Ok(());
        };
        for &line in &window.rows {
            table.rows.add_line(line, start, &values, piece.scalars());
        }
        Ok(())
    }

    /// Notes how far the outputs are complete when the walk enters another chunk.
    fn enter(&mut self, (strand, contig, start): (Strand, ContigId, u64), end: u64) -> Result<()> {
        let last = self.last.replace((strand, contig, end));
        let (Some(journal), Some(last)) = (&mut self.journal, last) else { return Ok(()) };
        let (last_strand, last_contig, last_end) = last;
        let same = (last_strand, last_contig, (last_end - 1) / CHUNK);
        if same == (strand, contig, start / CHUNK) {
            return Ok(());
        }
        let bytes = self.tracks.iter_mut().map(|file| file.sink.checkpoint());
        let bytes = bytes.collect::<Result<_>>()?;
        let rows = self.table.as_mut().map(|table| table.rows.changed()).unwrap_or_default();
        let contig = self.contigs.name(last_contig).to_string();
        let at = Reached { strand: last_strand.symbol(), contig, end: last_end, rows };
        journal.record(&Checkpoint { at, bytes })
    }

    /// A value that is no finite number is an error of the model, never a printed value
    /// (networks.md 6).
    fn check(
        &self,
        values: &[&[f32]],
        tracks: &[Track],
        (strand, contig, start): (Strand, ContigId, u64),
    ) -> Result<()> {
        for (track, values) in tracks.iter().zip(values) {
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                return Err(Error::new(format!(
                    "track {} has no finite value at {}:{} on the {} strand",
                    track.name,
                    self.contigs.name(contig),
                    start + at as u64 + 1,
                    strand.name(),
                ))
                .found(values[at])
                .remedy("check where the model comes from, or choose other members"));
            }
        }
        Ok(())
    }

    /// Completes every output and then gives each its name, and a shard its manifest; tells what
    /// was written.
    ///
    /// # Errors
    /// Any failure to write; then no output has its name.
    pub fn finish(mut self, manifest: Option<Manifest>) -> Result<Vec<Written>> {
        let table = match self.complete() {
            Ok(table) => table,
            Err(error) => {
                self.abandon(keeps_parts(&error));
                return Err(error);
            }
        };
        let mut written = Vec::new();
        let (mut finished, mut pictures) = (Vec::new(), Vec::new());
        for TrackFile { path, role, sink, .. } in self.tracks {
            let records = sink.records();
            let join = join_of(&path, sink.head(), &self.contigs)?;
            written.push(Written { path, records });
            finished.push(Finished { role, join, records, files: sink.into_files() });
        }
        if let Some((record, file, rows)) = table {
            let (role, join, records) = (Role::Table, Join::Rows(rows), record.records);
            written.push(record);
            finished.push(Finished { role, join, records, files: vec![file] });
        }
        if let Some(locus) = self.locus {
            let (record, file) = locus.finish()?;
            written.push(record);
            pictures.push(file);
        }
        match (manifest, &self.main) {
            (Some(mut manifest), Some(main)) => {
                let contigs = self.contigs.iter();
                manifest.contigs = contigs.map(|(_, name, length)| (name.into(), length)).collect();
                manifest.commit(main, finished)?;
            }
            _ => {
                let files = finished.into_iter().flat_map(|output| output.files);
                commit_all(files.chain(pictures).collect())?;
            }
        }
        Ok(written)
    }

    fn complete(&mut self) -> Result<Option<(Written, OutputFile, Rows)>> {
        self.tracks.iter_mut().try_for_each(|file| file.sink.finish())?;
        let Some(Table { path, rows, file, bgzip, .. }) = self.table.take() else {
            return Ok(None);
        };
        let file = rows.write(file, bgzip, &self.contigs)?;
        let known = rows.describe(bgzip, &self.contigs);
        Ok(Some((Written { path, records: rows.records() }, file, known)))
    }

    /// Ends without outputs; the parts of the tracks and the journal are removed, or kept for
    /// `--resume`.
    pub fn abandon(self, keep: bool) {
        if keep {
            tracing::info!(
                "{}",
                match &self.journal {
                    Some(_) => "--resume continues the run",
                    None =>
                        "this run cannot be resumed: only bedGraph and tables in regular \
                             files can",
                }
            );
        }
        // Without a journal nothing can be continued.
        let keep = keep && self.journal.is_some();
        for file in self.tracks {
            // The index, if there is one yet, is made anew.
            let data = file.sink.into_files().into_iter().next();
            data.into_iter().for_each(|data| data.abandon(keep));
        }
        if let Some(journal) = self.journal {
            journal.abandon(keep);
        }
        drop(self.lock);
    }
}

impl Table {
    fn open(job: &Opening<'_>, path: &Path) -> Result<Self> {
        let Opening { request, windowed, section, tiles, .. } = *job;
        let bgzip = Format::of_table(path)?.kind == Kind::Bgzf;
        let names = request.tracks.iter().map(|track| track.name.clone()).collect();
        let mut rows = RegionTable::new(request.reads(), names);
        let centred = windowed.filter(|windowed| windowed.is_centred());
        if let Some(windowed) = centred {
            let scalars = windowed.readout.scalars().iter();
            rows = rows.with_scalars(scalars.map(|scalar| scalar.name.clone()).collect());
        }
        if let Some(section) = section {
            let lines = tiles.iter().filter_map(|tile| tile.window.as_ref());
            let own: HashSet<u64> = lines.flat_map(|w| &w.rows).map(|&row| row as u64).collect();
            rows = rows.within(|row, interval, strand| match centred {
                Some(_) => own.contains(&row).then_some(interval),
                None => section.clip(strand, interval),
            });
        }
        let (path, file) = (path.to_path_buf(), OutputFile::create(path)?);
        Ok(Self { path, rows, file, bgzip, of_windows: centred.is_some() })
    }
}

/// What the file of a track is among the outputs.
fn role(track: &Track, read: Strand, strands: Strands) -> Role {
    let Label { track, strand } = label(track, read, strands);
    Role::Track { name: track.into(), strand: strand.map(Strand::symbol) }
}

/// How the parts of a track become one.
pub fn join_of(path: &Path, head: u64, contigs: &Contigs) -> Result<Join> {
    let kind = Format::of_track(path)?.kind;
    let longest = contigs.iter().map(|(_, _, length)| length).max().unwrap_or(0);
    let groups = Groups { file: PathBuf::new(), sha256: String::new(), longest, lines: Lines::Bed };
    Ok(match kind {
        Kind::BigWig => Join::Values,
        kind => {
            let bgzip = kind == Kind::Bgzf;
            Join::Append { head, bgzip, index: bgzip.then_some(groups) }
        }
    })
}

/// Path, index of the track and strand that is read, for each track output.
pub fn track_files(request: &Request) -> Result<Vec<(PathBuf, usize, Strand)>> {
    let Some(output) = &request.output else { return Ok(Vec::new()) };
    let strands = request.strands.read();
    let places: Vec<(usize, Strand)> = strands
        .iter()
        .flat_map(|&strand| (0..request.tracks.len()).map(move |track| (track, strand)))
        .collect();
    let labels: Vec<Label<'_>> = places
        .iter()
        .map(|&(track, strand)| label(&request.tracks[track], strand, request.strands))
        .collect();
    let paths = track_paths(output, &labels)?;
    Ok(paths.into_iter().zip(places).map(|(path, (track, strand))| (path, track, strand)).collect())
}

/// The strand in a file's name is the one that the numbers belong to. Numbers that belong to both
/// have none there, unless both strands are read: then it is the one that was read.
pub(super) fn label(track: &Track, read: Strand, strands: Strands) -> Label<'_> {
    let strand = match track.strand {
        TrackStrand::Read => Some(read),
        TrackStrand::Opposite => Some(read.opposite()),
        TrackStrand::None => (strands.read().len() > 1).then_some(read),
    };
    Label { track: &track.name, strand }
}

fn part_length(path: &Path) -> Result<u64> {
    let part = OutputFile::part_of(path)?;
    Ok(part.and_then(|part| fs::metadata(part).ok()).map_or(0, |found| found.len()))
}
