//! Which input bases one output can see, and over how many paths (dilation.md 3).
//!
//! A layer is the polynomial `Σ z^(j·dilation − left)`; layers in a row multiply, values that are
//! joined (add, concat, gate) sum. The coefficient of `z^m` at the output is the number of paths to
//! the base `m` to the right. Walked over the graph itself, so skips and parallel branches count.

use super::graph::Graph;
use super::op::Op;
use super::ranges::Reach;
use crate::error::{Error, Result};
use serde::Serialize;
use std::rc::Rc;

/// Longest receptive field whose offsets are listed one by one.
pub const MOST_OFFSETS: u64 = 1 << 24;

/// What one output can and cannot see.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coverage {
    /// Bases from the leftmost to the rightmost that any path reaches.
    pub hull: u64,
    /// Bases inside the hull that no path reaches.
    pub unseen: u64,
    /// Those bases as runs of offsets from the output, both ends included.
    pub blind_runs: Vec<[i64; 2]>,
    /// All paths; beyond 2^53 rounded, as are all counts.
    pub paths: f64,
    /// Paths to the base under the output.
    pub paths_to_centre: f64,
    /// Half of the bases of the hull have no more paths than this.
    pub median_paths: f64,
    /// Offset of the first count.
    #[serde(skip)]
    pub first: i64,
    /// Paths to each offset of the hull, from the leftmost on.
    #[serde(skip)]
    pub counts: Vec<f64>,
}

impl Coverage {
    /// Of a network.
    ///
    /// # Errors
    /// A receptive field over [`MOST_OFFSETS`].
    pub fn of(graph: &Graph) -> Result<Self> {
        let Reach { left, .. } = graph.reach();
        let first = -i64::try_from(left).unwrap_or(i64::MAX);
        let seen = seen(graph)?;
        let counts = path_counts(graph)?;
        let offset = |index: usize| first + i64::try_from(index).unwrap_or(i64::MAX);
        let mut blind_runs: Vec<[i64; 2]> = Vec::new();
        for hole in (0..seen.len()).filter(|&index| !seen[index]).map(offset) {
            match blind_runs.last_mut() {
                Some([_, last]) if *last + 1 == hole => *last = hole,
                _ => blind_runs.push([hole, hole]),
            }
        }
        let mut sorted = counts.clone();
        let (_, median, _) = sorted.select_nth_unstable_by((counts.len() - 1) / 2, f64::total_cmp);
        Ok(Self {
            hull: counts.len() as u64,
            unseen: seen.iter().filter(|seen| !**seen).count() as u64,
            blind_runs,
            paths: counts.iter().sum::<f64>().min(f64::MAX),
            paths_to_centre: counts[(-first).unsigned_abs() as usize],
            median_paths: *median,
            first,
            counts,
        })
    }
}

/// Whether some path joins the output to each offset of the hull, from the leftmost on. Exact for
/// any number of paths.
///
/// # Errors
/// A receptive field over [`MOST_OFFSETS`].
pub fn seen(graph: &Graph) -> Result<Vec<bool>> {
    let Bits { words, length } = walk(graph)?;
    Ok((0..length).map(|i| words[i / 64] >> (i % 64) & 1 == 1).collect())
}

/// Number of paths from the output to each offset of the hull, from the leftmost on. Exact up to
/// 2^53, then rounded, at most 1.8e308.
///
/// # Errors
/// A receptive field over [`MOST_OFFSETS`].
pub fn path_counts(graph: &Graph) -> Result<Vec<f64>> {
    walk(graph)
}

/// A row of coefficients from some offset on: booleans or counts.
trait Row {
    /// The row of `length` zeros.
    fn zeros(length: usize) -> Self;
    /// The row that holds one path, of length 1.
    fn one() -> Self;
    fn length(&self) -> usize;
    /// Adds `other`, moved to the right by `by`; it fits.
    fn add(&mut self, other: &Self, by: usize);
}

impl Row for Vec<f64> {
    fn zeros(length: usize) -> Self {
        vec![0.0; length]
    }

    fn one() -> Self {
        vec![1.0]
    }

    fn length(&self) -> usize {
        self.len()
    }

    fn add(&mut self, other: &Self, by: usize) {
        for (sum, count) in self[by..].iter_mut().zip(other) {
            *sum = (*sum + count).min(f64::MAX);
        }
    }
}

/// Booleans, 64 to a word; the bits beyond `length` are 0.
struct Bits {
    words: Vec<u64>,
    length: usize,
}

