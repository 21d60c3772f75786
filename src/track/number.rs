//! Numbers as text: correctly rounded decimals without trailing zeros, exponent or `-0`.

use crate::error::{Error, Result};

/// Most decimals that can be printed. Up to here `value * 10^decimals` is exact in f64
/// (24 bits of an f32 and 28 bits of 5^12), so that rounding it once is rounding the value itself.
pub const MOST_DECIMALS: u8 = 12;

/// Below this size every f64 that is rounded by adding 1.5 * 2^52 is an exact integer.
const LARGE: f64 = (1u64 << 51) as f64;

/// A rounded value; equal exactly when the printed texts are equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// In units of the last decimal.
    Scaled(i64),
    /// So large that neighbouring f32 differ by more than one unit of the last decimal.
    Large(f32),
}

/// Rounding to a fixed number of decimals: to the nearest, exact ties to the even digit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rounding {
    decimals: u8,
    scale: f64,
}

impl Default for Rounding {
    /// Four decimals.
    fn default() -> Self {
        Self { decimals: 4, scale: 1e4 }
    }
}

impl Rounding {
    /// Rounding to `decimals` digits after the point.
    ///
    /// # Errors
    /// More than [`MOST_DECIMALS`].
    pub fn new(decimals: u8) -> Result<Self> {
        if decimals > MOST_DECIMALS {
            return Err(Error::usage("too many decimals")
                .found(decimals)
                .expected(format!("0 to {MOST_DECIMALS}")));
        }
        Ok(Self { decimals, scale: 10f64.powi(i32::from(decimals)) })
    }

    /// Digits after the point.
    pub fn decimals(self) -> u8 {
        self.decimals
    }

    /// Rounds a value.
    pub fn round(self, value: f32) -> Number {
        const SHIFT: f64 = 1.5 * (1u64 << 52) as f64;
        let exact = f64::from(value) * self.scale;
        if exact.abs() < LARGE {
            // At SHIFT the spacing of f64 is one: the addition rounds to the nearest, ties to even.
            Number::Scaled(((exact + SHIFT) - SHIFT) as i64)
        } else {
            Number::Large(value)
        }
    }

    /// A rounded number as a 32-bit float: exactly the one that its printed text stands for.
    pub fn value(self, number: Number) -> f32 {
        let scaled = match number {
            Number::Scaled(scaled) => scaled,
            // printing moves it by less than half the distance to its neighbours
            Number::Large(value) => return value,
        };
        // The quotient is the text rounded once, to f64. Rounding that again, to f32, errs only where
        // it lies just between two f32, (2k + 1) / 2^b, and the text does not. But those two differ
        // by one part in (2k + 1) * 5^12 < 2^53 or more: too much for f64 to take one for the other.
        (scaled as f64 / self.scale) as f32
    }

    /// Appends the text of a rounded number.
    pub fn print(self, number: Number, text: &mut Vec<u8>) {
        let scaled = match number {
            Number::Scaled(scaled) => scaled,
            // A multiple of 2^(51 - 23) / 10^decimals: mostly without a fraction, but not always.
            Number::Large(value) => {
                let printed = format!("{value:.*}", usize::from(self.decimals));
                let short = match printed.contains('.') {
                    true => printed.trim_end_matches('0').trim_end_matches('.'),
                    false => &printed,
                };
                return text.extend_from_slice(short.as_bytes());
            }
        };
        if scaled < 0 {
            text.push(b'-');
        }
        let unit = 10u64.pow(u32::from(self.decimals));
        let size = scaled.unsigned_abs();
        print_integer(size / unit, text);
        let mut fraction = size % unit;
        if fraction == 0 {
            return;
        }
        let mut digits = usize::from(self.decimals);
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            digits -= 1;
        }
        text.push(b'.');
        let first = text.len();
        text.resize(first + digits, b'0');
        for place in text[first..].iter_mut().rev() {
            *place = digit(fraction % 10);
            fraction /= 10;
        }
    }
}

/// Appends an integer in decimal.
pub fn print_integer(mut value: u64, text: &mut Vec<u8>) {
    // u64::MAX has 20 digits.
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = digit(value % 10);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[first..]);
}

