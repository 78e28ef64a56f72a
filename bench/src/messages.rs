//! The rows that the benchmarks send and get, as protocol messages.
//!
//! Invariant: the payload is made once per process; what a call adds is what its library adds.

use std::sync::OnceLock;

use bytes::Bytes;
use milvus_protocol::common::{ErrorCode, Status};
use milvus_protocol::common::{
    KeyValuePair, PlaceholderGroup, PlaceholderType, PlaceholderValue, ServerInfo,
};
use milvus_protocol::milvus::search_request::SearchInput;
use milvus_protocol::milvus::{
    ConnectResponse, DescribeCollectionResponse, GetVersionResponse, InsertRequest, MutationResult,
    QueryRequest, QueryResults, SearchRequest, SearchResults, ShowCollectionsResponse,
};
use milvus_protocol::schema::{
    CollectionSchema, DataType, FieldData, FieldSchema, FloatArray, IDs, LongArray, ScalarField,
    SearchResultData, StringArray, VectorField, field_data, i_ds, scalar_field, vector_field,
};
use prost::Message as _;

use crate::client::{ANSWER_ROWS, COLLECTION, DIMENSION, INSERT_ROWS};
use crate::data;

/// The key of a collection's rows.
pub const KEY_FIELD: &str = "id";
/// A text that hits are asked for.
pub const TITLE_FIELD: &str = "title";
/// Its vectors.
pub const VECTOR_FIELD: &str = "vector";

/// Numbers in a vector of the benchmark of the Python package.
pub const PACKAGE_DIMENSION: usize = 768;
/// Hits for each of its queries.
pub const PACKAGE_LIMIT: usize = 10;

const VERSION: &str = "v2.6.0";

/// The elements of the vectors.
pub fn numbers() -> impl Iterator<Item = f32> {
    std::iter::successors(Some(0.1_f32), |x| Some((x * 1.37 + 0.013).fract()))
}

fn keys(rows: usize) -> FieldData {
    keys_of((0_i64..).take(rows).collect())
}

fn keys_of(data: Vec<i64>) -> FieldData {
    FieldData {
        r#type: DataType::Int64.into(),
        field_name: KEY_FIELD.to_owned(),
        field_id: 100,
        field: Some(field_data::Field::Scalars(ScalarField {
            data: Some(scalar_field::Data::LongData(LongArray { data })),
        })),
        ..FieldData::default()
    }
}

fn vectors(rows: usize) -> FieldData {
    vectors_of(rows, DIMENSION)
}

fn vectors_of(rows: usize, dimension: usize) -> FieldData {
    let bytes: Vec<u8> = numbers()
        .take(rows * dimension)
        .flat_map(f32::to_le_bytes)
        .collect();
    packed(bytes.into(), dimension)
}

fn packed(data: Bytes, dimension: usize) -> FieldData {
    FieldData {
        r#type: DataType::FloatVector.into(),
        field_name: VECTOR_FIELD.to_owned(),
        field_id: 101,
        field: Some(field_data::Field::Vectors(VectorField {
            dim: i64::try_from(dimension).unwrap_or_default(),
            data: Some(vector_field::Data::FloatVector(FloatArray { data })),
        })),
        ..FieldData::default()
    }
}

/// An insert of [`INSERT_ROWS`] rows; the vectors are shared between the requests.
pub fn insert_request() -> InsertRequest {
    static REQUEST: OnceLock<InsertRequest> = OnceLock::new();
    let request = REQUEST.get_or_init(|| InsertRequest {
        collection_name: COLLECTION.to_owned(),
        fields_data: vec![keys(INSERT_ROWS), vectors(INSERT_ROWS)],
        num_rows: u32::try_from(INSERT_ROWS).unwrap_or_default(),
        ..InsertRequest::default()
    });
    request.clone()
}

/// An insert of these keys and packed vectors of the benchmark `data`.
pub fn insert_of(keys: Vec<i64>, vectors: Bytes) -> InsertRequest {
    let num_rows = u32::try_from(keys.len()).unwrap_or_default();
    InsertRequest {
        collection_name: COLLECTION.to_owned(),
        fields_data: vec![keys_of(keys), packed(vectors, data::DIMENSION)],
        num_rows,
        ..InsertRequest::default()
    }
}

