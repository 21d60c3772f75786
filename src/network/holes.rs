//! Tests of a list of dilations for blind spots, by formula (dilation.md 1 and 3).
//!
//! What a network really sees is [`super::coverage`]; these formulas say why.

use super::blocks::Dilated;
use super::graph::Graph;
use super::op::Op;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Whether layers in a row leave holes, by the exact test.
///
/// With the layers sorted by dilation and `width` = 1 at first, the cover is contiguous if and only
/// if each dilation is at most the width so far, which then grows by `(kernel − 1) · dilation`. A
/// larger dilation leaves a gap below its topmost copy that no later, larger shift can fill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoleTest {
    /// Number of layers with more than one tap.
    pub layers: usize,
    /// The first layer whose dilation is larger than the width of all smaller ones.
    pub gap: Option<Gap>,
}

/// Why layers leave holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The layer.
    pub layer: Dilated,
    /// Positions that the layers of smaller dilation cover together.
    pub width: u64,
}

impl HoleTest {
    /// Of layers in any order.
    pub fn of(layers: &[Dilated]) -> Self {
        let mut sorted: Vec<Dilated> = layers.iter().copied().filter(|l| l.kernel > 1).collect();
        sorted.sort_by_key(|layer| (layer.dilation, layer.kernel));
        let mut width = 1u64;
        let mut gap = None;
        for &layer in &sorted {
            if layer.dilation as u64 > width {
                gap = Some(Gap { layer, width });
                break;
            }
            width = width.saturating_add(layer.effective_kernel() - 1);
        }
        Self { layers: sorted.len(), gap }
    }

    /// Whether every position is covered.
    pub fn passes(&self) -> bool {
        self.gap.is_none()
    }
}

/// The condition of hybrid dilated convolution (Wang et al., arXiv 1702.08502) for layers of one
/// kernel. Sufficient for small groups in practice, but not exact: (2, 2, 2) needs the clause on
/// common factors, and kernels of other layers are not seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hdc {
    /// Dilated.
    pub kernel: usize,
    /// The dilations, in the order of the group.
    pub rates: Vec<usize>,
    /// The largest distance between nonzero values, M₂; of a single rate, that rate.
    pub distance: i64,
    /// Greatest common divisor of the rates.
    pub common_factor: usize,
}

impl Hdc {
    /// Of a group of rates, none of them 0.
    pub fn of(kernel: usize, rates: &[usize]) -> Self {
        let signed = |rate: usize| i64::try_from(rate).unwrap_or(i64::MAX / 4);
        let mut later_first = rates.iter().rev().copied().map(signed);
        let last = later_first.next().unwrap_or(1);
        let middle = rates.len().saturating_sub(2);
        let distance = later_first
            .take(middle)
            .fold(last, |m, rate| (m - 2 * rate).max(m - 2 * (m - rate)).max(rate));
        let common_factor = rates.iter().copied().reduce(divisor).unwrap_or(1);
        Self { kernel, rates: rates.to_vec(), distance, common_factor }
    }

    /// Whether M₂ is at most the kernel and no factor is common to all rates.
    pub fn passes(&self) -> bool {
        usize::try_from(self.distance).is_ok_and(|m| m <= self.kernel) && self.common_factor == 1
    }
}

/// Greatest common divisor (Euclid).
fn divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { divisor(b, a % b) }
}

/// The convolutions of more than one tap on the path that reaches furthest, from input to output.
/// Of branches that reach equally far the later one counts.
pub fn deepest_path(graph: &Graph) -> Vec<Dilated> {
    let reaches = super::facts::reaches(graph);
    let mut path = Vec::new();
    let mut node = graph.output();
    loop {
        let step = &graph.nodes()[node];
        if let Op::Conv { kernel, dilation, left, .. } = step.op
            && kernel > 1
        {
            path.push(Dilated { kernel, dilation, left });
        }
        match step.inputs.iter().max_by_key(|&&input| reaches[input].receptive_field()) {
            Some(&input) => node = input,
            None => break,
        }
    }
    path.reverse();
    path
}

