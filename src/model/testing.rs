//! A small model for the tests of this room.

use super::{
    Loaded, Member, Model, Provenance, Source, SourceFile, Tensor, Track, TrackStrand, UnknownBase,
};
use crate::network::blocks::{Dilated, GroupedSpec, grouped};
use crate::network::{Activation, Graph, GraphBuilder, Op};

/// Numbers in (0.5, 1.5) that look random: a linear congruential generator (Knuth's MMIX).
pub(crate) struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn value(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        0.5 + f32::from(u16::try_from(self.0 >> 48).unwrap()) / 65536.0
    }

    pub fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        Tensor { shape: shape.to_vec(), values: (0..count).map(|_| self.value()).collect() }
    }
}

/// Three channels, one group of one unit (kernel 3, dilation 2), three classes. Reach 4 per side.
pub(crate) fn tiny_graph() -> Graph {
    let mut g = GraphBuilder::new();
    let spec = GroupedSpec {
        channels: 3,
        groups: vec![vec![Dilated::centred(3, 2)]],
        activation: Activation::Relu,
        epsilon: 1e-3,
    };
    let x = grouped(&mut g, &spec).unwrap();
    let x = g.add("head", Op::pointwise(3), &[x]).unwrap();
    g.add("softmax", Op::Softmax, &[x]).unwrap();
    g.finish().unwrap()
}

/// Two members `a` and `b`; tracks `none` (not default), `acceptor` of both, `donor` of `b` only.
pub(crate) fn tiny_model(seed: u64) -> Model {
    let graph = tiny_graph();
    let mut noise = Noise::new(seed);
    let members = ["a", "b"]
        .map(|name| Member {
            name: name.to_string(),
            network: 0,
            weights: graph
                .parameters()
                .into_iter()
                .map(|p| (p.name, noise.tensor(&p.shape)))
                .collect(),
        })
        .to_vec();
    let track = |channel, name: &str, members: &[usize]| Track {
        name: name.to_string(),
        unit: "probability".to_string(),
        description: format!("P({name})"),
        strand: TrackStrand::Read,
        default: channel > 0,
        sources: members.iter().map(|&member| Source { member, channel }).collect(),
    };
    Model {
        name: format!("tiny{seed}"),
        networks: vec![graph],
        members,
        tracks: vec![
            track(0, "none", &[0, 1]),
            track(1, "acceptor", &[0, 1]),
            track(2, "donor", &[1]),
        ],
        scheme: None,
        window: None,
        scalars: Vec::new(),
        profiles: Vec::new(),
        unknown_base: UnknownBase::Zero,
        provenance: Provenance {
            family: "atrous".to_string(),
            licence: "MIT".to_string(),
            sources: vec![SourceFile {
                name: format!("tiny{seed}.txt"),
                sha256: format!("{seed:064x}"),
            }],
            unread: Vec::new(),
            record: "made for a test".to_string(),
        },
    }
}

/// A model as if it had been read from a file.
pub(crate) fn loaded(model: Model) -> Loaded {
    let sha256 = format!("hash of {}", model.name);
    Loaded { model, sha256 }
}
