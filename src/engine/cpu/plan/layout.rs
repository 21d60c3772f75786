//! Which kernel computes each step, and in which blocks.

use super::grids::{Grid, align_blocks};
use super::{Source, Step};
use crate::engine::cpu::kernel::Choice;
use crate::network::{Graph, NodeId, Reach, Span};

/// Places of a stretch over which costs are averaged.
const PLACES: i64 = 8;
/// Output positions of a lone edit: the window of a substitution in published programs
/// (splice-scoring.md A1: 50 positions to either side).
const LONE: i64 = 101;
/// Rounds over all shapes of convolutions in which kernels are chosen; a fourth changes nothing in
/// the published networks.
const ROUNDS: usize = 3;

/// Which kernel computes each step, and in which blocks.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Per step.
    choices: Vec<Choice>,
    /// Per node.
    grids: Vec<Grid>,
    /// Per node, where it has values in the window of the model, if there is one; positions count
    /// from the start of the window then.
    domains: Option<Vec<Span>>,
}

impl Layout {
    /// For long stretches, or a window with these domains: the own kernel of every convolution.
    pub fn for_stretches(graph: &Graph, steps: &[Step], domains: Option<Vec<Span>>) -> Self {
        Self::new(graph, steps, vec![Choice::Own; steps.len()], domains)
    }

    /// For the windows of edits, which may lie alone: the kernels that compute few outputs in the
    /// least time, on average over where they lie. Looks at the network alone.
    pub fn for_edits(graph: &Graph, steps: &[Step]) -> Self {
        let shape = |step: &Step| match &step.source {
            Source::Conv { convolution, .. } => Some(convolution.shape()),
            Source::Rows(_) => None,
        };
        let shapes: Vec<_> = steps.iter().map(shape).collect();
        let mut best = Self::for_stretches(graph, steps, None);
        let mut least = best.work(graph, steps, LONE);
        for _ in 0..ROUNDS {
            // from the output down: blocks of a step decide how much the steps before it compute
            for (index, step) in steps.iter().enumerate().rev() {
                let Source::Conv { convolution, .. } = &step.source else { continue };
                if shapes[index + 1..].contains(&shapes[index]) {
                    continue;
                }
                for choice in convolution.choices() {
                    let choose = |(shape, old)| if shape == &shapes[index] { choice } else { old };
                    let choices = shapes.iter().zip(best.choices.iter().copied()).map(choose);
                    let other = Self::new(graph, steps, choices.collect(), None);
                    let work = other.work(graph, steps, LONE);
                    if work < least {
                        (best, least) = (other, work);
                    }
                }
            }
        }
        best
    }

    fn new(
        graph: &Graph,
        steps: &[Step],
        choices: Vec<Choice>,
        domains: Option<Vec<Span>>,
    ) -> Self {
        let blocks = steps.iter().zip(&choices).map(|(step, &choice)| match &step.source {
            Source::Conv { convolution, .. } => (step.node, convolution.block_of(choice)),
            Source::Rows(_) => (step.node, 1),
        });
        let grids = align_blocks(graph, blocks, domains.as_deref());
        Self { choices, grids, domains }
    }

    /// The kernel of a step.
    pub fn choice(&self, step: usize) -> Choice {
        self.choices[step]
    }

    /// The blocks in which a node is computed.
    pub fn grid(&self, node: NodeId) -> Grid {
        self.grids[node]
    }

    /// The positions of each node that `output` positions of the last node need, in absolute
    /// coordinates on the strand that is read, or that the outputs of a window need. Anchored
    /// blocks are computed whole.
    pub fn needed(&self, graph: &Graph, output: Span) -> Vec<Span> {
        let whole = |node: NodeId, span| self.grids[node].cover(span);
        match &self.domains {
            None => graph.needed_in_blocks(output, whole),
            Some(domains) => graph.needed_in_window(domains, whole),
        }
    }

    /// The part of a range of a node that has values; beyond it, readers see zeros.
    pub fn inside(&self, node: NodeId, span: Span) -> Span {
        self.domains.as_ref().map_or(span, |domains| span.intersect(domains[node]))
    }

    /// Whether it is that of a window.
    pub fn has_window(&self) -> bool {
        self.domains.is_some()
    }

    /// How far beyond its output positions a stretch reads at most: the network's reach, and the
    /// rest of the outermost anchored blocks wherever they may begin.
    pub fn reach(&self, graph: &Graph) -> Reach {
        let needed = graph.needed_in_blocks(Span::new(0, 1), |node, span| {
            let rest = self.grids[node].block - 1;
            span.widen(rest as u64, rest as u64)
        });
        Reach { left: needed[0].start.unsigned_abs(), right: needed[0].end.unsigned_abs() - 1 }
    }

    /// What the context of a stretch costs, as a number of output positions of equal work: the
    /// mean over a few places where it may begin.
    pub fn overhead_positions(&self, graph: &Graph, steps: &[Step]) -> u64 {
        let per_position = |(index, step): (usize, &Step)| self.work_of(index, step) as f64;
        let single: f64 = steps.iter().enumerate().map(per_position).sum();
        let positions = self.work(graph, steps, 1) / single - 1.0;
        if positions.is_finite() { positions.max(0.0) as u64 } else { 0 }
    }

    /// Time that so many outputs take, in multiply-adds of the direct kernel.
    fn work(&self, graph: &Graph, steps: &[Step], outputs: i64) -> f64 {
        let longest = self.grids.iter().map(|grid| grid.block as i64).max().unwrap_or(1);
        let work = |place: i64| -> f64 {
            let start = place * longest / PLACES;
            let needed = self.needed(graph, Span::new(start, start + outputs));
            let step = |(index, step): (usize, &Step)| {
                let rows = self.grids[step.node].cover(needed[step.node]).len();
                self.work_of(index, step) as f64 * rows as f64
            };
            steps.iter().enumerate().map(step).sum()
        };
        (0..PLACES).map(work).sum::<f64>() / PLACES as f64
    }

    /// Time of a step per position.
    fn work_of(&self, index: usize, step: &Step) -> usize {
        match &step.source {
            Source::Conv { convolution, .. } => convolution.work_of(self.choices[index]),
            Source::Rows(_) => 0,
        }
    }
}
