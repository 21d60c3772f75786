//! What a network is: a graph of operations that know which inputs an output range needs.
//!
//! Pure arithmetic: no I/O, no thread, no tensor library.

pub mod architecture;
pub mod blocks;
pub mod cost;
pub mod coverage;
pub mod design;
pub mod facts;
pub mod graph;
pub mod holes;
pub mod op;
pub mod ranges;
pub mod schedule;
pub mod spectrum;
pub(crate) mod toml_error;
mod unwindow;

pub use architecture::Architecture;
pub use coverage::Coverage;
pub use facts::Facts;
pub use graph::{Graph, GraphBuilder, Node, NodeId, Parameter};
pub use op::{Activation, Op, Padding};
pub use ranges::{Reach, Span};
pub use unwindow::{MeanOf, Stretched};
