//! Every type of vector with every metric that suits it, against the formula in double precision; growing rows and a file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use milvus_client::admin::{Index, IndexType};
use milvus_client::schema::{CollectionSchema, DataType, FieldSchema};
use milvus_client::{Client, Column, MetricType, QueryVector, SparseVector, bf16_bits, f16_bits};

#[path = "support/client.rs"]
mod support;
use support::{block_on, in_memory};

const DIM: usize = 24;
const ROWS: usize = 90;

/// Small whole numbers: every type of vector holds them exactly.
fn components(seed: u64, vectors: usize) -> Vec<i8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..vectors * DIM).map(|_| random.i8(-6..7)).collect()
}

/// The bytes of vectors of a type. Of binary vectors a bit is set where the component is above zero.
fn packed(kind: DataType, components: &[i8]) -> Bytes {
    let floats = || components.iter().map(|component| f32::from(*component));
    let bytes: Vec<u8> = match kind {
        DataType::FloatVector => floats().flat_map(f32::to_le_bytes).collect(),
        DataType::Float16Vector => floats()
            .flat_map(|value| f16_bits(value).to_le_bytes())
            .collect(),
        DataType::BFloat16Vector => floats()
            .flat_map(|value| bf16_bits(value).to_le_bytes())
            .collect(),
        DataType::Int8Vector => components
            .iter()
            .map(|value| value.cast_unsigned())
            .collect(),
        _ => components
            .chunks(8)
            .map(|eight| {
                let bit = |(at, value): (usize, &i8)| u8::from(*value > 0) << at;
                eight.iter().enumerate().map(bit).sum()
            })
            .collect(),
    };
    bytes.into()
}

fn score(metric: &MetricType, query: &[i8], row: &[i8]) -> f64 {
    let sum = |term: fn(f64, f64) -> f64| -> f64 {
        let pairs = query.iter().zip(row);
        pairs.map(|(a, b)| term(f64::from(*a), f64::from(*b))).sum()
    };
    let both = || sum(|a, b| f64::from(u8::from(a > 0.0 && b > 0.0)));
    let either = || sum(|a, b| f64::from(u8::from(a > 0.0 || b > 0.0)));
    match metric {
        MetricType::L2 => sum(|a, b| (a - b) * (a - b)),
        MetricType::InnerProduct => sum(|a, b| a * b),
        MetricType::Cosine => {
            sum(|a, b| a * b) / (sum(|a, _| a * a).sqrt() * sum(|_, b| b * b).sqrt())
        }
        MetricType::Hamming => either() - both(),
        _ => 1.0 - both() / either(),
    }
}

fn larger_is_better(metric: &MetricType) -> bool {
    matches!(metric, MetricType::InnerProduct | MetricType::Cosine)
}

async fn create(client: &Client, name: &str, field: FieldSchema, index: Index) {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(field);
    client
        .create_collection(name, schema)
        .index("vector", index)
        .await
        .unwrap();
}

/// Half of the rows are in a file, half are not.
async fn insert(client: &Client, name: &str, vectors: impl Fn(std::ops::Range<usize>) -> Column) {
    for range in [0..ROWS / 2, ROWS / 2..ROWS] {
        let ids: Vec<i64> = range.clone().map(|row| row as i64).collect();
        client
            .insert(name)
            .column("id", ids)
            .column("vector", vectors(range.clone()))
            .await
            .unwrap();
        if range.start == 0 {
            client.flush([name]).await.unwrap();
        }
    }
}

/// Every hit has the score of the formula, no row with a better one is missing, and equal scores come by key.
fn check(what: &str, found: &[(i64, f32)], expected: &[f64], larger: bool, limit: usize) {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-4 * b.abs().max(1.0);
    let mut sorted = expected.to_vec();
    sorted.sort_by(|a, b| {
        if larger {
            b.total_cmp(a)
        } else {
            a.total_cmp(b)
        }
    });
    assert_eq!(found.len(), limit.min(sorted.len()), "{what}");
    for (place, (id, score)) in found.iter().enumerate() {
        let score = f64::from(*score);
        assert!(
            near(score, expected[*id as usize]),
            "{what}: row {id} has {score}"
        );
        assert!(
            near(score, sorted[place]),
            "{what}: place {place} has {score}, not {}",
            sorted[place]
        );
    }
    let whole = |pair: &&[(i64, f32)]| pair[0].1 == pair[1].1;
    assert!(
        found
            .windows(2)
            .filter(whole)
            .all(|pair| pair[0].0 < pair[1].0),
        "{what}: ties"
    );
}

