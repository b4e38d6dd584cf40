// SPDX-License-Identifier: Apache-2.0
//! Clause 4: reconstruction, from levels to values.

use crate::codebook::Codebook;
use crate::parameter_sets::Quantisation;

impl Quantisation {
    /// Bits of `qp_value`.
    pub fn qp_bits(&self) -> u32 {
        6 + self.qp_density
    }

    /// Step size of a quantisation parameter (4.1).
    pub fn step_size(&self, qp_value: i64) -> f32 {
        let qp = qp_value + self.quantization_parameter;
        let k = 1i64 << self.qp_density;
        let factor = k + (qp & (k - 1));
        let exponent = (qp >> self.qp_density) - i64::from(self.qp_density);
        // A factor of 8 bits: beyond these exponents binary32 is infinite or zero, and between
        // them binary64 is exact.
        let power = f64::powi(2.0, exponent.clamp(-300, 300) as i32);
        (factor as f64 * power) as f32
    }
}

/// Value of a level without codebook (4.2).
pub fn uniform(level: i32, step: f32) -> f32 {
    level as f32 * step
}

/// Value of a level with codebook (4.3); `None` for a level outside it.
///
/// An entry of 32 bits times a step of 8 bits is exact in binary64, so that it is rounded once.
pub fn from_codebook(level: i32, codebook: &Codebook, step: f32) -> Option<f32> {
    let entry = codebook.entry(level)?;
    Some((entry as f64 * f64::from(step)) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_sizes_follow_the_table_of_4_1() {
        let quantisation = |qp_density| Quantisation {
            qp_density,
            quantization_parameter: 0,
        };
        for (qp, step) in [
            (0, 1.0),
            (1, 1.25),
            (3, 1.75),
            (-1, 0.875),
            (-38, 0.75 / 512.0),
        ] {
            assert_eq!(quantisation(2).step_size(qp), step);
        }
        for (qp, step) in [
            (1, 2.0),
            (3, 8.0),
            (-1, 0.5),
            (200, f32::INFINITY),
            (-400, 0.0),
        ] {
            assert_eq!(quantisation(0).step_size(qp), step);
        }
    }
}
