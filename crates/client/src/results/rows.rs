//! The rows of a query or get.
//!
//! Invariant: all columns have the same number of rows.

use milvus_protocol::milvus::QueryResults;
use serde::Deserialize;

use super::ResultColumn;
use super::de::RowReader;
use super::join::join_columns;
use crate::error::{Error, Result};
use crate::write::cost;

/// Rows, column by column, as they were received.
///
/// ```no_run
/// # #[derive(serde::Deserialize)]
/// # struct Document<'a> { id: i64, title: &'a str }
/// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
/// let rows = client.query("docs").filter("id < 100").output_fields(["id", "title"]).await?;
///
/// let ids: &[i64] = rows.column("id")?.values()?;
/// for document in rows.iter::<Document>() {
///     let document = document?;
///     println!("{} {}", document.id, document.title);
/// }
/// # let _ = ids;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Rows {
    columns: Vec<ResultColumn>,
    rows: usize,
    /// Dynamic fields that were asked for by name; `None` when all were.
    dynamic_fields: Option<Vec<String>>,
    pub(crate) session_timestamp: u64,
    cost: u64,
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The columns.
    pub fn columns(&self) -> &[ResultColumn] {
        &self.columns
    }

    /// The column of a field.
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when the answer has no such column; names those it has.
    pub fn column(&self, name: &str) -> Result<&ResultColumn> {
        column_named(&self.columns, name)
    }

    /// The rows, each read as a `T`: a struct with the fields it wants, `serde_json::Value`, a map.
    /// Texts can be borrowed (`&str`).
    pub fn iter<'a, T: Deserialize<'a>>(&'a self) -> impl Iterator<Item = Result<T>> + 'a {
        (0..self.rows).map(|row| self.row(row))
    }

    /// One row, read as a `T`.
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when there is no such row or it is no `T`.
    pub fn row<'a, T: Deserialize<'a>>(&'a self, row: usize) -> Result<T> {
        if row >= self.rows {
            return Err(Error::answer(
                format!("row {row}"),
                format!("the result has {} rows", self.rows),
            ));
        }
        RowReader::new(&self.columns, row, self.dynamic_fields.as_deref())
            .read()
            .map_err(|problem| Error::answer(format!("row {row}"), problem.to_string()))
    }

    /// All rows, each read as a `T`.
    ///
    /// # Errors
    /// [`Error::UnexpectedAnswer`] when a row is no `T`.
    pub fn to_vec<'a, T: Deserialize<'a>>(&'a self) -> Result<Vec<T>> {
        self.iter().collect()
    }

    /// The dynamic fields that were asked for by name; `None` when all were, or none.
    pub fn dynamic_fields(&self) -> Option<&[String]> {
        self.dynamic_fields.as_deref()
    }

    /// What the query cost, from services that count it (in their own unit); else 0.
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// The (hybrid) timestamp of the data that was read, from servers that say it; else 0.
    pub fn session_timestamp(&self) -> u64 {
        self.session_timestamp
    }

    /// The number that `count(*)` gave; `None` when it was not asked for.
    pub fn count(&self) -> Option<u64> {
        let column = self.column("count(*)").ok()?;
        let count = column.values::<i64>().ok()?.first()?;
        u64::try_from(*count).ok()
    }

    /// Takes an answer over.
    pub(crate) fn from_answer(answer: QueryResults) -> Result<Self> {
        let columns = answer
            .fields_data
            .into_iter()
            .map(|message| ResultColumn::new(message, None))
            .collect::<Result<Vec<_>>>()?;
        let rows = columns.iter().map(ResultColumn::len).max().unwrap_or(0);
        Ok(Self {
            dynamic_fields: dynamic_fields(&columns, answer.output_fields),
            columns,
            rows,
            session_timestamp: answer.session_ts,
            cost: answer.status.as_ref().map_or(0, cost),
        })
    }

    /// The rows of several answers, one behind the other.
    pub(crate) fn joined(parts: impl IntoIterator<Item = Self>) -> Result<Self> {
        let mut columns = Vec::new();
        let mut all = Self::default();
        let (mut rows, mut cost) = (0, 0);
        for mut part in parts {
            if part.is_empty() && rows > 0 {
                continue;
            }
            if rows == 0 {
                // Answers without rows need not have columns.
                columns.clear();
                all = Self {
                    dynamic_fields: part.dynamic_fields.take(),
                    session_timestamp: part.session_timestamp,
                    ..Self::default()
                };
            }
            rows += part.rows;
            cost += part.cost;
            columns.push(part.columns);
        }
        Ok(Self {
            columns: join_columns(columns)?,
            rows,
            cost,
            ..all
        })
    }
}

pub(super) fn column_named<'a>(
    columns: &'a [ResultColumn],
    name: &str,
) -> Result<&'a ResultColumn> {
    columns
        .iter()
        .find(|column| column.name() == name)
        .ok_or_else(|| {
            let names: Vec<_> = columns.iter().map(ResultColumn::name).collect();
            let dynamic = if columns.iter().any(ResultColumn::is_dynamic) {
                "; dynamic fields are read row by row"
            } else {
                ""
            };
            Error::answer(
                format!("column `{name}`"),
                format!("the answer has the columns {}{dynamic}", names.join(", ")),
            )
        })
}

/// The dynamic fields that were asked for by name: what the server lists as output but has no column.
pub(super) fn dynamic_fields(
    columns: &[ResultColumn],
    output_fields: Vec<String>,
) -> Option<Vec<String>> {
    let dynamic = columns.iter().find(|column| column.is_dynamic())?;
    if output_fields.iter().any(|name| name == dynamic.name()) {
        return None;
    }
    let is_column = |name: &String| columns.iter().any(|column| column.name() == name);
    let named: Vec<_> = output_fields
        .into_iter()
        .filter(|name| !is_column(name))
        .collect();
    // A server that lists nothing sent the field because all of it was asked for.
    (!named.is_empty()).then_some(named)
}