/// The HDC condition of each kernel of a list of layers, over its distinct rates in ascending
/// order.
pub fn hdc_by_kernel(layers: &[Dilated]) -> Vec<Hdc> {
    let mut rates: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for layer in layers {
        rates.entry(layer.kernel).or_default().insert(layer.dilation);
    }
    let group = |(kernel, rates): (usize, BTreeSet<usize>)| {
        Hdc::of(kernel, &rates.into_iter().collect::<Vec<_>>())
    };
    rates.into_iter().map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::coverage::seen;
    use crate::network::{Architecture, GraphBuilder};
    use proptest::prelude::*;

    fn taps(kernel: usize, rates: &[usize]) -> Vec<Dilated> {
        rates.iter().map(|&dilation| Dilated::centred(kernel, dilation)).collect()
    }

    #[test]
    fn one_layer_by_the_formulas() {
        // dilation.md 1
        for (kernel, dilation, effective) in [(3, 2, 5), (3, 256, 513), (41, 25, 1001)] {
            assert_eq!(Dilated::centred(kernel, dilation).effective_kernel(), effective);
        }
        for (kernel, dilation, blind) in [
            (3, 2, 0.4),
            (11, 4, 0.731707),
            (21, 10, 0.895522),
            (41, 25, 0.959041),
            (3, 256, 0.994152),
            (7, 1, 0.0),
        ] {
            let found = Dilated::centred(kernel, dilation).blind_fraction();
            assert!((found - blind).abs() < 5e-7, "{kernel}, {dilation}: {found}");
        }
    }

    #[test]
    fn the_hybrid_condition_of_the_published_groups() {
        // dilation.md 3: M2, and whether the whole condition holds
        for (rates, distance, passes) in [
            (&[1, 2, 5][..], 2, true),
            (&[1, 2, 9], 5, false),
            (&[2, 4, 8], 4, false),
            (&[1, 3, 9], 3, true),
            (&[2, 2, 2], 2, false),
            (&[3, 3, 3], 3, false),
            (&[10], 10, false),
        ] {
            let hdc = Hdc::of(3, rates);
            assert_eq!((hdc.distance, hdc.passes()), (distance, passes), "{rates:?}");
        }
    }

    #[test]
    fn the_exact_test_names_the_layer_that_leaves_a_hole() {
        assert!(HoleTest::of(&taps(3, &[9, 1, 3])).passes());
        // dilation.md 5: 21 > 17
        let gap = HoleTest::of(&taps(3, &[1, 2, 5, 21, 42])).gap;
        assert_eq!(gap, Some(Gap { layer: Dilated::centred(3, 21), width: 17 }));
        for rates in [&[1, 2, 3, 5, 8, 13][..], &[1, 2, 3, 4, 6, 9, 14, 21, 32, 48, 72]] {
            assert!(HoleTest::of(&taps(3, rates)).passes());
        }
    }

    #[test]
    fn the_deepest_path_of_the_presets() {
        let path = |name: &str| {
            deepest_path(&Architecture::preset(name).unwrap().unwrap().graph().unwrap())
        };
        assert_eq!(path("hybrid"), taps(3, &[1, 2, 5].repeat(8)));
        assert_eq!(path("grouped").len(), 32);
        assert_eq!(path("pyramid").last(), Some(&Dilated::centred(3, 18)));
        let groups = hdc_by_kernel(&path("profile-trunk"));
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].kernel, groups[0].distance), (3, 4));
        assert!(!groups[0].passes() && groups[1].passes());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_exact_test_agrees_with_looking(
            layers in prop::collection::vec((1usize..=11, 1usize..=30), 1..=5)
        ) {
            // dilation.md 3: kernels 1 to 11, rates 1 to 30, 1 to 5 layers
            let mut g = GraphBuilder::new();
            let mut x = 0;
            for (i, &(kernel, dilation)) in layers.iter().enumerate() {
                x = g.add(format!("conv{i}"), Op::centred(4, kernel, dilation), &[x]).unwrap();
            }
            let contiguous = seen(&g.finish().unwrap()).unwrap().into_iter().all(|seen| seen);
            let layers: Vec<Dilated> =
                layers.into_iter().map(|(k, d)| Dilated::centred(k, d)).collect();
            prop_assert_eq!(HoleTest::of(&layers).passes(), contiguous);
        }

        #[test]
        fn both_tests_agree_for_kernel_3_from_rate_1(
            steps in prop::collection::vec(1usize..=12, 1..=5)
        ) {
            // dilation.md 3: sorted distinct rates that begin at 1
            let mut rates = vec![1];
            for step in steps {
                rates.push(rates[rates.len() - 1] + step);
            }
            prop_assert_eq!(HoleTest::of(&taps(3, &rates)).passes(), Hdc::of(3, &rates).passes());
        }
    }
}
