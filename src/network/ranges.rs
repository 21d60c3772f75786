//! Interval arithmetic on a graph: reach, needed inputs, touched outputs (dilation.md 7).

use super::graph::{Graph, Node, NodeId};
use super::op::{Op, Padding};
use serde::Serialize;

/// How far one output looks: it reads input positions `[t − left, t + right]`, in bases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Reach {
    /// Positions to the left of the output.
    pub left: u64,
    /// Positions to the right of the output.
    pub right: u64,
}

impl Reach {
    /// Positions that one output sees: `left + 1 + right`.
    pub fn receptive_field(self) -> u64 {
        self.left + 1 + self.right
    }

    /// The smallest reach that covers both.
    pub fn hull(self, other: Self) -> Self {
        Self { left: self.left.max(other.left), right: self.right.max(other.right) }
    }
}

/// A range of positions, half-open; empty when `end <= start`. Positions may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First position.
    pub start: i64,
    /// One past the last position.
    pub end: i64,
}

impl Span {
    /// No position at all.
    pub const EMPTY: Self = Self { start: 0, end: 0 };

    /// All positions that there are.
    pub const EVERYWHERE: Self = Self { start: i64::MIN / 4, end: i64::MAX / 4 };

    /// The one row of a scalar.
    pub const SCALAR: Self = Self { start: 0, end: 1 };

    /// From the first position and one past the last.
    pub fn new(start: i64, end: i64) -> Self {
        Self { start, end }
    }

    /// Number of positions.
    pub fn len(self) -> usize {
        usize::try_from(self.end.saturating_sub(self.start)).unwrap_or(0)
    }

    /// Whether it holds no position.
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// The smallest range that covers both.
    pub fn hull(self, other: Self) -> Self {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => other,
            (_, true) => self,
            _ => Self { start: self.start.min(other.start), end: self.end.max(other.end) },
        }
    }

    /// What both hold.
    pub fn intersect(self, other: Self) -> Self {
        let both = Self { start: self.start.max(other.start), end: self.end.min(other.end) };
        if both.is_empty() { Self::EMPTY } else { both }
    }

    /// The range with so many fewer positions on either side.
    pub fn shrink(self, left: u64, right: u64) -> Self {
        let inner = Self {
            start: self.start.saturating_add_unsigned(left),
            end: self.end.saturating_sub_unsigned(right),
        };
        if inner.is_empty() { Self::EMPTY } else { inner }
    }

    /// The range with so many more positions on either side; an empty one stays empty.
    pub fn widen(self, left: u64, right: u64) -> Self {
        if self.is_empty() {
            return Self::EMPTY;
        }
        Self {
            start: self.start.saturating_sub_unsigned(left),
            end: self.end.saturating_add_unsigned(right),
        }
    }
}

/// See [`Graph::domains`].
pub(super) fn domains(nodes: &[Node], input: Span) -> Vec<Span> {
    let mut domains: Vec<Span> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let all = node.inputs.iter().map(|&earlier| domains[earlier]);
        let inside = all.reduce(Span::intersect).unwrap_or(input);
        domains.push(match node.op {
            _ if inside.is_empty() => Span::EMPTY,
            Op::Conv { padding: Padding::None, .. } => {
                let reach = node.op.reach();
                inside.shrink(reach.left, reach.right)
            }
            Op::Crop { left, right } => inside.shrink(left as u64, right as u64),
            Op::Mean | Op::LogTotal { .. } => Span::SCALAR,
            _ => inside,
        });
    }
    domains
}

impl Graph {
    /// How far an output position looks into the sequence: the hull over all paths.
    pub fn reach(&self) -> Reach {
        self.reach_of(self.output())
    }

    /// How far a position of a node looks into the sequence.
    pub fn reach_of(&self, node: NodeId) -> Reach {
        let mut needed = vec![Span::EMPTY; self.nodes().len()];
        needed[node] = Span::new(0, 1);
        let input = self.walk_back(needed, &[], |_, span| span)[0];
        Reach { left: input.start.unsigned_abs(), right: input.end.unsigned_abs() - 1 }
    }

    /// The positions at which each node has a value, when the sequence and the controls have
    /// `input` positions. A scalar has the one row 0.
    pub fn domains(&self, input: Span) -> Vec<Span> {
        domains(self.nodes(), input)
    }

    /// The positions of each node that `output` positions of the last node need, in a sequence
    /// without ends. Nodes that are not needed get an empty range; scalars never are.
    pub fn needed(&self, output: Span) -> Vec<Span> {
        self.needed_in_blocks(output, |_, span| span)
    }

    /// The same where a node can be computed in whole blocks only: `whole` turns the positions
    /// that are wanted of a node into those that are computed.
    pub fn needed_in_blocks(
        &self,
        output: Span,
        whole: impl FnMut(NodeId, Span) -> Span,
    ) -> Vec<Span> {
        let mut needed = vec![Span::EMPTY; self.nodes().len()];
        needed[self.output()] = output;
        self.walk_back(needed, &[], whole)
    }

    /// The positions of each node that the whole output and the scalar head need in a window, given
    /// the domains of the nodes there. A range may reach beyond the node's domain: its readers see
    /// zeros there.
    pub fn needed_in_window(
        &self,
        domains: &[Span],
        whole: impl FnMut(NodeId, Span) -> Span,
    ) -> Vec<Span> {
        let mut needed = vec![Span::EMPTY; self.nodes().len()];
        for end in [Some(self.output()), self.scalar_head()].into_iter().flatten() {
            needed[end] = domains[end];
        }
        self.walk_back(needed, domains, whole)
    }

