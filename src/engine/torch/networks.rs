//! The members of a model on a device, and their values combined into tracks.

use super::Frozen;
use super::program::{Outputs, Program, Ranges, Value};
use crate::engine::encode::rows;
use crate::engine::mix::Mixer;
use crate::engine::{Values, Wanted};
use crate::error::Result;
use crate::model::{Model, Source, Window};
use crate::network::graph::INPUT_CHANNELS;
use crate::network::{Graph, Reach, Span};
use tch::{Device, Kind, Tensor};

/// Bytes per position of the letters on the device: a code, a row number, and the row.
pub const INPUT_BYTES: u64 = 1 + 4 + 4 * INPUT_CHANNELS as u64;

/// The members that some outputs need, with weights of one kind.
pub struct Networks {
    wanted: Wanted,
    graphs: Vec<Graph>,
    /// Per member that runs: its number, its graph, its weights.
    members: Vec<(usize, usize, Program)>,
    /// The four channels of each code of a letter.
    rows: Frozen,
    window: Option<Window>,
    reach: Reach,
    device: Device,
    kind: Kind,
}

/// A batch as tensors: letters, and what is read beside them.
pub struct Batched {
    /// Codes of letters `[window, position]`, bytes.
    pub codes: Tensor,
    /// `[window, control track, 1, position]`, where the model reads control tracks.
    pub controls: Option<Tensor>,
}

/// What comes out of a batch.
pub struct Computed {
    /// `[window, track, position]` in 32 bits.
    pub tracks: Tensor,
    /// `[window, scalar]` in 64 bits.
    pub scalars: Tensor,
}

impl Networks {
    /// Puts the members that the outputs need on a device.
    ///
    /// # Errors
    /// What libtorch says; no memory on the device.
    pub fn new(model: &Model, wanted: &Wanted, device: Device, kind: Kind) -> Result<Self> {
        let rows = rows(model.unknown_base);
        let shape = [rows.len() as i64, INPUT_CHANNELS as i64];
        let rows = Tensor::f_from_slice(&rows.concat())?.f_view(shape)?.f_to_kind(kind)?;
        let member = |&index: &usize| {
            let member = &model.members[index];
            let graph = &model.networks[member.network];
            Ok((index, member.network, Program::new(graph, &member.weights, device, kind)?))
        };
        let mixer = Mixer::new(wanted.clone());
        let members: Vec<_> = mixer.members().iter().map(member).collect::<Result<_>>()?;
        let reaches = members.iter().map(|(_, network, _)| model.networks[*network].reach());
        Ok(Self {
            wanted: wanted.clone(),
            graphs: model.networks.clone(),
            rows: Frozen(rows.f_to_device(device)?),
            window: model.window,
            reach: match model.window {
                None => reaches.fold(Reach::default(), Reach::hull),
                Some(_) => model.flanks(),
            },
            members,
            device,
            kind,
        })
    }

    /// The graphs of the members that run.
    pub fn graphs(&self) -> impl Iterator<Item = &Graph> {
        self.members.iter().map(|(_, graph, _)| &self.graphs[*graph])
    }

    /// How far letters must go beyond the outputs.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// The window that the networks must be run in, if there is one.
    pub fn window(&self) -> Option<Window> {
        self.window
    }

    /// Control tracks that are read.
    pub fn controls(&self) -> usize {
        let channels = |graph: &Graph| graph.control().map(|node| graph.channels(node));
        self.graphs().filter_map(channels).max().unwrap_or(0)
    }

    /// Values of no position.
    pub fn nothing(&self) -> Values {
        let Wanted { tracks, scalars } = &self.wanted;
        Values { tracks: vec![vec![]; tracks.len()], scalars: vec![0.0; scalars.len()] }
    }