fn digit(value: u64) -> u8 {
    b"0123456789"[value as usize]
}

/// Nine significant digits, enough to tell any two f32 apart, without exponent or trailing zeros.
pub fn significant(value: f64) -> String {
    let rounded: f64 = format!("{value:.8e}").parse().expect("a number that was just printed");
    // Adding zero turns -0 into 0.
    (rounded + 0.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(decimals: u8, value: f32) -> String {
        let rounding = Rounding::new(decimals).unwrap();
        let mut text = Vec::new();
        rounding.print(rounding.round(value), &mut text);
        String::from_utf8(text).unwrap()
    }

    /// The definition: the standard library's exact decimal, then the cosmetics.
    fn defined(decimals: u8, value: f32) -> String {
        let printed = format!("{value:.*}", usize::from(decimals));
        let short = match printed.contains('.') {
            true => printed.trim_end_matches('0').trim_end_matches('.'),
            false => printed.as_str(),
        };
        if short == "-0" { "0".into() } else { short.into() }
    }

    #[test]
    fn numbers_are_rounded_correctly_and_printed_short() {
        // 0.03125 and 0.5 are exact in binary: true ties, which go to the even digit.
        let cases = [
            (4, 0.0, "0"),
            (4, -0.0, "0"),
            (4, -0.000_01, "0"),
            (4, 1.0, "1"),
            (4, 0.1, "0.1"),
            (4, 0.031_25, "0.0312"),
            (4, 0.093_75, "0.0938"),
            (0, 0.5, "0"),
            (0, 1.5, "2"),
            (2, -12.345, "-12.35"),
            (4, 1e20, "100000002004087734272"),
            (12, 1e-9, "0.000000001"),
        ];
        for (decimals, value, expected) in cases {
            assert_eq!(text(decimals, value), expected, "{value} with {decimals} decimals");
        }
    }

    #[test]
    fn significant_digits_are_enough_for_f32_and_never_an_exponent() {
        let cases = [
            (0.1, "0.1"),
            (f64::from(0.1f32), "0.100000001"),
            (-0.0, "0"),
            (1e-7, "0.0000001"),
            (123_456_789_012.0, "123456789000"),
        ];
        for (value, expected) in cases {
            assert_eq!(significant(value), expected);
        }
    }

    #[test]
    fn too_many_decimals_are_refused() {
        assert!(Rounding::new(13).unwrap_err().to_string().contains("found 13"));
    }

    proptest! {
        #[test]
        fn any_f32_prints_as_the_standard_library_rounds_it(bits: u32, decimals in 0u8..=12) {
            let value = f32::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(text(decimals, value), defined(decimals, value));
        }

        #[test]
        fn probabilities_print_as_the_standard_library_rounds_them(
            value in -1f32..1.0, decimals in 0u8..=12,
        ) {
            prop_assert_eq!(text(decimals, value), defined(decimals, value));
        }

        #[test]
        fn numbers_are_equal_exactly_when_their_texts_are(
            bits: u32, step in 0u32..3, decimals in 0u8..=12,
        ) {
            let [a, b] = [bits, bits.wrapping_add(step)].map(f32::from_bits);
            prop_assume!(a.is_finite() && b.is_finite());
            let rounding = Rounding::new(decimals).unwrap();
            prop_assert_eq!(
                rounding.round(a) == rounding.round(b),
                text(decimals, a) == text(decimals, b)
            );
        }

        #[test]
        fn the_value_of_a_number_is_that_of_its_text(bits: u32, decimals in 0u8..=12) {
            let value = f32::from_bits(bits);
            prop_assume!(value.is_finite());
            let rounding = Rounding::new(decimals).unwrap();
            let read: f32 = text(decimals, value).parse().unwrap();
            prop_assert_eq!(rounding.value(rounding.round(value)).to_bits(), read.to_bits());
        }

        #[test]
        fn integers_print_as_the_standard_library_prints_them(value: u64) {
            let mut text = Vec::new();
            print_integer(value, &mut text);
            prop_assert_eq!(text, value.to_string().into_bytes());
        }
    }
}
