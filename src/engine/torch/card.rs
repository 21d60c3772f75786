//! Batches on a GPU: one is computed while the values of the one before are taken and the letters
//! of the next are encoded.

use super::batch::Batch;
use super::networks::Computed;
use super::place::Place;
use super::{TorchEngine, shim};
use crate::engine::{Job, Precision, Values};
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

impl TorchEngine {
    /// Sends one batch after the other; the values of a batch are taken when the next has been
    /// sent.
    pub(super) fn run_on_card<'a>(
        &self,
        card: usize,
        batches: VecDeque<Batch>,
        job: &(dyn Fn(usize) -> Cow<'a, Job> + Sync),
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<(Batch, Vec<Values>)>> {
        let mut finished = Vec::with_capacity(batches.len());
        let room =
            Room { context: self.context(), positions: &self.positions, halved: &self.halved };
        let send = |batch: &Batch| self.send(card, batch, job);
        let take = |batch: Batch, (computed, landed): (Computed, shim::Event)| {
            landed.wait()?;
            let values = computed.values()?;
            batch.windows.iter().try_for_each(|&window| after_each(window))?;
            finished.push((batch, values));
            Ok(())
        };
        fly(batches, room, send, take, shim::empty_cache)?;
        Ok(finished)
    }

    /// Has the card compute a batch, and copy the values to the processor's memory when it is done:
    /// behind the event that is returned.
    fn send<'a>(
        &self,
        card: usize,
        batch: &Batch,
        job: &(dyn Fn(usize) -> Cow<'a, Job> + Sync),
    ) -> Result<(Computed, shim::Event)> {
        let encoded = self.encode(batch, job)?;
        let computed = tch::no_grad(|| {
            self.networks.run(&self.networks.place(&encoded)?, batch.length)?.fetch()
        })?;
        Ok((computed, shim::Event::record(card)?))
    }

    /// Keeps others from the card while one run fills it, and sets this engine's arithmetic, which
    /// belongs to the whole process.
    pub(super) fn card(&self) -> Result<Option<MutexGuard<'static, ()>>> {
        static BUSY: Mutex<()> = Mutex::new(());
        if matches!(self.place, Place::Cpu) {
            return Ok(None);
        }
        let guard = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
        shim::set_arithmetic(self.precision == Precision::Tf32)?;
        Ok(Some(guard))
    }
}

/// How much of a device batches may take.
#[derive(Clone, Copy)]
struct Room<'a> {
    /// Positions that a window reads beside its output.
    context: usize,
    /// Positions that a batch reads at most; lowered when that was too much.
    positions: &'a AtomicUsize,
    /// Whether that has been said.
    halved: &'a Once,
}

/// Sends each batch and takes what came of it when the next has been sent. A batch that the
/// device's memory cannot hold is halved, and so are all later ones; a single window is tried once
/// more alone. `make_room` has memory that is kept for later given back.
fn fly<F>(
    mut batches: VecDeque<Batch>,
    room: Room<'_>,
    send: impl Fn(&Batch) -> Result<F>,
    mut take: impl FnMut(Batch, F) -> Result<()>,
    make_room: impl Fn() -> Result<()>,
) -> Result<()> {
    let mut flying: Option<(Batch, F)> = None;
    while let Some(batch) = batches.pop_front() {
        if batch.positions(room.context) > room.positions.load(Ordering::Relaxed)
            && let Some([first, second]) = batch.clone().halves()
        {
            batches.push_front(second);
            batches.push_front(first);
            continue;
        }
        let landed = match send(&batch) {
            Ok(sent) => flying.replace((batch, sent)),
            Err(error) if !is_out_of_memory(&error) => return Err(error),
            Err(error) if batch.windows.len() == 1 && flying.is_none() => {
                return Err(error.remedy("choose a shorter --tile, or --device cpu"));
            }
            Err(_) => {
                if batch.windows.len() > 1 {
                    let half = batch.positions(room.context) / 2;
                    room.positions.store(half, Ordering::Relaxed);
                    let say = || tracing::warn!("too little memory on the card: smaller batches");
                    room.halved.call_once(say);
                }
                batches.push_front(batch);
                flying.take()
            }
        };
        let retried = flying.is_none();
        if let Some((batch, sent)) = landed {
            take(batch, sent)?;
        }
        if retried {
            make_room()?;
        }
    }
    flying.map_or(Ok(()), |(batch, sent)| take(batch, sent))
}

fn is_out_of_memory(error: &Error) -> bool {
    let text = error.to_string();
    ["out of memory", "ALLOC_FAILED"].iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::super::batch::batches;
    use super::*;
    use std::cell::{Cell, RefCell};

    /// What a device of so many positions of memory computes of windows of these lengths: which
    /// windows were taken together, and the room that is left.
    fn flown(lengths: &[usize], room: usize, memory: usize) -> Result<(Vec<Vec<usize>>, usize)> {
        let positions = AtomicUsize::new(room);
        let (used, taken) = (Cell::new(0), RefCell::new(vec![]));
        let send = |batch: &Batch| {
            let size = batch.positions(10);
            if used.get() + size > memory {
                return Err(Error::new("libtorch: CUDA out of memory. Tried to allocate"));
            }
            used.set(used.get() + size);
            Ok(size)
        };
        let take = |batch: Batch, size: usize| {
            used.set(used.get() - size);
            taken.borrow_mut().push(batch.windows);
            Ok(())
        };
        let room = Room { context: 10, positions: &positions, halved: &Once::new() };
        let all = batches(lengths, 10, positions.load(Ordering::Relaxed));
        fly(all, room, send, take, || Ok(()))?;
        Ok((taken.into_inner(), positions.into_inner()))
    }

    #[test]
    fn batches_fly_in_their_order() {
        let (taken, room) = flown(&[10; 5], 40, 100).unwrap();
        assert_eq!((taken, room), (vec![vec![0, 1], vec![2, 3], vec![4]], 40));
    }

    #[test]
    fn batches_that_memory_cannot_hold_are_halved_and_no_window_is_lost() {
        // windows of 20 positions; memory for three, so that two cannot fly behind two
        let (taken, room) = flown(&[10; 9], 180, 60).unwrap();
        assert!(taken.iter().all(|windows| windows.len() <= 3), "{taken:?}");
        assert_eq!(taken.concat(), (0..9).collect::<Vec<_>>());
        assert!(room < 60, "{room}");
    }

    #[test]
    fn a_window_that_does_not_fit_beside_another_flies_alone() {
        let (taken, _) = flown(&[50, 50], 60, 100).unwrap();
        assert_eq!(taken, [[0], [1]]);
    }

    #[test]
    fn a_window_that_does_not_fit_alone_is_refused_with_a_remedy() {
        let error = flown(&[10, 200], 60, 100).unwrap_err().to_string();
        assert!(error.contains("out of memory") && error.contains("--tile"), "{error}");
    }
}
