//! Everyday work through the service, as an SDK in this process would do it: gRPC requests in, gRPC answers out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use milvus_embedded::{Location, Options, open};
use milvus_protocol::common::{PlaceholderGroup, PlaceholderType, PlaceholderValue, Status};
use milvus_protocol::milvus::*;
use milvus_protocol::schema::{
    CollectionSchema, DataType, FieldSchema, ScalarField, field_data::Field, i_ds::IdField,
    scalar_field,
};
use milvus_protocol::{packed_bytes, packed_values};
use prost::Message as _;

mod support;
use support::*;

fn search_request(vector: [f32; 4], limit: usize, filter: &str) -> SearchRequest {
    let value = PlaceholderValue {
        tag: "$0".to_owned(),
        r#type: PlaceholderType::FloatVector as i32,
        values: vec![packed_bytes(vector.to_vec())],
        ..PlaceholderValue::default()
    };
    let group = PlaceholderGroup {
        placeholders: vec![value],
    }
    .encode_to_vec();
    SearchRequest {
        collection_name: "docs".to_owned(),
        dsl: filter.to_owned(),
        output_fields: vec!["text".to_owned()],
        search_params: vec![
            pair("anns_field", "vector"),
            pair("topk", &limit.to_string()),
            pair("metric_type", "L2"),
            pair("params", "{}"),
        ],
        search_input: Some(search_request::SearchInput::PlaceholderGroup(group.into())),
        nq: 1,
        ..SearchRequest::default()
    }
}

