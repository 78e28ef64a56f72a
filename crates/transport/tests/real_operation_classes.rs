//! What the table of calls says of operation classes, held against a real Milvus: every call that may be sent again after an
//! attempt whose fate is unknown is applied twice with the same message, and leaves what the first one left.
//!
//! Invariant: no call that the table lets repeat is left out; one that this server does not know has to say so.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use milvus_protocol::common::{ConsistencyLevel, KeyValuePair, LoadState};
use milvus_protocol::milvus::{
    ClientHeartbeatRequest, ConnectRequest, CreateCollectionRequest, CreateIndexRequest,
    CreatePartitionRequest, DeleteRequest, DescribeCollectionRequest, DescribeIndexRequest,
    DropCollectionRequest, FlushAllRequest, FlushRequest, GetLoadStateRequest, InsertRequest,
    LoadCollectionRequest, LoadPartitionsRequest, QueryRequest, ReleaseCollectionRequest,
    ReleasePartitionsRequest, ShowPartitionsRequest, UpsertRequest,
};
use milvus_protocol::rpc::{self, OperationClass, Rpc, RpcKind};
use milvus_protocol::schema::{
    CollectionSchema, DataType, FieldData, FieldSchema, FloatArray, LongArray, ScalarField,
    VectorField, field_data, scalar_field, vector_field,
};
use milvus_protocol::{packed_bytes, packed_values};
use milvus_testkit::real;
use milvus_transport::{
    Connection, ConnectionConfig, ConnectionOptions, Error, ErrorKind, parse_uri,
};
use prost::Message;

const KEY: &str = "id";
const VECTOR: &str = "vector";
const PARTITION: &str = "part";
const DIMENSION: usize = 4;
/// What the server does on its own (loading, building) is done by then, on any machine.
const AT_LAST: Duration = Duration::from_secs(150);

/// A collection that only this test knows, and what has been applied to it.
struct Stage {
    connection: Connection,
    name: String,
    applied: BTreeSet<&'static str>,
}

impl Stage {
    async fn set_up() -> Self {
        let server = real::plain();
        let mut options = ConnectionOptions::default();
        options.call_timeout = AT_LAST;
        // What is applied twice is applied by this test.
        options.retry = false;
        let target = parse_uri(&server.uri()).unwrap().target;
        let config = ConnectionConfig::new(target).options(options);
        let stage = Self {
            connection: Connection::connect("test", config).await.unwrap(),
            name: format!("operation_classes_{}", std::process::id()),
            applied: BTreeSet::new(),
        };
        let key = FieldSchema {
            name: KEY.into(),
            is_primary_key: true,
            data_type: DataType::Int64.into(),
            ..FieldSchema::default()
        };
        let vector = FieldSchema {
            name: VECTOR.into(),
            data_type: DataType::FloatVector.into(),
            type_params: vec![pair("dim", "4")],
            ..FieldSchema::default()
        };
        let schema = CollectionSchema {
            name: stage.name.clone(),
            fields: vec![key, vector],
            ..CollectionSchema::default()
        };
        let create = CreateCollectionRequest {
            collection_name: stage.name.clone(),
            schema: schema.encode_to_vec().into(),
            shards_num: 1,
            ..CreateCollectionRequest::default()
        };
        stage.make(&rpc::CREATE_COLLECTION, create).await;
        let create = CreatePartitionRequest {
            collection_name: stage.name.clone(),
            partition_name: PARTITION.into(),
            ..CreatePartitionRequest::default()
        };
        stage.make(&rpc::CREATE_PARTITION, create).await;
        let insert = InsertRequest {
            collection_name: stage.name.clone(),
            fields_data: rows(&[1, 2, 3, 4], 0.0),
            num_rows: 4,
            ..InsertRequest::default()
        };
        stage.make(&rpc::INSERT, insert).await;
        stage
    }

    /// Something that has to succeed.
    async fn make<Req, Res>(&self, rpc: &Rpc<Req, Res>, request: Req) -> Res
    where
        Req: Message,
        Res: Message + Default,
    {
        let outcome = self.connection.call(rpc, request).await;
        outcome.unwrap_or_else(|error| panic!("{}: {error}", rpc.name()))
    }

