//! atrous: long-range DNA sequence models with deep dilated convolutions.

pub mod engine;
pub mod error;
pub mod genome;
pub mod job;
pub mod model;
pub mod network;
pub mod predict;
pub mod track;

pub use error::{Error, Result};