#[test]
fn dense_and_binary_vectors_are_scored_by_the_formula() {
    block_on(async {
        let client = in_memory("dense").await;
        let float = [MetricType::L2, MetricType::InnerProduct, MetricType::Cosine];
        let bits = [MetricType::Hamming, MetricType::Jaccard];
        let (rows, queries) = (components(1, ROWS), components(2, 3));
        for (kind, metrics, field) in [
            (
                DataType::FloatVector,
                &float[..],
                FieldSchema::float_vector("vector", DIM),
            ),
            (
                DataType::Float16Vector,
                &float,
                FieldSchema::float16_vector("vector", DIM),
            ),
            (
                DataType::BFloat16Vector,
                &float,
                FieldSchema::bfloat16_vector("vector", DIM),
            ),
            (
                DataType::Int8Vector,
                &float,
                FieldSchema::int8_vector("vector", DIM),
            ),
            (
                DataType::BinaryVector,
                &bits,
                FieldSchema::binary_vector("vector", DIM),
            ),
        ] {
            for metric in metrics {
                let name = format!("{kind:?}_{metric:?}");
                let index = match kind {
                    DataType::BinaryVector => {
                        Index::new(IndexType::BinFlat).metric_type(metric.clone())
                    }
                    _ => Index::auto(metric.clone()),
                };
                create(&client, &name, field.clone(), index).await;
                let part = |range: std::ops::Range<usize>| {
                    packed(kind, &rows[range.start * DIM..range.end * DIM]).into()
                };
                insert(&client, &name, part).await;
                for limit in [1, 10, 1000] {
                    // All three at once: blocks of rows are shared by several queries; and alone.
                    for nq in [1, 3] {
                        let vectors = queries.chunks(DIM).take(nq);
                        let vectors =
                            vectors.map(|query| QueryVector::packed(kind, packed(kind, query)));
                        let found = client
                            .search(&name)
                            .vectors(vectors)
                            .limit(limit)
                            .await
                            .unwrap();
                        for (query, hits) in queries.chunks(DIM).zip(found.queries()) {
                            let hits: Vec<_> = hits
                                .int64_ids()
                                .iter()
                                .copied()
                                .zip(hits.scores().iter().copied())
                                .collect();
                            let expected: Vec<f64> = rows
                                .chunks(DIM)
                                .map(|row| score(metric, query, row))
                                .collect();
                            check(
                                &name,
                                &hits,
                                &expected,
                                larger_is_better(metric),
                                limit as usize,
                            );
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn sparse_vectors_are_scored_by_their_inner_product() {
    block_on(async {
        let client = in_memory("sparse").await;
        let index =
            Index::new(IndexType::SparseInvertedIndex).metric_type(MetricType::InnerProduct);
        create(
            &client,
            "sparse",
            FieldSchema::sparse_float_vector("vector"),
            index,
        )
        .await;
        let sparse = |components: &[i8]| -> SparseVector {
            let pairs = components
                .iter()
                .enumerate()
                .filter(|(_, value)| **value > 2);
            pairs
                .map(|(at, value)| (at as u32 * 1000, f32::from(*value)))
                .collect()
        };
        let (rows, query) = (components(5, ROWS), components(6, 1));
        insert(&client, "sparse", |range| {
            let part = &rows[range.start * DIM..range.end * DIM];
            part.chunks(DIM).map(sparse).collect::<Vec<_>>().into()
        })
        .await;
        let found = client
            .search("sparse")
            .vector(sparse(&query))
            .limit(1000)
            .await
            .unwrap();
        let cut = |value: &i8| if *value > 2 { *value } else { 0 };
        let query: Vec<i8> = query.iter().map(cut).collect();
        let expected: Vec<f64> = rows
            .chunks(DIM)
            .map(|row| {
                score(
                    &MetricType::InnerProduct,
                    &query,
                    &row.iter().map(cut).collect::<Vec<_>>(),
                )
            })
            .collect();
        // A row that shares no dimension with the query is no hit.
        let hits = found.query(0);
        let hits: Vec<_> = hits
            .int64_ids()
            .iter()
            .copied()
            .zip(hits.scores().iter().copied())
            .collect();
        assert_eq!(
            hits.len(),
            expected.iter().filter(|score| **score > 0.0).count()
        );
        assert!(
            hits.iter()
                .all(|(id, score)| f64::from(*score) == expected[*id as usize])
        );
        assert!(
            hits.windows(2)
                .all(|pair| (pair[1].1, pair[0].0) <= (pair[0].1, pair[1].0)
                    || pair[0].1 > pair[1].1)
        );
    });
}
