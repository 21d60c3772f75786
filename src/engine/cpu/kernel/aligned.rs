//! Buffers that begin at a cache line, so that no register of numbers lies across two.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line.
const LINE: usize = 64;
/// Numbers of a cache line.
const NUMBERS: usize = LINE / size_of::<f32>();

/// Numbers from the beginning of a cache line on.
#[derive(Debug, Default)]
pub struct Aligned {
    memory: Vec<f32>,
    start: usize,
    length: usize,
}

impl Aligned {
    /// So many zeros.
    pub fn zeros(length: usize) -> Self {
        let memory = vec![0.0; length + NUMBERS];
        let start = memory.as_ptr().align_offset(LINE).min(NUMBERS);
        Self { memory, start, length }
    }

    /// Makes room for at least so many numbers; what was there may be gone.
    pub fn hold(&mut self, length: usize) {
        if self.length < length {
            *self = Self::default(); // given back before more is taken
            *self = Self::zeros(length);
        }
    }
}

impl From<&[f32]> for Aligned {
    fn from(numbers: &[f32]) -> Self {
        let mut aligned = Self::zeros(numbers.len());
        aligned.copy_from_slice(numbers);
        aligned
    }
}

impl Clone for Aligned {
    fn clone(&self) -> Self {
        Self::from(&self[..])
    }
}

impl Deref for Aligned {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.memory[self.start..self.start + self.length]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.start..self.start + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_at_a_cache_line_also_after_growing_and_copying() {
        let mut buffer = Aligned::from(&[1.0, 2.0][..]);
        assert_eq!(buffer[..], [1.0, 2.0]);
        let copy = buffer.clone();
        buffer.hold(1000);
        assert_eq!(buffer.len(), 1000);
        for aligned in [&buffer, &copy] {
            assert!(aligned.as_ptr().addr().is_multiple_of(LINE));
        }
    }
}
