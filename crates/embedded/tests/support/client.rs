//! The typed client on a database in this process, and rows that are told from each other.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses its share"
)]

use std::future::Future;

use milvus_client::admin::Index;
use milvus_client::schema::{CollectionSchema, FieldSchema};
use milvus_client::{Client, ConsistencyLevel, MetricType};
use milvus_embedded::{Embedded, Location, Options, open};
use milvus_transport::{Connection, ConnectionConfig, Target};

/// Runs a test; deadlines of calls need a clock.
pub fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test)
}

/// A client of this database.
pub async fn client_of(database: &Embedded) -> Client {
    let config = ConnectionConfig::new(Target::Memory {
        name: "test".to_owned(),
    });
    let connection = Connection::in_process("test", config, database.service()).await;
    Client::new(connection.unwrap())
}

/// A client of a database in memory, which has this name.
pub async fn in_memory(name: &str) -> Client {
    client_of(&open(Location::Memory(name.to_owned()), Options::default()).unwrap()).await
}

pub const DIM: usize = 8;
pub const ROWS: i64 = 200;

/// Numbers between -1 and 1 from a fixed seed.
pub fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| random.f32() * 2.0 - 1.0).collect()
}

/// The vectors of [`fill`].
pub fn stored() -> Vec<f32> {
    random(1, ROWS as usize * DIM)
}

/// A collection with a key, a number (key mod 10), a text, and a vector.
pub async fn create(client: &Client, collection: &str, metric: MetricType) {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::int64("n"))
        .field(FieldSchema::varchar("text", 64))
        .field(FieldSchema::float_vector("vector", DIM));
    client
        .create_collection(collection, schema)
        .index("vector", Index::flat(metric))
        .consistency_level(ConsistencyLevel::Strong)
        .await
        .unwrap();
}

/// 200 rows with the keys from 0.
pub async fn fill(client: &Client, collection: &str) {
    client
        .insert(collection)
        .column("id", (0..ROWS).collect::<Vec<i64>>())
        .column("n", (0..ROWS).map(|id| id % 10).collect::<Vec<i64>>())
        .column(
            "text",
            (0..ROWS).map(|id| format!("text {id}")).collect::<Vec<_>>(),
        )
        .column("vector", stored())
        .await
        .unwrap();
}
