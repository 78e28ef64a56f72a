//! The table of calls: spot checks of what the rows must say, and checks over all of them.

use std::collections::BTreeSet;

use milvus_protocol::common::{ErrorCode, Status};
use milvus_protocol::milvus::{
    BoolResponse, ComponentStates, CreateDatabaseRequest, DumpMessagesResponse,
    GetPersistentSegmentInfoRequest, RegisterLinkResponse, SearchRequest, UpsertRequest,
    dump_messages_response,
};
use milvus_protocol::rpc::{self, OperationClass, RpcInfo, RpcKind, StatusPlace};
use milvus_protocol::schema::FieldPartialUpdateOp;
use milvus_protocol::schema::field_partial_update_op::OpType;

fn failed() -> Status {
    Status {
        code: 100,
        ..Status::default()
    }
}

#[test]
fn the_three_services_have_all_their_calls() {
    let count = |service: &str| rpc::ALL.iter().filter(|row| row.service == service).count();
    assert_eq!(count("milvus.proto.milvus.MilvusService"), 144);
    assert_eq!(count("milvus.proto.milvus.ClientTelemetryService"), 4);
    assert_eq!(count("grpc.health.v1.Health"), 2);
    assert_eq!(rpc::ALL.len(), 150);
}

#[test]
fn a_path_is_service_and_name_and_stands_once() {
    let paths: BTreeSet<&str> = rpc::ALL.iter().map(|row| row.path).collect();
    assert_eq!(paths.len(), rpc::ALL.len());
    for row in rpc::ALL {
        assert_eq!(row.path, format!("/{}/{}", row.service, row.name));
        assert_eq!(RpcInfo::by_path(row.path), Some(row));
    }
    assert_eq!(
        RpcInfo::by_path("/milvus.proto.milvus.MilvusService/Nothing"),
        None
    );
}

#[test]
fn what_reads_by_name_is_a_read_and_what_changes_by_name_is_none() {
    let reads = ["Has", "Describe", "List", "Show", "Select"];
    let changes = [
        "Create", "Drop", "Alter", "Add", "Delete", "Remove", "Update", "Transfer", "Operate",
        "Rename",
    ];
    for row in rpc::ALL.iter().filter(|row| row.kind == RpcKind::Unary) {
        if reads.iter().any(|verb| row.name.starts_with(verb)) {
            assert_eq!(row.class, OperationClass::Read, "{}", row.name);
        }
        if changes.iter().any(|verb| row.name.starts_with(verb)) {
            assert_ne!(row.class, OperationClass::Read, "{}", row.name);
        }
    }
}

#[test]
fn rows_that_could_double_are_never_repeated() {
    for class in [
        rpc::INSERT.class(),
        rpc::IMPORT.class(),
        rpc::MANUAL_COMPACTION.class(),
    ] {
        assert_eq!(class, OperationClass::NonIdempotentWrite);
        assert!(!class.may_repeat_after_unknown_outcome());
    }
}

#[test]
fn an_upsert_that_appends_to_an_array_is_not_keyed() {
    let with = |op: OpType| UpsertRequest {
        field_ops: vec![FieldPartialUpdateOp {
            field_name: "tags".into(),
            op: op.into(),
        }],
        ..UpsertRequest::default()
    };
    let class = |request: &UpsertRequest| rpc::UPSERT.class_of(request);
    assert_eq!(class(&UpsertRequest::default()), OperationClass::KeyedWrite);
    assert_eq!(class(&with(OpType::Replace)), OperationClass::KeyedWrite);
    assert_eq!(
        class(&with(OpType::ArrayAppend)),
        OperationClass::NonIdempotentWrite
    );
}

#[test]
fn an_upsert_with_an_operation_of_a_newer_protocol_is_not_keyed() {
    let request = UpsertRequest {
        field_ops: vec![FieldPartialUpdateOp {
            field_name: "tags".into(),
            op: 99,
        }],
        ..UpsertRequest::default()
    };
    assert_eq!(
        rpc::UPSERT.class_of(&request),
        OperationClass::NonIdempotentWrite
    );
}

