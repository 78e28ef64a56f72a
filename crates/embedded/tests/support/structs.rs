//! A collection of rows with an array of structs: a key, and `clips`, whose structs have a member of each kind.
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
use milvus_embedded::Embedded;
use milvus_protocol::common::Status;
use milvus_protocol::milvus::*;
use milvus_protocol::schema::*;
use milvus_protocol::{packed_bytes, packed_values};
use prost::Message as _;

use super::support::{call, pair, query_request, succeeded};
use field_data::Field;
use scalar_field::Data as Scalar;

/// One struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    pub flag: bool,
    pub small: i32,
    pub number: i64,
    pub price: f64,
    pub title: String,
    pub emb: [f32; 2],
}

/// The structs of a row: as many as the last digit of the key divided by two, all different; none at all (null, where it may
/// be) for keys that end in 9.
pub fn clips_of(id: i64) -> Option<Vec<Clip>> {
    let clip = |place: i64| Clip {
        flag: (id + place) % 2 == 0,
        small: (place - id % 3) as i32,
        number: id * 10 + place,
        price: place as f64 + 0.5,
        title: format!(
            "{}{}",
            ["red", "green", "blue"][(place % 3) as usize],
            id % 4
        ),
        emb: [id as f32, place as f32],
    };
    (id % 10 != 9).then(|| (0..id % 10 / 2).map(clip).collect())
}

pub fn expected(ids: std::ops::Range<i64>) -> Vec<(i64, Option<Vec<Clip>>)> {
    ids.map(|id| (id, clips_of(id))).collect()
}

pub fn clips_schema(nullable: bool) -> StructArrayFieldSchema {
    let member = |name: &str, data_type: DataType, element: DataType, more: &[(&str, &str)]| {
        let mut type_params = vec![pair("max_capacity", "16")];
        type_params.extend(more.iter().map(|(key, value)| pair(key, value)));
        FieldSchema {
            name: name.to_owned(),
            data_type: data_type as i32,
            element_type: element as i32,
            nullable,
            type_params,
            ..FieldSchema::default()
        }
    };
    StructArrayFieldSchema {
        name: "clips".to_owned(),
        description: "parts".to_owned(),
        nullable,
        fields: vec![
            member("flag", DataType::Array, DataType::Bool, &[]),
            member("small", DataType::Array, DataType::Int8, &[]),
            member("number", DataType::Array, DataType::Int64, &[]),
            member("price", DataType::Array, DataType::Double, &[]),
            member(
                "title",
                DataType::Array,
                DataType::VarChar,
                &[("max_length", "32")],
            ),
            member(
                "emb",
                DataType::ArrayOfVector,
                DataType::FloatVector,
                &[("dim", "2")],
            ),
        ],
        ..StructArrayFieldSchema::default()
    }
}

pub async fn create_collection(database: &Embedded, arrays: Vec<StructArrayFieldSchema>) -> Status {
    let key = FieldSchema {
        name: "id".to_owned(),
        is_primary_key: true,
        data_type: DataType::Int64 as i32,
        ..FieldSchema::default()
    };
    let schema = CollectionSchema {
        name: "docs".to_owned(),
        fields: vec![key],
        struct_array_fields: arrays,
        enable_dynamic_field: true,
        ..CollectionSchema::default()
    };
    let request = CreateCollectionRequest {
        collection_name: "docs".to_owned(),
        schema: schema.encode_to_vec().into(),
        ..Default::default()
    };
    call(database, "CreateCollection", request).await
}

/// Makes `docs`, with an index on the vectors, loaded.
pub async fn create(database: &Embedded, nullable: bool) {
    create_with_metric(database, nullable, "MAX_SIM_L2").await;
}

pub async fn create_with_metric(database: &Embedded, nullable: bool, metric: &str) {
    succeeded(create_collection(database, vec![clips_schema(nullable)]).await);
    let request = CreateIndexRequest {
        collection_name: "docs".to_owned(),
        field_name: "clips[emb]".to_owned(),
        extra_params: vec![pair("index_type", "HNSW"), pair("metric_type", metric)],
        ..Default::default()
    };
    succeeded(call(database, "CreateIndex", request).await);
    let request = LoadCollectionRequest {
        collection_name: "docs".to_owned(),
        ..Default::default()
    };
    succeeded(call(database, "LoadCollection", request).await);
}

