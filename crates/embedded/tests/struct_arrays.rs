//! Arrays of structs through the service: made, described, written, read back, and kept, as any SDK does it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use milvus_embedded::{Embedded, Location, Options, open};
use milvus_protocol::common::{PlaceholderGroup, PlaceholderType, PlaceholderValue, Status};
use milvus_protocol::milvus::*;
use milvus_protocol::schema::{
    DataType, FieldData, StructArrayFieldSchema, field_data::Field, i_ds::IdField,
};
use milvus_protocol::{packed_bytes, packed_values};
use prost::Message as _;

#[path = "support/structs.rs"]
mod structs;
mod support;
use structs::*;
use support::*;

/// What breaks something, and words that say so.
type Case<T> = (fn(&mut T), &'static str);

async fn compact(database: &Embedded) {
    let describe = DescribeCollectionRequest {
        collection_name: "docs".to_owned(),
        ..Default::default()
    };
    let described: DescribeCollectionResponse =
        call(database, "DescribeCollection", describe).await;
    let request = ManualCompactionRequest {
        collection_id: described.collection_id,
        ..Default::default()
    };
    let answer: ManualCompactionResponse = call(database, "ManualCompaction", request).await;
    succeeded(answer.status.unwrap());
    loop {
        let request = GetCompactionStateRequest {
            compaction_id: answer.compaction_id,
        };
        let state: GetCompactionStateResponse = call(database, "GetCompactionState", request).await;
        if state.executing_plan_no == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn the_schema_is_described_as_it_was_made() {
    runtime().block_on(async {
        let database = open(Location::Memory("described".to_owned()), Options::default()).unwrap();
        create(&database, false).await;
        let describe = DescribeCollectionRequest {
            collection_name: "docs".to_owned(),
            ..Default::default()
        };
        let answer: DescribeCollectionResponse =
            call(&database, "DescribeCollection", describe).await;
        let schema = answer.schema.unwrap();
        let names: Vec<_> = schema.fields.iter().map(|field| &*field.name).collect();
        assert_eq!(names, ["id"]);
        let [clips] = &*schema.struct_array_fields else {
            panic!("{schema:?}")
        };
        let mut found = clips.clone();
        let mut ids = vec![found.field_id];
        found.field_id = 0;
        for member in &mut found.fields {
            ids.push(std::mem::take(&mut member.field_id));
            member
                .type_params
                .sort_by(|left, right| left.key.cmp(&right.key));
        }
        let mut made = clips_schema(false);
        for member in &mut made.fields {
            member
                .type_params
                .sort_by(|left, right| left.key.cmp(&right.key));
        }
        assert_eq!(found, made);
        // 100 is the key, 101 the dynamic field.
        assert_eq!(ids, (102..102 + ids.len() as i64).collect::<Vec<_>>());
        // Making it again is no error, making another one of the name is.
        succeeded(create_collection(&database, vec![clips_schema(false)]).await);
        assert!(
            !create_collection(&database, vec![clips_schema(true)])
                .await
                .is_success()
        );
    });
}

#[test]
fn rows_come_back_from_memory_from_files_and_after_a_compaction() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("structs.db");
    runtime().block_on(async {
        let database = open(path.clone(), Options::default()).unwrap();
        create(&database, true).await;
        write(&database, "Insert", 0..20).await;
        assert_eq!(read(&database, "id >= 0").await, expected(0..20));
        flush(&database).await;
        assert_eq!(read(&database, "id >= 0").await, expected(0..20));
        write(&database, "Insert", 20..40).await;
        drop(database);
        // From the file and from the log.
        let database = open(path.clone(), Options::default()).unwrap();
        assert_eq!(read(&database, "id >= 0").await, expected(0..40));
        let request = DeleteRequest {
            collection_name: "docs".to_owned(),
            expr: "id in [3, 4, 5, 6, 7, 8, 25]".to_owned(),
            ..Default::default()
        };
        let answer: MutationResult = call(&database, "Delete", request).await;
        assert_eq!(answer.delete_cnt, 7);
        flush(&database).await;
        compact(&database).await;
        let left: Vec<_> = expected(0..40)
            .into_iter()
            .filter(|(id, _)| !(3..9).contains(id) && *id != 25)
            .collect();
        assert_eq!(read(&database, "id >= 0").await, left);
        // An upsert replaces the structs of a row.
        upsert_as(&database, 2, 9).await;
        assert_eq!(read(&database, "id == 2").await, [(2, clips_of(9))]);
        drop(database);
        let database = open(path, Options::default()).unwrap();
        assert_eq!(read(&database, "id == 2").await, [(2, clips_of(9))]);
        assert_eq!(read(&database, "id > 2").await, &left[3..]);
    });
}

#[test]
fn an_output_may_be_one_member() {
    runtime().block_on(async {
        let database = open(Location::Memory("member".to_owned()), Options::default()).unwrap();
        create(&database, false).await;
        write(&database, "Insert", 0..5).await;
        let output = async |names: &[&str]| {
            let answer: QueryResults =
                call(&database, "Query", query_request("id < 5", names)).await;
            succeeded(answer.status.unwrap());
            let mut members = Vec::new();
            for field in &answer.fields_data {
                if let Some(Field::StructArrays(found)) = &field.field {
                    assert_eq!(
                        (field.r#type, &*field.field_name),
                        (DataType::ArrayOfStruct as i32, "clips")
                    );
                    members.extend(found.fields.iter().map(|field| field.field_name.clone()));
                }
            }
            (members.join(" "), answer.output_fields.join(" "))
        };
        let all = "flag small number price title emb";
        assert_eq!(
            output(&["clips[title]"]).await,
            ("title".into(), "clips id".into())
        );
        assert_eq!(output(&["clips"]).await, (all.into(), "clips id".into()));
        assert_eq!(output(&["clips[emb]", "clips"]).await.0, all);
        assert_eq!(output(&["*"]).await, (all.into(), "id $meta clips".into()));
        let answer: QueryResults = call(
            &database,
            "Query",
            query_request("id < 5", &["clips[nope]"]),
        )
        .await;
        assert!(answer.status.unwrap().reason.contains("no member nope"));
    });
}

#[test]
fn rows_that_do_not_fit_are_refused_whole() {
    runtime().block_on(async {
        let database = open(Location::Memory("unfit".to_owned()), Options::default()).unwrap();
        create(&database, false).await;
        let refused = async |change: fn(&mut Vec<FieldData>)| {
            let mut fields = rows(0..4);
            let Some(Field::StructArrays(members)) = &mut fields[1].field else {
                panic!("the second field is the struct array")
            };
            change(&mut members.fields);
            let request = InsertRequest { collection_name: "docs".to_owned(), num_rows: 4, fields_data: fields, ..Default::default() };
            let answer: MutationResult = call(&database, "Insert", request).await;
            answer.status.unwrap().reason
        };
        let cases: [Case<Vec<FieldData>>; 8] = [
            (|members| drop(members.pop()), "'emb' of struct 'clips' has to be given"),
            (|members| members[0].field_name = "flags".to_owned(), "'flag' of struct 'clips' has to be given"),
            (|members| members.push(FieldData { field_name: "more".to_owned(), ..members[0].clone() }), "'more' not found in struct schema 'clips'"),
            (|members| members[1] = numbers("small", &[&[], &[1], &[1], &[1]]), "inconsistent struct element count in struct 'clips' at row 1: 'flag' has 0, 'small' has 1"),
            (|members| members[1] = numbers("small", &[&[], &[], &[300], &[1]]), "300"),
            (|members| members[4] = texts("title", &[&[], &[], &["a"], &[&"x".repeat(33)]]), "max length (32)"),
            (|members| members[5] = vectors("emb", 3, &[0, 0, 1, 1], 1.0), "dimension 3"),
            (|members| members[5] = vectors("emb", 2, &[0, 0, 1, 1], f32::NAN), "not a number"),
        ];
        for (change, words) in cases {
            let reason = refused(change).await;
            assert!(reason.contains(words), "{words}: {reason}");
        }
        // A member is not a field of its own, and a struct array of a schema without null has to be there.
        let mut fields = rows(0..4);
        fields[1] = FieldData { field_name: "clips[small]".to_owned(), ..numbers("small", &[&[], &[], &[], &[]]) };
        let request = InsertRequest { collection_name: "docs".to_owned(), num_rows: 4, fields_data: fields, ..Default::default() };
        let answer: MutationResult = call(&database, "Insert", request).await;
        assert!(answer.status.unwrap().reason.contains("write the whole struct array field clips"));
        let request = InsertRequest { collection_name: "docs".to_owned(), num_rows: 4, fields_data: rows(0..4)[..1].to_vec(), ..Default::default() };
        let answer: MutationResult = call(&database, "Insert", request).await;
        assert!(!answer.status.unwrap().is_success());
        assert_eq!(count(&database).await, 0);
    });
}

#[test]
fn schemas_that_are_none_are_refused_by_name() {
    runtime().block_on(async {
        let database = open(Location::Memory("none".to_owned()), Options::default()).unwrap();
        let cases: [Case<StructArrayFieldSchema>; 9] = [
            (|array| array.fields.clear(), "clips has no sub-fields"),
            (
                |array| array.name = "id".to_owned(),
                "duplicated field name id",
            ),
            (|array| array.name = "9".to_owned(), "field name: 9"),
            (
                |array| array.fields[0].name = "a[b]".to_owned(),
                "field name: a[b]",
            ),
            (
                |array| array.fields[1].name = "flag".to_owned(),
                "duplicated field name clips[flag]",
            ),
            (
                |array| array.fields[0].data_type = DataType::Bool as i32,
                "can only be an array",
            ),
            (|array| array.fields[0].nullable = true, "nullable"),
            (
                |array| array.fields[0].type_params[0].value = "3".to_owned(),
                "same max_capacity",
            ),
            (
                |array| array.fields[5].element_type = DataType::SparseFloatVector as i32,
                "element type",
            ),
        ];
        for (change, words) in cases {
            let mut array = clips_schema(false);
            change(&mut array);
            let status: Status = create_collection(&database, vec![array]).await;
            assert!(status.reason.contains(words), "{words}: {status:?}");
        }
        // Nothing was made on the way.
        succeeded(create_collection(&database, vec![clips_schema(false)]).await);
    });
}

#[test]
fn conditions_on_structs_choose_rows() {
    runtime().block_on(async {
        let database = open(
            Location::Memory("conditions".to_owned()),
            Options::default(),
        )
        .unwrap();
        create(&database, true).await;
        write(&database, "Insert", 0..30).await;
        flush(&database).await;
        write(&database, "Insert", 30..60).await;
        let is_wanted = |clip: &Clip| clip.small > 0 && clip.title.starts_with("green");
        let found = |filter: String| {
            let database = &database;
            async move {
                let rows = read(database, &filter).await;
                rows.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
            }
        };
        let condition = "$[small] > 0 && $[title] like \"green%\"";
        let with = |test: &dyn Fn(usize, usize) -> bool| {
            let fits = |id: &i64| {
                clips_of(*id).is_some_and(|clips| {
                    test(
                        clips.iter().filter(|clip| is_wanted(clip)).count(),
                        clips.len(),
                    )
                })
            };
            (0..60).filter(fits).collect::<Vec<_>>()
        };
        let some = with(&|found, _| found > 0);
        assert!(some.len() > 5 && some.len() < 30, "{some:?}");
        assert_eq!(found(format!("match_any(clips, {condition})")).await, some);
        assert_eq!(
            found(format!("id >= 0 and element_filter(clips, {condition})")).await,
            some
        );
        let all = with(&|found, all| found == all);
        assert_eq!(found(format!("MATCH_ALL(clips, {condition})")).await, all);
        let most = with(&|found, _| found <= 1);
        assert_eq!(
            found(format!("match_most(clips, {condition}, threshold=1)")).await,
            most
        );
        // Rows without a list are neither in the condition nor in its opposite.
        let none = with(&|found, _| found == 0);
        assert_eq!(
            found(format!("not match_any(clips, {condition})")).await,
            none
        );
        assert_eq!(
            found("clips is null".to_owned()).await,
            [9, 19, 29, 39, 49, 59]
        );
        assert_eq!(
            found("array_length(clips[price]) == 4 and clips[0][flag] == true".to_owned()).await,
            [8, 18, 28, 38, 48, 58]
        );
        let request = DeleteRequest {
            collection_name: "docs".to_owned(),
            expr: format!("match_any(clips, {condition})"),
            ..Default::default()
        };
        let answer: MutationResult = call(&database, "Delete", request).await;
        assert_eq!(answer.delete_cnt, some.len() as i64);
    });
}

/// Names the folder to write a database with arrays of structs to; without it nothing is written.
const WRITE: &str = "MILVUS_EMBEDDED_WRITE_STRUCTS";

#[test]
fn write_the_current_format_of_structs() {
    let Ok(folder) = std::env::var(WRITE) else {
        return;
    };
    runtime().block_on(async {
        let database = open(std::path::Path::new(&folder), Options::default()).unwrap();
        create(&database, true).await;
        write(&database, "Insert", 0..20).await;
        flush(&database).await;
        write(&database, "Insert", 20..25).await;
    });
}

/// The files in `tests/data` are never changed.
#[test]
fn structs_of_version_3_open_and_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("format-3.db");
    let written = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-3.db");
    std::fs::create_dir_all(path.join("segments")).unwrap();
    std::fs::copy(written.join("catalog.redb"), path.join("catalog.redb")).unwrap();
    for entry in std::fs::read_dir(written.join("segments")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), path.join("segments").join(entry.file_name())).unwrap();
    }
    runtime().block_on(async {
        let database = open(path.clone(), Options::default()).unwrap();
        assert_eq!(read(&database, "id >= 0").await, expected(0..25));
        write(&database, "Insert", 25..30).await;
        flush(&database).await;
        drop(database);
        let database = open(path, Options::default()).unwrap();
        assert_eq!(read(&database, "id >= 0").await, expected(0..30));
    });
}

