//! Answers as a server should not send them, and as it may.
//!
//! Invariant: no answer makes the client panic.

use bytes::Bytes;
use milvus_protocol::milvus;
use milvus_protocol::schema as wire;
use serde::Deserialize;

use super::{ResultColumn, SearchResults};
use crate::error::{Error, Result};
use crate::results::Rows;
use crate::schema::DataType;

pub(super) fn vectors(
    data_type: DataType,
    dim: i64,
    data: wire::vector_field::Data,
) -> wire::FieldData {
    wire::FieldData {
        r#type: data_type.number(),
        field_name: "v".to_owned(),
        field: Some(wire::field_data::Field::Vectors(wire::VectorField {
            dim,
            data: Some(data),
        })),
        ..wire::FieldData::default()
    }
}

pub(super) fn float_vectors(dim: i64, values: &[f32]) -> wire::FieldData {
    let data = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let data = wire::vector_field::Data::FloatVector(wire::FloatArray { data });
    vectors(DataType::FloatVector, dim, data)
}

pub(super) fn scalars(
    name: &str,
    data_type: DataType,
    data: wire::scalar_field::Data,
) -> wire::FieldData {
    wire::FieldData {
        r#type: data_type.number(),
        field_name: name.to_owned(),
        field: Some(wire::field_data::Field::Scalars(wire::ScalarField {
            data: Some(data),
        })),
        ..wire::FieldData::default()
    }
}

pub(super) fn rows(fields_data: Vec<wire::FieldData>) -> Result<Rows> {
    Rows::from_answer(milvus::QueryResults {
        fields_data,
        ..milvus::QueryResults::default()
    })
}

#[test]
fn vectors_that_their_dimension_does_not_part_are_an_error() {
    for dim in [0, -1, 3, 1 << 61, i64::MAX] {
        let error = ResultColumn::new(float_vectors(dim, &[1.0; 4]), Some(1)).expect_err("broken");
        assert!(matches!(error, Error::UnexpectedAnswer { .. }), "{error:?}");
        assert!(error.to_string().contains("column `v`"), "{error}");
        assert!(rows(vec![float_vectors(dim, &[1.0; 4])]).is_err());
    }
    let halves = wire::vector_field::Data::Float16Vector(Bytes::from_static(&[0; 3]));
    assert!(ResultColumn::new(vectors(DataType::Float16Vector, 1, halves), None).is_err());
    let other = wire::vector_field::Data::BinaryVector(Bytes::from_static(&[0; 4]));
    assert!(ResultColumn::new(vectors(DataType::FloatVector, 1, other), None).is_err());
    let column = ResultColumn::new(float_vectors(2, &[1.0; 4]), None).expect("two vectors");
    assert_eq!(
        column.float_vector(1).expect("a vector"),
        Some(&[1.0, 1.0][..])
    );
    assert_eq!(column.vector_bytes(2), None);
}

#[test]
fn rows_without_a_vector_have_none_whatever_the_dimension_is_said_to_be() {
    for dim in [1 << 61, i64::MAX] {
        let mut message = float_vectors(dim, &[]);
        message.valid_data = vec![false, true, true];
        let column = ResultColumn::new(message, None).expect("no vectors");
        assert_eq!(column.len(), 3);
        for row in 0..4 {
            assert_eq!(column.vector_bytes(row), None);
            assert_eq!(column.float_vector(row).expect("float vectors"), None);
        }
        #[cfg(feature = "arrow")]
        assert!(column.to_arrow().is_err());
    }
}

#[test]
fn hits_that_cannot_be_counted_are_an_error() {
    let answer = milvus::SearchResults {
        results: Some(wire::SearchResultData {
            topks: vec![i64::MAX; 4],
            ..wire::SearchResultData::default()
        }),
        ..milvus::SearchResults::default()
    };
    assert!(SearchResults::from_answer(answer).is_err());
}