fn scalars(data: Scalar) -> ScalarField {
    ScalarField { data: Some(data) }
}

fn arrays(name: &str, element: DataType, data: Vec<ScalarField>) -> FieldData {
    let data = Scalar::ArrayData(ArrayArray {
        data,
        element_type: element as i32,
    });
    FieldData {
        r#type: DataType::Array as i32,
        field_name: name.to_owned(),
        field: Some(Field::Scalars(scalars(data))),
        ..FieldData::default()
    }
}

pub fn numbers(name: &str, rows: &[&[i32]]) -> FieldData {
    let row = |row: &&[i32]| scalars(Scalar::IntData(IntArray { data: row.to_vec() }));
    arrays(name, DataType::Int8, rows.iter().map(row).collect())
}

pub fn texts(name: &str, rows: &[&[&str]]) -> FieldData {
    let row = |row: &&[&str]| {
        let data = row
            .iter()
            .map(|text| Bytes::copy_from_slice(text.as_bytes()));
        scalars(Scalar::StringData(StringArray {
            data: data.collect(),
        }))
    };
    arrays(name, DataType::VarChar, rows.iter().map(row).collect())
}

/// Lists of so many vectors, all of whose components are `value`.
pub fn vectors(name: &str, dim: usize, counts: &[usize], value: f32) -> FieldData {
    let lists = counts.iter().map(|count| vec![value; dim * count]);
    vector_lists(name, dim as i64, lists.collect())
}

fn vector_lists(name: &str, dim: i64, lists: Vec<Vec<f32>>) -> FieldData {
    let list = |list: Vec<f32>| VectorField {
        dim,
        data: Some(vector_field::Data::FloatVector(FloatArray {
            data: packed_bytes(list),
        })),
    };
    let lists = VectorArray {
        dim,
        data: lists.into_iter().map(list).collect(),
        element_type: DataType::FloatVector as i32,
    };
    FieldData {
        r#type: DataType::ArrayOfVector as i32,
        field_name: name.to_owned(),
        field: Some(Field::Vectors(VectorField {
            dim,
            data: Some(vector_field::Data::VectorArray(lists)),
        })),
        ..FieldData::default()
    }
}

/// Rows as pymilvus sends them: nothing at all in the place of a null row.
fn clips_data(all: &[Option<Vec<Clip>>]) -> FieldData {
    let some: Vec<&Vec<Clip>> = all.iter().flatten().collect();
    macro_rules! member {
        ($name:literal, $kind:ident, $data:ident, $array:ident, $value:expr) => {
            arrays(
                $name,
                DataType::$kind,
                some.iter()
                    .map(|row| {
                        scalars(Scalar::$data($array {
                            data: row.iter().map($value).collect(),
                        }))
                    })
                    .collect(),
            )
        };
    }
    let prices = some.iter().map(|row| {
        let data = packed_bytes(row.iter().map(|clip| clip.price).collect::<Vec<f64>>());
        scalars(Scalar::DoubleData(DoubleArray { data }))
    });
    let mut fields = vec![
        member!("flag", Bool, BoolData, BoolArray, |clip| clip.flag),
        member!("small", Int8, IntData, IntArray, |clip| clip.small),
        member!("number", Int64, LongData, LongArray, |clip| clip.number),
        arrays("price", DataType::Double, prices.collect()),
        member!("title", VarChar, StringData, StringArray, |clip| {
            Bytes::from(clip.title.clone())
        }),
        vector_lists(
            "emb",
            2,
            some.iter()
                .map(|row| row.iter().flat_map(|clip| clip.emb).collect())
                .collect(),
        ),
    ];
    if some.len() < all.len() {
        for field in &mut fields {
            field.valid_data = all.iter().map(Option::is_some).collect();
        }
    }
    FieldData {
        r#type: DataType::ArrayOfStruct as i32,
        field_name: "clips".to_owned(),
        field: Some(Field::StructArrays(StructArrayField { fields })),
        ..FieldData::default()
    }
}