fn list_request(lists: &[&[[f32; 2]]], metric: &str) -> SearchRequest {
    let value = PlaceholderValue {
        tag: "$0".to_owned(),
        r#type: PlaceholderType::EmbListFloatVector as i32,
        values: lists
            .iter()
            .map(|list| packed_bytes(list.concat()))
            .collect(),
        ..PlaceholderValue::default()
    };
    let group = PlaceholderGroup {
        placeholders: vec![value],
    };
    SearchRequest {
        collection_name: "docs".to_owned(),
        output_fields: vec!["clips".to_owned()],
        search_params: vec![
            pair("anns_field", "clips[emb]"),
            pair("topk", "60"),
            pair("metric_type", metric),
            pair("params", "{}"),
        ],
        search_input: Some(search_request::SearchInput::PlaceholderGroup(
            group.encode_to_vec().into(),
        )),
        nq: lists.len() as i64,
        ..SearchRequest::default()
    }
}

/// How Milvus defines it, computed plainly.
fn score(query: &[[f32; 2]], clips: &[Clip], metric: &str) -> f32 {
    let dot = |a: [f32; 2], b: [f32; 2]| a[0] * b[0] + a[1] * b[1];
    let compare = |a: [f32; 2], b: [f32; 2]| match metric {
        "MAX_SIM_L2" => (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2),
        "MAX_SIM_IP" => dot(a, b),
        _ => {
            let lengths = dot(a, a).sqrt() * dot(b, b).sqrt();
            if lengths == 0.0 {
                0.0
            } else {
                dot(a, b) / lengths
            }
        }
    };
    let best = |vector: &[f32; 2]| {
        let all = clips.iter().map(|clip| compare(*vector, clip.emb));
        match metric {
            "MAX_SIM_L2" => all.fold(f32::INFINITY, f32::min),
            _ => all.fold(f32::NEG_INFINITY, f32::max),
        }
    };
    query.iter().map(best).sum()
}

