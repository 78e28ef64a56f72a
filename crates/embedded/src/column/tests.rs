//! Columns against plain vectors of cells.

use bytes::Bytes;
use milvus_protocol::schema::field_data::Field;
use milvus_protocol::schema::scalar_field::Data as Scalar;
use milvus_protocol::schema::vector_field::Data as Vector;
use milvus_protocol::schema::{
    FieldData, FloatArray, IntArray, JsonArray, LongArray, ScalarField, StringArray, VectorField,
};
use proptest::prelude::*;

use super::*;

/// A cell that owns what it holds.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Varchar(String),
    Array(Vec<Cell>),
    Dense(Vec<u8>),
    Sparse(Vec<u32>, Vec<f32>),
}

const ARRAY_OF_TEXT: ColumnType = ColumnType::Array(ElementType::Varchar);
const FLOATS: ColumnType = ColumnType::FloatVector { dim: 3 };

fn cell(kind: ColumnType) -> BoxedStrategy<Cell> {
    match kind {
        ColumnType::Bool => any::<bool>().prop_map(Cell::Bool).boxed(),
        ColumnType::Int16 => any::<i16>()
            .prop_map(|number| Cell::Int(number.into()))
            .boxed(),
        ColumnType::Double => any::<f64>()
            .prop_filter("NaN is not equal to itself", |n| !n.is_nan())
            .prop_map(Cell::Double)
            .boxed(),
        ColumnType::Varchar => "[aé]{0,5}".prop_map(Cell::Varchar).boxed(),
        ARRAY_OF_TEXT => prop::collection::vec("[aé]{0,3}".prop_map(Cell::Varchar), 0..4)
            .prop_map(Cell::Array)
            .boxed(),
        FLOATS => prop::collection::vec(any::<u8>(), 12)
            .prop_map(Cell::Dense)
            .boxed(),
        _ => prop::collection::btree_map(0u32..50, 0f32..1.0, 0..4)
            .prop_map(|map| {
                Cell::Sparse(
                    map.keys().copied().collect(),
                    map.values().copied().collect(),
                )
            })
            .boxed(),
    }
}

fn columns() -> impl Strategy<Value = (ColumnType, Vec<Cell>)> {
    let kinds = [
        ColumnType::Bool,
        ColumnType::Int16,
        ColumnType::Double,
        ColumnType::Varchar,
        ARRAY_OF_TEXT,
        FLOATS,
        ColumnType::SparseFloatVector,
    ];
    prop::sample::select(kinds.to_vec()).prop_flat_map(|kind| {
        let cells = prop_oneof![1 => Just(Cell::Null), 4 => cell(kind)];
        (Just(kind), prop::collection::vec(cells, 0..140))
    })
}

fn push(builder: &mut ColumnBuilder, cell: &Cell) {
    let result = match cell {
        Cell::Null => builder.push(Value::Null),
        Cell::Bool(flag) => builder.push(Value::Bool(*flag)),
        Cell::Int(number) => builder.push(Value::Int(*number)),
        Cell::Double(number) => builder.push(Value::Double(*number)),
        Cell::Varchar(text) => builder.push(Value::Varchar(text)),
        Cell::Dense(bytes) => builder.push(Value::Dense(bytes)),
        Cell::Sparse(indices, weights) => builder.push(Value::Sparse(indices, weights)),
        Cell::Array(cells) => {
            let elements = build(ColumnType::Varchar, cells);
            builder.push(Value::Array(&elements, 0, elements.len()))
        }
    };
    result.unwrap();
}

fn build(kind: ColumnType, cells: &[Cell]) -> Column {
    let mut builder = ColumnBuilder::new(kind);
    cells.iter().for_each(|cell| push(&mut builder, cell));
    builder.finish()
}

fn read(column: &Column, row: usize) -> Cell {
    match column.value(row) {
        Value::Bool(flag) => Cell::Bool(flag),
        Value::Int(number) => Cell::Int(number),
        Value::Double(number) => Cell::Double(number),
        Value::Varchar(text) => Cell::Varchar(text.to_owned()),
        Value::Dense(bytes) => Cell::Dense(bytes.to_vec()),
        Value::Sparse(indices, weights) => Cell::Sparse(indices.to_vec(), weights.to_vec()),
        Value::Array(elements, start, end) => {
            Cell::Array((start..end).map(|row| read(elements, row)).collect())
        }
        _ => Cell::Null,
    }
}

