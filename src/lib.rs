//! atrous: long-range DNA sequence models with deep dilated convolutions.
//!
//! A network is a graph of operations, each of which states which inputs a range of outputs needs;
//! everything else is interval arithmetic on that graph. The main job, [`predict::predict`], walks
//! through the rooms in this order:
//!
//! 1. [`genome`]: regions of a reference, 0-based and half-open, checked against its contigs;
//! 2. [`predict`]: regions become tiles, tiles become letters;
//! 3. [`engine`]: letters become values of each track of a [`model`], which is a [`network`] with
//!    weights;
//! 4. [`predict`]: values are put together in genome order, each base once;
//! 5. [`track`]: values become bedGraph files and region tables, which appear under their names
//!    when they are complete ([`job`]).
//!
//! ```
//! use atrous::engine::cpu::{CpuEngine, Isa};
//! use atrous::genome::{Reference, Resolver, regions::parse_region};
//! use atrous::job::Progress;
//! use atrous::model::file;
//! use atrous::predict::{Request, predict};
//! use std::path::Path;
//!
//! # fn main() -> atrous::Result<()> {
//! let model = file::read(Path::new("models/human-splice-pwm/model.safetensors"))?.model;
//! let tracks = model.select_tracks(&["donor".into()], None)?;
//! let engine = CpuEngine::new(&model, &tracks, Isa::best())?;
//!
//! let mut reference = Reference::open(Path::new("test-data/yeast.chrI.fa.gz"))?;
//! let resolver = Resolver::new(reference.contigs(), None)?;
//! let region = parse_region("chrI:1,001-2,000", &resolver)?;
//!
//! let folder = std::env::temp_dir();
//! let output = folder.join(format!("atrous-example-{}.bedGraph", std::process::id()));
//! let request = Request { output: Some(output.clone()), ..Request::new(vec![region], tracks) };
//! let report = predict(&mut reference, &engine, &request, &Progress::silent())?;
//! assert_eq!(report.bases, 1000);
//! # std::fs::remove_file(output).expect("the example's output");
//! # Ok(())
//! # }
//! ```

pub mod effect;
pub mod engine;
pub mod error;
pub mod genome;
pub mod job;
pub mod merge;
pub mod model;
pub mod network;
pub mod picture;
pub mod predict;
pub mod track;
pub mod train;

pub use error::{Error, Result};
