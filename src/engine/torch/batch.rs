//! Which windows are computed together.

use std::collections::VecDeque;

/// Windows of equal length, by their indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Which windows, ascending.
    pub windows: Vec<usize>,
    /// Output positions of each.
    pub length: usize,
}

/// Groups windows of equal length, in their order. A batch reads at most `positions` positions,
/// `context` of them beside the output of each window, but holds one window at least. Windows of
/// length 0 are in no batch.
pub fn batches(lengths: &[usize], context: usize, positions: usize) -> VecDeque<Batch> {
    let mut order: Vec<usize> = (0..lengths.len()).filter(|&index| lengths[index] > 0).collect();
    order.sort_by_key(|&index| lengths[index]);
    let equal = order.chunk_by(|&a, &b| lengths[a] == lengths[b]);
    let split = |windows: &[usize]| {
        let length = lengths[windows[0]];
        let most = (positions / (length + context)).max(1);
        let parts: Vec<Batch> =
            windows.chunks(most).map(|part| Batch { windows: part.to_vec(), length }).collect();
        parts
    };
    let mut batches: Vec<Batch> = equal.flat_map(split).collect();
    // in the order of the first windows, so that progress and memory follow the caller's order
    batches.sort_by_key(|batch| batch.windows[0]);
    batches.into()
}

impl Batch {
    /// Positions that it reads.
    pub fn positions(&self, context: usize) -> usize {
        self.windows.len() * (self.length + context)
    }

    /// Two halves; `None` of a single window.
    pub fn halves(mut self) -> Option<[Self; 2]> {
        if self.windows.len() < 2 {
            return None;
        }
        let second = self.windows.split_off(self.windows.len().div_ceil(2));
        Some([
            Self { windows: self.windows, length: self.length },
            Self { windows: second, length: self.length },
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(batches: impl IntoIterator<Item = Batch>) -> Vec<(usize, Vec<usize>)> {
        batches.into_iter().map(|batch| (batch.length, batch.windows)).collect()
    }

    #[test]
    fn windows_of_equal_length_are_stacked_up_to_a_number_of_positions() {
        let lengths = [5, 7, 5, 0, 5, 7, 5, 9];
        // three windows of 5 + 10 positions in 50; one of 7 + 10 and 9 + 10 would leave room
        let got = windows(batches(&lengths, 10, 50));
        let expected = [(5, vec![0, 2, 4]), (7, vec![1, 5]), (5, vec![6]), (9, vec![7])];
        assert_eq!(got, expected);
        assert!(batches(&[], 10, 50).is_empty());
    }

    #[test]
    fn a_window_that_is_too_long_for_any_batch_is_one_by_itself() {
        assert_eq!(windows(batches(&[100, 100], 10, 50)), [(100, vec![0]), (100, vec![1])]);
    }

    #[test]
    fn a_batch_can_be_halved_until_one_window_is_left() {
        let batch = Batch { windows: vec![3, 5, 8], length: 4 };
        assert_eq!(batch.positions(10), 42);
        let [first, second] = batch.halves().unwrap();
        assert_eq!(windows([first, second.clone()]), [(4, vec![3, 5]), (4, vec![8])]);
        assert_eq!(second.halves(), None);
    }
}
