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

    /// Which positions of a node are kept.
    pub fn span(&self, node: NodeId) -> Span {
        self.spans[node]
    }

    /// Where the rows of a node go, from a kept position on.
    pub fn rows_mut(&mut self, node: NodeId, from: i64, stride: usize) -> &mut [f32] {
        let first = (from - self.spans[node].start) as usize * stride;
        &mut self.rows[node][first..]
    }
}
