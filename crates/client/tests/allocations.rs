//! What reads and writes take of the allocator, counted: reading an answer allocates for its columns, not for its rows;
//! writing rows takes the memory of a few requests, not of all rows.

#![allow(clippy::expect_used, reason = "tests")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use milvus_client::schema::{CollectionSchema, FieldSchema};
use milvus_client::{Client, Column, Connection};
use milvus_protocol::common::Status;
use milvus_protocol::milvus::{
    ConnectResponse, DescribeCollectionResponse, MutationResult, QueryResults,
};
use milvus_protocol::rpc;
use milvus_protocol::schema::field_data::Field;
use milvus_protocol::schema::scalar_field::Data;
use milvus_protocol::schema::vector_field::Data as Vector;
use milvus_protocol::schema::{
    DataType, FieldData, FloatArray, JsonArray, LongArray, ScalarField, StringArray, VectorField,
};
use milvus_transport::{ConnectionConfig, RequestBody, parse_uri};
use prost::Message;
use serde::{Deserialize, Serialize};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
/// Bytes that are allocated, and the most that ever were.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn count(allocated: usize, freed: usize) {
    if allocated > 0 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
    let before = ALLOCATED.fetch_add(allocated, Ordering::Relaxed);
    MOST.fetch_max(before + allocated, Ordering::Relaxed);
    ALLOCATED.fetch_sub(freed, Ordering::Relaxed);
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller keeps the same contract, and `alloc` is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller keeps the same contract, and `alloc` is the system's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A service in this process that has its answers ready.
#[derive(Clone)]
struct Canned {
    connect: Bytes,
    query: Bytes,
    describe: Bytes,
    insert: Bytes,
}

impl tower_service::Service<http::Request<RequestBody>> for Canned {
    type Response = http::Response<UnsyncBoxBody<Bytes, Infallible>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<RequestBody>) -> Self::Future {
        let path = request.uri().path();
        let frame = if path == rpc::QUERY.path() {
            &self.query
        } else if path == rpc::INSERT.path() {
            &self.insert
        } else if path == rpc::DESCRIBE_COLLECTION.path() {
            &self.describe
        } else {
            &self.connect
        };
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        let body = Full::new(frame.clone())
            .with_trailers(ready(Some(Ok(trailers))))
            .boxed_unsync();
        let mut response = http::Response::new(body);
        let content_type = http::HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", content_type);
        ready(Ok(response))
    }
}

fn framed(message: &impl Message) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).expect("below 4 GB"));
    message.encode(&mut frame).expect("it grows");
    frame.freeze()
}

const DIMENSION: usize = 768;

fn column(name: &str, data_type: DataType, field: Field) -> FieldData {
    FieldData {
        r#type: data_type.into(),
        field_name: name.to_owned(),
        field: Some(field),
        ..FieldData::default()
    }
}

fn answer(rows: usize) -> QueryResults {
    let ids = Data::LongData(LongArray {
        data: (0_i64..).take(rows).collect(),
    });
    let titles = Data::StringData(StringArray {
        data: (0..rows).map(|row| format!("title {row}").into()).collect(),
    });
    let numbers = (0..rows * DIMENSION).flat_map(|number| (number as f32).to_le_bytes());
    let vectors = Vector::FloatVector(FloatArray {
        data: numbers.collect(),
    });
    let scalars = |data| Field::Scalars(ScalarField { data: Some(data) });
    let objects = Data::JsonData(JsonArray {
        data: (0..rows)
            .map(|row| format!("{{\"unread\":[{row}],\"note\":\"note {row}\"}}").into())
            .collect(),
    });
    let mut dynamic = column("$meta", DataType::Json, scalars(objects));
    dynamic.is_dynamic = true;
    QueryResults {
        status: Some(Status::default()),
        fields_data: vec![
            dynamic,
            column("id", DataType::Int64, scalars(ids)),
            column("title", DataType::VarChar, scalars(titles)),
            column(
                "vector",
                DataType::FloatVector,
                Field::Vectors(VectorField {
                    dim: DIMENSION as i64,
                    data: Some(vectors),
                }),
            ),
        ],
        ..QueryResults::default()
    }
}

#[derive(Deserialize)]
struct Document<'a> {
    id: i64,
    title: &'a str,
    /// Of `$meta`.
    note: &'a str,
}

