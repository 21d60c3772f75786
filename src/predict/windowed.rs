//! What a run over the windows of a model needs beside the engine.

use super::readout::Readout;
use super::stitch::reverse_controls;
use super::tiles::Tile;
use super::windows::{Shape, WindowAt};
use crate::error::{Error, Result};
use crate::genome::{Contigs, Strand};
use crate::model::Model;
use crate::network::Reach;
use crate::track::{Missing, Signal};

/// How a model with a window is run and read out.
#[derive(Debug)]
pub struct Windowed {
    /// Where windows lie.
    pub at: WindowAt,
    /// What is written of their outputs.
    pub readout: Readout,
    shape: Shape,
    controls: Controls,
}

/// The control tracks that a model reads.
#[derive(Debug)]
pub struct Controls {
    /// How many there are.
    channels: usize,
    /// One per track, in the order of the model's; none for zeros.
    signals: Vec<Signal>,
    contigs: Contigs,
}

impl Windowed {
    /// For a model that has a window.
    ///
    /// # Errors
    /// A model without one, or a number of controls that is not the model's (usage).
    pub fn new(
        model: &Model,
        at: WindowAt,
        readout: Readout,
        signals: Vec<Signal>,
        contigs: &Contigs,
    ) -> Result<Self> {
        let Some(window) = model.window else {
            return Err(Error::usage("the model has no window"));
        };
        let channels = model.control_channels();
        if !signals.is_empty() && signals.len() != channels {
            return Err(Error::usage("the model reads another number of control tracks")
                .found(signals.len())
                .expected(channels));
        }
        let flanks = model.flanks();
        if readout.reads_both_strands() && flanks.left != flanks.right {
            return Err(Error::usage("the outputs do not lie in the middle of the window")
                .found(format!("{} bases before them, {} behind", flanks.left, flanks.right))
                .remedy("leave out the average over both strands"));
        }
        let controls = Controls { channels, signals, contigs: contigs.clone() };
        Ok(Self { at, readout, shape: Shape::of(model, window), controls })
    }

    /// The outputs of a window.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether the outputs of each window stand for a region, and are a line of the table.
    pub fn is_centred(&self) -> bool {
        self.at != WindowAt::Grid
    }

    /// What is read with each window, and how its values are read out.
    pub fn parts(&mut self) -> (&mut Controls, &Readout) {
        (&mut self.controls, &self.readout)
    }
}

impl Controls {
    /// The control tracks over the window of a tile, as the strand that is read has them.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(&mut self, tile: &Tile, reach: Reach) -> Result<Vec<Vec<f32>>> {
        if self.signals.is_empty() {
            return Ok(Vec::new());
        }
        let (before, after) = match tile.strand {
            Strand::Plus => (reach.left, reach.right),
            Strand::Minus => (reach.right, reach.left),
        };
        let (first, length) = tile.computed();
        let start = first.saturating_sub_unsigned(before);
        let end = first.saturating_add_unsigned(length + after);
        let contig = i64::try_from(self.contigs.length(tile.contig)).unwrap_or(i64::MAX);
        // beyond the ends of the contig there is nothing to count
        let from = start.clamp(0, contig).unsigned_abs();
        let to = end.clamp(0, contig).unsigned_abs();
        let zeros = |count: i64| vec![0.0; usize::try_from(count).unwrap_or(0)];
        let mut tracks = Vec::with_capacity(self.channels);
        for signal in &mut self.signals {
            let mut track = zeros(end.min(0) - start.min(0));
            let counts = signal.values(tile.contig, from, to, Missing::Zero)?;
            if let Some(index) = counts.iter().position(|&count| count < 0.0) {
                let place = (self.contigs.name(tile.contig), from + index as u64 + 1);
                return Err(Error::new("a control experiment has a negative count")
                    .at(signal.path())
                    .found(format!("{} at {}:{}", counts[index], place.0, place.1))
                    .expected("numbers of reads, also of the minus strand")
                    .remedy("write it with the signs turned"));
            }
            track.extend(counts);
            track.extend(zeros(end.max(contig) - start.max(contig)));
            tracks.push(track);
        }
        if tile.strand == Strand::Minus {
            reverse_controls(&mut tracks);
        }
        Ok(tracks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::{ContigId, Resolver};

    #[test]
    fn counts_of_a_control_are_read_and_a_negative_one_is_refused_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("minus.bedGraph");
        std::fs::write(&path, "c\t1\t2\t3\nc\t5\t6\t-2\n").unwrap();
        let contigs = Contigs::new(vec![("c".into(), 9)]);
        let resolver = Resolver::new(&contigs, None).unwrap();
        let signals = vec![Signal::open(&path, &resolver).unwrap()];
        let mut controls = Controls { channels: 1, signals, contigs };
        let mut read = |end| {
            let (strand, contig) = (Strand::Plus, ContigId(0));
            let tile = Tile { strand, contig, start: 0, end, wanted: vec![], window: None };
            controls.read(&tile, Reach { left: 1, right: 1 })
        };
        assert_eq!(read(3).unwrap(), [[0.0, 0.0, 3.0, 0.0, 0.0]]);
        let error = read(6).unwrap_err().to_string();
        assert!(error.contains("minus.bedGraph") && error.contains("-2 at c:6"), "{error}");
    }
}