/// The packed vectors of an answer.
pub fn packed_vectors(answer: &QueryResults) -> Option<Bytes> {
    answer
        .fields_data
        .iter()
        .find_map(|field| match &field.field {
            Some(field_data::Field::Vectors(VectorField {
                data: Some(vector_field::Data::FloatVector(array)),
                ..
            })) => Some(array.data.clone()),
            _ => None,
        })
}

/// An insert of one row with this key.
pub fn row_request(key: i64) -> InsertRequest {
    InsertRequest {
        collection_name: COLLECTION.to_owned(),
        fields_data: vec![keys_of(vec![key]), vectors(1)],
        num_rows: 1,
        ..InsertRequest::default()
    }
}

/// A query that the null server answers with [`ANSWER_ROWS`] rows.
pub fn query_request() -> QueryRequest {
    QueryRequest {
        collection_name: COLLECTION.to_owned(),
        expr: format!("{KEY_FIELD} >= 0"),
        output_fields: vec![VECTOR_FIELD.to_owned()],
        ..QueryRequest::default()
    }
}

/// The bytes of the vectors in an answer.
pub fn vector_bytes(answer: &QueryResults) -> usize {
    let bytes = |field: &FieldData| match &field.field {
        Some(field_data::Field::Vectors(VectorField {
            data: Some(vector_field::Data::FloatVector(array)),
            ..
        })) => array.data.len(),
        _ => 0,
    };
    answer.fields_data.iter().map(bytes).sum()
}

fn success() -> Option<Status> {
    Some(Status {
        error_code: ErrorCode::Success.into(),
        ..Status::default()
    })
}

/// What a server says to Milvus's handshake.
pub fn connect_response() -> ConnectResponse {
    ConnectResponse {
        status: success(),
        server_info: Some(ServerInfo {
            build_tags: VERSION.to_owned(),
            deploy_mode: "STANDALONE".to_owned(),
            ..ServerInfo::default()
        }),
        identifier: 4711,
    }
}

/// The answer to a small call.
pub fn version_response() -> GetVersionResponse {
    GetVersionResponse {
        status: success(),
        version: VERSION.to_owned(),
    }
}

/// The answer to an insert of [`INSERT_ROWS`] rows.
pub fn mutation_result() -> MutationResult {
    mutation_result_of(INSERT_ROWS)
}

/// The answer to an insert of so many rows.
pub fn mutation_result_of(rows: usize) -> MutationResult {
    let data = (0_i64..).take(rows).collect();
    MutationResult {
        status: success(),
        i_ds: Some(IDs {
            id_field: Some(i_ds::IdField::IntId(LongArray { data })),
        }),
        insert_cnt: i64::try_from(rows).unwrap_or_default(),
        timestamp: 1,
        acknowledged: true,
        ..MutationResult::default()
    }
}

/// The answer to a query.
pub fn query_results() -> QueryResults {
    query_results_of(ANSWER_ROWS, DIMENSION)
}

/// The answer of a query of the benchmark `data`, encoded.
pub fn small_answer() -> Bytes {
    let answer = query_results_of(data::ANSWER_ROWS, data::DIMENSION);
    answer.encode_to_vec().into()
}

/// The hits of a search for one vector.
pub fn keys_and_scores(hits: usize) -> SearchResults {
    let scores: Vec<u8> = numbers().take(hits).flat_map(f32::to_le_bytes).collect();
    let count = i64::try_from(hits).unwrap_or_default();
    SearchResults {
        status: success(),
        results: Some(SearchResultData {
            num_queries: 1,
            top_k: count,
            scores: Bytes::from(scores),
            ids: Some(IDs {
                id_field: Some(i_ds::IdField::IntId(LongArray {
                    data: (0_i64..).take(hits).collect(),
                })),
            }),
            topks: vec![count],
            primary_field_name: KEY_FIELD.to_owned(),
            ..SearchResultData::default()
        }),
        collection_name: COLLECTION.to_owned(),
        ..SearchResults::default()
    }
}

