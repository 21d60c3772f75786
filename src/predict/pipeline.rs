//! Reads, computes and writes at the same time, in genome order and bounded memory.
//!
//! The calling thread reads the letters of a few tiles per thread and has the engine compute them;
//! one writer thread takes what is finished through a bounded queue. Only these two ever wait for
//! each other, never a task of the engine.

use super::letters::Letters;
use super::stitch::{self, Piece};
use super::tiles::Tile;
use crate::engine::{Engine, Job};
use crate::error::{Error, Result};
use crate::genome::Reference;
use crate::job::{Progress, signal};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread;

/// Work per thread, in longest tiles, that is computed before the next is read: enough to even out
/// tiles of different lengths.
const TILES_PER_THREAD: u64 = 2;

/// What a run reads and computes with.
pub struct Source<'a> {
    /// Where the letters come from.
    pub reference: &'a mut Reference,
    /// What computes.
    pub engine: &'a dyn Engine,
    /// How many tiles it computes at a time.
    pub threads: usize,
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
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        let (sender, batches) = mpsc::sync_channel::<Vec<Piece>>(1);
        let stopped = &stopped;
        let writer = scope.spawn(move || {
            let written = batches.into_iter().flatten().try_for_each(&mut write);
            stopped.store(written.is_err(), Ordering::Relaxed);
            written
        });
        let computed = compute(source, tiles, stopped, sender);
        let written = writer.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
        written.and(computed)
    })
}

fn compute(
    source: Source<'_>,
    tiles: Vec<Tile>,
    stopped: &AtomicBool,
    batches: SyncSender<Vec<Piece>>,
) -> Result<()> {
    let Source { reference, engine, threads, letters, progress } = source;
    let reach = engine.reach();
    let work = |tile: &Tile| tile.len() + reach.left + reach.right;
    let longest = tiles.iter().map(work).max().unwrap_or(0);
    let batch_work = longest * TILES_PER_THREAD * threads.max(1) as u64;
    let after_each = |tile: &Tile| {
        progress.advance(tile.bases());
        signal::check()?;
        match stopped.load(Ordering::Relaxed) {
            // The writer's own failure is what the caller gets to see.
            true => Err(Error::new("the output cannot be written")),
            false => Ok(()),
        }
    };
    let mut tiles = tiles.into_iter().peekable();
    while tiles.peek().is_some() {
        let mut left = batch_work;
        let batch: Vec<Tile> = std::iter::from_fn(|| {
            let tile = tiles.next_if(|tile| work(tile) <= left)?;
            left -= work(&tile);
            Some(tile)
        })
        .collect();
        let read = |tile| stitch::job(reference, tile, reach, letters);
        let jobs: Vec<Job> = batch.iter().map(read).collect::<Result<_>>()?;
        let values = engine.run(&jobs, &|index| after_each(&batch[index]))?;
        let pieces = batch.into_iter().zip(values).map(|(tile, values)| Piece::new(tile, values));
        if batches.send(pieces.collect()).is_err() {
            break;
        }
    }
    Ok(())
}
