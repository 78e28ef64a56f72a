//! Calls of the service in this process, and a small collection to make them on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses its share"
)]

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use milvus_embedded::Embedded;
use milvus_protocol::common::{KeyValuePair, Status};
use milvus_protocol::milvus::*;
use milvus_protocol::packed_bytes;
use milvus_protocol::schema::{
    CollectionSchema, DataType, FieldData, FieldSchema, FloatArray, LongArray, ScalarField,
    StringArray, VectorField, field_data::Field, scalar_field, vector_field,
};
use prost::Message;
use tower_service::Service as _;

/// One call, in process.
pub async fn call<Q: Message, A: Message + Default>(
    database: &Embedded,
    name: &str,
    request: Q,
) -> A {
    let mut frame = vec![0u8];
    frame.extend((request.encoded_len() as u32).to_be_bytes());
    request.encode(&mut frame).unwrap();
    let path = format!("http://embedded/milvus.proto.milvus.MilvusService/{name}");
    let request = http::Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from(frame)))
        .unwrap();
    let answer = database.service().call(request).await.unwrap();
    let headers = answer.headers().clone();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.len() >= 5, "{name}: {headers:?}");
    A::decode(body.slice(5..)).unwrap()
}

/// The gRPC status and its text with which a call of somebody from outside of this process is answered.
pub async fn status_as<Q: Message>(
    database: &Embedded,
    user: &str,
    name: &str,
    request: Q,
) -> (String, String) {
    let mut frame = vec![0u8];
    frame.extend((request.encoded_len() as u32).to_be_bytes());
    request.encode(&mut frame).unwrap();
    let path = format!("http://embedded/milvus.proto.milvus.MilvusService/{name}");
    let request = http::Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .extension(milvus_protocol::server::Caller::new(user))
        .body(Full::new(Bytes::from(frame)))
        .unwrap();
    let answer = database.service().call(request).await.unwrap();
    let text = |name: &str| {
        let value = answer.headers().get(name);
        value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    };
    (text("grpc-status"), text("grpc-message"))
}

pub fn pair(key: &str, value: &str) -> KeyValuePair {
    KeyValuePair {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn schema() -> CollectionSchema {
    let field = |name: &str, data_type: DataType, params: Vec<KeyValuePair>| FieldSchema {
        name: name.to_owned(),
        data_type: data_type as i32,
        type_params: params,
        ..FieldSchema::default()
    };
    CollectionSchema {
        name: "docs".to_owned(),
        fields: vec![
            FieldSchema {
                is_primary_key: true,
                ..field("id", DataType::Int64, vec![])
            },
            field("text", DataType::VarChar, vec![pair("max_length", "64")]),
            field("vector", DataType::FloatVector, vec![pair("dim", "4")]),
        ],
        ..CollectionSchema::default()
    }
}

/// Makes the collection `docs`, with an index, loaded. Does nothing when it is there.
pub async fn collection(database: &Embedded) {
    let schema = schema().encode_to_vec().into();
    let request = CreateCollectionRequest {
        collection_name: "docs".to_owned(),
        schema,
        ..Default::default()
    };
    succeeded(call(database, "CreateCollection", request).await);
    let request = CreateIndexRequest {
        collection_name: "docs".to_owned(),
        field_name: "vector".to_owned(),
        extra_params: vec![
            pair("index_type", "HNSW"),
            pair("metric_type", "L2"),
            pair("params", "{\"M\": 16}"),
        ],
        ..Default::default()
    };
    succeeded(call(database, "CreateIndex", request).await);
    let request = LoadCollectionRequest {
        collection_name: "docs".to_owned(),
        ..Default::default()
    };
    succeeded(call(database, "LoadCollection", request).await);
}

pub fn succeeded(status: Status) {
    assert!(status.is_success(), "{status:?}");
}

/// Rows with the keys `ids`; each vector is its key four times.
pub fn fields(ids: std::ops::Range<i64>) -> Vec<FieldData> {
    let scalars = |name: &str, kind: DataType, data: scalar_field::Data| FieldData {
        r#type: kind as i32,
        field_name: name.to_owned(),
        field: Some(Field::Scalars(ScalarField { data: Some(data) })),
        ..FieldData::default()
    };
    let texts = ids
        .clone()
        .map(|id| Bytes::from(format!("text {id}")))
        .collect();
    let vectors: Vec<f32> = ids.clone().flat_map(|id| [id as f32; 4]).collect();
    let vectors = vector_field::Data::FloatVector(FloatArray {
        data: packed_bytes(vectors),
    });
    vec![
        scalars(
            "id",
            DataType::Int64,
            scalar_field::Data::LongData(LongArray {
                data: ids.collect(),
            }),
        ),
        scalars(
            "text",
            DataType::VarChar,
            scalar_field::Data::StringData(StringArray { data: texts }),
        ),
        FieldData {
            r#type: DataType::FloatVector as i32,
            field_name: "vector".to_owned(),
            field: Some(Field::Vectors(VectorField {
                dim: 4,
                data: Some(vectors),
            })),
            ..FieldData::default()
        },
    ]
}

pub async fn insert(database: &Embedded, ids: std::ops::Range<i64>) -> MutationResult {
    let request = InsertRequest {
        collection_name: "docs".to_owned(),
        num_rows: (ids.end - ids.start) as u32,
        fields_data: fields(ids),
        ..Default::default()
    };
    let answer: MutationResult = call(database, "Insert", request).await;
    succeeded(answer.status.clone().unwrap_or_default());
    answer
}

pub fn query_request(filter: &str, output: &[&str]) -> QueryRequest {
    QueryRequest {
        collection_name: "docs".to_owned(),
        expr: filter.to_owned(),
        output_fields: output.iter().map(|name| (*name).to_owned()).collect(),
        ..QueryRequest::default()
    }
}

fn integers(answer: &QueryResults) -> Vec<i64> {
    match answer
        .fields_data
        .first()
        .and_then(|data| data.field.as_ref())
    {
        Some(Field::Scalars(ScalarField {
            data: Some(scalar_field::Data::LongData(numbers)),
        })) => numbers.data.clone(),
        other => panic!("{other:?}, {:?}", answer.status),
    }
}

pub async fn count(database: &Embedded) -> i64 {
    integers(&call(database, "Query", query_request("", &["count(*)"])).await)[0]
}

/// All primary keys, ascending.
pub async fn keys(database: &Embedded) -> Vec<i64> {
    integers(&call(database, "Query", query_request("id >= 0", &["id"])).await)
}

pub async fn flush(database: &Embedded) {
    let request = FlushRequest {
        collection_names: vec!["docs".to_owned()],
        ..Default::default()
    };
    let answer: FlushResponse = call(database, "Flush", request).await;
    succeeded(answer.status.unwrap());
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}
