//! Little-endian numbers of weight files as f32. Incomplete trailing bytes are left out; callers
//! check lengths first.

/// IEEE single precision.
pub(crate) fn from_f32(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

/// IEEE double precision, rounded to nearest. Too large values become infinite.
pub(crate) fn from_f64(bytes: &[u8]) -> Vec<f32> {
    // The rounding is the conversion that weight-files.md 5 asks for.
    bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect()
}

/// The upper half of a single-precision number; exact.
pub(crate) fn from_bf16(bytes: &[u8]) -> Vec<f32> {
    let widen = |&b: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16);
    bytes.as_chunks().0.iter().map(widen).collect()
}

/// IEEE half precision; exact.
pub(crate) fn from_f16(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&b| widen_half(u16::from_le_bytes(b))).collect()
}

fn widen_half(half: u16) -> f32 {
    let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((half >> 10) & 0x1f);
    let fraction = f32::from(half & 0x3ff);
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_widens_to_the_values_of_the_standard() {
        // IEEE 754 binary16: one, largest, smallest normal, smallest subnormal, one third, -2, inf.
        let halves = [0x3c00u16, 0x7bff, 0x0400, 0x0001, 0x3555, 0xc000, 0xfc00];
        let bytes: Vec<u8> = halves.iter().flat_map(|h| h.to_le_bytes()).collect();
        let expected =
            [1.0, 65504.0, 6.103_515_6e-5, 5.960_464_5e-8, 0.333_251_95, -2.0, f32::NEG_INFINITY];
        assert_eq!(from_f16(&bytes), expected);
        assert!(from_f16(&[0x01, 0x7c])[0].is_nan());
    }

    #[test]
    fn bfloat_is_the_upper_half_of_a_float() {
        assert_eq!(from_bf16(&[0x80, 0x3f, 0x20, 0xc1]), [1.0, -10.0]);
    }

    #[test]
    fn double_rounds_to_nearest_and_a_torn_tail_is_left_out() {
        let mut bytes = 0.1f64.to_le_bytes().to_vec();
        bytes.push(7);
        assert_eq!(from_f64(&bytes), [0.1f32]);
        assert_eq!(from_f32(&1.5f32.to_le_bytes()), [1.5]);
    }
}
