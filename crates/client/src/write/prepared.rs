//! Rows that are checked and put into columns before their write is made.
//!
//! For callers whose rows may only be looked at in one go (under a lock, on one thread), and not while
//! the write is under way.
//!
//! Invariant: rows are prepared for one kind of write; another one refuses them.

use serde::Serialize;

use super::source::{Checked, Plan, Source};
use super::survey::Survey;
use crate::data::{Batch, RowWriter, Write};
use crate::describe_collection::CollectionDescription;
use crate::error::{Error, InvalidValue, Result, Rule};

/// Rows that were checked against a collection's schema, column by column as they travel.
///
/// ```no_run
/// use milvus_client::PreparedRows;
///
/// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
/// let docs = client.remembered_collection("docs").await?;
/// let rows = PreparedRows::for_insert(&docs, [serde_json::json!({"id": 1, "vector": [0.1, 0.2]})])?;
/// client.insert("docs").prepared(rows).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PreparedRows {
    batch: Batch,
    write: Write,
}

impl PreparedRows {
    /// Checks rows that are to be inserted.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] names row, field and rule.
    pub fn for_insert<I>(collection: &CollectionDescription, rows: I) -> Result<Self>
    where
        I: IntoIterator<Item: Serialize>,
    {
        Self::prepare(collection, Write::Insert, rows)
    }

    /// Checks rows that are to be upserted; `is_partial` as in [`Upsert::partial`](crate::Upsert::partial).
    ///
    /// # Errors
    /// [`Error::InvalidValue`] names row, field and rule.
    pub fn for_upsert<I>(
        collection: &CollectionDescription,
        is_partial: bool,
        rows: I,
    ) -> Result<Self>
    where
        I: IntoIterator<Item: Serialize>,
    {
        let write = Write::Upsert {
            partial: is_partial,
        };
        Self::prepare(collection, write, rows)
    }

    fn prepare<I>(collection: &CollectionDescription, write: Write, rows: I) -> Result<Self>
    where
        I: IntoIterator<Item: Serialize>,
    {
        let rows = rows.into_iter();
        let invalid = |invalid: InvalidValue| Error::from(invalid.in_collection(&collection.name));
        let mut writer = RowWriter::new(collection, write, rows.size_hint().0);
        for row in rows {
            writer.push(&row).map_err(invalid)?;
        }
        let batch = writer.finish().map_err(invalid)?;
        Ok(Self { batch, write })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.batch.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.batch.rows == 0
    }
}

/// Prepared rows as the source of a write.
pub(super) struct Prepared {
    rows: PreparedRows,
    is_read: bool,
    survey: Option<Survey>,
}

impl Prepared {
    pub(super) fn new(rows: PreparedRows) -> Self {
        Self {
            rows,
            is_read: false,
            survey: None,
        }
    }
}

impl Source for Prepared {
    fn check(&mut self, plan: &Plan<'_>) -> Checked<bool> {
        if plan.write != self.rows.write {
            let rule = Rule::Row("the rows were prepared for another kind of write".to_owned());
            return Err(InvalidValue::new("", None, rule));
        }
        self.survey = Some(Survey::of(&self.rows.batch, plan));
        Ok(true)
    }

    fn survey(&self) -> Option<&Survey> {
        self.survey.as_ref()
    }

    fn next(&mut self, _plan: &Plan<'_>) -> Checked<Option<Batch>> {
        if std::mem::replace(&mut self.is_read, true) {
            return Ok(None);
        }
        Ok(Some(std::mem::take(&mut self.rows.batch)))
    }

    fn rewind(&mut self) -> bool {
        // They were checked against the schema that turned out to be old.
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{CollectionSchema, FieldSchema};

    fn collection() -> CollectionDescription {
        CollectionDescription {
            name: "docs".to_owned(),
            schema: CollectionSchema::new()
                .field(FieldSchema::int64("id").primary_key())
                .field(FieldSchema::float_vector("vector", 2)),
            ..CollectionDescription::default()
        }
    }

    #[test]
    fn rows_are_read_once_by_the_write_they_were_prepared_for() {
        let rows = [serde_json::json!({"id": 1, "vector": [0.5, 1.5]})];
        let prepared = PreparedRows::for_insert(&collection(), &rows).expect("valid");
        assert_eq!(prepared.len(), 1);
        let collection = collection();
        let plan = |write| Plan {
            collection: &collection,
            write,
            piece: 1 << 20,
            pieces: 1,
            limit: 1 << 20,
        };
        let insert = plan(Write::Insert);
        let mut source = Prepared::new(prepared.clone());
        assert!(source.check(&insert).expect("valid"));
        assert_eq!(source.survey().map(Survey::rows), Some(1));
        let first = source.next(&insert);
        assert_eq!(first.expect("rows").map(|batch| batch.rows), Some(1));
        assert!(matches!(source.next(&insert), Ok(None)));
        let upsert = plan(Write::Upsert { partial: false });
        assert!(Prepared::new(prepared).check(&upsert).is_err());
    }

    #[test]
    fn an_invalid_row_is_named() {
        let rows = [serde_json::json!({"id": 1, "vector": [0.5]})];
        let error = PreparedRows::for_insert(&collection(), &rows).expect_err("too short");
        insta::assert_snapshot!(error, @"collection `docs`, row 0, field `vector`: the vector has 1 dimensions, the field has 2; nothing was sent");
    }
}