    /// The outputs at `length` positions per window, on the device, from a batch that lies there
    /// too. Members are summed in their order, then divided once (networks.md 6, point 3).
    ///
    /// # Errors
    /// What libtorch says; no memory on the device.
    pub fn run(&self, batch: &Batched, length: usize) -> Result<Computed> {
        let (windows, width) = batch.codes.size2()?;
        let letters = self.encode(&batch.codes, windows, width)?;
        let output = Span::new(0, length as i64);
        let covered = match self.window {
            Some(window) => window.span(),
            None => output.widen(self.reach.left, self.reach.right),
        };
        let Wanted { tracks, scalars } = &self.wanted;
        let zeros = |size: &[i64], kind| Tensor::f_zeros(size, (kind, self.device));
        let sums = zeros(&[windows, tracks.len() as i64, length as i64], Kind::Float)?;
        let totals = zeros(&[windows, scalars.len() as i64], Kind::Double)?;
        for (member, graph, program) in &self.members {
            let graph = &self.graphs[*graph];
            let ranges = match self.window {
                Some(window) => Ranges::of_window(graph, window.span()),
                None => Ranges::of_outputs(graph, output),
            };
            let controls = match (graph.control(), &batch.controls) {
                (Some(node), Some(all)) => {
                    let own = all.f_narrow(1, 0, graph.channels(node) as i64)?;
                    Some(Value::input(&own, covered))
                }
                _ => None,
            };
            let letters = Value::input(&letters, covered);
            let outputs = program.run(graph, &ranges, letters, controls)?;
            let Outputs { rows, scalars: head } = outputs;
            let rows = rows.f_squeeze_dim(2)?;
            for (index, track) in tracks.iter().enumerate() {
                add(&sums, index, &rows, &track.sources, *member)?;
            }
            for (index, scalar) in scalars.iter().enumerate() {
                let head = head.as_ref().expect("a network with scalars has a scalar head");
                add(&totals, index, &head.f_view([windows, -1])?, &scalar.sources, *member)?;
            }
        }
        let counts = tracks.iter().map(|track| track.sources.len());
        let tracks = sums.f_div(&self.counts(counts, Kind::Float)?.f_view([-1, 1])?)?;
        let counts = scalars.iter().map(|scalar| scalar.sources.len());
        let scalars = totals.f_div(&self.counts(counts, Kind::Double)?)?;
        Ok(Computed { tracks, scalars })
    }

    fn counts(&self, counts: impl Iterator<Item = usize>, kind: Kind) -> Result<Tensor> {
        let counts: Vec<f32> = counts.map(|count| count as f32).collect();
        Ok(Tensor::f_from_slice(&counts)?.f_to_kind(kind)?.f_to_device(self.device)?)
    }

    /// `[window, channel, 1, position]`; on the CPU with channels innermost.
    fn encode(&self, codes: &Tensor, windows: i64, width: i64) -> Result<Tensor> {
        let rows = self.rows.f_index_select(0, &codes.f_view([-1])?.f_to_kind(Kind::Int)?)?;
        let channels = INPUT_CHANNELS as i64;
        let letters = rows.f_view([windows, 1, width, channels])?.f_permute([0, 3, 1, 2])?;
        Ok(match self.device {
            Device::Cpu => letters,
            _ => letters.f_contiguous()?,
        })
    }

    /// A batch on the device; from page-locked memory without waiting for it.
    ///
    /// # Errors
    /// What libtorch says; no memory on the device.
    pub fn place(&self, batch: &Batched) -> Result<Batched> {
        let codes = batch.codes.f_internal_to_copy((Kind::Uint8, self.device), true)?;
        let controls = batch.controls.as_ref();
        let controls = controls
            .map(|controls| controls.f_to_kind(self.kind)?.f_to_device(self.device))
            .transpose()?;
        Ok(Batched { codes, controls })
    }
}

/// Adds the channels of a member that an output comes from to the output's sum.
fn add(
    sums: &Tensor,
    output: usize,
    values: &Tensor,
    sources: &[Source],
    member: usize,
) -> Result<()> {
    for source in sources.iter().filter(|source| source.member == member) {
        let channel = values.f_narrow(1, source.channel as i64, 1)?;
        let _ = sums.f_narrow(1, output as i64, 1)?.f_add_(&channel)?;
    }
    Ok(())
}

impl Computed {
    /// The same in the processor's memory; in page-locked memory, which libtorch chooses for copies
    /// that do not block. It holds the values when the device has come there.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn fetch(&self) -> Result<Self> {
        Ok(Self {
            tracks: self.tracks.f_internal_to_copy((Kind::Float, Device::Cpu), true)?,
            scalars: self.scalars.f_internal_to_copy((Kind::Double, Device::Cpu), true)?,
        })
    }

    /// The values of each window, from the processor's memory.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn values(&self) -> Result<Vec<Values>> {
        let (windows, tracks, length) = self.tracks.size3()?;
        let mut numbers = vec![0.0f32; self.tracks.numel()];
        self.tracks.f_copy_data(&mut numbers, self.tracks.numel())?;
        let mut totals = vec![0.0f64; self.scalars.numel()];
        self.scalars.f_copy_data(&mut totals, self.scalars.numel())?;
        let mut rows = numbers.chunks_exact(length as usize).map(<[f32]>::to_vec);
        let mut totals = totals.into_iter();
        let scalars = self.scalars.size2()?.1 as usize;
        let window = |_| Values {
            tracks: rows.by_ref().take(tracks as usize).collect(),
            scalars: totals.by_ref().take(scalars).collect(),
        };
        Ok((0..windows).map(window).collect())
    }
}
