//! What inserts, upserts and deletes of many rows have in common for their callers.
//!
//! Invariant: at most `concurrency` requests of at most `request_bytes` each are under way, but for a row or an id that
//! is larger.

/// How far a write of many rows has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteProgress {
    /// Rows acknowledged so far.
    pub acknowledged: u64,
    /// Rows in all; `None` while an iterator still gives rows.
    pub total: Option<u64>,
}

/// How a write is cut and sent.
pub(crate) struct WriteOptions<'a> {
    pub(crate) partition: String,
    /// Largest request, if the caller has said so; a larger row is sent alone.
    pub(crate) request_bytes: Option<usize>,
    /// Requests under way at a time.
    pub(crate) concurrency: usize,
    pub(crate) progress: Option<Box<dyn FnMut(WriteProgress) + Send + 'a>>,
}

impl Default for WriteOptions<'_> {
    fn default() -> Self {
        Self {
            partition: String::new(),
            request_bytes: None,
            concurrency: 4,
            progress: None,
        }
    }
}

impl std::fmt::Debug for WriteOptions<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("WriteOptions")
            .field("partition", &self.partition)
            .field("request_bytes", &self.request_bytes)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

/// The setters of [`WriteOptions`] for a builder with a field `options`.
macro_rules! write_options {
    ($builder:ident) => {
        impl<'a> $builder<'a> {
            /// Works on one partition.
            pub fn partition(mut self, partition: impl Into<String>) -> Self {
                self.options.partition = partition.into();
                self
            }

            /// Sets the largest size of a request, in bytes; never more than the connection's
            /// `max_request_bytes`. By default columns are cut into requests of 16 MiB, rows into
            /// requests of 4 MiB, primary keys to delete into requests of 4 MiB.
            ///
            /// Columns and rows of which more than 2 MiB are there are cut smaller if they would
            /// otherwise be fewer than [`concurrency`](Self::concurrency) requests, so that the server
            /// works on one while the next is on its way. Requests are acknowledged one by one; for a
            /// write that is a single request, as far as its size allows, set a concurrency of 1.
            pub fn request_bytes(mut self, bytes: usize) -> Self {
                self.options.request_bytes = Some(bytes);
                self
            }

            /// Sets how many requests are under way at a time; 4 by default.
            pub fn concurrency(mut self, requests: usize) -> Self {
                self.options.concurrency = requests.max(1);
                self
            }

            /// Has `report` called each time a request was acknowledged.
            pub fn on_progress(
                mut self,
                report: impl FnMut($crate::WriteProgress) + Send + 'a,
            ) -> Self {
                self.options.progress = Some(Box::new(report));
                self
            }
        }
    };
}

/// The ways to give rows, for a builder with a field `input`.
macro_rules! row_input {
    ($builder:ident) => {
        impl<'a> $builder<'a> {
            /// Adds a column; every column has the same number of rows.
            ///
            /// A column that the schema does not name becomes a dynamic field, where the collection
            /// takes them.
            pub fn column(mut self, field: impl Into<String>, values: impl Into<Column>) -> Self {
                self.input.column(field.into(), values.into());
                self
            }

            /// Adds the columns of an Arrow record batch.
            ///
            /// # Errors
            /// [`Error::InvalidRequest`](crate::Error::InvalidRequest) when a column has a type that no
            /// field has.
            #[cfg(feature = "arrow")]
            pub fn record_batch(
                mut self,
                batch: &arrow_array::RecordBatch,
            ) -> $crate::error::Result<Self> {
                for (name, column) in Column::all_from(batch)? {
                    self.input.column(name, column);
                }
                Ok(self)
            }

            /// Gives rows: structs or maps with the names of fields. All are checked before anything is
            /// sent; what does not fit into the first few requests is serialized once to be checked and
            /// once more to be sent, so that the memory it takes is that of a few requests.
            pub fn rows<T: Serialize + Sync>(mut self, rows: &'a [T]) -> Self {
                self.input.rows(Slice::new(rows));
                self
            }

            /// Gives rows that were checked before; see [`PreparedRows`](crate::PreparedRows).
            pub fn prepared(mut self, rows: $crate::PreparedRows) -> Self {
                self.input.rows(Prepared::new(rows));
                self
            }

            /// Gives rows one by one, so that they need not all fit into memory: they are checked and
            /// sent a request at a time.
            pub fn rows_from<I>(mut self, rows: I) -> Self
            where
                I: IntoIterator<IntoIter: Send + 'a>,
                I::Item: Serialize,
            {
                self.input.rows(Iterated::new(rows.into_iter()));
                self
            }
        }
    };
}