#[test]
fn a_column_that_nobody_reads_hinders_nobody() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Row {
        id: i64,
    }
    let ids = wire::scalar_field::Data::LongData(wire::LongArray { data: vec![7] });
    let unknown = wire::scalar_field::Data::BytesData(wire::BytesArray::default());
    let broken = wire::scalar_field::Data::JsonData(wire::JsonArray {
        data: vec![Bytes::from_static(b"{no JSON")],
    });
    let found = rows(vec![
        scalars("v", DataType::Other(99), unknown),
        scalars("json", DataType::Json, broken),
        scalars("id", DataType::Int64, ids),
    ]);
    let found = found.expect("columns");
    assert_eq!(found.row::<Row>(0).expect("an id"), Row { id: 7 });
    // Who asks for it is told.
    let error = found
        .row::<serde_json::Value>(0)
        .expect_err("not read here");
    assert!(error.to_string().contains("field `v`"), "{error}");
}

#[test]
fn parts_are_joined_once_in_their_order() {
    let part = |number: i64, vectors: &[f32]| {
        let ids = wire::scalar_field::Data::LongData(wire::LongArray { data: vec![number] });
        let mut column = float_vectors(2, vectors);
        column.valid_data = vec![!vectors.is_empty()];
        let columns = vec![scalars("id", DataType::Int64, ids), column];
        rows(columns).expect("columns")
    };
    let empty = Rows::default();
    let all = [
        empty.clone(),
        part(1, &[1.0, 1.5]),
        part(2, &[]),
        empty,
        part(3, &[3.0, 3.5]),
    ];
    let all = Rows::joined(all).expect("the same columns");
    assert_eq!(all.len(), 3);
    let ids: &[i64] = all.column("id").expect("there").values().expect("numbers");
    assert_eq!(ids, [1, 2, 3]);
    let vectors = all.column("v").expect("there");
    let vector = |row| vectors.float_vector(row).expect("vectors");
    assert_eq!(vector(0), Some(&[1.0, 1.5][..]));
    assert_eq!(vector(1), None);
    assert_eq!(vector(2), Some(&[3.0, 3.5][..]));

    let other = rows(vec![float_vectors(1, &[1.0])]).expect("a column");
    assert!(Rows::joined([part(1, &[1.0, 1.5]), other]).is_err());
}

#[test]
fn dynamic_fields_are_read_as_what_they_are_asked_for() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Row<'a> {
        text: &'a str,
        #[serde(default)]
        numbers: Vec<f32>,
        other: Option<i64>,
    }
    let objects = [
        r#"{"text": "a, }", "unread": {"text": ["}"]}, "numbers": [1, 2.5], "other": null}"#,
        r#"{"esc\u0061ped":1,"other":-3,"text":""}"#,
    ];
    let objects = wire::scalar_field::Data::JsonData(wire::JsonArray {
        data: objects.map(Bytes::from).to_vec(),
    });
    let mut dynamic = scalars("$meta", DataType::Json, objects);
    dynamic.is_dynamic = true;
    let found = rows(vec![dynamic]).expect("a column");
    let expected = [
        Row {
            text: "a, }",
            numbers: vec![1.0, 2.5],
            other: None,
        },
        Row {
            text: "",
            numbers: Vec::new(),
            other: Some(-3),
        },
    ];
    assert_eq!(found.to_vec::<Row<'_>>().expect("rows"), expected);
    let row: serde_json::Value = found.row(1).expect("a row");
    assert_eq!(
        row,
        serde_json::json!({"escaped": 1, "other": -3, "text": ""})
    );
}

fn structs(members: Vec<wire::FieldData>) -> wire::FieldData {
    let fields = wire::StructArrayField { fields: members };
    wire::FieldData {
        r#type: DataType::ArrayOfStruct.number(),
        field_name: "clips".to_owned(),
        field: Some(wire::field_data::Field::StructArrays(fields)),
        ..wire::FieldData::default()
    }
}