/// A client of a service that has this answer to queries.
async fn client(answer: &QueryResults) -> Client {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::float_vector("vector", DIMENSION));
    let status = Some(Status::default());
    let service = Canned {
        connect: framed(&ConnectResponse {
            status: status.clone(),
            ..ConnectResponse::default()
        }),
        query: framed(answer),
        describe: framed(&DescribeCollectionResponse {
            status: status.clone(),
            schema: Some((&schema).into()),
            collection_name: "docs".to_owned(),
            ..DescribeCollectionResponse::default()
        }),
        insert: framed(&MutationResult {
            status,
            ..MutationResult::default()
        }),
    };
    let target = parse_uri("memory:allocations").expect("a URI").target;
    let connection = Connection::in_process("test", ConnectionConfig::new(target), service);
    Client::new(connection.await.expect("it answers"))
}

/// Queries so many rows, and reads every value of them; the allocations of that.
async fn allocations(rows: usize) -> usize {
    let client = client(&answer(rows)).await;
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let found = client.query("docs").filter("id >= 0").await.expect("rows");
    assert_eq!(found.len(), rows);
    let ids = found.column("id").expect("there").values::<i64>();
    assert_eq!(ids.expect("numbers").iter().sum::<i64>(), {
        let rows = rows as i64;
        rows * (rows - 1) / 2
    });
    let vectors = found.column("vector").expect("there");
    let all = vectors.values::<f32>().expect("numbers");
    assert_eq!(all.len(), rows * DIMENSION);
    assert_eq!(
        vectors.float_vector(1).expect("a vector"),
        all.get(DIMENSION..2 * DIMENSION)
    );
    let mut letters = 0;
    for document in found.iter::<Document<'_>>() {
        let document = document.expect("a document");
        assert_eq!(document.title.len(), document.note.len() + 1);
        letters += document.title.len() + usize::from(document.id < 0);
    }
    assert!(letters > rows * "title ".len());
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

#[tokio::test]
async fn reading_ten_megabytes_allocates_for_columns_not_for_rows() {
    // What is made once per process is not what an answer costs.
    allocations(10).await;
    let (small, large) = (allocations(340).await, allocations(3_400).await);
    // Three of the four columns are lists that double as they grow: four steps more for ten times the rows.
    assert!(
        large <= small + 3 * 5,
        "{small} for 1 MB, {large} for 10 MB"
    );
    assert!(large < 200, "{large}");
}

#[derive(Serialize)]
struct Row {
    id: i64,
    vector: Vec<f32>,
}

#[tokio::test]
async fn writing_forty_megabytes_of_rows_takes_the_memory_of_a_few_requests() {
    let client = client(&QueryResults::default()).await;
    let rows: Vec<Row> = (0..13_000)
        .map(|id| Row {
            id,
            vector: vec![0.5; DIMENSION],
        })
        .collect();
    client.insert("docs").rows(&rows[..10]).await.expect("warm");
    let before = ALLOCATED.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let written = client.insert("docs").rows(&rows).await.expect("accepted");
    assert!(written.requests > 8, "{}", written.requests);
    let most = MOST.load(Ordering::Relaxed) - before;
    // Four of four MiB under way, one being made, and what the checks take.
    assert!(most < 24 << 20, "{most} bytes");
}

#[test]
fn a_column_of_a_callers_own_vectors_is_copied_once() {
    let vectors = vec![vec![0.5_f32; 64]; 1_000];
    let nullable: Vec<Option<Vec<f32>>> = vectors.iter().cloned().map(Some).collect();
    for make in [
        &(|| Column::from(&vectors)) as &dyn Fn() -> Column,
        &|| Column::from(vectors.as_slice()),
        &|| Column::from(&nullable),
    ] {
        let before = (
            ALLOCATIONS.load(Ordering::Relaxed),
            ALLOCATED.load(Ordering::Relaxed),
        );
        MOST.store(before.1, Ordering::Relaxed);
        let column = make();
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before.0;
        let most = MOST.load(Ordering::Relaxed) - before.1;
        assert!(allocations < 20, "{allocations} allocations");
        assert!(most < 2 * 1_000 * 64 * 4, "{most} bytes");
        drop(column);
    }
}