fn keyed(ids: Vec<i64>, clips: &[Option<Vec<Clip>>]) -> Vec<FieldData> {
    let key = FieldData {
        r#type: DataType::Int64 as i32,
        field_name: "id".to_owned(),
        field: Some(Field::Scalars(scalars(Scalar::LongData(LongArray {
            data: ids,
        })))),
        ..FieldData::default()
    };
    vec![key, clips_data(clips)]
}

pub fn rows(ids: std::ops::Range<i64>) -> Vec<FieldData> {
    let clips: Vec<_> = ids.clone().map(clips_of).collect();
    keyed(ids.collect(), &clips)
}

/// `Insert` of rows with these keys.
pub async fn write(database: &Embedded, call_name: &str, ids: std::ops::Range<i64>) {
    let request = InsertRequest {
        collection_name: "docs".to_owned(),
        num_rows: (ids.end - ids.start) as u32,
        fields_data: rows(ids),
        ..Default::default()
    };
    let answer: MutationResult = call(database, call_name, request).await;
    succeeded(answer.status.unwrap_or_default());
}

/// Upserts the row `id` with the structs of the row `like`.
pub async fn upsert_as(database: &Embedded, id: i64, like: i64) {
    let request = UpsertRequest {
        collection_name: "docs".to_owned(),
        num_rows: 1,
        fields_data: keyed(vec![id], &[clips_of(like)]),
        ..Default::default()
    };
    let answer: MutationResult = call(database, "Upsert", request).await;
    succeeded(answer.status.unwrap_or_default());
}

/// What the answer has in the fields `id` and `clips`, row by row.
pub fn rows_of(fields: &[FieldData]) -> Vec<(i64, Option<Vec<Clip>>)> {
    let mut ids = Vec::new();
    let mut members = Vec::new();
    for field in fields {
        match &field.field {
            Some(Field::Scalars(ScalarField {
                data: Some(Scalar::LongData(found)),
            })) => ids = found.data.clone(),
            Some(Field::StructArrays(found)) => members = found.fields.clone(),
            other => panic!("{other:?}"),
        }
    }
    let row = |row: usize| {
        let valid = members[0].valid_data.get(row).is_none_or(|valid| *valid);
        (ids[row], valid.then(|| clips_at(&members, row)))
    };
    (0..ids.len()).map(row).collect()
}

fn clips_at(members: &[FieldData], row: usize) -> Vec<Clip> {
    let list = |place: usize| match &members[place].field {
        Some(Field::Scalars(ScalarField {
            data: Some(Scalar::ArrayData(lists)),
        })) => lists.data[row].data.clone(),
        other => panic!("{other:?}"),
    };
    let (
        Some(Scalar::BoolData(flags)),
        Some(Scalar::IntData(smalls)),
        Some(Scalar::LongData(numbers)),
    ) = (list(0), list(1), list(2))
    else {
        panic!("{members:?}")
    };
    let (Some(Scalar::DoubleData(prices)), Some(Scalar::StringData(titles))) = (list(3), list(4))
    else {
        panic!("{members:?}")
    };
    let prices = packed_values::<f64>(&prices.data).unwrap();
    let Some(Field::Vectors(VectorField {
        data: Some(vector_field::Data::VectorArray(lists)),
        ..
    })) = &members[5].field
    else {
        panic!("{members:?}")
    };
    assert_eq!(
        (lists.element_type, lists.dim),
        (DataType::FloatVector as i32, 2)
    );
    let Some(vector_field::Data::FloatVector(embs)) = &lists.data[row].data else {
        panic!("{lists:?}")
    };
    let embs = packed_values::<f32>(&embs.data).unwrap();
    let clip = |place: usize| Clip {
        flag: flags.data[place],
        small: smalls.data[place],
        number: numbers.data[place],
        price: prices[place],
        title: String::from_utf8(titles.data[place].to_vec()).unwrap(),
        emb: [embs[place * 2], embs[place * 2 + 1]],
    };
    (0..flags.data.len()).map(clip).collect()
}

/// The rows of a query.
pub async fn read(database: &Embedded, filter: &str) -> Vec<(i64, Option<Vec<Clip>>)> {
    let answer: QueryResults =
        call(database, "Query", query_request(filter, &["id", "clips"])).await;
    succeeded(answer.status.clone().unwrap());
    rows_of(&answer.fields_data)
}
