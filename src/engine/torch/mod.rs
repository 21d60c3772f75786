//! The torch engine: the same graph on libtorch, on a GPU or on the CPU.
//!
//! Windows of equal length are stacked into batches. On the CPU each core computes batches of its
//! own, small ones; on a GPU one batch after the other is sent, and while the card computes one,
//! the values of the one before are taken and the letters of the next are encoded.

mod batch;
mod card;
mod cuda;
mod driver;
mod edits;
mod learning;
mod networks;
mod place;
mod program;
mod shim;
pub mod trainable;

use super::encode::{code, control_rows};
use super::{Coarseness, Device, EditValues, Engine, Job, Precision, Stretch, Values, Wanted};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::network::{Graph, Reach};
use batch::{Batch, batches};
use networks::{Batched, Networks};
use place::Place;
pub use place::{Gpu, Installation, find_gpu, installation};
use program::Program;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};
use tch::{Kind, TchError, Tensor};

/// Positions that a batch on the CPU reads at most: a long window goes alone, which is fastest
/// (cpu-kernels.md 2), short ones share the cost of calling the library.
const CPU_POSITIONS: usize = 1 << 14;

/// Part of a card's free memory that a batch may take: one is being computed while the next is
/// sent, and convolutions need room of their own.
const CARD_SHARE: u64 = 4;

/// Most numbers in one tensor: kernels count them in 32 bits.
const MOST_NUMBERS: usize = 1 << 31;

/// Output positions on which coarse arithmetic is compared with 32-bit arithmetic.
const PROBE: usize = 20_000;

/// A tensor that is never written to.
struct Frozen(Tensor);

// SAFETY: the tensor is only read, and libtorch counts references to it atomically
unsafe impl Sync for Frozen {}

impl Deref for Frozen {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.0
    }
}

/// Runs the members that some tracks need on libtorch.
pub struct TorchEngine {
    place: Place,
    precision: Precision,
    networks: Networks,
    /// In 32 bits, where `networks` is not; to measure what that costs.
    exact: Option<Networks>,
    coarseness: OnceLock<Coarseness>,
    overhead: u64,
    bytes_per_position: u64,
    /// Positions that a batch reads at most.
    positions: AtomicUsize,
    /// Whether it has been said that this had to be lowered.
    halved: Once,
}

impl TorchEngine {
    /// Puts the members that the tracks need on a device.
    ///
    /// # Errors
    /// A GPU that is not there, an arithmetic that the device does not have (usage), or what
    /// libtorch says.
    pub fn new(
        model: &Model,
        wanted: impl Into<Wanted>,
        device: Device,
        precision: Precision,
    ) -> Result<Self> {
        let place = Place::find(device)?;
        if precision == Precision::Tf32 && matches!(place, Place::Cpu) {
            return Err(Error::usage("--precision tf32 is arithmetic of a GPU")
                .found("the CPU")
                .expected("fp32 or bf16"));
        }
        match &place {
            Place::Cpu => shim::keep_freed_memory(),
            Place::Card { index, name } => {
                let (free, total) = shim::memory(*index)?;
                let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
                let (free, total) = (gib(free), gib(total));
                tracing::info!("cuda:{index}: {name}, {free:.1} of {total:.1} GiB free");
            }
        }
        // one window per core is faster than several cores per window (cpu-kernels.md 3)
        tch::set_num_threads(1);
        shim::set_arithmetic(precision == Precision::Tf32)?;
        let kind = if precision == Precision::Bf16 { Kind::BFloat16 } else { Kind::Float };
        let wanted = wanted.into();
        let networks = Networks::new(model, &wanted, place.device(), kind)?;
        let exact = (precision == Precision::Bf16)
            .then(|| Networks::new(model, &wanted, place.device(), Kind::Float))
            .transpose()?;
        let numbers = networks.graphs().map(Program::numbers_per_position).max().unwrap_or(0);
        let channels = |g: &Graph| (0..g.nodes().len()).map(|node| g.channels(node)).max();
        let widest = networks.graphs().filter_map(channels).max().unwrap_or(1);
        let bytes_per_position = numbers * kind.elt_size_in_bytes() as u64 + networks::INPUT_BYTES;
        let positions = match &place {
            Place::Cpu => CPU_POSITIONS,
            Place::Card { index, .. } => {
                let room = shim::memory(*index)?.0 / CARD_SHARE / bytes_per_position.max(1);
                let fits = usize::try_from(room).unwrap_or(usize::MAX);
                fits.min(MOST_NUMBERS / widest)
            }
        };
        Ok(Self {
            place,
            precision,
            exact,
            coarseness: OnceLock::new(),
            overhead: networks.graphs().map(Graph::overhead_positions).max().unwrap_or(0),
            bytes_per_position,
            positions: AtomicUsize::new(positions),
            halved: Once::new(),
            networks,
        })
    }

