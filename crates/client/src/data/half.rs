//! 16-bit floats: IEEE 754 half precision and bfloat16, to and from `f32`.
//!
//! Invariant: conversion rounds to nearest, ties to even, as the hardware does; a value that is exactly
//! representable survives the round trip.

/// The bits of `value` as IEEE 754 half precision.
///
/// ```
/// assert_eq!(milvus_client::f16_bits(1.0), 0x3C00);
/// assert_eq!(milvus_client::f16_bits(65536.0), 0x7C00); // too large: infinity
/// ```
pub fn f16_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7FFF_FFFF;
    if magnitude > 0x7F80_0000 {
        // NaN stays NaN: the top bit of the fraction keeps it from becoming infinity.
        return sign | 0x7E00;
    }
    if magnitude >= 0x4780_0000 {
        return sign | 0x7C00;
    }
    if magnitude < 0x3880_0000 {
        // Subnormal: adding 0.5 shifts the fraction into place and rounds it in one step.
        let shifted = f32::from_bits(magnitude) + 0.5;
        return sign | (shifted.to_bits().wrapping_sub(0x3F00_0000)) as u16;
    }
    let odd = (magnitude >> 13) & 1;
    let rounded = magnitude + 0xFFF + odd;
    // Rebias the exponent from 127 to 15.
    sign | ((rounded - 0x3800_0000) >> 13) as u16
}

/// The value of IEEE 754 half-precision bits.
pub fn f32_of_f16(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let exponent = u32::from(bits >> 10) & 0x1F;
    let fraction = u32::from(bits & 0x3FF);
    let magnitude = match exponent {
        0 => (fraction as f32 * 2f32.powi(-24)).to_bits(),
        0x1F => 0x7F80_0000 | (fraction << 13),
        _ => ((exponent + 112) << 23) | (fraction << 13),
    };
    f32::from_bits(sign | magnitude)
}

/// The bits of `value` as bfloat16.
///
/// ```
/// assert_eq!(milvus_client::bf16_bits(1.0), 0x3F80);
/// ```
pub fn bf16_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return ((bits >> 16) | 0x40) as u16;
    }
    let odd = (bits >> 16) & 1;
    ((bits + 0x7FFF + odd) >> 16) as u16
}

/// The value of bfloat16 bits.
pub fn f32_of_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_half_survives_the_round_trip() {
        for bits in 0..=u16::MAX {
            let value = f32_of_f16(bits);
            if value.is_nan() {
                assert!(f32_of_f16(f16_bits(value)).is_nan());
            } else {
                assert_eq!(f16_bits(value), bits, "{value}");
            }
            let value = f32_of_bf16(bits);
            if value.is_nan() {
                assert!(f32_of_bf16(bf16_bits(value)).is_nan());
            } else {
                assert_eq!(bf16_bits(value), bits, "{value}");
            }
        }
    }

    proptest! {
        /// The nearest half is at least as near as both of its neighbours.
        #[test]
        fn conversion_rounds_to_nearest(value in -65000f32..65000f32) {
            let bits = f16_bits(value);
            let error = |bits: u16| (f64::from(f32_of_f16(bits)) - f64::from(value)).abs();
            for neighbour in [bits.wrapping_sub(1), bits.wrapping_add(1)] {
                if (neighbour ^ bits) & 0x8000 == 0 && f32_of_f16(neighbour).is_finite() {
                    prop_assert!(error(bits) <= error(neighbour));
                }
            }
        }
    }
}
