//! Predictions of a model for a split, judged: a table and a picture.

use super::config::Config;
use super::data::{Dataset, Targets};
pub use super::judge::Predicted;
use super::judge::{Judge, Row};
use super::run::{strands, tiles};
use super::splits::Split;
use crate::engine::{Engine, Job};
use crate::error::{Error, Result};
use crate::genome::{Interval, Strand};
use crate::job::{OutputFile, Progress, signal};
use crate::model::{Model, Track};
use crate::picture::panel;
use crate::predict::{OutputKind, RcAverage, Readout};
use std::io::Write;
use std::path::Path;

/// Output bases of a job of a model without a window.
const TILE: u64 = 1 << 15;

/// The tracks of a model that answer what a configuration learns, in its order: tracks of counts,
/// or acceptor and donor; of one member, where it is named.
///
/// # Errors
/// A track that the model lacks; an unknown member, or one that does not have the tracks (usage).
pub fn tracks(model: &Model, config: &Config, member: Option<&str>) -> Result<Vec<Track>> {
    let names: Vec<String> = match &config.counts {
        Some(counts) => counts.tracks.iter().map(|track| track.name.clone()).collect(),
        None => ["acceptor", "donor"].map(String::from).into(),
    };
    let has = |name: &String| model.tracks.iter().any(|track| track.name == *name);
    if let Some(name) = names.iter().find(|name| !has(name)) {
        let found: Vec<&str> = model.tracks.iter().map(|track| track.name.as_str()).collect();
        return Err(Error::new(format!("model {} has no track {name:?}", model.name))
            .found(found.join(", "))
            .remedy("evaluate it with the configuration that it was trained with"));
    }
    model.select_tracks(&names, member)
}

/// How these tracks are predicted: profiles times counts, other outputs as they are. Says what an
/// engine must be built for.
///
/// # Errors
/// A profile that is not complete.
pub fn readout(model: &Model, tracks: &[Track]) -> Result<Readout> {
    Readout::new(model, tracks, OutputKind::Track, RcAverage::None)
}

/// What an engine was built for, predicted for some ranges: counts from the strand of the
/// reference, splice sites from both.
///
/// # Errors
/// A value that is no number, a signal, or what the engine says.
pub fn predict(
    engine: &dyn Engine,
    readout: &Readout,
    model: &Model,
    data: &Dataset,
    ranges: &[Interval],
    progress: &Progress,
) -> Result<Vec<Predicted>> {
    let strands = strands(data);
    let bases: u64 = ranges.iter().map(Interval::len).sum();
    progress.start(bases * strands.len() as u64);
    let tile = model.window.map_or(TILE, |window| window.output as u64);
    let rows = match &data.targets {
        Targets::Counts(tracks) => tracks.len(),
        Targets::Splice(_) => 4,
    };
    let mut all = Vec::with_capacity(ranges.len());
    for &range in ranges {
        let length = index(range.len());
        let mut predicted = Predicted { range, tracks: vec![vec![0.0; length]; rows] };
        for &strand in strands {
            let pieces: Vec<Interval> = tiles(range, tile).collect();
            // a model with a window gives whole windows: the last one goes beyond the range
            let whole = |piece: &Interval| match model.window {
                Some(_) => Interval { end: piece.start + tile, ..*piece },
                None => *piece,
            };
            let jobs: Vec<Job> =
                pieces.iter().map(|piece| job(engine, data, whole(piece), strand)).collect();
            let after = |number: usize| {
                progress.advance(pieces[number].len());
                signal::check()
            };
            let values = engine.run(&jobs, &after)?;
            for (piece, values) in pieces.iter().zip(values) {
                let values = readout.combine(&values, None);
                for (row, mut values) in values.tracks.into_iter().enumerate() {
                    if let Some(bad) = values.iter().position(|value| !value.is_finite()) {
                        return Err(Error::new("the model gives no number").found(format!(
                            "{} at base {}",
                            values[bad],
                            piece.start + bad as u64
                        )));
                    }
                    if strand == Strand::Minus {
                        values.reverse();
                    }
                    let row = row + if strand == Strand::Minus { 2 } else { 0 };
                    let start = index(piece.start - range.start);
                    let count = index(piece.len());
                    predicted.tracks[row][start..start + count].copy_from_slice(&values[..count]);
                }
            }
        }
        all.push(predicted);
    }
    progress.finish();
    Ok(all)
}

fn job(engine: &dyn Engine, data: &Dataset, range: Interval, strand: Strand) -> Job {
    let signed = |base: u64| i64::try_from(base).unwrap_or(i64::MAX);
    let reach = engine.reach();
    let minus = strand == Strand::Minus;
    let (before, after) = if minus { (reach.right, reach.left) } else { (reach.left, reach.right) };
    let (start, end) = (signed(range.start), signed(range.end));
    let (from, to) = (start.saturating_sub_unsigned(before), end.saturating_add_unsigned(after));
    let codes = data.codes(range.contig, from, to, strand);
    let letters = codes.into_iter().map(|code| b"ACGTN"[usize::from(code)]).collect();
    let contig = signed(data.resolver.contigs().length(range.contig));
    let control = |track: &super::track::Track| {
        let mut row = vec![0.0; index((to - from).unsigned_abs())];
        track.fill(range.contig, from, to, &mut row);
        row
    };
    let mut controls: Vec<Vec<f32>> = data.controls.iter().map(control).collect();
    if minus {
        controls.reverse();
        controls.iter_mut().for_each(|row| row.reverse());
    }
    Job {
        start: if minus { contig - end } else { start },
        length: index(range.len()),
        letters,
        controls,
    }
}

/// Writes the numbers: tab-separated, a header, a row per number.
///
/// # Errors
/// Any failure to write.
pub fn write_table(rows: &[Row], split: Split, file: &mut OutputFile) -> Result<()> {
    let mut text = String::from("split\tcontig\tplace\tmetric\tvalue\n");
    for Row { contig, place, metric, value } in rows {
        text += &match value.fract() == 0.0 && value.abs() < 1e15 {
            true => format!("{split}\t{contig}\t{place}\t{metric}\t{value:.0}\n"),
            false => format!("{split}\t{contig}\t{place}\t{metric}\t{value:.6}\n"),
        };
    }
    file.write_all(text.as_bytes()).map_err(|e| file.error(e))
}

/// Draws predictions beside what was measured.
///
/// # Errors
/// Any failure to write.
pub fn draw(
    judge: &Judge<'_>,
    predicted: &[Predicted],
    title: &str,
    file: &mut OutputFile,
) -> Result<()> {
    let picture = panel::draw(title, &judge.panels(predicted));
    file.write_all(picture.as_bytes()).map_err(|e| file.error(e))
}

/// The two outputs of an evaluation, `STEM.tsv` and `STEM.svg`.
///
/// # Errors
/// A folder that cannot be written to.
pub fn outputs(stem: &Path) -> Result<[OutputFile; 2]> {
    let with = |ending: &str| OutputFile::create(&crate::job::output::append(stem, ending));
    Ok([with(".tsv")?, with(".svg")?])
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a range fits memory")
}
