//! Weight files of signal networks with random weights, as bpnet-lite saves them: small, and with
//! outputs that a change of one base moves.

#[path = "../import/torch_writer.rs"]
#[allow(dead_code, reason = "the tests of import write counters, too")]
mod torch_writer;

use torch_writer::{Saved, checkpoint};

/// Bases of a window.
pub const INPUT: usize = 300;
/// Its outputs: without 47 + 2 + 4 on each side (bpnet-lite's trimming for two layers).
pub const OUTPUT: usize = INPUT - 2 * 53;

const FILTERS: usize = 4;

/// Numbers in (-1, 1) that look random (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f32::from(u16::try_from((z ^ (z >> 31)) >> 48).unwrap()) / 32768.0 - 1.0
    }
}

/// The tensors of one network whose names begin with `place`.
fn tensors(place: &str, strands: usize, numbers: &mut Numbers) -> Vec<Saved> {
    let mut all = Vec::new();
    let mut add = |name: &str, shape: &[usize], scale: f32, bias: f32| {
        let count: usize = shape.iter().product();
        let weights: Vec<f32> = (0..count).map(|_| scale * numbers.next()).collect();
        let biases: Vec<f32> = (0..shape[0]).map(|_| bias + 0.1 * numbers.next()).collect();
        all.push(Saved::floats(&format!("{place}{name}.weight"), shape, &weights));
        all.push(Saved::floats(&format!("{place}{name}.bias"), &shape[..1], &biases));
    };
    add("iconv", &[FILTERS, 4, 21], 0.5, 0.0);
    add("rconvs.0", &[FILTERS, FILTERS, 3], 0.4, 0.0);
    add("rconvs.1", &[FILTERS, FILTERS, 3], 0.4, 0.0);
    add("fconv", &[strands, FILTERS, 75], 0.1, 0.0);
    add("linear", &[1, FILTERS], 0.8, 3.0);
    all
}

/// A `BPNet` state with so many strands.
pub fn single(seed: u64, strands: usize) -> Vec<u8> {
    checkpoint(&tensors("", strands, &mut Numbers(seed)))
}

/// A `ChromBPNet` state: accessibility and the bias of the assay.
pub fn joint(seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    let mut all = tensors("accessibility.", 1, &mut numbers);
    all.extend(tensors("bias.", 1, &mut numbers));
    checkpoint(&all)
}
