//! Kernels against sums in double precision, scans against sorting everything.

use proptest::prelude::*;

use super::kernel::{
    Brain, CosineOf, Decode, Dot, Half, HammingDistance, IntegerDot, IntegerSquaredDistance,
    IntegerSquaredNorm, JaccardDistance, Kernel, Level, Single, SquaredDistance, SquaredNorm,
    distances,
};
use super::{Hit, Metric, Queries, ScanOptions, TopK, merge, scan};
use crate::column::{Bitmap, Column, ColumnBuilder, ColumnType, Value};

/// Distances by every instruction set of this processor.
fn by_level<K: Kernel>(query: &[K::Query], row: &[K::Row]) -> Vec<f32> {
    let run = |level| {
        let mut out = [0.0];
        distances::<K>(level, query, row, row.len(), &[0], &mut out);
        out[0]
    };
    Level::available().into_iter().map(run).collect()
}

fn near(found: &[f32], expected: f64, scale: f64) -> bool {
    found
        .iter()
        .all(|found| (f64::from(*found) - expected).abs() <= 1e-5 * (scale + 1.0))
}

fn pairs<T: std::fmt::Debug>(
    component: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = (Vec<T>, Vec<T>)> {
    // Lengths around the chunk sizes, odd ones included.
    let lengths = prop_oneof![0usize..40, 60usize..70, 120usize..150, 250usize..260];
    lengths.prop_flat_map(move |length| {
        (
            prop::collection::vec(component.clone(), length),
            prop::collection::vec(component.clone(), length),
        )
    })
}

fn check_floats<D: Decode>(query: &[f32], row: &[D::Stored]) {
    let values: Vec<(f64, f64)> = query
        .iter()
        .zip(row)
        .map(|(query, row)| (f64::from(*query), f64::from(D::decode(*row))))
        .collect();
    let sum = |term: fn(f64, f64) -> f64| {
        values
            .iter()
            .map(|(query, row)| term(*query, *row))
            .sum::<f64>()
    };
    let scale = sum(|query, row| query * query + row * row);
    assert!(near(
        &by_level::<SquaredDistance<D>>(query, row),
        sum(|query, row| (query - row).powi(2)),
        scale
    ));
    assert!(near(
        &by_level::<Dot<D>>(query, row),
        sum(|query, row| query * row),
        scale
    ));
    assert!(near(
        &by_level::<SquaredNorm<D>>(query, row),
        sum(|_, row| row * row),
        scale
    ));
    // Below this the squares leave the range of single precision.
    let length = sum(|_, row| row * row).sqrt();
    if length > 1e-15 {
        let cosine = sum(|query, row| query * row) / length;
        let scale = sum(|query, _| query * query).sqrt();
        assert!(near(&by_level::<CosineOf<D>>(query, row), cosine, scale));
    }
}

proptest! {
    #[test]
    fn float_kernels_agree_on_every_instruction_set((query, row) in pairs(-100f32..100.0)) {
        check_floats::<Single>(&query, &row);
    }

    #[test]
    fn half_precision_kernels_agree_on_every_instruction_set((query, row) in pairs(0u16..0x7000)) {
        let query: Vec<f32> = query.into_iter().map(|bits| f32::from(bits) / 1000.0).collect();
        let signed: Vec<u16> = row.iter().enumerate().map(|(at, bits)| bits | if at % 3 == 0 { 0x8000 } else { 0 }).collect();
        check_floats::<Half>(&query, &signed);
        let small: Vec<u16> = signed.iter().map(|bits| bits & 0xbfff).collect();
        check_floats::<Brain>(&query, &small);
    }

    #[test]
    fn integer_kernels_are_exact((query, row) in pairs(any::<i8>())) {
        let sum = |term: fn(i64, i64) -> i64| query.iter().zip(&row).map(|(query, row)| term((*query).into(), (*row).into())).sum::<i64>() as f32;
        prop_assert!(by_level::<IntegerSquaredDistance>(&query, &row).iter().all(|found| *found == sum(|query, row| (query - row).pow(2))));
        prop_assert!(by_level::<IntegerDot>(&query, &row).iter().all(|found| *found == sum(|query, row| query * row)));
        prop_assert!(by_level::<IntegerSquaredNorm>(&query, &row).iter().all(|found| *found == sum(|_, row| row * row)));
    }

    #[test]
    fn bit_kernels_are_exact((query, row) in pairs(any::<u8>())) {
        let count = |term: fn(u8, u8) -> u8| query.iter().zip(&row).map(|(query, row)| term(*query, *row).count_ones()).sum::<u32>();
        let (different, common, set) = (count(|a, b| a ^ b), count(|a, b| a & b), count(|a, b| a | b));
        prop_assert!(by_level::<HammingDistance>(&query, &row).iter().all(|found| *found == different as f32));
        let jaccard = if set == 0 { 0.0 } else { 1.0 - f64::from(common) / f64::from(set) };
        prop_assert!(near(&by_level::<JaccardDistance>(&query, &row), jaccard, 1.0));
    }

    #[test]
    fn the_best_hits_are_those_of_a_full_sort(scores in prop::collection::vec(-3i8..4, 0..400), limit in 0usize..40, larger in any::<bool>(), with_keys in any::<bool>()) {
        let metric = if larger { Metric::InnerProduct } else { Metric::L2 };
        let keys = Column::from_i64((0..scores.len() as i64).map(|row| (row * 7919) % 1009).collect());
        let mut top = TopK::new(limit, metric, with_keys.then_some(&keys));
        scores.iter().zip(0u32..).for_each(|(score, row)| top.push(f32::from(*score), row));
        let mut sorted: Vec<u32> = (0..scores.len() as u32).collect();
        let key = |row: u32| if with_keys { (i64::from(row) * 7919) % 1009 } else { 0 };
        let score = |row: u32| if larger { -scores[row as usize] } else { scores[row as usize] };
        sorted.sort_by_key(|row| (score(*row), key(*row), *row));
        sorted.truncate(limit);
        let expected: Vec<Hit> = sorted.into_iter().map(|row| Hit { score: f32::from(scores[row as usize]), row }).collect();
        prop_assert_eq!(top.into_hits(), expected);
    }

    #[test]
    fn merged_lists_are_one_sorted_list(lists in prop::collection::vec(prop::collection::vec((-3i8..4, 0i64..50), 0..20), 0..4), limit in 0usize..30) {
        let lists: Vec<Vec<(f32, i64)>> = lists.into_iter().map(|list| list.into_iter().map(|(score, key)| (score.into(), key)).collect()).collect();
        let mut all: Vec<(f32, i64)> = lists.concat();
        all.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
        all.truncate(limit);
        prop_assert_eq!(merge(Metric::Cosine, limit, lists), all);
    }

    #[test]
    fn scans_find_what_looking_at_every_row_finds(
        rows in prop::collection::vec(prop::option::weighted(0.9, prop::collection::vec(-4i8..5, 6)), 0..300),
        queries in prop::collection::vec(prop::collection::vec(-4i8..5, 6), 1..4),
        shape in (0usize..300, 0usize..300, 0usize..20, any::<bool>(), any::<u64>()),
        metric in prop::sample::select(vec![Metric::L2, Metric::InnerProduct, Metric::Cosine]),
        kind in prop::sample::select(vec![ColumnType::FloatVector { dim: 6 }, ColumnType::Float16Vector { dim: 6 }, ColumnType::BFloat16Vector { dim: 6 }, ColumnType::Int8Vector { dim: 6 }]),
    ) {
        let (from, to, limit, filtered, pattern) = shape;
        let encoded: Vec<Option<Vec<u8>>> = rows.iter().map(|row| row.as_ref().map(|row| encode(kind, row))).collect();
        let mut builder = ColumnBuilder::new(kind);
        encoded.iter().for_each(|row| builder.push(row.as_deref().map_or(Value::Null, Value::Dense)).unwrap());
        let column = builder.finish();
        let allowed = Bitmap::from_fn(rows.len(), |row| pattern.rotate_left(row as u32 % 64) & 1 == 1);
        let (start, end) = (from.min(to), from.max(to));
        let options = ScanOptions { limit, allowed: filtered.then_some(&allowed), rows: Some(start..end), ..ScanOptions::default() };
        let bytes: Vec<Vec<u8>> = queries.iter().map(|query| encode(kind, query)).collect();
        let found = scan(&column, &Queries::new(kind, metric, &bytes).unwrap(), &options).unwrap();
        for (query, hits) in queries.iter().zip(found) {
            let mut expected: Vec<(f64, usize)> = (start..end.min(rows.len()))
                .filter(|row| !filtered || allowed.get(*row))
                .filter_map(|row| Some((exact(metric, query, rows[row].as_ref()?), row)))
                .collect();
            expected.sort_by(|left, right| {
                let by_score = if metric.larger_is_better() { right.0.total_cmp(&left.0) } else { left.0.total_cmp(&right.0) };
                by_score.then(left.1.cmp(&right.1))
            });
            expected.truncate(limit);
            prop_assert_eq!(hits.len(), expected.len());
            for (hit, (score, row)) in hits.iter().zip(&expected) {
                prop_assert!((f64::from(hit.score) - score).abs() < 1e-4, "{:?} {} {}", hit, score, row);
                // Rounding may exchange rows of nearly equal cosine; the other metrics are exact on small integers.
                prop_assert!(metric == Metric::Cosine || hit.row as usize == *row);
            }
        }
    }
}

/// Small integers as a vector of the type; exact in all of them.
fn encode(kind: ColumnType, components: &[i8]) -> Vec<u8> {
    let half = |value: f32| {
        // Of small integers the fraction needs at most 2 bits, so that moving bits is exact.
        let bits = value.to_bits();
        let exponent = (bits >> 23 & 0xff) as i32 - 127 + 15;
        let magnitude = if value == 0.0 {
            0
        } else {
            (exponent as u16) << 10 | (bits >> 13 & 0x3ff) as u16
        };
        (bits >> 16 & 0x8000) as u16 | magnitude
    };
    let floats = components.iter().map(|component| f32::from(*component));
    match kind {
        ColumnType::FloatVector { .. } => floats.flat_map(f32::to_le_bytes).collect(),
        ColumnType::Float16Vector { .. } => {
            floats.flat_map(|value| half(value).to_le_bytes()).collect()
        }
        ColumnType::BFloat16Vector { .. } => floats
            .flat_map(|value| ((value.to_bits() >> 16) as u16).to_le_bytes())
            .collect(),
        _ => components
            .iter()
            .map(|component| component.cast_unsigned())
            .collect(),
    }
}

fn exact(metric: Metric, query: &[i8], row: &[i8]) -> f64 {
    let sum = |term: fn(f64, f64) -> f64| {
        query
            .iter()
            .zip(row)
            .map(|(query, row)| term((*query).into(), (*row).into()))
            .sum::<f64>()
    };
    let norms = sum(|query, _| query * query).sqrt() * sum(|_, row| row * row).sqrt();
    match metric {
        Metric::L2 => sum(|query, row| (query - row).powi(2)),
        Metric::Cosine => {
            if norms == 0.0 {
                0.0
            } else {
                sum(|query, row| query * row) / norms
            }
        }
        _ => sum(|query, row| query * row),
    }
}

#[test]
fn half_precision_decodes_every_kind_of_number() {
    let cases = [
        (0x3c00, 1.0),
        (0xc000, -2.0),
        (0x0001, 2f32.powi(-24)),
        (0x03ff, 1023.0 * 2f32.powi(-24)),
        (0x7bff, 65504.0),
        (0x7c00, f32::INFINITY),
        (0xfc00, f32::NEG_INFINITY),
        (0x8000, -0.0),
    ];
    for (bits, value) in cases {
        assert_eq!(
            Half::decode(bits).to_bits(),
            f32::to_bits(value),
            "{bits:04x}"
        );
    }
    assert!(Half::decode(0x7e00).is_nan() && Brain::decode(0x7fc0).is_nan());
    assert_eq!(Brain::decode(0x3f80), 1.0);
}

#[test]
fn range_searches_exclude_the_radius_and_include_the_filter() {
    let mut builder = ColumnBuilder::new(ColumnType::BinaryVector { dim: 8 });
    for row in [0b0u8, 0b1, 0b11, 0b111, 0b1111] {
        builder.push(Value::Dense(&[row])).unwrap();
    }
    let column = builder.finish();
    let queries = Queries::new(column.column_type(), Metric::Hamming, &[[0u8]]).unwrap();
    let options = ScanOptions {
        limit: 9,
        radius: Some(4.0),
        range_filter: Some(1.0),
        ..ScanOptions::default()
    };
    let rows: Vec<u32> = scan(&column, &queries, &options).unwrap()[0]
        .iter()
        .map(|hit| hit.row)
        .collect();
    assert_eq!(rows, [1, 2, 3]);
    assert!(
        Metric::Cosine.in_range(0.9, Some(0.5), Some(0.9))
            && !Metric::Cosine.in_range(0.5, Some(0.5), None)
    );
}

#[test]
fn sparse_rows_without_a_common_dimension_are_no_hits() {
    let mut builder = ColumnBuilder::new(ColumnType::SparseFloatVector);
    builder.push(Value::Sparse(&[1, 5], &[1.0, 2.0])).unwrap();
    builder.push(Value::Sparse(&[2], &[9.0])).unwrap();
    builder.push(Value::Sparse(&[5, 7], &[3.0, 1.0])).unwrap();
    let column = builder.finish();
    let query = crate::column::sparse_to_bytes(&[5, 6], &[2.0, 1.0]);
    let queries = Queries::new(
        ColumnType::SparseFloatVector,
        Metric::InnerProduct,
        &[query],
    )
    .unwrap();
    let hits = scan(
        &column,
        &queries,
        &ScanOptions {
            limit: 9,
            ..ScanOptions::default()
        },
    )
    .unwrap();
    assert_eq!(
        hits[0],
        [Hit { score: 6.0, row: 2 }, Hit { score: 4.0, row: 0 }]
    );
}

#[test]
fn queries_that_do_not_fit_are_errors() {
    let floats = ColumnType::FloatVector { dim: 2 };
    let error = Queries::new(floats, Metric::Hamming, &[[0u8; 8]]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "metric type HAMMING can't compare FloatVector(2); use L2, IP or COSINE"
    );
    let error = Queries::new(floats, Metric::L2, &[[0u8; 12]]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "query vector 0 has 12 bytes, but a vector of FloatVector(2) has 8"
    );
    assert!(Queries::new(floats, Metric::L2, &[[255u8; 8]]).is_err());
    let queries = Queries::new(floats, Metric::L2, &[[0u8; 8]]).unwrap();
    assert!(
        scan(
            &Column::from_i64(vec![1]),
            &queries,
            &ScanOptions::default()
        )
        .is_err()
    );
}

#[test]
fn a_scan_that_is_cancelled_looks_at_nothing_more() {
    let mut builder = ColumnBuilder::new(ColumnType::FloatVector { dim: 1 });
    for row in 0..1000u16 {
        let bytes = f32::from(row).to_le_bytes();
        builder.push(Value::Dense(&bytes)).unwrap();
    }
    let column = builder.finish();
    let kind = ColumnType::FloatVector { dim: 1 };
    let queries = Queries::new(kind, Metric::L2, &[&0.0f32.to_le_bytes()]).unwrap();
    for (cancelled, hits) in [(false, 5), (true, 0)] {
        let cancelled = std::sync::atomic::AtomicBool::new(cancelled);
        let options = ScanOptions {
            limit: 5,
            cancelled: Some(&cancelled),
            ..ScanOptions::default()
        };
        assert_eq!(scan(&column, &queries, &options).unwrap()[0].len(), hits);
    }
}
