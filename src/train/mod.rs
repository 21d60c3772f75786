//! Training: from a genome and a signal to a model.
//!
//! A run is one TOML file ([`config`]). Its data are read and checked before the first step
//! ([`data`]); examples are a function of the seed and the step alone ([`sampler`]), so that a run
//! that was killed goes on to the same bits. What is trained is the graph of [`crate::network`] up
//! to its last convolution, on libtorch (feature `torch`); what comes out is a model file that
//! every engine runs.

#[cfg(feature = "torch")]
mod adamw;
pub mod batch;
#[cfg(feature = "torch")]
mod checkpoint;
pub mod config;
pub mod data;
pub mod evaluate;
#[cfg(feature = "torch")]
pub mod fit;
pub mod history;
pub mod judge;
#[cfg(feature = "torch")]
mod loss;
pub mod metrics;
pub mod network;
pub mod parts;
pub mod plan;
pub mod random;
pub mod run;
pub mod sampler;
pub mod schedule;
pub mod splits;
pub mod track;