#[test]
fn only_streams_and_health_are_not_unary_milvus_calls() {
    let streams: Vec<(&str, RpcKind)> = rpc::ALL
        .iter()
        .filter(|row| row.kind != RpcKind::Unary)
        .map(|row| (row.name, row.kind))
        .collect();
    assert_eq!(
        streams,
        [
            ("Watch", RpcKind::ServerStreaming),
            ("CreateReplicateStream", RpcKind::BidiStreaming),
            ("DumpMessages", RpcKind::ServerStreaming),
        ]
    );
}

#[test]
fn the_status_is_found_wherever_it_stands() {
    assert_eq!(rpc::CREATE_COLLECTION.status(&failed()), Some(&failed()));

    let answer = BoolResponse {
        status: Some(failed()),
        ..BoolResponse::default()
    };
    assert_eq!(rpc::HAS_COLLECTION.status(&answer), Some(&failed()));
    assert_eq!(rpc::HAS_COLLECTION.status(&BoolResponse::default()), None);

    let answer = RegisterLinkResponse {
        status: Some(failed()),
        ..RegisterLinkResponse::default()
    };
    assert_eq!(rpc::REGISTER_LINK.info().status, StatusPlace::Field(2));
    assert_eq!(rpc::REGISTER_LINK.status(&answer), Some(&failed()));

    let answer = ComponentStates {
        status: Some(failed()),
        ..ComponentStates::default()
    };
    assert_eq!(
        rpc::GET_COMPONENT_STATES.info().status,
        StatusPlace::Field(3)
    );
    assert_eq!(rpc::GET_COMPONENT_STATES.status(&answer), Some(&failed()));

    let answer = DumpMessagesResponse {
        response: Some(dump_messages_response::Response::Status(failed())),
    };
    assert_eq!(rpc::DUMP_MESSAGES.status(&answer), Some(&failed()));
}

#[test]
fn calls_without_a_status_are_known() {
    let without: BTreeSet<&str> = rpc::ALL
        .iter()
        .filter(|row| row.status == StatusPlace::Absent)
        .map(|row| row.name)
        .collect();
    let known = [
        "Check",
        "CreateReplicateStream",
        "Dummy",
        "GetReplicateInfo",
        "Watch",
    ];
    assert_eq!(without, BTreeSet::from(known));
}

#[test]
fn fifty_five_calls_answer_with_the_status_itself() {
    let whole = rpc::ALL
        .iter()
        .filter(|row| row.status == StatusPlace::Whole);
    assert_eq!(whole.count(), 55);
}

#[test]
fn the_database_of_a_call_is_reached_but_never_the_one_it_works_on() {
    let mut search = SearchRequest::default();
    *rpc::SEARCH.database_mut(&mut search).unwrap() = "books".into();
    assert_eq!(search.db_name, "books");

    let mut segments = GetPersistentSegmentInfoRequest::default();
    assert!(
        rpc::GET_PERSISTENT_SEGMENT_INFO
            .database_mut(&mut segments)
            .is_some()
    );

    let mut create = CreateDatabaseRequest::default();
    assert_eq!(rpc::CREATE_DATABASE.database_mut(&mut create), None);
    assert!(!rpc::DROP_DATABASE.info().has_database);
}

#[test]
fn a_row_is_small_and_copied_freely() {
    let row = rpc::SEARCH;
    let copy = row;
    assert_eq!(row.path(), copy.path());
    assert!(size_of_val(&row) <= 4 * size_of::<usize>());
}

#[test]
fn status_helpers_read_both_numberings() {
    let of = |code, error_code: ErrorCode| Status {
        code,
        error_code: error_code.into(),
        ..Status::default()
    };
    assert!(of(8, ErrorCode::Success).is_rate_limited());
    assert!(of(0, ErrorCode::RateLimit).is_rate_limited());
    assert!(!of(0, ErrorCode::RateLimit).is_success());
    assert!(of(0, ErrorCode::CollectionNotExists).is_collection_not_found());
    assert!(of(100, ErrorCode::Success).is_collection_not_found());

    let mut input_error = of(1100, ErrorCode::Success);
    assert!(!input_error.is_input_error());
    input_error
        .extra_info
        .insert("is_input_error".into(), "true".into());
    assert!(input_error.is_input_error());
}