/// A search for ten hits, as every client sends it.
pub fn search_request() -> SearchRequest {
    static GROUP: OnceLock<Bytes> = OnceLock::new();
    let group = GROUP.get_or_init(|| {
        let vector: Vec<u8> = numbers()
            .take(data::DIMENSION)
            .flat_map(f32::to_le_bytes)
            .collect();
        let group = PlaceholderGroup {
            placeholders: vec![PlaceholderValue {
                tag: "$0".to_owned(),
                r#type: PlaceholderType::FloatVector.into(),
                values: vec![vector.into()],
                ..PlaceholderValue::default()
            }],
        };
        group.encode_to_vec().into()
    });
    let parameter = |key: &str, value: &str| KeyValuePair {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    SearchRequest {
        collection_name: COLLECTION.to_owned(),
        dsl_type: 1,
        search_input: Some(SearchInput::PlaceholderGroup(group.clone())),
        search_params: vec![
            parameter("anns_field", VECTOR_FIELD),
            parameter("topk", "10"),
            parameter("params", "{}"),
            parameter("round_decimal", "-1"),
        ],
        nq: 1,
        use_default_consistency: true,
        ..SearchRequest::default()
    }
}

/// The answer to a query of so many rows.
pub fn query_results_of(rows: usize, dimension: usize) -> QueryResults {
    QueryResults {
        status: success(),
        fields_data: vec![keys(rows), vectors_of(rows, dimension)],
        collection_name: COLLECTION.to_owned(),
        output_fields: vec![KEY_FIELD.to_owned(), VECTOR_FIELD.to_owned()],
        primary_field_name: KEY_FIELD.to_owned(),
        ..QueryResults::default()
    }
}

/// The one collection that there is.
pub fn collections_response() -> ShowCollectionsResponse {
    ShowCollectionsResponse {
        status: success(),
        collection_names: vec![COLLECTION.to_owned()],
        collection_ids: vec![1],
        ..ShowCollectionsResponse::default()
    }
}

/// Its description: vectors of so many numbers, and a title for each where they are asked for.
pub fn collection_response(dimension: usize, with_title: bool) -> DescribeCollectionResponse {
    let key = FieldSchema {
        field_id: 100,
        name: KEY_FIELD.to_owned(),
        is_primary_key: true,
        data_type: DataType::Int64.into(),
        ..FieldSchema::default()
    };
    let vector = FieldSchema {
        field_id: 101,
        name: VECTOR_FIELD.to_owned(),
        data_type: DataType::FloatVector.into(),
        type_params: vec![KeyValuePair {
            key: "dim".to_owned(),
            value: dimension.to_string(),
        }],
        ..FieldSchema::default()
    };
    let title = FieldSchema {
        field_id: 102,
        name: TITLE_FIELD.to_owned(),
        data_type: DataType::VarChar.into(),
        type_params: vec![KeyValuePair {
            key: "max_length".to_owned(),
            value: "64".to_owned(),
        }],
        ..FieldSchema::default()
    };
    DescribeCollectionResponse {
        status: success(),
        schema: Some(CollectionSchema {
            name: COLLECTION.to_owned(),
            fields: if with_title {
                vec![key, vector, title]
            } else {
                vec![key, vector]
            },
            ..CollectionSchema::default()
        }),
        collection_id: 1,
        shards_num: 1,
        collection_name: COLLECTION.to_owned(),
        db_name: "default".to_owned(),
        num_partitions: 1,
        ..DescribeCollectionResponse::default()
    }
}

/// The answer to a search for `queries` vectors, `limit` hits for each, with their titles.
pub fn search_results(queries: usize, limit: usize) -> SearchResults {
    let hits = queries * limit;
    let title = FieldData {
        r#type: DataType::VarChar.into(),
        field_name: TITLE_FIELD.to_owned(),
        field_id: 102,
        field: Some(field_data::Field::Scalars(ScalarField {
            data: Some(scalar_field::Data::StringData(StringArray {
                data: (0..hits)
                    .map(|hit| Bytes::from(format!("the title of hit {hit}")))
                    .collect(),
            })),
        })),
        ..FieldData::default()
    };
    let scores: Vec<u8> = (0..hits)
        .flat_map(|hit| (1.0 / ((hit % limit) as f32 + 1.0)).to_le_bytes())
        .collect();
    SearchResults {
        status: success(),
        collection_name: COLLECTION.to_owned(),
        results: Some(SearchResultData {
            num_queries: i64::try_from(queries).unwrap_or_default(),
            top_k: i64::try_from(limit).unwrap_or_default(),
            fields_data: vec![title],
            scores: Bytes::from(scores),
            ids: Some(IDs {
                id_field: Some(i_ds::IdField::IntId(LongArray {
                    data: (0_i64..).take(hits).collect(),
                })),
            }),
            topks: vec![i64::try_from(limit).unwrap_or_default(); queries],
            output_fields: vec![TITLE_FIELD.to_owned()],
            primary_field_name: KEY_FIELD.to_owned(),
            ..SearchResultData::default()
        }),
        ..SearchResults::default()
    }
}
