//! The members of a model on a device, and their values combined into tracks.

use super::Frozen;
use super::program::Program;
use crate::engine::Values;
use crate::engine::encode::rows;
use crate::engine::mix::Mixer;
use crate::error::Result;
use crate::model::{Model, Track};
use crate::network::graph::INPUT_CHANNELS;
use crate::network::{Graph, Reach, Span};
use tch::{Device, Kind, Tensor};

/// Bytes per position of the letters on the device: a code, a row number, and the row.
pub const INPUT_BYTES: u64 = 1 + 4 + 4 * INPUT_CHANNELS as u64;

/// The members that some tracks need, with weights of one kind.
pub struct Networks {
    tracks: Vec<Track>,
    graphs: Vec<Graph>,
    /// Per member that runs: its number, its graph, its weights.
    members: Vec<(usize, usize, Program)>,
    /// The four channels of each code of a letter.
    rows: Frozen,
    /// Per track, how many members are averaged: `[track, 1]`.
    counts: Frozen,
    device: Device,
}

impl Networks {
    /// Puts the members that the tracks need on a device.
    ///
    /// # Errors
    /// What libtorch says; no memory on the device.
    pub fn new(model: &Model, tracks: &[Track], device: Device, kind: Kind) -> Result<Self> {
        let place = |values: Vec<f32>, shape: [i64; 2], kind: Kind| {
            Tensor::f_from_slice(&values)?.f_view(shape)?.f_to_kind(kind)?.f_to_device(device)
        };
        let rows = rows(model.unknown_base);
        let shape = [rows.len() as i64, INPUT_CHANNELS as i64];
        let rows = place(rows.concat(), shape, kind)?;
        let counts = tracks.iter().map(|track| track.sources.len() as f32).collect();
        let counts = place(counts, [tracks.len() as i64, 1], Kind::Float)?;
        let member = |&index: &usize| {
            let member = &model.members[index];
            let graph = &model.networks[member.network];
            let program = Program::new(graph, &member.weights, device, kind)?;
            Ok((index, member.network, program))
        };
        Ok(Self {
            tracks: tracks.to_vec(),
            graphs: model.networks.clone(),
            members: Mixer::new(tracks).members().iter().map(member).collect::<Result<_>>()?,
            rows: Frozen(rows),
            counts: Frozen(counts),
            device,
        })
    }

    /// The graphs of the members that run.
    pub fn graphs(&self) -> impl Iterator<Item = &Graph> {
        self.members.iter().map(|(_, graph, _)| &self.graphs[*graph])
    }

    /// How many tracks come out.
    pub fn tracks(&self) -> usize {
        self.tracks.len()
    }

    /// Tracks `[window, track, position]` in 32 bits, on the device, from codes of letters
    /// `[window, position]` that lie there too and cover `reach` around `length` positions. Members
    /// are summed in 32 bits in their order, then divided once (networks.md 6, point 3).
    ///
    /// # Errors
    /// What libtorch says; no memory on the device.
    pub fn run(&self, codes: &Tensor, length: usize, reach: Reach) -> Result<Tensor> {
        let (windows, width) = codes.size2()?;
        let letters = self.encode(codes, windows, width)?;
        let output = Span::new(0, length as i64);
        let covered = output.widen(reach.left, reach.right);
        let size = [windows, self.tracks.len() as i64, length as i64];
        let sums = Tensor::f_zeros(size, (Kind::Float, self.device))?;
        for (member, graph, program) in &self.members {
            let graph = &self.graphs[*graph];
            let spans = graph.needed(output);
            let offset = spans[0].start - covered.start;
            let input = letters.f_narrow(3, offset, spans[0].len() as i64)?;
            let values = program.run(graph, &spans, input)?.f_squeeze_dim(2)?;
            for (index, track) in self.tracks.iter().enumerate() {
                for source in track.sources.iter().filter(|source| source.member == *member) {
                    let channel = values.f_narrow(1, source.channel as i64, 1)?;
                    let _ = sums.f_narrow(1, index as i64, 1)?.f_add_(&channel)?;
                }
            }
        }
        Ok(sums.f_div(&self.counts)?)
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
}

/// The values of each window of `[window, track, position]`, which lie in the processor's memory.
///
/// # Errors
/// What libtorch says.
pub fn to_values(tracks: &Tensor, length: usize) -> Result<Vec<Values>> {
    let (windows, count, _) = tracks.size3()?;
    let mut numbers = vec![0.0f32; tracks.numel()];
    tracks.f_copy_data(&mut numbers, tracks.numel())?;
    let mut rows = numbers.chunks_exact(length).map(<[f32]>::to_vec);
    Ok((0..windows)
        .map(|_| Values { tracks: rows.by_ref().take(count as usize).collect() })
        .collect())
}
