//! Fixed-width arrays as the wire has them: little-endian values one after the other, in `Bytes`.
//!
//! Invariant: on a little-endian machine values become bytes without a copy, and bytes become values
//! without one whenever they stand aligned; elsewhere the result is the same and costs a copy.

use std::borrow::Cow;
use std::fmt;

use bytemuck::{AnyBitPattern, NoUninit};
use bytes::Bytes;

use crate::schema::{DoubleArray, FloatArray};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A value of a fixed-width array: `f32` or `f64`.
pub trait PackedValue: AnyBitPattern + NoUninit + sealed::Sealed {
    /// The value's name in messages to people.
    const NAME: &'static str;

    /// The value with its bytes turned between little-endian and the machine's order.
    #[must_use]
    fn swapped_on_big_endian(self) -> Self;
}

impl PackedValue for f32 {
    const NAME: &'static str = "f32";

    fn swapped_on_big_endian(self) -> Self {
        Self::from_bits(self.to_bits().to_le())
    }
}

impl PackedValue for f64 {
    const NAME: &'static str = "f64";

    fn swapped_on_big_endian(self) -> Self {
        Self::from_bits(self.to_bits().to_le())
    }
}

/// Bytes that cannot be an array because their number is no multiple of a value's width.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackedLengthError {
    /// Number of bytes.
    pub length: usize,
    /// Width of one value in bytes.
    pub width: usize,
    /// Name of the value's type.
    pub value: &'static str,
}

impl fmt::Display for PackedLengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            length,
            width,
            value,
        } = self;
        write!(
            f,
            "{length} bytes are no array of {value}, which has {width} bytes per value"
        )
    }
}

impl std::error::Error for PackedLengthError {}

/// The values that `packed` holds in little-endian: borrowed when they stand aligned in memory and the
/// machine is little-endian, else copied.
///
/// # Errors
/// [`PackedLengthError`] when the number of bytes is no multiple of the value's width.
///
/// ```
/// let scores = milvus_protocol::packed_bytes(vec![0.5_f32, 0.25]);
/// assert_eq!(*milvus_protocol::packed_values::<f32>(&scores).unwrap(), [0.5, 0.25]);
/// ```
pub fn packed_values<T: PackedValue>(packed: &[u8]) -> Result<Cow<'_, [T]>, PackedLengthError> {
    check_length::<T>(packed)?;
    if cfg!(target_endian = "little")
        && let Ok(values) = bytemuck::try_cast_slice(packed)
    {
        return Ok(Cow::Borrowed(values));
    }
    Ok(Cow::Owned(iterate(packed).collect()))
}

/// The values that `packed` holds in little-endian, one by one and without an allocation.
///
/// # Errors
/// [`PackedLengthError`] when the number of bytes is no multiple of the value's width.
pub fn packed_iter<T: PackedValue>(
    packed: &[u8],
) -> Result<impl ExactSizeIterator<Item = T> + '_, PackedLengthError> {
    check_length::<T>(packed)?;
    Ok(iterate(packed))
}

/// The values of `owner` as little-endian bytes: without a copy on a little-endian machine, where the
/// result keeps `owner` alive (a `Vec<f32>`, an `Arc<[f32]>`, an array of another library).
///
/// ```
/// use std::sync::Arc;
///
/// let vector: Arc<[f32]> = Arc::new([1.0, 2.0]);
/// let bytes = milvus_protocol::packed_bytes(Arc::clone(&vector));
/// assert_eq!(bytes.as_ptr(), vector.as_ptr().cast());
/// ```
pub fn packed_bytes<T, O>(owner: O) -> Bytes
where
    T: PackedValue,
    O: AsRef<[T]> + Send + 'static,
    T: Send + Sync,
{
    if cfg!(target_endian = "little") {
        return Bytes::from_owner(PackedOwner {
            owner,
            value: std::marker::PhantomData::<T>,
        });
    }
    let swapped: Vec<T> = owner
        .as_ref()
        .iter()
        .map(|value| value.swapped_on_big_endian())
        .collect();
    Bytes::copy_from_slice(bytemuck::cast_slice(&swapped))
}

struct PackedOwner<T, O> {
    owner: O,
    value: std::marker::PhantomData<T>,
}

impl<T: PackedValue, O: AsRef<[T]>> AsRef<[u8]> for PackedOwner<T, O> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(self.owner.as_ref())
    }
}

fn check_length<T: PackedValue>(packed: &[u8]) -> Result<(), PackedLengthError> {
    let width = size_of::<T>();
    if packed.len().is_multiple_of(width) {
        return Ok(());
    }
    Err(PackedLengthError {
        length: packed.len(),
        width,
        value: T::NAME,
    })
}

fn iterate<T: PackedValue>(packed: &[u8]) -> impl ExactSizeIterator<Item = T> + '_ {
    packed
        .chunks_exact(size_of::<T>())
        .map(|value| bytemuck::pod_read_unaligned::<T>(value).swapped_on_big_endian())
}

macro_rules! array {
    ($array:ident, $value:ty) => {
        impl $array {
            /// The values; see [`packed_values`].
            ///
            /// # Errors
            /// [`PackedLengthError`] when the number of bytes is no multiple of the value's width.
            pub fn values(&self) -> Result<Cow<'_, [$value]>, PackedLengthError> {
                packed_values(&self.data)
            }
        }

        impl From<Vec<$value>> for $array {
            /// Takes the values over without a copy; see [`packed_bytes`].
            fn from(values: Vec<$value>) -> Self {
                Self {
                    data: packed_bytes::<$value, _>(values),
                }
            }
        }
    };
}

array!(FloatArray, f32);
array!(DoubleArray, f64);
