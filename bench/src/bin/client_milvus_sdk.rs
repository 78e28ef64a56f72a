//! The client program around `milvus-sdk-rust`, the official client.
//!
//! Invariant: its verbs as its guide shows them, with its own defaults.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;

use milvus::v2::prelude::{
    ClientV2, ConnectConfig, FieldData, FlushRequest, GetServerVersionRequest, InsertRequest,
    ListCollectionsRequest, QueryRequest, SearchRequest, SearchVectors,
};
use milvus_bench::client::{self, COLLECTION, DIMENSION, INSERT_ROWS, Peer, Target};
use milvus_bench::data::{self, DataPeer, Form, Meter};
use milvus_bench::faults::Failed;
use milvus_bench::messages::{KEY_FIELD, VECTOR_FIELD, numbers};
use prost_of_sdk::Message as _;
use serde_json::Value;

#[derive(Clone)]
struct MilvusSdk {
    client: ClientV2,
}

impl Peer for MilvusSdk {
    async fn connect(target: &Target, _number: usize) -> anyhow::Result<Self> {
        let mut config = ConnectConfig::new().uri(&target.uri);
        if let Some(token) = &target.token {
            config = config.token(token);
        }
        if let Some(seconds) = target.timeout {
            config = config.connect_timeout(Duration::from_secs_f64(seconds));
        }
        if let Some(seconds) = target.deadline {
            config = config.rpc_timeout(Duration::from_secs_f64(seconds));
        }
        if let Some(path) = &target.ca {
            config = config.ca_certificate(path.display().to_string());
        }
        if let Some(database) = &target.database {
            config = config.database(database);
        }
        let client = ClientV2::new(&config).await?;
        Ok(Self { client })
    }

    async fn small_call(&self) -> anyhow::Result<()> {
        let request = GetServerVersionRequest::builder().build()?;
        self.client.server_version(request).await?;
        Ok(())
    }

    async fn database_call(&self) -> anyhow::Result<()> {
        let request = ListCollectionsRequest::builder().build()?;
        self.client.list_collections(request).await?;
        Ok(())
    }

    async fn insert(&self) -> anyhow::Result<()> {
        self.client.insert(insert_request()?).await?;
        Ok(())
    }

    async fn insert_row(&self, key: i64) -> Result<(), Failed> {
        // It does not say whether a row may have been inserted.
        let failed = |error: String| Failed {
            not_applied: false,
            said: error,
        };
        let columns = vec![
            FieldData::Int64 {
                name: KEY_FIELD.to_owned(),
                values: vec![key],
            },
            FieldData::FloatVector {
                name: VECTOR_FIELD.to_owned(),
                values: vec![numbers().take(DIMENSION).collect()],
            },
        ];
        let request = InsertRequest::builder()
            .collection_name(COLLECTION)
            .columns(columns)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let outcome = self.client.insert(request).await;
        outcome.map(drop).map_err(|error| failed(error.to_string()))
    }

    async fn large_answer(&self) -> anyhow::Result<usize> {
        let request = QueryRequest::builder()
            .collection_name(COLLECTION)
            .filter(format!("{KEY_FIELD} >= 0"))
            .output_fields([VECTOR_FIELD])
            .build()?;
        let answer = self.client.query(request).await?;
        match answer.results().get_output_field(VECTOR_FIELD) {
            Some(FieldData::FloatVector { values, .. }) => Ok(values.len() * DIMENSION * 4),
            _ => anyhow::bail!("no vectors came"),
        }
    }
}

/// The rows in requests of [`data::BATCH_ROWS`], as the caller has them.
fn requests(rows: usize, form: Form) -> anyhow::Result<Vec<InsertRequest>> {
    let vectors = data::vectors(data::BATCH_ROWS);
    let mut requests = Vec::new();
    for first in (0..rows).step_by(data::BATCH_ROWS) {
        let keys = first..rows.min(first + data::BATCH_ROWS);
        let of_batch = keys.clone().zip(vectors.chunks(data::DIMENSION));
        let request = InsertRequest::builder().collection_name(COLLECTION);
        let request = match form {
            Form::Columns => request.columns(vec![
                FieldData::Int64 {
                    name: KEY_FIELD.to_owned(),
                    values: keys.map(data::key).collect(),
                },
                FieldData::FloatVector {
                    name: VECTOR_FIELD.to_owned(),
                    values: of_batch.map(|(_, vector)| vector.to_vec()).collect(),
                },
            ]),
            Form::Rows => request.rows(of_batch.map(|(row, vector)| {
                serde_json::json!({KEY_FIELD: data::key(row), VECTOR_FIELD: vector})
            })),
        };
        requests.push(request.build()?);
    }
    Ok(requests)
}

impl DataPeer for MilvusSdk {
    async fn insert_rows(&self, rows: usize, form: Form) -> anyhow::Result<Value> {
        // It leaves it to the caller to cut.
        let requests = requests(rows, form)?;
        let meter = Meter::start();
        for request in requests {
            self.client.insert(request).await?;
        }
        Ok(meter.stop(rows * data::VECTOR_BYTES))
    }

