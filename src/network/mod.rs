//! What a network is: a graph of operations that know which inputs an output range needs.
//!
//! Pure arithmetic: no I/O, no thread, no tensor library.

pub mod graph;
pub mod ranges;

pub use graph::{Activation, Graph, Node, NodeId, Op};
pub use ranges::Reach;