    /// Fills in what each node needs of its inputs, from the ends of the graph to the sequence.
    /// Without `domains` every node has values everywhere.
    fn walk_back(
        &self,
        mut needed: Vec<Span>,
        domains: &[Span],
        mut whole: impl FnMut(NodeId, Span) -> Span,
    ) -> Vec<Span> {
        let domain = |node: NodeId| domains.get(node).copied().unwrap_or(Span::EVERYWHERE);
        // without what only padded convolutions read, beyond the ends of their input
        let mut computed = needed.clone();
        for (id, node) in self.nodes().iter().enumerate().rev() {
            let reach = node.op.reach();
            let wanted = whole(id, computed[id]).widen(reach.left, reach.right);
            let padded = matches!(node.op, Op::Conv { padding: Padding::Zero, .. });
            for &input in &node.inputs {
                let wanted = match node.op.pools() && !wanted.is_empty() {
                    true => domain(input),
                    false => wanted,
                };
                needed[input] = needed[input].hull(wanted);
                let inside = if padded { wanted.intersect(domain(input)) } else { wanted };
                computed[input] = computed[input].hull(inside);
            }
        }
        needed
    }

    /// The positions of each node that can change when `input` positions of the sequence change.
    pub fn touched(&self, input: Span) -> Vec<Span> {
        let mut touched = vec![Span::EMPTY; self.nodes().len()];
        touched[0] = input;
        for (id, node) in self.nodes().iter().enumerate().skip(1) {
            let reach = node.op.reach();
            let changed = node
                .inputs
                .iter()
                .map(|&earlier| touched[earlier].widen(reach.right, reach.left))
                .fold(Span::EMPTY, Span::hull);
            touched[id] = match node.op.pools() && !changed.is_empty() {
                true => Span::SCALAR,
                false => changed,
            };
        }
        touched
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::blocks::{Dilated, GroupedSpec, grouped};
    use crate::network::{Activation, GraphBuilder, Op};

    /// The SpliceAI shape of networks.md 2: kernels and dilations per group of four units.
    fn splice(groups: &[(usize, usize)]) -> Graph {
        let spec = GroupedSpec {
            channels: 32,
            groups: groups.iter().map(|&(k, d)| vec![Dilated::centred(k, d); 4]).collect(),
            activation: Activation::Relu,
            epsilon: 1e-3,
        };
        let mut g = GraphBuilder::new();
        let x = grouped(&mut g, &spec).unwrap();
        g.add("head", Op::pointwise(3), &[x]).unwrap();
        g.finish().unwrap()
    }

    const SPLICE_10K: [(usize, usize); 4] = [(11, 1), (11, 4), (21, 10), (41, 25)];

    #[test]
    fn reach_of_the_published_stacks() {
        // dilation.md 2 and networks.md 2
        for (depth, flank) in [(1, 40), (2, 200), (3, 1000), (4, 5000)] {
            let reach = splice(&SPLICE_10K[..depth]).reach();
            assert_eq!(reach, Reach { left: flank, right: flank });
        }
        let reach = splice(&[(26, 1), (26, 2), (36, 5)]).reach();
        assert_eq!(reach, Reach { left: 992, right: 1008 });
    }

    #[test]
    fn needed_and_touched_widths_of_a_central_variant() {
        // dilation.md 7: SpliceAI-10k, one SNV, 101 outputs; widths after each group
        let graph = splice(&SPLICE_10K);
        let needed = graph.needed(Span::new(-50, 51));
        let touched = graph.touched(Span::new(0, 1));
        let node = |name: &str| graph.nodes().iter().position(|n| n.name == name).unwrap();
        for (name, needs, touches) in [
            ("stem", 10_101, 1),
            ("unit.3.add", 10_021, 81),
            ("unit.7.add", 9_701, 401),
            ("unit.11.add", 8_101, 2_001),
            ("unit.15.add", 101, 10_001),
        ] {
            assert_eq!(needed[node(name)].len(), needs, "{name}");
            assert_eq!(touched[node(name)].len(), touches, "{name}");
        }
    }

    #[test]
    fn flops_of_the_trapezoid_and_the_incremental_cone() {
        // dilation.md 7, table of FLOP counts, D = 50 and 500
        let graph = splice(&SPLICE_10K);
        let convs = graph.nodes().iter().enumerate();
        let per_node: Vec<u64> =
            convs.map(|(id, node)| node.op.flops_per_position(graph.input_channels(id))).collect();
        for (distance, trapezoid, incremental) in
            [(50, 9_036_613_824_u64, 2_393_715_904_u64), (500, 10_284_863_424, 2_776_045_504)]
        {
            let needed = graph.needed(Span::new(-distance, distance + 1));
            let touched = graph.touched(Span::new(0, 1));
            let sum = |spans: &mut dyn Iterator<Item = Span>| -> u64 {
                spans.zip(&per_node).map(|(span, flops)| span.len() as u64 * flops).sum()
            };
            assert_eq!(sum(&mut needed.iter().copied()), trapezoid);
            let changed = &mut needed.iter().zip(&touched).map(|(n, t)| n.intersect(*t));
            assert_eq!(sum(changed), incremental);
        }
    }

    #[test]
    fn spans_behave_at_their_edges() {
        let (a, b) = (Span::new(0, 5), Span::new(7, 9));
        assert_eq!(a.hull(b), Span::new(0, 9));
        assert!(a.intersect(b).is_empty());
        assert_eq!(Span::EMPTY.hull(b), b);
        assert!(Span::EMPTY.widen(3, 3).is_empty());
    }
}
