//! What every long run shares: atomic output, journal, lock, shard and manifest, progress, signals,
//! summary.

pub mod digest;
pub mod distinct;
pub mod estimate;
pub mod journal;
pub mod limits;
pub mod lock;
pub mod manifest;
pub mod output;
pub mod progress;
pub mod resources;
pub mod shard;
pub mod signal;
pub mod summary;

pub use journal::{Checkpoint, Journal};
pub use lock::Lock;
pub use output::OutputFile;
pub use progress::Progress;
pub use summary::Summary;
