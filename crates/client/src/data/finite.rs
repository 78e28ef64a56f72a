//! Finding the first NaN or infinity in a packed array of floats.
//!
//! A float is not finite exactly when all bits of its exponent are set. The search looks at blocks
//! without branching inside, which compilers turn into vector instructions; only a block that has a hit
//! is looked at again.
//!
//! Invariant: the index that is returned is that of the first value that is not finite.

use crate::schema::DataType;

/// Values looked at together.
const BLOCK: usize = 64;

macro_rules! search {
    ($name:ident, $bits:ty, $exponent:expr) => {
        fn $name(packed: &[u8]) -> Option<usize> {
            const WIDTH: usize = size_of::<$bits>();
            let is_not_finite = |value: &[u8]| {
                let mut bytes = [0; WIDTH];
                bytes.copy_from_slice(value);
                <$bits>::from_le_bytes(bytes) & $exponent == $exponent
            };
            for (number, block) in packed.chunks(BLOCK * WIDTH).enumerate() {
                let mut hit = false;
                for value in block.chunks_exact(WIDTH) {
                    hit |= is_not_finite(value);
                }
                if hit {
                    let place = block.chunks_exact(WIDTH).position(is_not_finite)?;
                    return Some(number * BLOCK + place);
                }
            }
            None
        }
    };
}

search!(in_f16, u16, 0x7C00);
search!(in_bf16, u16, 0x7F80);
search!(in_f32, u32, 0x7F80_0000);
search!(in_f64, u64, 0x7FF0_0000_0000_0000);

/// The index of the first value that is NaN or infinite.
pub(crate) fn first_not_finite_float(values: &[f32]) -> Option<usize> {
    let mut hit = false;
    for value in values {
        hit |= !value.is_finite();
    }
    if hit {
        values.iter().position(|value| !value.is_finite())
    } else {
        None
    }
}

/// The index of the first value that is NaN or infinite; `None` also for types that cannot be.
pub(crate) fn first_not_finite(data_type: DataType, packed: &[u8]) -> Option<usize> {
    match data_type {
        DataType::Float | DataType::FloatVector => in_f32(packed),
        DataType::Double => in_f64(packed),
        DataType::Float16Vector => in_f16(packed),
        DataType::BFloat16Vector => in_bf16(packed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(values in proptest::collection::vec(any::<f32>(), 0..300)) {
            let packed: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let expected = values.iter().position(|value| !value.is_finite());
            prop_assert_eq!(first_not_finite(DataType::FloatVector, &packed), expected);
            prop_assert_eq!(first_not_finite_float(&values), expected);
            let packed: Vec<u8> =
                values.iter().flat_map(|value| f64::from(*value).to_le_bytes()).collect();
            prop_assert_eq!(
                first_not_finite(DataType::Double, &packed),
                values.iter().position(|value| !value.is_finite())
            );
        }
    }

    #[test]
    fn halves_are_searched_by_their_own_exponents() {
        let packed = [0x00, 0x3C, 0x00, 0x7C]; // 1.0, infinity as f16
        assert_eq!(first_not_finite(DataType::Float16Vector, &packed), Some(1));
        let packed = [0x80, 0x3F, 0x80, 0x7F]; // 1.0, infinity as bf16
        assert_eq!(first_not_finite(DataType::BFloat16Vector, &packed), Some(1));
        assert_eq!(first_not_finite(DataType::BinaryVector, &[0xFF; 8]), None);
    }
}