impl Row for Bits {
    fn zeros(length: usize) -> Self {
        Self { words: vec![0; length.div_ceil(64)], length }
    }

    fn one() -> Self {
        Self { words: vec![1], length: 1 }
    }

    fn length(&self) -> usize {
        self.length
    }

    fn add(&mut self, other: &Self, by: usize) {
        let (skip, shift) = (by / 64, by % 64);
        for (i, &word) in other.words.iter().enumerate() {
            self.words[skip + i] |= word << shift;
            // a shift by 64 is none, and the last carry may fall beyond the row
            let carry = word.checked_shr(64 - shift as u32).unwrap_or(0);
            if carry != 0 {
                self.words[skip + i + 1] |= carry;
            }
        }
    }
}

/// A row whose first coefficient stands for the offset `-left`.
struct Polynomial<R> {
    left: usize,
    row: R,
}

/// The polynomial of the output node.
fn walk<R: Row>(graph: &Graph) -> Result<R> {
    let reach = graph.reach();
    if reach.receptive_field() > MOST_OFFSETS {
        return Err(Error::new("the receptive field is too long to look at every offset")
            .found(format!("{} bases", reach.receptive_field()))
            .expected(format!("at most {MOST_OFFSETS}")));
    }
    let mut readers = graph.readers();
    let mut done: Vec<Option<Rc<Polynomial<R>>>> = Vec::with_capacity(readers.len());
    for node in graph.nodes() {
        let inputs: Vec<Rc<Polynomial<R>>> = node
            .inputs
            .iter()
            .map(|&input| done[input].clone().expect("kept until its last reader is done"))
            .collect();
        let value = match (&inputs[..], &node.op) {
            ([], Op::Control { .. }) => Rc::new(Polynomial { left: 0, row: R::zeros(1) }),
            ([], _) => Rc::new(Polynomial { left: 0, row: R::one() }),
            ([x], &Op::Conv { kernel, dilation, left, .. }) if kernel > 1 => {
                Rc::new(Polynomial { left: x.left + left, row: spread(&x.row, kernel, dilation) })
            }
            ([x], _) => Rc::clone(x),
            (several, _) => Rc::new(sum(several)),
        };
        done.push(Some(value));
        drop(inputs);
        for &input in &node.inputs {
            readers[input] -= 1;
            if readers[input] == 0 {
                done[input] = None;
            }
        }
    }
    let output = done.pop().flatten().expect("a graph has an output");
    let row = Rc::try_unwrap(output).map(|polynomial| polynomial.row);
    Ok(row.unwrap_or_else(|shared| sum(&[shared]).row))
}

/// `Σ_j z^(j·dilation)` times a row, in about `2·log2(kernel)` additions.
fn spread<R: Row>(x: &R, kernel: usize, dilation: usize) -> R {
    let mut spread = R::zeros(x.length() + (kernel - 1) * dilation);
    if kernel == 1 {
        spread.add(x, 0);
    } else if kernel.is_multiple_of(2) {
        let half = self::spread(x, kernel / 2, dilation);
        spread.add(&half, 0);
        spread.add(&half, kernel / 2 * dilation);
    } else {
        spread.add(x, 0);
        spread.add(&self::spread(x, kernel - 1, dilation), dilation);
    }
    spread
}