/// A member: a list of so many integers for each row.
fn seconds(lengths: &[usize]) -> wire::FieldData {
    let list = |length: &usize| wire::ScalarField {
        data: Some(wire::scalar_field::Data::LongData(wire::LongArray {
            data: (0..*length as i64).collect(),
        })),
    };
    let lists = wire::ArrayArray {
        data: lengths.iter().map(list).collect(),
        element_type: DataType::Int64.number(),
    };
    let data = wire::scalar_field::Data::ArrayData(lists);
    scalars("second", DataType::Array, data)
}

/// A member: a list of vectors of so many elements in all for each row.
fn embeddings(dim: i64, lengths: &[usize]) -> wire::FieldData {
    let list = |length: &usize| wire::VectorField {
        dim,
        data: Some(wire::vector_field::Data::FloatVector(wire::FloatArray {
            data: vec![0; length * 4].into(),
        })),
    };
    let lists = wire::VectorArray {
        dim,
        data: lengths.iter().map(list).collect(),
        element_type: DataType::FloatVector.number(),
    };
    let data = wire::vector_field::Data::VectorArray(lists);
    vectors(DataType::ArrayOfVector, dim, data)
}

#[test]
fn lists_that_are_not_of_whole_vectors_or_of_different_lengths_are_errors() {
    for broken in [
        embeddings(2, &[2, 3]),
        embeddings(0, &[2]),
        embeddings(i64::MAX, &[2]),
    ] {
        let refused = rows(vec![structs(vec![seconds(&[1, 1]), broken])]);
        assert!(
            matches!(refused, Err(Error::UnexpectedAnswer(_))),
            "{refused:?}"
        );
    }
    let uneven = rows(vec![structs(vec![seconds(&[2]), embeddings(2, &[2])])]);
    let read = uneven.expect("whole").to_vec::<serde_json::Value>();
    let said = read.expect_err("uneven").to_string();
    assert!(said.contains("2 structs, but 1 values"), "{said}");
    let even = rows(vec![structs(vec![seconds(&[2]), embeddings(2, &[4])])]);
    let read = even.expect("whole").to_vec::<serde_json::Value>();
    let clip = |second: i64| serde_json::json!({"second": second, "v": [0.0, 0.0]});
    let film = serde_json::json!({"clips": [clip(0), clip(1)]});
    assert_eq!(read.expect("rows"), [film]);
}

#[test]
fn lists_of_structs_are_put_together_and_cut_member_by_member() {
    let column = |lengths: &[usize], dim: i64| {
        let elements: Vec<_> = lengths.iter().map(|length| length * dim as usize).collect();
        let message = structs(vec![seconds(lengths), embeddings(dim, &elements)]);
        ResultColumn::new(message, None).expect("whole")
    };
    let mut all = column(&[1, 0], 2);
    assert!(all.append(vec![column(&[2], 2), column(&[], 2), column(&[3, 1], 2)]));
    assert_eq!(all.len(), 5);
    let rest = all.split_off(3).expect("can be cut");
    let lengths = |column: &ResultColumn| -> Vec<Option<usize>> {
        let list = |row| {
            column.members()[1]
                .vector_list(row)
                .map(|list| list.len() / 8)
        };
        (0..column.len()).map(list).collect()
    };
    assert_eq!(lengths(&all), [Some(1), Some(0), Some(2)]);
    assert_eq!(lengths(&rest), [Some(3), Some(1)]);
    // Vectors of other dimensions are another column.
    assert!(!all.append(vec![column(&[1], 3)]));
}

#[test]
fn an_array_with_a_member_that_is_not_read_stays_whole() {
    let unread = wire::FieldData {
        field_name: "unread".to_owned(),
        ..wire::FieldData::default()
    };
    let message = structs(vec![seconds(&[1, 2]), unread]);
    let mut column = ResultColumn::new(message, None).expect("as it came");
    assert!(column.split_off(1).is_none());
    assert_eq!((column.len(), column.members()[0].len()), (2, 2));
}
