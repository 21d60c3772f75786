//! Values of the reference that edits read.

use crate::network::{NodeId, Span};

/// Stored values of a run over the reference, at the positions that edits copy.
#[derive(Debug, Default)]
pub struct Kept {
    /// Per node, which positions are kept.
    spans: Vec<Span>,
    /// Per node, row after row.
    rows: Vec<Vec<f32>>,
}

impl Kept {
    /// Makes room for these positions of each node, in rows of these strides.
    pub fn make_room(&mut self, spans: Vec<Span>, stride: impl Fn(NodeId) -> usize) {
        self.rows.resize_with(self.rows.len().max(spans.len()), Vec::new);
        for (node, (rows, span)) in self.rows.iter_mut().zip(&spans).enumerate() {
            let need = span.len() * stride(node);
            if rows.len() < need {
                rows.resize(need, 0.0);
            }
        }
        self.spans = spans;
    }

    /// Rows of some positions of a node, all of them kept.
    pub fn rows(&self, node: NodeId, span: Span, stride: usize) -> &[f32] {
        if span.is_empty() {
            return &[];
        }
        let first = (span.start - self.spans[node].start) as usize * stride;
        &self.rows[node][first..first + span.len() * stride]
    }

    /// Keeps those rows of a block that are wanted.
    pub fn take(&mut self, node: NodeId, block: Span, rows: &[f32], stride: usize) {
        let kept = block.intersect(self.spans[node]);
        if kept.is_empty() {
            return;
        }
        let skip = (kept.start - block.start) as usize * stride;
        let to = (kept.start - self.spans[node].start) as usize * stride;
        let count = kept.len() * stride;
        self.rows[node][to..to + count].copy_from_slice(&rows[skip..skip + count]);
    }
}