#[test]
fn lists_of_vectors_are_compared_as_milvus_defines_it() {
    runtime().block_on(async {
        for metric in ["MAX_SIM_L2", "MAX_SIM_IP", "MAX_SIM_COSINE", "MAX_SIM"] {
            let database = open(
                Location::Memory(format!("lists {metric}")),
                Options::default(),
            )
            .unwrap();
            create_with_metric(&database, true, metric).await;
            write(&database, "Insert", 0..30).await;
            flush(&database).await;
            write(&database, "Insert", 30..60).await;
            let queries: [&[[f32; 2]]; 2] =
                [&[[12.0, 1.0], [13.0, 2.0], [-1.0, 3.0]], &[[40.0, 0.5]]];
            let answer: SearchResults =
                call(&database, "Search", list_request(&queries, metric)).await;
            succeeded(answer.status.unwrap());
            let results = answer.results.unwrap();
            let scores = packed_values::<f32>(&results.scores).unwrap();
            let Some(IdField::IntId(ids)) = results.ids.and_then(|ids| ids.id_field) else {
                panic!("no keys")
            };
            // Rows without a struct have no score.
            let mut wanted: Vec<_> = expected(0..60)
                .into_iter()
                .filter_map(|(id, clips)| Some((id, clips.filter(|clips| !clips.is_empty())?)))
                .collect();
            assert_eq!(results.topks, [42, 42]);
            assert_eq!(wanted.len(), 42);
            for (place, query) in queries.into_iter().enumerate() {
                let sign = if metric == "MAX_SIM_L2" { 1.0 } else { -1.0 };
                wanted.sort_by(|left, right| {
                    let (left_score, right_score) = (
                        score(query, &left.1, metric),
                        score(query, &right.1, metric),
                    );
                    (left_score * sign)
                        .total_cmp(&(right_score * sign))
                        .then(left.0.cmp(&right.0))
                });
                let range = place * 42..(place + 1) * 42;
                for ((id, clips), (found, of_found)) in wanted
                    .iter()
                    .zip(ids.data[range.clone()].iter().zip(&scores[range]))
                {
                    let exact = score(query, clips, metric);
                    assert!(
                        (exact - of_found).abs() < 1e-3 * exact.abs().max(1.0),
                        "{metric}: {id} {exact}, {found} {of_found}"
                    );
                }
            }
        }
    });
}