    /// Applies a call twice, and then, where the table lets two attempts be under way, twice at the same time.
    async fn twice<Req, Res>(&mut self, rpc: &Rpc<Req, Res>, request: Req)
    where
        Req: Message + Clone,
        Res: Message + Default,
    {
        let name = rpc.name();
        let class = rpc.class_of(&request);
        assert!(class.may_repeat_after_unknown_outcome(), "{name}");
        assert_eq!(class, rpc.class(), "{name} is stricter with this message");
        let apply = || self.connection.call(rpc, request.clone());
        let first = answer_class(&apply().await);
        let after_first = self.state().await;
        let second = answer_class(&apply().await);
        let after_second = self.state().await;
        assert_eq!(
            first, "success",
            "{name}: nothing is learnt from a call that fails"
        );
        assert_eq!(second, first, "{name}: the second answer");
        assert_eq!(
            after_second, after_first,
            "{name}: after the second application"
        );
        if class == OperationClass::IdempotentWrite {
            let (one, other) = tokio::join!(apply(), apply());
            assert_eq!(
                (answer_class(&one), answer_class(&other)),
                (first.clone(), first),
                "{name}: two at the same time"
            );
            let after_two = self.state().await;
            assert_eq!(after_two, after_first, "{name}: after two at the same time");
        }
        self.applied.insert(name);
    }

    /// All that a client can see of the collection, when the server has come to rest.
    async fn state(&self) -> Vec<String> {
        let load_state = self.settled_load_state().await;
        let describe = DescribeCollectionRequest {
            collection_name: self.name.clone(),
            ..DescribeCollectionRequest::default()
        };
        let described = self.make(&rpc::DESCRIBE_COLLECTION, describe).await;
        let partitions = ShowPartitionsRequest {
            collection_name: self.name.clone(),
            ..ShowPartitionsRequest::default()
        };
        let partitions = self.make(&rpc::SHOW_PARTITIONS, partitions).await;
        vec![
            format!("{:?}", described.schema),
            format!("{:?}", described.aliases),
            format!("{:?}", partitions.partition_names),
            self.indexes().await,
            format!("{load_state:?}"),
            self.rows(load_state).await,
        ]
    }

