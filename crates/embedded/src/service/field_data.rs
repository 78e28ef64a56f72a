//! Between the field data of the wire and the columns of a collection's fields.

use bytes::Bytes;
use milvus_protocol::schema::{FieldData, IDs, LongArray, StringArray, i_ds::IdField};

use crate::catalog::FieldRecord;
use crate::column::{Column, ColumnType, Values};
use crate::error::MilvusError;

/// The column of a field from what a request sent for it. `rows` is the number of rows of the request.
pub(super) fn read_column(
    field: &FieldRecord,
    data: &FieldData,
    rows: usize,
) -> Result<Column, MilvusError> {
    // By reference count: vectors and strings in the message are shared, not copied.
    let column = Column::from_field_data(data.clone(), field.column_type(), rows);
    column.map_err(MilvusError::invalid)
}

/// The field data that an answer carries for a column.
pub(super) fn write_column(field: &FieldRecord, column: &Column) -> FieldData {
    let mut data = column.to_field_data(&field.name, field.id, field.nullable);
    data.is_dynamic = field.dynamic;
    data
}

/// Primary keys as an answer carries them.
pub(super) fn write_ids(column: &Column) -> IDs {
    let id_field = match (column.values(), column.column_type()) {
        (Values::Varchar(values), _) => IdField::StrId(StringArray {
            data: values.iter().map(Bytes::copy_from_slice).collect(),
        }),
        (Values::Int64(values), ColumnType::Int64) => IdField::IntId(LongArray {
            data: values.to_vec(),
        }),
        _ => IdField::IntId(LongArray::default()),
    };
    IDs {
        id_field: Some(id_field),
    }
}