#[test]
fn searches_that_are_none_are_refused_by_name() {
    runtime().block_on(async {
        let database = open(
            Location::Memory("unsearchable".to_owned()),
            Options::default(),
        )
        .unwrap();
        create(&database, false).await;
        write(&database, "Insert", 0..9).await;
        let refused = async |request: SearchRequest| {
            let answer: SearchResults = call(&database, "Search", request).await;
            answer.status.unwrap().reason
        };
        let reason = refused(list_request(&[&[]], "MAX_SIM_L2")).await;
        assert!(reason.contains("one or more vectors"), "{reason}");
        let reason = refused(list_request(&[&[[f32::NAN, 1.0]]], "MAX_SIM_L2")).await;
        assert!(reason.contains("finite"), "{reason}");
        let reason = refused(list_request(&[&[[1.0, 1.0]]], "MAX_SIM_IP")).await;
        assert!(reason.contains("metric type not match"), "{reason}");
        // One struct at a time is not searched.
        let database = open(Location::Memory("elements".to_owned()), Options::default()).unwrap();
        create_with_metric(&database, false, "COSINE").await;
        let answer: SearchResults = call(
            &database,
            "Search",
            list_request(&[&[[1.0, 1.0]]], "COSINE"),
        )
        .await;
        let reason = answer.status.unwrap().reason;
        assert!(
            reason.contains("COSINE") && reason.contains("MAX_SIM"),
            "{reason}"
        );
    });
}