fn read_all(column: &Column) -> Vec<Cell> {
    (0..column.len()).map(|row| read(column, row)).collect()
}

proptest! {
    #[test]
    fn cells_come_back_also_through_blocks((kind, cells) in columns()) {
        let column = build(kind, &cells);
        prop_assert_eq!(read_all(&column), cells.clone());
        prop_assert_eq!(column.null_count(), cells.iter().filter(|cell| **cell == Cell::Null).count());
        let mapped = Column::from_blocks(kind, column.len(), &column.blocks()).unwrap();
        mapped.validate().unwrap();
        prop_assert_eq!(read_all(&mapped), cells);
    }

    #[test]
    fn runs_and_selections_append_what_they_name((kind, cells) in columns(), cut in any::<prop::sample::Index>(), rows in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let column = build(kind, &cells);
        let middle = cut.index(cells.len() + 1);
        let mut builder = ColumnBuilder::new(kind);
        builder.extend(&column, middle..cells.len()).unwrap();
        builder.extend(&column, 0..middle).unwrap();
        let mut expected = [&cells[middle..], &cells[..middle]].concat();
        if !cells.is_empty() {
            let rows: Vec<_> = rows.iter().map(|row| row.index(cells.len())).collect();
            builder.extend_rows(&column, rows.iter().copied()).unwrap();
            expected.extend(rows.iter().map(|row| cells[*row].clone()));
        }
        builder.truncate(builder.len() * 3 / 4);
        expected.truncate(expected.len() * 3 / 4);
        builder.push_null();
        expected.push(Cell::Null);
        prop_assert_eq!(read_all(&builder.finish()), expected);
    }

    #[test]
    fn damaged_blocks_never_panic((kind, cells) in columns(), which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<bool>()) {
        let column = build(kind, &cells);
        let mut blocks = column.blocks();
        let (_, bytes) = &mut blocks[which.index(column.blocks().len())];
        let mut damaged = bytes.to_vec();
        if !damaged.is_empty() {
            let at = at.index(damaged.len());
            if cut { damaged.truncate(at) } else { damaged[at] = value }
        }
        *bytes = Bytes::from(damaged);
        if let Ok(column) = Column::from_blocks(kind, cells.len(), &blocks) {
            prop_assert_eq!(read_all(&column).len(), cells.len());
            let _ = column.validate();
        }
    }
}

proptest! {
    #[test]
    fn columns_travel_through_messages((kind, cells) in columns(), nullable in any::<bool>()) {
        let column = build(kind, &cells);
        let field = column.to_field_data("f", 100, nullable);
        let told = nullable || cells.contains(&Cell::Null);
        prop_assert_eq!(field.valid_data.len(), if told { cells.len() } else { 0 });
        let back = Column::from_field_data(field.clone(), kind, cells.len()).unwrap();
        prop_assert_eq!(read_all(&back), cells.clone());
        prop_assert!(Column::from_field_data(field, kind, cells.len() + 1).is_err());
    }
}

fn scalars(data: Scalar, valid_data: Vec<bool>) -> FieldData {
    let field = Some(Field::Scalars(ScalarField { data: Some(data) }));
    FieldData {
        field_name: "f".into(),
        valid_data,
        field,
        ..FieldData::default()
    }
}

#[test]
fn null_rows_may_have_placeholders_or_be_left_out() {
    let longs = |data: Vec<i64>| Scalar::LongData(LongArray { data });
    let valid = vec![true, false, true];
    for data in [vec![1, 0, 3], vec![1, 3]] {
        let column =
            Column::from_field_data(scalars(longs(data), valid.clone()), ColumnType::Int64, 3)
                .unwrap();
        assert_eq!(read_all(&column), [Cell::Int(1), Cell::Null, Cell::Int(3)]);
    }
    let all_null = scalars(longs(vec![]), vec![false, false]);
    assert_eq!(
        Column::from_field_data(all_null, ColumnType::Int64, 2)
            .unwrap()
            .null_count(),
        2
    );
}

