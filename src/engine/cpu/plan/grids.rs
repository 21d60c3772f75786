//! Anchored blocks: where a value is computed block by block, and where blocks begin.

use crate::network::{Graph, NodeId, Span};

/// The blocks in which a value is computed: block `k` begins at `offset + k · block`, in absolute
/// positions on the strand that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Positions per block; 1 where any position can be computed by itself.
    pub block: usize,
    /// Where a block begins.
    pub offset: i64,
}

impl Grid {
    /// The whole blocks that cover a range.
    pub fn cover(self, span: Span) -> Span {
        let block = i64::try_from(self.block).expect("a block fits memory");
        if span.is_empty() || block == 1 {
            return span;
        }
        let down = |position: i64| (position - self.offset).div_euclid(block) * block + self.offset;
        Span::new(down(span.start), down(span.end - 1).saturating_add(block))
    }
}

/// Places the blocks of each step so that they begin where the blocks of the step after it begin
/// to read: then only the other end of a stretch has to be rounded up, layer after layer. Lengths
/// of blocks come with the node of their step.
pub fn align_blocks(
    graph: &Graph,
    blocks: impl Iterator<Item = (NodeId, usize)>,
    domains: Option<&[Span]>,
) -> Vec<Grid> {
    let mut grids = vec![Grid { block: 1, offset: 0 }; graph.nodes().len()];
    for (node, block) in blocks {
        grids[node].block = block;
    }
    let place = |node: NodeId, span: Span| {
        grids[node].offset = span.start;
        grids[node].cover(span)
    };
    match domains {
        None => graph.needed_in_blocks(Span::new(0, 1), place),
        Some(domains) => graph.needed_in_window(domains, place),
    };
    grids
}
