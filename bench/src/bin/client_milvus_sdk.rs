//! The client program around `milvus-sdk-rust`, the official client.
//!
//! Invariant: its verbs as its guide shows them, with its own defaults.

use std::sync::OnceLock;
use std::time::Duration;

use milvus::v2::prelude::{
    ClientV2, ConnectConfig, FieldData, GetServerVersionRequest, InsertRequest,
    ListCollectionsRequest, QueryRequest,
};
use milvus_bench::client::{self, COLLECTION, DIMENSION, INSERT_ROWS, Peer, Target};
use milvus_bench::faults::Failed;
use milvus_bench::messages::{KEY_FIELD, VECTOR_FIELD, numbers};

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