    async fn settled_load_state(&self) -> LoadState {
        let look = async {
            loop {
                let request = GetLoadStateRequest {
                    collection_name: self.name.clone(),
                    ..GetLoadStateRequest::default()
                };
                let state = self.make(&rpc::GET_LOAD_STATE, request).await.state();
                if state != LoadState::Loading {
                    return state;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(AT_LAST, look)
            .await
            .expect("loading comes to an end")
    }

    async fn indexes(&self) -> String {
        let request = DescribeIndexRequest {
            collection_name: self.name.clone(),
            ..DescribeIndexRequest::default()
        };
        // A collection without an index is an error of its own.
        let described = match self.connection.call(&rpc::DESCRIBE_INDEX, request).await {
            Ok(described) => described.index_descriptions,
            Err(_) => return "none".into(),
        };
        let told = described
            .iter()
            .map(|index| (&index.index_name, &index.field_name, &index.params));
        format!("{:?}", told.collect::<Vec<_>>())
    }

    async fn rows(&self, load_state: LoadState) -> String {
        if load_state != LoadState::Loaded {
            return "not loaded".into();
        }
        let request = QueryRequest {
            collection_name: self.name.clone(),
            expr: format!("{KEY} >= 0"),
            output_fields: vec![KEY.into(), VECTOR.into()],
            consistency_level: ConsistencyLevel::Strong.into(),
            ..QueryRequest::default()
        };
        let answer = self.make(&rpc::QUERY, request).await;
        let (mut keys, mut numbers) = (Vec::new(), Vec::new());
        for field in answer.fields_data {
            match field.field {
                Some(field_data::Field::Scalars(ScalarField {
                    data: Some(scalar_field::Data::LongData(LongArray { data })),
                })) => keys = data,
                Some(field_data::Field::Vectors(VectorField {
                    data: Some(vector_field::Data::FloatVector(FloatArray { data })),
                    ..
                })) => numbers = packed_values::<f32>(&data).unwrap().to_vec(),
                _ => {}
            }
        }
        let mut rows: Vec<_> = keys.iter().zip(numbers.chunks(DIMENSION)).collect();
        rows.sort_by_key(|(key, _)| **key);
        format!("{rows:?}")
    }
}

fn pair(key: &str, value: &str) -> KeyValuePair {
    KeyValuePair {
        key: key.into(),
        value: value.into(),
    }
}

/// Rows with these keys, each of whose vectors is its key and then `rest`.
fn rows(keys: &[i64], rest: f32) -> Vec<FieldData> {
    #[allow(clippy::cast_precision_loss, reason = "small keys")]
    let numbers: Vec<f32> = keys
        .iter()
        .flat_map(|key| [*key as f32, rest, rest, rest])
        .collect();
    vec![
        FieldData {
            r#type: DataType::Int64.into(),
            field_name: KEY.into(),
            field: Some(field_data::Field::Scalars(ScalarField {
                data: Some(scalar_field::Data::LongData(LongArray {
                    data: keys.to_vec(),
                })),
            })),
            ..FieldData::default()
        },
        FieldData {
            r#type: DataType::FloatVector.into(),
            field_name: VECTOR.into(),
            field: Some(field_data::Field::Vectors(VectorField {
                dim: 4,
                data: Some(vector_field::Data::FloatVector(FloatArray {
                    data: packed_bytes::<f32, _>(numbers),
                })),
            })),
            ..FieldData::default()
        },
    ]
}

/// What a caller makes of an answer.
fn answer_class<T>(outcome: &Result<T, Error>) -> String {
    match outcome {
        Ok(_) => "success".into(),
        Err(error) => {
            let codes = error
                .answer()
                .map(|answer| (answer.code(), answer.legacy_code()));
            format!("{:?} {codes:?}: {error}", error.kind())
        }
    }
}

/// The calls that the table lets be sent again after an attempt whose fate is unknown, and that change something.
fn repeatable_writes() -> BTreeSet<&'static str> {
    let repeatable = rpc::ALL.iter().filter(|row| {
        row.kind == RpcKind::Unary
            && matches!(
                row.class,
                OperationClass::IdempotentWrite | OperationClass::KeyedWrite
            )
    });
    repeatable.map(|row| row.name).collect()
}

/// What is written, flushed and connected to.
async fn write_twice(stage: &mut Stage) {
    let upsert = UpsertRequest {
        collection_name: stage.name.clone(),
        fields_data: rows(&[2, 3, 7], 0.5),
        num_rows: 3,
        ..UpsertRequest::default()
    };
    let delete = DeleteRequest {
        collection_name: stage.name.clone(),
        expr: format!("{KEY} in [1, 7]"),
        ..DeleteRequest::default()
    };
    let flush = FlushRequest {
        collection_names: vec![stage.name.clone()],
        ..FlushRequest::default()
    };
    stage.twice(&rpc::UPSERT, upsert).await;
    stage.twice(&rpc::DELETE, delete).await;
    let state = stage.state().await;
    assert!(
        state
            .iter()
            .any(|part| part.starts_with("[(2, [2.0, 0.5, 0.5, 0.5]), (3, ")),
        "the rows are looked at: {state:?}"
    );
    stage.twice(&rpc::FLUSH, flush).await;
    stage
        .twice(&rpc::FLUSH_ALL, FlushAllRequest::default())
        .await;
}

/// What is loaded and released.
async fn load_twice(stage: &mut Stage) {
    let release = ReleaseCollectionRequest {
        collection_name: stage.name.clone(),
        ..ReleaseCollectionRequest::default()
    };
    let load_partitions = LoadPartitionsRequest {
        collection_name: stage.name.clone(),
        partition_names: vec![PARTITION.into()],
        replica_number: 1,
        ..LoadPartitionsRequest::default()
    };
    let release_partitions = ReleasePartitionsRequest {
        collection_name: stage.name.clone(),
        partition_names: vec![PARTITION.into()],
        ..ReleasePartitionsRequest::default()
    };
    stage.twice(&rpc::RELEASE_COLLECTION, release).await;
    stage.twice(&rpc::LOAD_PARTITIONS, load_partitions).await;
    stage
        .twice(&rpc::RELEASE_PARTITIONS, release_partitions)
        .await;
}

#[tokio::test]
async fn what_the_table_lets_repeat_leaves_the_same_when_it_is_applied_twice() {
    let mut stage = Stage::set_up().await;
    let create_index = CreateIndexRequest {
        collection_name: stage.name.clone(),
        field_name: VECTOR.into(),
        extra_params: vec![pair("index_type", "FLAT"), pair("metric_type", "L2")],
        ..CreateIndexRequest::default()
    };
    let load = LoadCollectionRequest {
        collection_name: stage.name.clone(),
        replica_number: 1,
        ..LoadCollectionRequest::default()
    };
    let drop_collection = DropCollectionRequest {
        collection_name: stage.name.clone(),
        ..DropCollectionRequest::default()
    };
    stage.twice(&rpc::CONNECT, ConnectRequest::default()).await;
    stage.twice(&rpc::CREATE_INDEX, create_index).await;
    stage.twice(&rpc::LOAD_COLLECTION, load).await;
    write_twice(&mut stage).await;
    load_twice(&mut stage).await;
    stage.make(&rpc::DROP_COLLECTION, drop_collection).await;

    let left: Vec<_> = repeatable_writes()
        .difference(&stage.applied)
        .copied()
        .collect();
    assert_eq!(
        left,
        ["ClientHeartbeat"],
        "calls without a trial: each needs one here"
    );
    let unknown = stage
        .connection
        .call(&rpc::CLIENT_HEARTBEAT, ClientHeartbeatRequest::default())
        .await
        .unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Unimplemented, "{unknown}");
}
