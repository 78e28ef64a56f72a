//! The loops, and the choice of the instructions that they are compiled to.
//!
//! A [`Kernel`] compares one query with one row in a plain loop over fixed-size chunks, which compilers turn into vector
//! instructions of whatever set is enabled around it. [`distances`] runs it over a list of rows inside a function that is compiled
//! for one set. So the choice is made once for a block of rows, and nothing here names a vector register.

use std::sync::OnceLock;

use bytemuck::Pod;

/// Compares a query with a row.
pub(super) trait Kernel {
    /// Component of a query.
    type Query: Pod;
    /// Component of a row as stored.
    type Row: Pod;

    /// `FUSED` says whether the processor multiplies and adds in one instruction; without it `mul_add` would be a call.
    fn distance<const FUSED: bool>(query: &[Self::Query], row: &[Self::Row]) -> f32;
}

/// Instruction sets that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The best that this processor has.
    pub(super) fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().last().copied().unwrap_or(Self::Plain))
    }

    /// All that this processor has, the best last.
    pub(super) fn available() -> Vec<Self> {
        let mut levels = vec![Self::Plain];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("popcnt")
            {
                levels.push(Self::Avx2);
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    levels.push(Self::Avx512);
                }
            }
        }
        levels
    }
}

/// Distances of `query` to the rows `ids` of `data`, whose rows have `width` components. A row that does not exist is NaN.
pub(super) fn distances<K: Kernel>(
    level: Level,
    query: &[K::Query],
    data: &[K::Row],
    width: usize,
    ids: &[u32],
    out: &mut [f32],
) {
    match level {
        Level::Plain => each_row::<K, false>(query, data, width, ids, out),
        // SAFETY: a level other than `Plain` comes only from `Level::available`, which found every feature that the function
        // enables on the processor that runs this.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { each_row_avx2::<K>(query, data, width, ids, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { each_row_avx512::<K>(query, data, width, ids, out) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,popcnt")]
fn each_row_avx2<K: Kernel>(
    query: &[K::Query],
    data: &[K::Row],
    width: usize,
    ids: &[u32],
    out: &mut [f32],
) {
    each_row::<K, true>(query, data, width, ids, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
fn each_row_avx512<K: Kernel>(
    query: &[K::Query],
    data: &[K::Row],
    width: usize,
    ids: &[u32],
    out: &mut [f32],
) {
    each_row::<K, true>(query, data, width, ids, out);
}

#[inline(always)]
fn each_row<K: Kernel, const FUSED: bool>(
    query: &[K::Query],
    data: &[K::Row],
    width: usize,
    ids: &[u32],
    out: &mut [f32],
) {
    for (distance, id) in out.iter_mut().zip(ids) {
        let start = *id as usize * width;
        *distance = data
            .get(start..start + width)
            .map_or(f32::NAN, |row| K::distance::<FUSED>(query, row));
    }
}

/// How a stored component becomes an `f32`.
pub(super) trait Decode {
    type Stored: Pod;
    fn decode(stored: Self::Stored) -> f32;
}

/// binary32 as it is.
pub(super) struct Single;
/// binary16, as bits.
pub(super) struct Half;
/// bfloat16, as bits.
pub(super) struct Brain;

impl Decode for Single {
    type Stored = f32;
    #[inline(always)]
    fn decode(stored: f32) -> f32 {
        stored
    }
}

impl Decode for Half {
    type Stored = u16;
    /// Moves exponent and fraction into place and corrects the exponent's bias by a multiplication, which also makes subnormal
    /// numbers right. Infinity and NaN get the largest exponent.
    #[inline(always)]
    fn decode(stored: u16) -> f32 {
        const BIAS: f32 = f32::from_bits((127 + 112) << 23);
        const INFINITE: u32 = 0x1f << 23;
        let sign = (u32::from(stored) & 0x8000) << 16;
        let magnitude = (u32::from(stored) & 0x7fff) << 13;
        let finite = (f32::from_bits(magnitude) * BIAS).to_bits();
        let bits = if magnitude >= INFINITE {
            magnitude | 0x7f80_0000
        } else {
            finite
        };
        f32::from_bits(bits | sign)
    }
}

impl Decode for Brain {
    type Stored = u16;
    #[inline(always)]
    fn decode(stored: u16) -> f32 {
        f32::from_bits(u32::from(stored) << 16)
    }
}

/// Components that a loop takes at once: enough independent sums to hide the latency of an addition in the widest registers.
const WIDE: usize = 64;
const NARROW: usize = 16;

/// Sums `step` over the components of both: chunks of 64, then of 16, then one by one.
#[inline(always)]
fn sum<D: Decode>(query: &[f32], row: &[D::Stored], step: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let (wide_query, query) = query.as_chunks::<WIDE>();
    let (wide_row, row) = row.as_chunks::<WIDE>();
    let mut sums = [0.0f32; WIDE];
    for (query, row) in wide_query.iter().zip(wide_row) {
        for lane in 0..WIDE {
            sums[lane] = step(sums[lane], query[lane], D::decode(row[lane]));
        }
    }
    let mut folded = [0.0f32; NARROW];
    for lane in 0..WIDE {
        folded[lane % NARROW] += sums[lane];
    }
    let (narrow_query, query) = query.as_chunks::<NARROW>();
    let (narrow_row, row) = row.as_chunks::<NARROW>();
    for (query, row) in narrow_query.iter().zip(narrow_row) {
        for lane in 0..NARROW {
            folded[lane] = step(folded[lane], query[lane], D::decode(row[lane]));
        }
    }
    let rest = query
        .iter()
        .zip(row)
        .fold(0.0, |sum, (query, row)| step(sum, *query, D::decode(*row)));
    folded.iter().sum::<f32>() + rest
}

#[inline(always)]
fn multiply_add<const FUSED: bool>(sum: f32, left: f32, right: f32) -> f32 {
    if FUSED {
        left.mul_add(right, sum)
    } else {
        sum + left * right
    }
}

/// Squared Euclidean distance of floats.
pub(super) struct SquaredDistance<D>(std::marker::PhantomData<D>);
/// Inner product of floats.
pub(super) struct Dot<D>(std::marker::PhantomData<D>);
/// Squared length of the row; the query is not read.
pub(super) struct SquaredNorm<D>(std::marker::PhantomData<D>);

impl<D: Decode> Kernel for SquaredDistance<D> {
    type Query = f32;
    type Row = D::Stored;
    #[inline(always)]
    fn distance<const FUSED: bool>(query: &[f32], row: &[D::Stored]) -> f32 {
        sum::<D>(query, row, |sum, query, row| {
            multiply_add::<FUSED>(sum, query - row, query - row)
        })
    }
}

impl<D: Decode> Kernel for Dot<D> {
    type Query = f32;
    type Row = D::Stored;
    #[inline(always)]
    fn distance<const FUSED: bool>(query: &[f32], row: &[D::Stored]) -> f32 {
        sum::<D>(query, row, |sum, query, row| {
            multiply_add::<FUSED>(sum, query, row)
        })
    }
}

impl<D: Decode> Kernel for SquaredNorm<D> {
    type Query = f32;
    type Row = D::Stored;
    /// The query has the row's length, as everywhere.
    #[inline(always)]
    fn distance<const FUSED: bool>(query: &[f32], row: &[D::Stored]) -> f32 {
        sum::<D>(query, row, |sum, _, row| {
            multiply_add::<FUSED>(sum, row, row)
        })
    }
}

/// Sums of products of 8-bit integers, exact in 32 bits up to Milvus's largest dimension, 32,768.
#[inline(always)]
fn sum_integers(query: &[i8], row: &[i8], step: impl Fn(i32, i32) -> i32) -> f32 {
    let (wide_query, query) = query.as_chunks::<WIDE>();
    let (wide_row, row) = row.as_chunks::<WIDE>();
    let mut sums = [0i32; WIDE];
    for (query, row) in wide_query.iter().zip(wide_row) {
        for lane in 0..WIDE {
            sums[lane] = sums[lane].wrapping_add(step(query[lane].into(), row[lane].into()));
        }
    }
    let rest: i64 = query
        .iter()
        .zip(row)
        .map(|(query, row)| i64::from(step((*query).into(), (*row).into())))
        .sum();
    (sums.iter().map(|sum| i64::from(*sum)).sum::<i64>() + rest) as f32
}

/// Squared Euclidean distance of 8-bit integers.
pub(super) struct IntegerSquaredDistance;
/// Inner product of 8-bit integers.
pub(super) struct IntegerDot;
/// Squared length of a row of 8-bit integers.
pub(super) struct IntegerSquaredNorm;

impl Kernel for IntegerSquaredDistance {
    type Query = i8;
    type Row = i8;
    #[inline(always)]
    fn distance<const FUSED: bool>(query: &[i8], row: &[i8]) -> f32 {
        sum_integers(query, row, |query, row| (query - row) * (query - row))
    }
}

impl Kernel for IntegerDot {
    type Query = i8;
    type Row = i8;
    #[inline(always)]
    fn distance<const FUSED: bool>(query: &[i8], row: &[i8]) -> f32 {
        sum_integers(query, row, |query, row| query * row)
    }
}

impl Kernel for IntegerSquaredNorm {
    type Query = i8;
    type Row = i8;
    #[inline(always)]
    fn distance<const FUSED: bool>(query: &[i8], row: &[i8]) -> f32 {
        sum_integers(query, row, |_, row| row * row)
    }
}

/// Counts bits of `combine` over both, eight bytes at a time.
#[inline(always)]
fn count_bits(query: &[u8], row: &[u8], combine: impl Fn(u64, u64) -> u64) -> u32 {
    let (wide_query, query) = query.as_chunks::<8>();
    let (wide_row, row) = row.as_chunks::<8>();
    let words = wide_query.iter().zip(wide_row);
    let wide: u32 = words
        .map(|(query, row)| {
            combine(u64::from_le_bytes(*query), u64::from_le_bytes(*row)).count_ones()
        })
        .sum();
    let rest = query.iter().zip(row);
    wide + rest
        .map(|(query, row)| combine((*query).into(), (*row).into()).count_ones())
        .sum::<u32>()
}

/// Number of different bits.
pub(super) struct HammingDistance;
/// One minus common bits over set bits; 0 when neither has a bit.
pub(super) struct JaccardDistance;

impl Kernel for HammingDistance {
    type Query = u8;
    type Row = u8;
    #[inline(always)]
    fn distance<const FUSED: bool>(query: &[u8], row: &[u8]) -> f32 {
        count_bits(query, row, |query, row| query ^ row) as f32
    }
}

impl Kernel for JaccardDistance {
    type Query = u8;
    type Row = u8;
    #[inline(always)]
    fn distance<const FUSED: bool>(query: &[u8], row: &[u8]) -> f32 {
        let common = count_bits(query, row, |query, row| query & row);
        let set = count_bits(query, row, |query, row| query | row);
        if set == 0 {
            0.0
        } else {
            1.0 - common as f32 / set as f32
        }
    }
}
