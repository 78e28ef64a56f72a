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

// Everything below is inlined by force, and loops count by hand: a closure, or an iterator's method, that the compiler left as a
// function of its own would be compiled for the plain processor, and the loop around it with it.

#[inline(always)]
fn each_row<K: Kernel, const FUSED: bool>(
    query: &[K::Query],
    data: &[K::Row],
    width: usize,
    ids: &[u32],
    out: &mut [f32],
) {
    let ahead = (PREFETCH_BYTES / (width * size_of::<K::Row>()).max(1)).max(1);
    let mut at = 0;
    while at < ids.len() && at < out.len() {
        if at + ahead < ids.len() {
            let start = ids[at + ahead] as usize * width;
            if let Some(row) = data.get(start..start + width) {
                prefetch(row);
            }
        }
        let start = ids[at] as usize * width;
        out[at] = match data.get(start..start + width) {
            Some(row) => K::distance::<FUSED>(query, row),
            None => f32::NAN,
        };
        at += 1;
    }
}

/// How far ahead rows are asked for. Processors fetch ahead by themselves only inside of a page of 4 KiB, and not at all for rows that a filter picked.
const PREFETCH_BYTES: usize = 4096;

/// Asks for the cache lines of a row that will be read soon.
#[inline(always)]
fn prefetch<R>(row: &[R]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let (start, bytes) = (row.as_ptr().cast::<i8>(), size_of_val(row));
        let mut offset = 0;
        while offset < bytes {
            // SAFETY: a prefetch is a hint that reads nothing the program could see and never faults; the address lies in `row`.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(offset)) };
            offset += 64;
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
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

    /// Moves exponent and fraction into place and corrects the exponent's bias. Infinity and NaN get the largest exponent. A
    /// subnormal number gets an implied one that a subtraction takes off again; a multiplication would also make it right, but
    /// processors are slow with subnormal operands.
    #[inline(always)]
    fn decode(stored: u16) -> f32 {
        const EXPONENT: u32 = 0x1f << 23;
        const BIAS: u32 = 112 << 23;
        const IMPLIED_ONE: u32 = 113 << 23;
        let sign = (stored as u32 & 0x8000) << 16;
        let magnitude = (stored as u32 & 0x7fff) << 13;
        let exponent = magnitude & EXPONENT;
        let subnormal = f32::from_bits(magnitude + IMPLIED_ONE) - f32::from_bits(IMPLIED_ONE);
        let bits = if exponent == EXPONENT {
            magnitude + BIAS + BIAS
        } else if exponent == 0 {
            subnormal.to_bits()
        } else {
            magnitude + BIAS
        };
        f32::from_bits(bits | sign)
    }
}

impl Decode for Brain {
    type Stored = u16;
    #[inline(always)]
    fn decode(stored: u16) -> f32 {
        f32::from_bits((stored as u32) << 16)
    }
}

/// Components that a loop takes at once: enough independent sums to hide the latency of an addition in the widest registers.
const WIDE: usize = 64;
const NARROW: usize = 16;

/// What a pair of components adds to a sum.
trait Step {
    fn add<const FUSED: bool>(sum: f32, query: f32, row: f32) -> f32;
}

/// The square of the difference.
pub(super) struct Difference;
/// The product.
pub(super) struct Product;
/// The square of the row's component.
pub(super) struct Square;

impl Step for Difference {
    #[inline(always)]
    fn add<const FUSED: bool>(sum: f32, query: f32, row: f32) -> f32 {
        multiply_add::<FUSED>(sum, query - row, query - row)
    }
}

impl Step for Product {
    #[inline(always)]
    fn add<const FUSED: bool>(sum: f32, query: f32, row: f32) -> f32 {
        multiply_add::<FUSED>(sum, query, row)
    }
}

impl Step for Square {
    #[inline(always)]
    fn add<const FUSED: bool>(sum: f32, _: f32, row: f32) -> f32 {
        multiply_add::<FUSED>(sum, row, row)
    }
}

#[inline(always)]
fn multiply_add<const FUSED: bool>(sum: f32, left: f32, right: f32) -> f32 {
    if FUSED {
        left.mul_add(right, sum)
    } else {
        sum + left * right
    }
}

/// Adds the chunks of `N` components of both to as many sums.
#[inline(always)]
fn add_chunks<D: Decode, S: Step, const FUSED: bool, const N: usize>(
    sums: &mut [f32; N],
    query: &[[f32; N]],
    row: &[[D::Stored; N]],
) {
    let mut at = 0;
    while at < query.len() && at < row.len() {
        let (query, row) = (&query[at], &row[at]);
        let mut lane = 0;
        while lane < N {
            sums[lane] = S::add::<FUSED>(sums[lane], query[lane], D::decode(row[lane]));
            lane += 1;
        }
        at += 1;
    }
}

/// Sum of the lanes, in halves: a chain of additions would take longer than the row.
#[inline(always)]
fn fold(lanes: &[f32; NARROW]) -> f32 {
    let (mut eight, mut four) = ([0.0f32; 8], [0.0f32; 4]);
    let mut lane = 0;
    while lane < 8 {
        eight[lane] = lanes[lane] + lanes[lane + 8];
        lane += 1;
    }
    lane = 0;
    while lane < 4 {
        four[lane] = eight[lane] + eight[lane + 4];
        lane += 1;
    }
    (four[0] + four[2]) + (four[1] + four[3])
}

/// Comparison of floats by a sum over their components: chunks of 64, then of 16, then one by one.
pub(super) struct Sum<D, S>(std::marker::PhantomData<(D, S)>);

/// Squared Euclidean distance of floats.
pub(super) type SquaredDistance<D> = Sum<D, Difference>;
/// Inner product of floats.
pub(super) type Dot<D> = Sum<D, Product>;
/// Squared length of the row; of the query only the length is read.
pub(super) type SquaredNorm<D> = Sum<D, Square>;

#[allow(private_bounds, reason = "the kinds of sums are listed above")]
impl<D: Decode, S: Step> Kernel for Sum<D, S> {
    type Query = f32;
    type Row = D::Stored;

    #[inline(always)]
    fn distance<const FUSED: bool>(query: &[f32], row: &[D::Stored]) -> f32 {
        let (wide_query, query) = query.as_chunks::<WIDE>();
        let (wide_row, row) = row.as_chunks::<WIDE>();
        let mut sums = [0.0f32; WIDE];
        add_chunks::<D, S, FUSED, WIDE>(&mut sums, wide_query, wide_row);
        let mut folded = [0.0f32; NARROW];
        let mut lane = 0;
        while lane < NARROW {
            folded[lane] = (sums[lane] + sums[lane + 16]) + (sums[lane + 32] + sums[lane + 48]);
            lane += 1;
        }
        let (narrow_query, query) = query.as_chunks::<NARROW>();
        let (narrow_row, row) = row.as_chunks::<NARROW>();
        add_chunks::<D, S, FUSED, NARROW>(&mut folded, narrow_query, narrow_row);
        let mut rest = 0.0;
        let mut at = 0;
        while at < query.len() && at < row.len() {
            rest = S::add::<FUSED>(rest, query[at], D::decode(row[at]));
            at += 1;
        }
        fold(&folded) + rest
    }
}

/// Components that [`CosineOf`] takes at once; it has two sums for each.
const PAIRED: usize = 32;

/// Cosine of floats with a query of length one: inner product and length of the row in one pass over it.
pub(super) struct CosineOf<D>(std::marker::PhantomData<D>);

impl<D: Decode> Kernel for CosineOf<D> {
    type Query = f32;
    type Row = D::Stored;

    #[inline(always)]
    fn distance<const FUSED: bool>(query: &[f32], row: &[D::Stored]) -> f32 {
        let (wide_query, query) = query.as_chunks::<PAIRED>();
        let (wide_row, row) = row.as_chunks::<PAIRED>();
        let (mut dots, mut squares) = ([0.0f32; PAIRED], [0.0f32; PAIRED]);
        let mut at = 0;
        while at < wide_query.len() && at < wide_row.len() {
            let (query, row) = (&wide_query[at], &wide_row[at]);
            let mut lane = 0;
            while lane < PAIRED {
                let component = D::decode(row[lane]);
                dots[lane] = multiply_add::<FUSED>(dots[lane], query[lane], component);
                squares[lane] = multiply_add::<FUSED>(squares[lane], component, component);
                lane += 1;
            }
            at += 1;
        }
        let (mut dot, mut square) = ([0.0f32; NARROW], [0.0f32; NARROW]);
        let mut lane = 0;
        while lane < NARROW {
            dot[lane] = dots[lane] + dots[lane + NARROW];
            square[lane] = squares[lane] + squares[lane + NARROW];
            lane += 1;
        }
        let (mut dot, mut square) = (fold(&dot), fold(&square));
        let mut at = 0;
        while at < query.len() && at < row.len() {
            let component = D::decode(row[at]);
            dot = multiply_add::<FUSED>(dot, query[at], component);
            square = multiply_add::<FUSED>(square, component, component);
            at += 1;
        }
        if square > 0.0 {
            dot / square.sqrt()
        } else {
            0.0
        }
    }
}

/// What a pair of 8-bit components adds.
trait IntegerStep {
    fn term(query: i32, row: i32) -> i32;
}

impl IntegerStep for Difference {
    #[inline(always)]
    fn term(query: i32, row: i32) -> i32 {
        (query - row) * (query - row)
    }
}

impl IntegerStep for Product {
    #[inline(always)]
    fn term(query: i32, row: i32) -> i32 {
        query * row
    }
}

impl IntegerStep for Square {
    #[inline(always)]
    fn term(_: i32, row: i32) -> i32 {
        row * row
    }
}

/// Comparison of 8-bit integers by a sum, exact up to Milvus's largest dimension, 32,768: a term is below 2¹⁶, and each of the
/// 64 sums of 32 bits takes 512 of them.
pub(super) struct IntegerSum<S>(std::marker::PhantomData<S>);

/// Squared Euclidean distance of 8-bit integers.
pub(super) type IntegerSquaredDistance = IntegerSum<Difference>;
/// Inner product of 8-bit integers.
pub(super) type IntegerDot = IntegerSum<Product>;
/// Squared length of a row of 8-bit integers.
pub(super) type IntegerSquaredNorm = IntegerSum<Square>;

#[allow(private_bounds, reason = "the kinds of sums are listed above")]
impl<S: IntegerStep> Kernel for IntegerSum<S> {
    type Query = i8;
    type Row = i8;

    #[inline(always)]
    fn distance<const FUSED: bool>(query: &[i8], row: &[i8]) -> f32 {
        let (wide_query, query) = query.as_chunks::<WIDE>();
        let (wide_row, row) = row.as_chunks::<WIDE>();
        let mut sums = [0i32; WIDE];
        let mut at = 0;
        while at < wide_query.len() && at < wide_row.len() {
            let (query, row) = (&wide_query[at], &wide_row[at]);
            let mut lane = 0;
            while lane < WIDE {
                sums[lane] = sums[lane].wrapping_add(S::term(query[lane] as i32, row[lane] as i32));
                lane += 1;
            }
            at += 1;
        }
        let mut total = 0i64;
        at = 0;
        while at < query.len() && at < row.len() {
            total += S::term(query[at] as i32, row[at] as i32) as i64;
            at += 1;
        }
        at = 0;
        while at < WIDE {
            total += sums[at] as i64;
            at += 1;
        }
        total as f32
    }
}

/// How two words of bits are combined before their bits are counted.
trait Combine {
    fn combine(query: u64, row: u64) -> u64;
}

struct Xor;
struct And;
struct Or;

impl Combine for Xor {
    #[inline(always)]
    fn combine(query: u64, row: u64) -> u64 {
        query ^ row
    }
}

impl Combine for And {
    #[inline(always)]
    fn combine(query: u64, row: u64) -> u64 {
        query & row
    }
}

impl Combine for Or {
    #[inline(always)]
    fn combine(query: u64, row: u64) -> u64 {
        query | row
    }
}

/// Counts the bits of both combined, eight bytes at a time.
#[inline(always)]
fn count_bits<C: Combine>(query: &[u8], row: &[u8]) -> u32 {
    let (wide_query, query) = query.as_chunks::<8>();
    let (wide_row, row) = row.as_chunks::<8>();
    let mut bits = 0;
    let mut at = 0;
    while at < wide_query.len() && at < wide_row.len() {
        bits += C::combine(
            u64::from_le_bytes(wide_query[at]),
            u64::from_le_bytes(wide_row[at]),
        )
        .count_ones();
        at += 1;
    }
    at = 0;
    while at < query.len() && at < row.len() {
        bits += C::combine(query[at] as u64, row[at] as u64).count_ones();
        at += 1;
    }
    bits
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
        count_bits::<Xor>(query, row) as f32
    }
}

impl Kernel for JaccardDistance {
    type Query = u8;
    type Row = u8;

    #[inline(always)]
    fn distance<const FUSED: bool>(query: &[u8], row: &[u8]) -> f32 {
        let common = count_bits::<And>(query, row);
        let set = count_bits::<Or>(query, row);
        if set == 0 {
            0.0
        } else {
            1.0 - common as f32 / set as f32
        }
    }
}