#[test]
fn malformed_values_are_named_by_field_and_row() {
    let ints = scalars(Scalar::IntData(IntArray { data: vec![1, 300] }), vec![]);
    let error = Column::from_field_data(ints, ColumnType::Int8, 2).unwrap_err();
    assert_eq!(
        error.to_string(),
        "field 'f', row 1: a Int8 column can't take 300, which is outside its range"
    );

    let texts =
        |values: &[&'static [u8]]| values.iter().map(|text| Bytes::from_static(text)).collect();
    let json = scalars(
        Scalar::JsonData(JsonArray {
            data: texts(&[b"{}", b"{"]),
        }),
        vec![],
    );
    assert!(matches!(
        Column::from_field_data(json, ColumnType::Json, 2),
        Err(ColumnError::Malformed { row: 1, .. })
    ));

    let latin = scalars(
        Scalar::StringData(StringArray {
            data: texts(&[b"\xe9"]),
        }),
        vec![],
    );
    assert!(matches!(
        Column::from_field_data(latin.clone(), ColumnType::Varchar, 1),
        Err(ColumnError::Malformed { row: 0, .. })
    ));
    let error = Column::from_field_data(latin, ColumnType::Bool, 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "field 'f' is Bool in the schema, but the request carries strings"
    );

    let instant = scalars(
        Scalar::StringData(StringArray {
            data: texts(&[b"1970-01-01T00:00:01Z"]),
        }),
        vec![],
    );
    let column = Column::from_field_data(instant, ColumnType::Timestamptz, 1).unwrap();
    assert!(matches!(column.values(), Values::Timestamptz([1_000_000])));

    assert!(
        sparse_from_bytes(&[0; 7]).is_err()
            && sparse_from_bytes(&[0; 16]).is_err()
            && sparse_from_bytes(&[255; 8]).is_err()
    );
}

#[test]
fn dense_vectors_are_taken_by_reference() {
    let block = Block::from_vec(vec![1.0f32, 2.0, 3.0, 4.0]).to_bytes();
    let field = FieldData {
        field_name: "v".into(),
        field: Some(Field::Vectors(VectorField {
            dim: 2,
            data: Some(Vector::FloatVector(FloatArray {
                data: block.clone(),
            })),
        })),
        ..FieldData::default()
    };
    let kind = ColumnType::FloatVector { dim: 2 };
    let column = Column::from_field_data(field.clone(), kind, 2).unwrap();
    let Values::FloatVector(rows) = column.values() else {
        panic!("not float vectors")
    };
    assert_eq!(
        (rows.get(1), rows.data.as_ptr().addr()),
        (&[3.0, 4.0][..], block.as_ptr().addr())
    );
    assert!(Column::from_field_data(field, ColumnType::FloatVector { dim: 4 }, 1).is_err());
}

#[test]
fn a_failed_push_changes_nothing() {
    let mut builder = ColumnBuilder::new(ColumnType::Int8);
    builder.push(Value::Int(-128)).unwrap();
    let error = builder.push(Value::Int(128)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a Int8 column can't take 128, which is outside its range"
    );
    assert!(builder.push(Value::Double(1.0)).is_err());
    assert_eq!(builder.finish().len(), 1);

    let mut sparse = ColumnBuilder::new(ColumnType::SparseFloatVector);
    assert!(sparse.push(Value::Sparse(&[3, 3], &[1.0, 1.0])).is_err());
    assert_eq!(sparse.finish().len(), 0);
}

#[test]
fn a_batch_keeps_its_row_count_and_its_names() {
    let mut batch = RowBatch::new(2);
    batch.push("id", Column::from_i64(vec![1, 2])).unwrap();
    assert!(matches!(
        batch.push("id", Column::from_i64(vec![1, 2])),
        Err(ColumnError::Duplicate { .. })
    ));
    assert!(matches!(
        batch.push("n", Column::from_i64(vec![1])),
        Err(ColumnError::RowCount { actual: 1, .. })
    ));
    let swapped = batch.select(&[1, 0]).unwrap();
    assert!(matches!(
        swapped.column("id").unwrap().values(),
        Values::Int64([2, 1])
    ));
}
