//! The torch engine: the same graph on libtorch, on a GPU or on the CPU.
//!
//! Windows of equal length are stacked into batches. On the CPU each core computes batches of its
//! own, small ones; on a GPU one batch after the other is sent, and while the card computes one,
//! the values of the one before are taken and the letters of the next are encoded.

mod batch;
mod cuda;
mod driver;
mod edits;
mod networks;
mod program;
mod shim;

use super::encode::{code, control_rows};
use super::{Coarseness, Device, EditValues, Engine, Job, Precision, Stretch, Values, Wanted};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::network::{Graph, Reach};
use batch::{Batch, batches};
use networks::{Batched, Computed, Networks};
use program::Program;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
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

/// Where it runs.
#[derive(Debug, Clone)]
enum Place {
    Cpu,
    Card { index: usize, name: String },
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
    /// Whether a batch has been halved for want of memory.
    halved: AtomicBool,
}

/// Whether there is a GPU that libtorch can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gpu {
    /// There is one, and all that it needs is loaded.
    Ready,
    /// There is none.
    Absent,
    /// There is one, but something that it needs was not found: what was looked for.
    Unusable(String),
}

/// Looks for a GPU. Where there is one, libtorch's CUDA libraries are loaded.
pub fn find_gpu() -> Gpu {
    match cuda::find(0) {
        Ok(_) => Gpu::Ready,
        Err(missing) if missing.has_cards() => Gpu::Unusable(missing.to_string()),
        Err(_) => Gpu::Absent,
    }
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
            halved: AtomicBool::new(false),
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

    /// Sends one batch after the other; the values of a batch are taken when the next has been
    /// sent. A batch that does not fit the card's memory is halved, and so are all later ones.
    fn run_on_card<'a>(
        &self,
        card: usize,
        mut batches: VecDeque<Batch>,
        job: &(dyn Fn(usize) -> Cow<'a, Job> + Sync),
        after_each: &(dyn Fn(usize) -> Result<()> + Sync),
    ) -> Result<Vec<(Batch, Vec<Values>)>> {
        let mut finished = Vec::with_capacity(batches.len());
        let mut take = |flight: Option<Flight>| -> Result<()> {
            let Some(flight) = flight else { return Ok(()) };
            flight.landed.wait()?;
            let values = flight.computed.values()?;
            flight.batch.windows.iter().try_for_each(|&window| after_each(window))?;
            finished.push((flight.batch, values));
            Ok(())
        };
        let mut before: Option<Flight> = None;
        while let Some(batch) = batches.pop_front() {
            let most = self.positions.load(Ordering::Relaxed);
            if batch.windows.len() > 1 && batch.positions(self.context()) > most {
                push_halves(&mut batches, batch);
                continue;
            }
            match self.send(card, &batch, job) {
                Ok((computed, landed)) => {
                    take(before.replace(Flight { batch, computed, landed }))?;
                }
                Err(error) if is_out_of_memory(&error) && batch.windows.len() > 1 => {
                    take(before.take())?;
                    shim::empty_cache()?;
                    self.positions.store(batch.positions(self.context()) / 2, Ordering::Relaxed);
                    if !self.halved.swap(true, Ordering::Relaxed) {
                        tracing::warn!("the card has too little memory: smaller batches from here");
                    }
                    push_halves(&mut batches, batch);
                }
                Err(error) if is_out_of_memory(&error) && before.is_some() => {
                    // alone on the card it may fit
                    take(before.take())?;
                    shim::empty_cache()?;
                    batches.push_front(batch);
                }
                Err(error) if is_out_of_memory(&error) => {
                    return Err(error.remedy("choose a shorter --tile"));
                }
                Err(error) => return Err(error),
            }
        }
        take(before)?;
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

    /// Keeps others from the card while one run fills it, and sets this engine's arithmetic, which
    /// belongs to the whole process.
    fn card(&self) -> Result<Option<MutexGuard<'static, ()>>> {
        static BUSY: Mutex<()> = Mutex::new(());
        if matches!(self.place, Place::Cpu) {
            return Ok(None);
        }
        let guard = BUSY.lock().unwrap_or_else(PoisonError::into_inner);
        shim::set_arithmetic(self.precision == Precision::Tf32)?;
        Ok(Some(guard))
    }
}

/// A batch that the card is computing.
struct Flight {
    batch: Batch,
    computed: Computed,
    landed: shim::Event,
}

fn push_halves(batches: &mut VecDeque<Batch>, batch: Batch) {
    if let Some([first, second]) = batch.halves() {
        batches.push_front(second);
        batches.push_front(first);
    }
}

impl Place {
    fn find(device: Device) -> Result<Self> {
        let card =
            |index: usize| cuda::find(index).map(|card| Self::Card { index, name: card.name });
        match device {
            Device::Cpu => Ok(Self::Cpu),
            Device::Auto => Ok(card(0).unwrap_or_else(|missing| {
                if missing.has_cards() {
                    tracing::warn!("the GPU cannot be used ({missing}): computing on the CPU");
                }
                Self::Cpu
            })),
            Device::Cuda(index) => card(index).map_err(|missing| {
                Error::usage(format!("there is no GPU for --device {device}"))
                    .found(missing)
                    .remedy("see docs/install.md, or choose --device cpu")
            }),
        }
    }

    fn device(&self) -> tch::Device {
        match self {
            Self::Cpu => tch::Device::Cpu,
            Self::Card { index, .. } => tch::Device::Cuda(*index),
        }
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
    Error::new(format!("libtorch: {}", message.lines().next().unwrap_or("unknown failure")))
}

fn is_out_of_memory(error: &Error) -> bool {
    let text = error.to_string();
    ["out of memory", "ALLOC_FAILED"].iter().any(|words| text.contains(words))
}
