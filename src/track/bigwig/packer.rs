//! Compresses sections one by one.

use flate2::{Compress, Compression, FlushCompress, Status};

/// How hard to try; each further level costs more time than it saves space.
const LEVEL: u32 = 6;

/// Compresses sections; keeps its working memory, and remembers the largest section.
pub struct Packer {
    compress: Compress,
    packed: Vec<u8>,
    largest: usize,
}

impl Packer {
    pub fn new() -> Self {
        let compress = Compress::new(Compression::new(LEVEL), true);
        Self { compress, packed: Vec::new(), largest: 0 }
    }

    /// The section in a zlib stream of its own.
    pub fn pack(&mut self, section: &[u8]) -> &[u8] {
        self.largest = self.largest.max(section.len());
        self.compress.reset();
        self.packed.clear();
        // deflate's stored blocks add 5 bytes to each 65,535, and zlib 6 to all
        self.packed.reserve(section.len() + section.len() / 1000 + 64);
        let packed = self.compress.compress_vec(section, &mut self.packed, FlushCompress::Finish);
        assert!(matches!(packed, Ok(Status::StreamEnd)), "room for a stored section");
        &self.packed
    }

    /// Bytes of the largest section so far: what a reader has to make room for.
    pub fn largest(&self) -> u32 {
        u32::try_from(self.largest).expect("sections far below 4 GB")
    }
}
