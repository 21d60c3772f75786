//! Rows of the alternative brought to those of the reference (splice-scoring.md A1, B2).

/// Aligns the values of one channel after an edit of `removed` letters to `inserted` at row
/// `centre` to the `length` rows before it: rows of zeros stand for what was deleted, one row of
/// the maximum for what was inserted. Where the edit leaves the rows, so does the alignment.
pub(super) fn align(
    rows: &mut Vec<f32>,
    centre: usize,
    removed: usize,
    inserted: usize,
    length: usize,
) {
    if removed > inserted {
        let at = (centre + inserted).min(rows.len());
        rows.splice(at..at, std::iter::repeat_n(0.0, removed - inserted));
    } else if inserted > removed {
        let from = (centre + removed - 1).min(rows.len());
        let to = (centre + inserted).min(rows.len());
        let most = rows[from..to].iter().copied().reduce(f32::max);
        rows.splice(from..to, most);
    }
    rows.resize(length, 0.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aligned(rows: &[f32], removed: usize, inserted: usize) -> Vec<f32> {
        let mut rows = rows.to_vec();
        align(&mut rows, 2, removed, inserted, 5);
        rows
    }

    #[test]
    fn the_worked_examples_come_out() {
        // splice-scoring.md A1 and B2, D = 2
        assert_eq!(aligned(&[0.1, 0.2, 0.3, 0.6, 0.0], 1, 1), [0.1, 0.2, 0.3, 0.6, 0.0]);
        assert_eq!(aligned(&[0.1, 0.2, 0.7], 3, 1), [0.1, 0.2, 0.7, 0.0, 0.0]);
        let rows = [0.1, 0.2, 0.3, 0.9, 0.4, 0.1, 0.0];
        assert_eq!(aligned(&rows, 1, 3), [0.1, 0.2, 0.9, 0.1, 0.0]);
        let rows = [0.1, 0.2, 0.3, 0.5, 0.9, 0.4, 0.7];
        assert_eq!(aligned(&rows, 2, 4), [0.1, 0.2, 0.3, 0.9, 0.7], "row 2 is kept");
        assert_eq!(aligned(&rows[..5], 2, 2), rows[..5], "equal lengths: nothing");
        assert_eq!(aligned(&rows[..4], 3, 2), [0.1, 0.2, 0.3, 0.5, 0.0]);
    }

    #[test]
    fn an_edit_that_leaves_the_rows_is_cut_like_a_slice() {
        // 4 letters removed at the third of five rows: two rows are left, and all others deleted
        assert_eq!(aligned(&[0.1, 0.2], 4, 1), [0.1, 0.2, 0.0, 0.0, 0.0]);
        assert_eq!(aligned(&[0.1, 0.2, 0.3], 4, 2), [0.1, 0.2, 0.3, 0.0, 0.0]);
        // REF ends behind the last row, so the inserted letters do too
        let rows = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7];
        assert_eq!(aligned(&rows, 4, 6), rows[..5]);
        assert_eq!(aligned(&rows, 3, 5), [0.1, 0.2, 0.3, 0.4, 0.7]);
    }
}
