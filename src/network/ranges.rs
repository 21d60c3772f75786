//! Interval arithmetic on a graph: reach, needed inputs, touched outputs.

/// How far one output looks: it reads input positions `[t - left, t + right]`, in bases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reach {
    /// Positions to the left of the output.
    pub left: u64,
    /// Positions to the right of the output.
    pub right: u64,
}
