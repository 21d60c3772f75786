//! Normalisation in evaluation form as one scale and one shift per channel, in f64.

use crate::network::Op;

/// Scale and shift per channel of a batch norm or affine operation, whose tensors `tensor` gives by
/// their suffixes; `None` for other operations.
pub fn scale_and_shift<'a>(
    op: &Op,
    tensor: impl Fn(&str) -> &'a [f32],
) -> Option<(Vec<f64>, Vec<f64>)> {
    let wide = |suffix| tensor(suffix).iter().map(|&x| f64::from(x));
    match *op {
        Op::Affine => Some((wide("scale").collect(), wide("shift").collect())),
        Op::BatchNorm { epsilon } => {
            let scale: Vec<f64> =
                wide("scale").zip(wide("var")).map(|(s, v)| s / (v + epsilon).sqrt()).collect();
            let shift = wide("shift").zip(wide("mean")).zip(&scale);
            let shift = shift.map(|((shift, mean), scale)| shift - mean * scale).collect();
            Some((scale, shift))
        }
        _ => None,
    }
}
