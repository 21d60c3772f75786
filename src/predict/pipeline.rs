//! Reads, computes and writes at the same time, in genome order and bounded memory.
//!
//! One thread reads the letters of a few tiles per thread, the calling thread has the engine compute
//! them, and one writer thread takes what is finished. Bounded queues lie between them. Only these
//! three ever wait for each other, never a task of the engine.

use super::letters::Letters;
use super::readout::Readout;
use super::stitch::{self, Piece};
use super::tiles::Tile;
use super::windowed::Controls;
use crate::engine::{Engine, Job, Values};
use crate::error::{Error, Result};
use crate::genome::Reference;
use crate::job::{Progress, signal};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

/// Work per thread, in longest tiles, that is computed before the next is read: enough to even out
/// tiles of different lengths.
const TILES_PER_THREAD: u64 = 2;

/// Positions that a batch holds at least for each thread, so that short windows come many at a time.
const SMALLEST_BATCH: u64 = 1 << 17;

/// What a run reads and computes with.
pub struct Source<'a> {
    /// Where the letters come from.
    pub reference: &'a mut Reference,
    /// What computes.
    pub engine: &'a dyn Engine,
    /// How many tiles it computes at a time.
    pub threads: usize,
    /// The control tracks of windows, where the model must be run in them.
    pub controls: Option<&'a mut Controls>,
    /// How windows are read out.
    pub readout: Option<&'a Readout>,
    /// Counts the letters that are read.
    pub letters: &'a mut Letters,
    /// Hears of each finished tile.
    pub progress: &'a Progress,
}

/// Computes the tiles and gives each piece, in order, to `write` on a thread of its own.
///
/// # Errors
/// The first failure of reading, computing or writing, or a signal; the others stop.
pub fn run(
    source: Source<'_>,
    tiles: Vec<Tile>,
    mut write: impl FnMut(Piece) -> Result<()> + Send,
) -> Result<()> {
    let Source { reference, engine, threads, mut controls, readout, letters, progress } = source;
    let both = readout.is_some_and(Readout::reads_both_strands);
    let per_tile = if both { 2 } else { 1 };
    let reach = engine.reach();
    let work = |tile: &Tile| tile.len() + reach.left + reach.right;
    let longest = tiles.iter().map(work).max().unwrap_or(0);
    let batch_work = (longest * TILES_PER_THREAD).max(SMALLEST_BATCH) * threads.max(1) as u64;
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        let (read, batches) = mpsc::sync_channel(1);
        let (finished, pieces) = mpsc::sync_channel::<Vec<Piece>>(1);
        let stopped = &stopped;
        scope.spawn(move || {
            for batch in in_batches(tiles, work, batch_work) {
                let mut read_tile = |tile: &Tile| -> Result<Vec<Job>> {
                    let mut job = stitch::job(reference, tile, reach, letters)?;
                    if let Some(controls) = &mut controls {
                        job.controls = controls.read(tile, reach)?;
                    }
                    let contig = reference.contigs().length(tile.contig);
                    let other = both.then(|| stitch::reverse(&job, contig));
                    Ok(std::iter::once(job).chain(other).collect())
                };
                let jobs: Result<Vec<Vec<Job>>> = batch.iter().map(&mut read_tile).collect();
                let jobs = jobs.map(|jobs| jobs.into_iter().flatten().collect::<Vec<Job>>());
                let failed = jobs.is_err();
                // the computing thread goes away when it or the writer has failed
                if read.send(jobs.map(|jobs| (batch, jobs))).is_err() || failed {
                    break;
                }
            }
        });
        let writer = scope.spawn(move || {
            let written = pieces.into_iter().flatten().try_for_each(&mut write);
            stopped.store(written.is_err(), Ordering::Relaxed);
            written
        });
        let after_each = |tile: &Tile| {
            progress.advance(tile.bases());
            signal::check()?;
            match stopped.load(Ordering::Relaxed) {
                // The writer's own failure is what the caller gets to see.
                true => Err(Error::new("the output cannot be written")),
                false => Ok(()),
            }
        };
        let computed = batches.into_iter().try_for_each(|batch| {
            let (tiles, jobs) = batch?;
            let after_each = |index: usize| match index % per_tile == per_tile - 1 {
                true => after_each(&tiles[index / per_tile]),
                false => Ok(()),
            };
            let values = engine.run(&jobs, &after_each)?;
            let values = match readout {
                None => values,
                Some(readout) => {
                    let combine = |v: &[Values]| readout.combine(&v[0], v.get(1));
                    values.chunks(per_tile).map(combine).collect()
                }
            };
            let pieces =
                tiles.into_iter().zip(values).map(|(tile, values)| Piece::new(tile, values));
            // a writer that is gone has failed, and its failure is what the caller gets to see
            let _ = finished.send(pieces.collect());
            Ok(())
        });
        drop(finished);
        let written = writer.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
        written.and(computed)
    })
}

/// Tiles in their order, in groups of at most so much work; no tile is more than that.
fn in_batches(
    tiles: Vec<Tile>,
    work: impl Fn(&Tile) -> u64,
    most: u64,
) -> impl Iterator<Item = Vec<Tile>> {
    let mut tiles = tiles.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut left = most;
        let batch: Vec<Tile> = std::iter::from_fn(|| {
            let tile = tiles.next_if(|tile| work(tile) <= left)?;
            left -= work(&tile);
            Some(tile)
        })
        .collect();
        (!batch.is_empty()).then_some(batch)
    })
}