fn ids(answer: &SearchResults) -> Vec<i64> {
    let results = answer.results.as_ref().unwrap();
    match results.ids.as_ref().and_then(|ids| ids.id_field.as_ref()) {
        Some(IdField::IntId(ids)) => ids.data.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rows_are_written_found_and_deleted() {
    runtime().block_on(async {
        let everyday =
            || open(Location::Memory("everyday".to_owned()), Options::default()).unwrap();
        let database = everyday();
        collection(&database).await;
        let answer = insert(&database, 0..100).await;
        assert_eq!((answer.insert_cnt, answer.succ_index.len()), (100, 100));
        let answer: SearchResults =
            call(&database, "Search", search_request([7.2; 4], 3, "")).await;
        assert_eq!(ids(&answer), [7, 8, 6]);
        let results = answer.results.unwrap();
        let scores = packed_values::<f32>(&results.scores).unwrap();
        assert!((scores[0] - 0.16).abs() < 1e-4, "{scores:?}");
        assert_eq!(
            (results.topks, results.primary_field_name),
            (vec![3], "id".to_owned())
        );
        let request = search_request([7.2; 4], 2, "id in [90, 91, 3]");
        assert_eq!(ids(&call(&database, "Search", request).await), [3, 90]);
        let request = DeleteRequest {
            collection_name: "docs".to_owned(),
            expr: "id < 50".to_owned(),
            ..Default::default()
        };
        let answer: MutationResult = call(&database, "Delete", request).await;
        assert_eq!(answer.delete_cnt, 50);
        assert_eq!(count(&database).await, 50);
        // A write through one handle is there for every other one of this process.
        assert_eq!(count(&everyday()).await, 50);
    });
}

#[test]
fn a_caller_from_outside_needs_a_grant_and_a_call_of_this_process_none() {
    runtime().block_on(async {
        let database = open(Location::Memory("callers".to_owned()), Options::default()).unwrap();
        collection(&database).await;
        let request = || QueryRequest {
            collection_name: "docs".to_owned(),
            expr: "id < 5".to_owned(),
            ..Default::default()
        };
        let (status, text) = status_as(&database, "alice", "Query", request()).await;
        assert_eq!(status, "7");
        assert!(
            text.contains("PrivilegeQuery") && text.contains("alice"),
            "{text}"
        );
        // An answer without a status in its headers has one behind its message.
        let answered = (String::new(), String::new());
        assert_eq!(
            status_as(&database, "root", "Query", request()).await,
            answered
        );
        let everybody = status_as(&database, "alice", "GetVersion", GetVersionRequest {}).await;
        assert_eq!(everybody, answered);
        let (status, text) = status_as(
            &database,
            "root",
            "CreateSnapshot",
            CreateSnapshotRequest::default(),
        )
        .await;
        assert_eq!(status, "12");
        assert!(
            text.contains("CreateSnapshot") && text.contains("copy"),
            "{text}"
        );
        let answer: QueryResults = call(&database, "Query", request()).await;
        succeeded(answer.status.unwrap());
    });
}

#[test]
fn a_folder_gives_back_what_was_written_flushed_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.db");
    runtime().block_on(async {
        for round in 0..3i64 {
            let database = open(path.clone(), Options::default()).unwrap();
            collection(&database).await;
            assert_eq!(count(&database).await, round * 20);
            insert(&database, round * 20..round * 20 + 10).await;
            flush(&database).await;
            insert(&database, round * 20 + 10..round * 20 + 20).await;
        }
    });
}

#[test]
fn failures_carry_the_numbers_and_words_of_milvus() {
    runtime().block_on(async {
        let database = open(Location::Memory("failures".to_owned()), Options::default()).unwrap();
        let request = DescribeCollectionRequest {
            collection_name: "nope".to_owned(),
            ..Default::default()
        };
        let answer: DescribeCollectionResponse =
            call(&database, "DescribeCollection", request).await;
        let status = answer.status.unwrap();
        assert_eq!((status.code, status.error_code), (100, 4));
        let text = "can't find collection[database=default][collection=nope]";
        assert!(status.reason.contains(text), "{}", status.reason);
        collection(&database).await;
        let refused = async |request: SearchRequest| {
            let answer: SearchResults = call(&database, "Search", request).await;
            answer.status.unwrap()
        };
        let status = refused(search_request([0.0; 4], 3, "id >")).await;
        assert_eq!((status.code, status.is_input_error()), (1100, true));
        let status = refused(search_request([0.0; 4], 16_385, "")).await;
        assert!(
            status
                .reason
                .contains("topk [16385] is invalid, it should be in range [1, 16384]"),
            "{}",
            status.reason
        );
        let mut request = search_request([0.0; 4], 3, "");
        request.search_params[2].value = "COSINE".to_owned();
        let status = refused(request).await;
        let text = "metric type not match: invalid parameter[expected=L2][actual=COSINE]";
        assert!(status.reason.contains(text), "{}", status.reason);
        let request = ReleaseCollectionRequest {
            collection_name: "docs".to_owned(),
            ..Default::default()
        };
        succeeded(call(&database, "ReleaseCollection", request).await);
        assert_eq!(refused(search_request([0.0; 4], 3, "")).await.code, 101);
    });
}

#[test]
fn a_request_with_one_bad_row_changes_nothing() {
    runtime().block_on(async {
        let database = open(Location::Memory("atomic".to_owned()), Options::default()).unwrap();
        collection(&database).await;
        let mut fields_data = fields(0..10);
        let Some(Field::Scalars(ScalarField { data: Some(scalar_field::Data::StringData(texts)) })) = &mut fields_data[1].field
        else {
            panic!("the second field is text")
        };
        texts.data[7] = Bytes::from("x".repeat(65));
        let request = InsertRequest { collection_name: "docs".to_owned(), num_rows: 10, fields_data, ..Default::default() };
        let answer: MutationResult = call(&database, "Insert", request).await;
        let reason = answer.status.unwrap().reason;
        let text = "length of varchar field text exceeds max length, row number: 7, length: 65, max length: 64";
        assert!(reason.contains(text), "{reason}");
        assert_eq!(count(&database).await, 0);
    });
}

#[test]
fn describe_index_says_that_search_is_exact() {
    runtime().block_on(async {
        let database = open(Location::Memory("indexes".to_owned()), Options::default()).unwrap();
        collection(&database).await;
        let request = DescribeIndexRequest {
            collection_name: "docs".to_owned(),
            ..Default::default()
        };
        let answer: DescribeIndexResponse = call(&database, "DescribeIndex", request).await;
        let params = &answer.index_descriptions[0].params;
        for (key, value) in [
            ("index_type", "HNSW"),
            ("metric_type", "L2"),
            ("M", "16"),
            ("embedded.search", "exact"),
        ] {
            assert!(params.contains(&pair(key, value)), "{params:?}");
        }
    });
}

#[test]
fn search_iterators_page_through_ties_without_a_gap_or_a_double() {
    runtime().block_on(async {
        let database = open(Location::Memory("iterator".to_owned()), Options::default()).unwrap();
        collection(&database).await;
        insert(&database, 0..50).await;
        // Rows 10 and 12 are equally far from 11, and so on: a page of four ends in a tie.
        let mut request = search_request([11.0; 4], 4, "");
        let iterator = [
            ("iterator", "True"),
            ("search_iter_v2", "True"),
            ("search_iter_batch_size", "4"),
        ];
        request
            .search_params
            .extend(iterator.map(|(key, value)| pair(key, value)));
        let mut seen = Vec::new();
        loop {
            let answer: SearchResults = call(&database, "Search", request.clone()).await;
            let page = ids(&answer);
            if page.is_empty() {
                break;
            }
            seen.extend(page);
            let cursor = answer
                .results
                .and_then(|results| results.search_iterator_v2_results)
                .unwrap();
            request.search_params.truncate(7);
            let bound = cursor.last_bound.to_string();
            request.search_params.extend([
                pair("search_iter_last_bound", &bound),
                pair("search_iter_id", &cursor.token),
            ]);
        }
        assert_eq!(seen.len(), 50);
        seen.sort_unstable();
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
    });
}

/// What the engine doesn't have is refused when the collection is made, with what to use instead, and leaves nothing behind.
#[test]
fn the_chinese_analyzer_is_refused_by_name() {
    runtime().block_on(async {
        let database = open(Location::Memory("lacking".to_owned()), Options::default()).unwrap();
        let key = FieldSchema {
            name: "id".to_owned(),
            is_primary_key: true,
            data_type: DataType::Int64 as i32,
            ..Default::default()
        };
        let vector = FieldSchema {
            name: "vector".to_owned(),
            data_type: DataType::FloatVector as i32,
            type_params: vec![pair("dim", "4")],
            ..Default::default()
        };
        let chinese = FieldSchema {
            name: "text".to_owned(),
            data_type: DataType::VarChar as i32,
            type_params: vec![
                pair("max_length", "64"),
                pair("enable_analyzer", "true"),
                pair("analyzer_params", r#"{"type": "chinese"}"#),
            ],
            ..Default::default()
        };
        let with_chinese = CollectionSchema {
            name: "lacking".to_owned(),
            fields: vec![key, vector, chinese],
            ..Default::default()
        };
        let request = CreateCollectionRequest {
            collection_name: "lacking".to_owned(),
            schema: with_chinese.encode_to_vec().into(),
            ..Default::default()
        };
        let status: Status = call(&database, "CreateCollection", request).await;
        assert_eq!(status.code, 1100, "{status:?}");
        for word in ["'chinese'", "whitespace", "Milvus server"] {
            assert!(status.reason.contains(word), "{status:?}");
        }
        let request = HasCollectionRequest {
            collection_name: "lacking".to_owned(),
            ..Default::default()
        };
        let there: BoolResponse = call(&database, "HasCollection", request).await;
        assert!(!there.value);
    });
}

#[test]
fn replicas_are_as_many_as_there_are_nodes_and_go_with_the_release() {
    runtime().block_on(async {
        let database = open(Location::Memory("replicas".to_owned()), Options::default()).unwrap();
        collection(&database).await;
        let described = async || -> GetReplicasResponse {
            let request = GetReplicasRequest {
                collection_name: "docs".to_owned(),
                ..Default::default()
            };
            call(&database, "GetReplicas", request).await
        };
        let load = async |replica_number: i32| -> Status {
            let request = LoadCollectionRequest {
                collection_name: "docs".to_owned(),
                replica_number,
                ..Default::default()
            };
            call(&database, "LoadCollection", request).await
        };
        assert_eq!(described().await.replicas.len(), 1);
        let request = ReleaseCollectionRequest {
            collection_name: "docs".to_owned(),
            ..Default::default()
        };
        succeeded(call(&database, "ReleaseCollection", request).await);
        let answer = described().await;
        assert!(!answer.status.unwrap().is_success() && answer.replicas.is_empty());
        let refused = load(3).await;
        assert!(refused.reason.contains("nodes not enough"), "{refused:?}");
        assert!(described().await.replicas.is_empty());
        succeeded(load(1).await);
        assert_eq!(described().await.replicas.len(), 1);
    });
}
