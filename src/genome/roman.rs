//! Roman chromosome numbers (yeast `chrIV`, worm `III`), up to 39.

/// The number that a canonical Roman numeral of I, V and X stands for (1..=39).
pub(super) fn number(text: &str) -> Option<u32> {
    (1..40).find(|&n| numeral(n).is_some_and(|numeral| numeral == text))
}

/// The Roman numeral of 1..=39.
pub(super) fn numeral(number: u32) -> Option<String> {
    const ONES: [&str; 10] = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"];
    let tens = "X".repeat(usize::try_from(number / 10).ok()?);
    let ones = ONES[usize::try_from(number % 10).ok()?];
    (1..40).contains(&number).then(|| tens + ones)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numerals_and_numbers_are_inverse() {
        for n in 1..40 {
            assert_eq!(number(&numeral(n).unwrap()), Some(n));
        }
        assert_eq!(numeral(16).as_deref(), Some("XVI"));
        for bad in ["", "IIII", "VX", "iv", "M", "XL", "1"] {
            assert_eq!(number(bad), None, "{bad}");
        }
        assert_eq!((numeral(0), numeral(40)), (None, None));
    }
}