    async fn load_file(&self, path: &Path) -> anyhow::Result<Value> {
        let meter = Meter::start();
        let (rows, vectors) = data::read_numpy(path)?;
        let numbers = |vector: &[u8]| -> Vec<f32> {
            let (numbers, _) = vector.as_chunks::<4>();
            numbers
                .iter()
                .map(|number| f32::from_le_bytes(*number))
                .collect()
        };
        for first in (0..rows).step_by(data::BATCH_ROWS) {
            let last = rows.min(first + data::BATCH_ROWS);
            let of_batch = &vectors[first * data::VECTOR_BYTES..last * data::VECTOR_BYTES];
            let columns = vec![
                FieldData::Int64 {
                    name: KEY_FIELD.to_owned(),
                    values: (first..last).map(data::key).collect(),
                },
                FieldData::FloatVector {
                    name: VECTOR_FIELD.to_owned(),
                    values: of_batch.chunks(data::VECTOR_BYTES).map(numbers).collect(),
                },
            ];
            let request = InsertRequest::builder()
                .collection_name(COLLECTION)
                .columns(columns)
                .build()?;
            self.client.insert(request).await?;
        }
        let flush = FlushRequest::builder()
            .collection_names([COLLECTION])
            .build()?;
        self.client.flush(flush).await?;
        Ok(meter.stop(rows * data::VECTOR_BYTES))
    }

    async fn search(&self) -> anyhow::Result<usize> {
        static VECTOR: OnceLock<Vec<f32>> = OnceLock::new();
        let vector = VECTOR.get_or_init(|| data::vectors(1)).clone();
        let request = SearchRequest::builder()
            .collection_name(COLLECTION)
            .vector_field(VECTOR_FIELD)
            .vectors(SearchVectors::Float(vec![vector]))
            .limit(10)
            .build()?;
        let found = self.client.search(request).await?;
        Ok(found
            .results()
            .iter()
            .map(|hits| hits.get_scores().len())
            .sum())
    }

    async fn answer(&self) -> anyhow::Result<usize> {
        let bytes = self.large_answer().await?;
        Ok(bytes / DIMENSION * data::DIMENSION)
    }

    fn encode(seconds: f64) -> anyhow::Result<f64> {
        use milvus::proto::milvus as wire;
        use milvus::proto::schema as field;
        let vectors: Vec<Vec<f32>> = data::vectors(data::MESSAGE_ROWS)
            .chunks(data::DIMENSION)
            .map(<[f32]>::to_vec)
            .collect();
        // What the client does to a column of vectors: one list of all numbers, encoded number by number.
        Ok(data::pace(seconds, || {
            let values: Vec<f32> = vectors.iter().flatten().copied().collect();
            let request = wire::InsertRequest {
                collection_name: COLLECTION.to_owned(),
                fields_data: vec![field::FieldData {
                    field_name: VECTOR_FIELD.to_owned(),
                    field: Some(field::field_data::Field::Vectors(field::VectorField {
                        dim: 768,
                        valid_data: Vec::new(),
                        data: Some(field::vector_field::Data::FloatVector(field::FloatArray {
                            data: values,
                        })),
                    })),
                    ..field::FieldData::default()
                }],
                num_rows: 1_000,
                ..wire::InsertRequest::default()
            };
            std::hint::black_box(request.encode_to_vec());
            vectors.len() * data::VECTOR_BYTES
        }))
    }

    fn decode(seconds: f64, answer: Bytes) -> anyhow::Result<f64> {
        use milvus::proto::milvus as wire;
        let once = || wire::QueryResults::decode(answer.clone());
        once()?;
        Ok(data::pace(seconds, || {
            std::hint::black_box(once().is_ok());
            data::ANSWER_ROWS * data::VECTOR_BYTES
        }))
    }
}

/// The rows are made once; a request owns its rows, so each call gets a copy.
fn insert_request() -> anyhow::Result<InsertRequest> {
    static COLUMNS: OnceLock<Vec<FieldData>> = OnceLock::new();
    let columns = COLUMNS.get_or_init(|| {
        let mut numbers = numbers();
        let vectors = (0..INSERT_ROWS).map(|_| numbers.by_ref().take(DIMENSION).collect());
        vec![
            FieldData::Int64 {
                name: KEY_FIELD.to_owned(),
                values: (0_i64..).take(INSERT_ROWS).collect(),
            },
            FieldData::FloatVector {
                name: VECTOR_FIELD.to_owned(),
                values: vectors.collect(),
            },
        ]
    });
    let request = InsertRequest::builder()
        .collection_name(COLLECTION)
        .columns(columns.clone())
        .build()?;
    Ok(request)
}

fn main() -> anyhow::Result<()> {
    client::run::<MilvusSdk>()
}