    /// Positions that a window reads beside those of its output.
    fn context(&self) -> usize {
        usize::try_from(self.networks.reach().left + self.networks.reach().right)
            .expect("a context fits memory")
    }

    /// Computes windows of some lengths. `job` gives what a window reads, when its turn has come; `after_each` hears of each finished window.
    fn run_windows<'a>(
        &self,
        lengths: &[usize],
        job: &(dyn Fn(usize) -> Cow<'a, Job> + Sync),
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<Values>> {
        if let Some(window) = self.networks.window()
            && let Some(other) = lengths.iter().find(|&&length| length != window.output)
        {
            return Err(Error::new("the model gives whole windows only")
                .found(format!("{other} positions"))
                .expected(window.output));
        }
        let _card = self.card()?;
        self.measure(lengths, job)?;
        let most = self.positions.load(Ordering::Relaxed);
        let batches = batches(lengths, self.context(), most);
        let computed: Vec<(Batch, Vec<Values>)> = match self.place {
            Place::Cpu => self.run_on_cpu(batches, job, after_each)?,
            Place::Card { index, .. } => self.run_on_card(index, batches, job, after_each)?,
        };
        let mut values = vec![self.networks.nothing(); lengths.len()];
        for (batch, computed) in computed {
            for (window, computed) in batch.windows.into_iter().zip(computed) {
                values[window] = computed;
            }
        }
        let empty = (0..lengths.len()).filter(|&window| lengths[window] == 0);
        empty.into_iter().try_for_each(after_each)?;
        Ok(values)
    }

    fn run_on_cpu<'a>(
        &self,
        batches: VecDeque<Batch>,
        job: &(dyn Fn(usize) -> Cow<'a, Job> + Sync),
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<(Batch, Vec<Values>)>> {
        let one = |batch: Batch| {
            let encoded = self.encode(&batch, job)?;
            let values = tch::no_grad(|| self.networks.run(&encoded, batch.length)?.values())?;
            batch.windows.iter().try_for_each(|&window| after_each(window))?;
            Ok((batch, values))
        };
        Vec::from(batches).into_par_iter().map(one).collect()
    }

    /// What a batch reads, in the processor's memory; for a card page-locked.
    fn encode<'a>(
        &self,
        batch: &Batch,
        job: &(dyn Fn(usize) -> Cow<'a, Job> + Sync),
    ) -> Result<Batched> {
        let width = batch.length + self.context();
        let channels = self.networks.controls();
        let mut codes = Vec::with_capacity(batch.windows.len() * width);
        let mut controls = Vec::with_capacity(batch.windows.len() * width * channels);
        for &window in &batch.windows {
            let job = job(window);
            assert_eq!(job.letters.len(), width, "a job has the letters of its context");
            codes.extend(job.letters.iter().map(|&letter| code(letter)));
            controls.extend(control_rows(&job.controls, channels, width));
        }
        let (windows, width) = (batch.windows.len() as i64, width as i64);
        let mut codes = Tensor::f_from_data_size(&codes, &[windows, width], Kind::Uint8)?;
        if let Place::Card { .. } = self.place {
            let mut pinned = shim::pinned(codes.numel())?.f_view([windows, width])?;
            pinned.f_copy_(&codes)?;
            codes = pinned;
        }
        let controls = match channels {
            0 => None,
            _ => {
                let rows = Tensor::f_from_slice(&controls)?;
                let rows = rows.f_view([windows, 1, width, channels as i64])?;
                Some(rows.f_permute([0, 3, 1, 2])?)
            }
        };
        Ok(Batched { codes, controls })
    }

    /// Where arithmetic is coarse, compares it once with 32-bit arithmetic, on the beginning of the
    /// first window.
    fn measure<'a>(
        &self,
        lengths: &[usize],
        job: &(dyn Fn(usize) -> Cow<'a, Job> + Sync),
    ) -> Result<()> {
        let first = lengths.iter().position(|&length| length > 0);
        let (Some(first), false) = (first, self.precision == Precision::Fp32) else {
            return Ok(());
        };
        if self.coarseness.get().is_some() {
            return Ok(());
        }
        // a window cannot be cut
        let whole = self.networks.window().is_some();
        let length = if whole { lengths[first] } else { lengths[first].min(PROBE) };
        let batch = Batch { windows: vec![first], length };
        let mut probe = job(first).into_owned();
        probe.letters.truncate(length + self.context());
        let encoded = self.encode(&batch, &|_| Cow::Borrowed(&probe))?;
        let run = |networks: &Networks| -> Result<Tensor> {
            tch::no_grad(|| Ok(networks.run(&networks.place(&encoded)?, length)?.tracks))
        };
        let coarse = run(&self.networks)?;
        shim::set_arithmetic(false)?;
        let exact = run(self.exact.as_ref().unwrap_or(&self.networks));
        shim::set_arithmetic(self.precision == Precision::Tf32)?;
        let exact = exact?;
        let largest = |values: Tensor| -> Result<f32> {
            Ok(values.f_abs()?.f_max()?.f_double_value(&[])? as f32)
        };
        let found = Coarseness {
            positions: length,
            largest_difference: largest(coarse.f_sub(&exact)?)?,
            largest_value: largest(exact)?,
        };
        tracing::info!(
            "{}: the first {length} values, of up to {:.2e}, differ from 32-bit arithmetic by up to {:.1e}",
            self.precision,
            found.largest_value,
            found.largest_difference,
        );
        self.coarseness.get_or_init(|| found);
        Ok(())
    }
}

impl Engine for TorchEngine {
    fn describe(&self) -> String {
        let place = match &self.place {
            Place::Cpu => "cpu".into(),
            Place::Card { index, name } => format!("cuda:{index} {name}"),
        };
        format!("torch {} ({place}, {})", shim::version(), self.precision)
    }

    fn reach(&self) -> Reach {
        self.networks.reach()
    }

    fn bytes_per_position(&self) -> u64 {
        self.bytes_per_position
    }

    fn overhead_positions(&self) -> u64 {
        self.overhead
    }

    fn coarseness(&self) -> Option<Coarseness> {
        self.coarseness.get().copied()
    }

    fn is_windowed(&self) -> bool {
        self.networks.window().is_some()
    }

    fn run(
        &self,
        jobs: &[Job],
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<Values>> {
        let lengths: Vec<usize> = jobs.iter().map(|job| job.length).collect();
        self.run_windows(&lengths, &|window| Cow::Borrowed(&jobs[window]), after_each)
    }

    fn run_edits(
        &self,
        stretches: &[Stretch],
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<Vec<EditValues>>> {
        edits::run(self, stretches, after_each)
    }
}

impl From<TchError> for Error {
    fn from(error: TchError) -> Self {
        failed(&error.to_string())
    }
}

/// What libtorch says, without its C++ frames.
fn failed(message: &str) -> Error {
    let first = message.lines().next().unwrap_or("unknown failure");
    Error::new(format!("libtorch: {}", first.trim_start_matches("Internal torch error: ")))
}