fn sum<R: Row>(terms: &[Rc<Polynomial<R>>]) -> Polynomial<R> {
    let left = terms.iter().map(|term| term.left).max().unwrap_or(0);
    let length = terms.iter().map(|term| left - term.left + term.row.length()).max().unwrap_or(0);
    let mut row = R::zeros(length);
    for term in terms {
        row.add(&term.row, left - term.left);
    }
    Polynomial { left, row }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Padding;
    use crate::network::{Activation, Architecture, GraphBuilder};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Convolutions of 3 taps in a row; with `residual`, each with its input added.
    fn stack(kernel: usize, rates: &[usize], residual: bool) -> Graph {
        let mut g = GraphBuilder::new();
        let mut x = 0;
        for (i, &rate) in rates.iter().enumerate() {
            let y = g.add(format!("conv{i}"), Op::centred(4, kernel, rate), &[x]).unwrap();
            x = if residual { g.add(format!("add{i}"), Op::Add, &[x, y]).unwrap() } else { y };
        }
        g.finish().unwrap()
    }

    /// Counts from offset 0 outward.
    fn outward(coverage: &Coverage) -> Vec<f64> {
        coverage.counts[(-coverage.first) as usize..].to_vec()
    }

    #[test]
    fn path_counts_of_the_small_stacks() {
        // dilation.md 3, table
        for (rates, hull, unseen, counts) in [
            (&[2, 2, 2][..], 13, 6, &[7, 0, 6, 0, 3, 0, 1][..]),
            (&[2, 4, 8], 29, 14, &[1, 0, 3, 0, 2, 0, 3, 0, 1, 0, 2, 0, 1, 0, 1]),
            (&[3, 3, 3], 19, 12, &[7, 0, 0, 6, 0, 0, 3, 0, 0, 1]),
            (&[1, 2, 4], 15, 0, &[1, 3, 2, 3, 1, 2, 1, 1]),
            (&[1, 2, 5], 17, 0, &[1, 2, 2, 2, 2, 1, 2, 1, 1]),
            (&[1, 2, 9], 25, 4, &[1, 2, 1, 1, 0, 0, 1, 1, 2, 1, 2, 1, 1]),
            (&[1, 3, 9], 27, 0, &[1; 14]),
        ] {
            let coverage = Coverage::of(&stack(3, rates, false)).unwrap();
            assert_eq!((coverage.hull, coverage.unseen), (hull, unseen), "{rates:?}");
            let counts: Vec<f64> = counts.iter().map(|&n| f64::from(n)).collect();
            assert_eq!(outward(&coverage), counts, "{rates:?}");
            assert_eq!(coverage.paths, 27.0);
            // the order of the layers does not matter
            let reversed: Vec<usize> = rates.iter().rev().copied().collect();
            assert_eq!(Coverage::of(&stack(3, &reversed, false)).unwrap(), coverage);
        }
        let residual = Coverage::of(&stack(3, &[2, 2, 2], true)).unwrap();
        assert_eq!(outward(&residual), [20.0, 0.0, 15.0, 0.0, 6.0, 0.0, 1.0]);
        assert_eq!(residual.blind_runs, [[-5, -5], [-3, -3], [-1, -1], [1, 1], [3, 3], [5, 5]]);
    }

    #[test]
    fn coverage_of_long_networks() {
        // dilation.md 3, "Long nets"
        let doubling = [2, 4, 8, 16, 32, 64, 128, 256];
        let alone = Coverage::of(&stack(3, &doubling, false)).unwrap();
        assert_eq!((alone.hull, alone.unseen), (1021, 510));
        assert!(alone.blind_runs.iter().all(|[from, to]| from == to && from % 2 != 0));
        for (residual, centre) in [(false, 103.0), (true, 2786.0)] {
            let mut g = GraphBuilder::new();
            let mut x = g.add("stem", Op::centred(4, 21, 1), &[0]).unwrap();
            for rate in doubling {
                let y = g.add(format!("conv{rate}"), Op::centred(4, 3, rate), &[x]).unwrap();
                x = match residual {
                    true => g.add(format!("add{rate}"), Op::Add, &[x, y]).unwrap(),
                    false => y,
                };
            }
            let coverage = Coverage::of(&g.finish().unwrap()).unwrap();
            assert_eq!((coverage.hull, coverage.unseen), (1041, 0));
            assert_eq!(coverage.paths_to_centre, centre);
        }
        let last_group = Coverage::of(&stack(41, &[25; 8], true)).unwrap();
        assert_eq!((last_group.hull, last_group.unseen), (8001, 7680));
        let whole = Architecture::preset("grouped").unwrap().unwrap().graph().unwrap();
        let whole = Coverage::of(&whole).unwrap();
        assert_eq!((whole.hull, whole.unseen), (10_001, 0));
    }

    #[test]
    fn tuned_rates_need_a_base_without_holes() {
        // dilation.md 5, "Periodicity": rates, reach per side, unseen
        for (rates, reach, unseen) in [
            (&[21, 42, 84][..], 147, 280),
            (&[1, 3, 9, 21, 42, 84, 147], 307, 0),
            (&[1, 3, 9, 21, 42, 147], 223, 0),
            (&[1, 2, 5, 21, 42], 71, 24),
            (&[1, 2, 5, 10, 21, 42, 84, 147], 312, 0),
        ] {
            let coverage = Coverage::of(&stack(3, rates, false)).unwrap();
            assert_eq!((coverage.hull, coverage.unseen), (2 * reach + 1, unseen), "{rates:?}");
        }
    }

    #[test]
    fn parallel_rates_see_few_offsets() {
        // dilation.md 5, ASPP: 37 positions, 7 offsets, with and without a branch of one tap
        let pyramid = [(6, 3), (12, 3), (18, 3), (1, 1)];
        for rates in [&pyramid[..3], &pyramid] {
            let mut g = GraphBuilder::new();
            let mut branches = vec![];
            for &(rate, kernel) in rates {
                let conv = Op::centred(4, kernel, rate);
                branches.push(g.add(format!("rate{rate}"), conv, &[0]).unwrap());
            }
            g.add("all", Op::Concat, &branches).unwrap();
            let coverage = Coverage::of(&g.finish().unwrap()).unwrap();
            assert_eq!((coverage.hull, coverage.hull - coverage.unseen), (37, 7));
            assert!((coverage.unseen as f64 / coverage.hull as f64 - 0.8108).abs() < 1e-4);
        }
    }

    #[test]
    fn counts_beyond_all_numbers_stay_finite_and_seen_stays_exact() {
        let coverage = Coverage::of(&stack(9, &[2; 400], true)).unwrap();
        assert_eq!(coverage.paths_to_centre, f64::MAX);
        assert_eq!(coverage.paths, f64::MAX);
        assert_eq!(coverage.unseen, (coverage.hull - 1) / 2);
    }

    #[test]
    fn an_endless_receptive_field_is_refused() {
        let error = Coverage::of(&stack(3, &[1 << 24], false)).unwrap_err().to_string();
        assert!(error.contains("expected at most 16777216"), "{error}");
    }

    /// Numbers from a list, again and again.
    struct Choices<'a>(std::iter::Cycle<std::slice::Iter<'a, usize>>);

    impl Choices<'_> {
        fn below(&mut self, limit: usize) -> usize {
            self.0.next().unwrap() % limit
        }
    }

    /// A network of random convolutions and joints, every value of two channels.
    fn random_graph(choices: &[usize]) -> Graph {
        let mut n = Choices(choices.iter().cycle());
        let mut g = GraphBuilder::new();
        let mut values = vec![g.add("stem", Op::pointwise(2), &[0]).unwrap()];
        for i in 0..2 + n.below(7) {
            let mut pick = || values[n.below(values.len())];
            let (a, b) = (pick(), pick());
            let joint = n.below(5);
            let name = format!("node{i}");
            values.push(match joint {
                0 => g.add(name, Op::Add, &[a, b]).unwrap(),
                1 => g.add(name, Op::Gate, &[a, b]).unwrap(),
                2 => {
                    let both = g.add(format!("{name}.both"), Op::Concat, &[a, b, a]).unwrap();
                    g.add(name, Op::pointwise(2), &[both]).unwrap()
                }
                3 => {
                    let function = Activation::Relu;
                    g.add(name, Op::Activation { function }, &[a]).unwrap()
                }
                _ => {
                    let (kernel, dilation) = (1 + n.below(6), 1 + n.below(30));
                    let left = n.below((kernel - 1) * dilation + 1);
                    let conv = Op::Conv {
                        channels: 2,
                        kernel,
                        dilation,
                        left,
                        bias: true,
                        padding: Padding::None,
                    };
                    g.add(name, conv, &[a]).unwrap()
                }
            });
        }
        g.finish_used().unwrap()
    }

    /// Follows every path from a node down to the input, one by one.
    fn follow(graph: &Graph, node: usize, offset: i64, found: &mut BTreeMap<i64, u64>) {
        let node = &graph.nodes()[node];
        if node.inputs.is_empty() {
            *found.entry(offset).or_default() += 1;
        }
        for &input in &node.inputs {
            let (kernel, dilation, left) = match node.op {
                Op::Conv { kernel, dilation, left, .. } => (kernel, dilation, left),
                _ => (1, 1, 0),
            };
            for tap in 0..kernel {
                let moved = offset + (tap * dilation) as i64 - left as i64;
                follow(graph, input, moved, found);
            }
        }
    }

    proptest! {
        #[test]
        fn counts_and_sight_agree_with_following_every_path(
            choices in prop::collection::vec(0usize..1000, 5..60)
        ) {
            let graph = random_graph(&choices);
            let mut found = BTreeMap::new();
            follow(&graph, graph.output(), 0, &mut found);
            let coverage = Coverage::of(&graph).unwrap();
            let seen = seen(&graph).unwrap();
            let reach = graph.reach();
            prop_assert_eq!(coverage.hull, reach.receptive_field());
            for (index, count) in coverage.counts.iter().enumerate() {
                let offset = coverage.first + index as i64;
                let paths = found.remove(&offset).unwrap_or(0);
                prop_assert_eq!(*count, paths as f64, "offset {}", offset);
                prop_assert_eq!(seen[index], paths > 0, "offset {}", offset);
            }
            prop_assert!(found.is_empty());
        }
    }
}
