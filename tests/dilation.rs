//! The numbers of the theory of dilated stacks (dilation.md 2, 6 and 7), on graphs.

#![allow(clippy::unwrap_used, reason = "a test")]

use atrous::network::blocks::{self, Dilated};
use atrous::network::{Activation, Graph, GraphBuilder, Op, Span};

/// A stem of 21 taps, residual units of 3 taps with rates 2 to 2^n, a profile layer of 75 taps
/// (0: none): the shape of BPNet and ChromBPNet.
fn profile_network(filters: usize, n: u32, profile: usize) -> Graph {
    let mut g = GraphBuilder::new();
    let mut x = g.add("stem", Op::centred(filters, 21, 1), &[0]).unwrap();
    for i in 1..=n {
        let taps = Dilated::centred(3, 1 << i);
        x = blocks::residual_unit(&mut g, &format!("unit{i}"), x, taps, Activation::Relu).unwrap();
    }
    if profile > 0 {
        g.add("profile", Op::centred(1, profile, 1), &[x]).unwrap();
    }
    g.finish().unwrap()
}

/// Convolutions of one kernel in a row.
fn stack(kernel: usize, rates: impl IntoIterator<Item = usize>) -> Graph {
    let mut g = GraphBuilder::new();
    let mut x = 0;
    for (i, rate) in rates.into_iter().enumerate() {
        x = g.add(format!("conv{i}"), Op::centred(4, kernel, rate), &[x]).unwrap();
    }
    g.finish().unwrap()
}

#[test]
fn receptive_fields_of_known_stacks() {
    // dilation.md 2, table
    let doubling = || (0..10).map(|i| 1usize << i);
    let thrice = || doubling().chain(doubling()).chain(doubling());
    for (what, graph, expected) in [
        ("BPNet trunk, n = 8", profile_network(2, 8, 0), 1041),
        ("BPNet, n = 8", profile_network(2, 8, 75), 1115),
        ("BPNet trunk, n = 9", profile_network(2, 9, 0), 2065),
        ("BPNet, n = 9", profile_network(2, 9, 75), 2139),
        ("BPNet trunk, n = 4", profile_network(2, 4, 0), 81),
        ("BPNet, n = 4", profile_network(2, 4, 75), 155),
        ("Basenji rates", stack(3, [1, 2, 3, 4, 6, 9, 14, 21, 32, 48, 72]), 425),
        ("WaveNet block", stack(2, doubling()), 1024),
        ("three WaveNet blocks", stack(2, thrice()), 3070),
        ("doubling, kernel 3", stack(3, doubling()), 2047),
        ("three of these", stack(3, thrice()), 6139),
        ("1, 2, 5 eight times", stack(3, [1, 2, 5].repeat(8)), 129),
    ] {
        assert_eq!(graph.reach().receptive_field(), expected, "{what}");
    }
    // an even kernel looks one base further to the right: 26 taps, 12 left, 13 right
    let reach = stack(26, [1]).reach();
    assert_eq!((reach.left, reach.right), (12, 13));
}

#[test]
fn parameters_do_not_depend_on_the_dilation() {
    for rate in [1, 2, 256] {
        assert_eq!(stack(3, [rate]).parameter_count(), 4 * 4 * 3 + 4);
    }
    // dilation.md 1: 32 channels, 41 taps
    let mut g = GraphBuilder::new();
    let x = g.add("widen", Op::pointwise(32), &[0]).unwrap();
    let x = g.add("conv", Op::centred(32, 41, 25), &[x]).unwrap();
    assert_eq!(g.finish().unwrap().node_flops(x), 83_968);
}

#[test]
fn work_of_a_profile_network() {
    let graph = profile_network(512, 8, 75);
    // dilation.md 6: per base; dilation.md 7: a window of 1,000 outputs, tiling overhead
    assert_eq!(graph.flops_per_base(), 12_745_728);
    assert_eq!(graph.tile_flops(1_000), 23_447_224_320);
    for (outputs, ratio) in [(1_000, 1.840), (5_000, 1.168), (20_000, 1.042), (200_000, 1.004)] {
        let whole = 12_745_728.0 * outputs as f64;
        let found = graph.tile_flops(outputs) as f64 / whole;
        assert!((found - ratio).abs() < 1e-3, "{outputs}: {found}");
    }
    // its bias network: 4 layers of 128 filters, 2,114 bases in, 1,960 out before the crop
    assert_eq!(profile_network(128, 4, 75).tile_flops(1_960), 895_832_064);
    // training keeps input and output of each convolution: dilation.md 6, 4·C·2 per convolution
    let trunk = 4 * (4 + 512) + 8 * 4 * 2 * 512;
    assert_eq!(graph.training_bytes_per_position(), trunk + 4 * (512 + 1));
}

#[test]
fn work_after_a_substitution_in_a_profile_network() {
    // dilation.md 7: outputs 0 to 1000, inputs -557 to 1557; changed positions only
    let graph = profile_network(512, 8, 75);
    let needed = graph.needed(Span::new(0, 1000));
    assert_eq!((needed[0].start, needed[0].end), (-557, 1557));
    let changed = |position: i64| -> u64 {
        let touched = graph.touched(Span::new(position, position + 1));
        let widths = needed.iter().zip(&touched).map(|(n, t)| n.intersect(*t).len() as u64);
        widths.enumerate().map(|(node, width)| width * graph.node_flops(node)).sum()
    };
    assert_eq!(changed(500), 3_501_158_400);
    assert_eq!(changed(0), 2_707_519_488);
    // saturation mutagenesis, three alternates at each position: all, the central 1000 and 200
    let mutagenesis = |from, to| 3 * (from..to).map(changed).sum::<u64>();
    let full = |positions: u64| 3 * positions * 23_447_224_320;
    assert_eq!((mutagenesis(-557, 1557), full(2114)), (15_049_176_219_648, 148_702_296_637_440));
    assert_eq!((mutagenesis(0, 1000), full(1000)), (9_355_286_808_576, 70_341_672_960_000));
    let central = full(200) as f64 / mutagenesis(400, 600) as f64;
    assert!((central - 6.80).abs() < 0.01, "{central}");
}
