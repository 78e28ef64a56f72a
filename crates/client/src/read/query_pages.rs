//! Reading a whole collection page by page.
//!
//! The protocol (as Milvus's own client drives it): a first query pins the point in time; every page
//! then asks for rows behind the last primary key, in its order.
//!
//! Invariant: no row twice, none left out, whatever is written meanwhile.

use std::time::{SystemTime, UNIX_EPOCH};

use futures_core::Stream;
use futures_util::stream::try_unfold;
use milvus_protocol::common::KeyValuePair;

use super::query::Query;
use super::target::parameter;
use crate::call::Clock;
use crate::consistency::{ConsistencyLevel, LOGICAL_BITS};
use crate::describe_collection::CollectionDescription;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::ids::literal;
use crate::results::{Id, Rows};
use crate::schema::DataType;

pub(super) const DEFAULT_PAGE: usize = 1_000;
pub(super) const LARGEST_PAGE: usize = 16_384;

/// A (hybrid) timestamp of this machine's clock, for servers that do not say theirs.
pub(super) fn timestamp_now() -> u64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    (elapsed.as_millis() as u64) << LOGICAL_BITS
}

pub(super) fn pages(query: Query) -> impl Stream<Item = Result<Rows>> + Send + 'static {
    let clock = query.settings.start();
    let state = Pages {
        left: query.limit,
        query,
        clock,
        position: None,
    };
    try_unfold(state, |mut state| async move {
        let page = state.next().await?;
        Ok(page.map(|page| (page, state)))
    })
}

struct Pages {
    query: Query,
    clock: Clock,
    /// Rows that may still come.
    left: Option<u64>,
    position: Option<Position>,
}

/// Where the iteration stands.
struct Position {
    collection_id: i64,
    key: String,
    /// The query's own filter, or one for which all rows are true.
    filter: Filter,
    /// The last row's key, as a literal.
    last: Option<String>,
}

impl Pages {
    async fn begin(&mut self) -> Result<Position> {
        let query = &mut self.query;
        query.check()?;
        let request = format!("pages of {:?}", query.target.collection);
        if !(1..=LARGEST_PAGE).contains(&query.page_size) {
            return Err(Error::request(
                request,
                "page_size",
                format!("is {}; it may be 1 to {LARGEST_PAGE}", query.page_size),
            ));
        }
        let offset = query.offset.take().unwrap_or(0);
        let collection = query.target.require(&self.clock).await?;
        let (rows, mut position) = match self.first(&collection).await {
            Ok(first) => first,
            Err(error) => match self.query.target.renew(&error, &self.clock).await {
                Some(fresh) => self.first(&fresh).await?,
                None => return Err(error),
            },
        };
        let timestamp = match rows.session_timestamp {
            0 => timestamp_now(),
            timestamp => timestamp,
        };
        self.query.target.consistency = Some(ConsistencyLevel::Timestamp(timestamp));
        self.skip(offset, &mut position).await?;
        Ok(position)
    }

    /// The first query, which finds the point in time, and out whether the description is the collection's own.
    async fn first(&self, collection: &CollectionDescription) -> Result<(Rows, Position)> {
        let key = collection.schema.primary_key().ok_or_else(|| {
            Error::answer(
                format!("the schema of {:?}", collection.name),
                "it has no primary key",
            )
        })?;
        let mut filter = self.query.filter.clone();
        if filter.expression.trim().is_empty() {
            filter.expression = match key.data_type {
                DataType::VarChar => format!("{} != \"\"", key.name),
                _ => format!("{} < {}", key.name, i64::MAX),
            };
        }
        let position = Position {
            collection_id: collection.id,
            key: key.name.clone(),
            filter,
            last: None,
        };
        let message = self
            .query
            .message(position.filter(), Some(1), parameters(&position, true));
        let rows = Query::call(&self.query.target.client, message, &self.clock).await?;
        if !rows.is_empty() {
            // Servers that do not look at the collection's id answer to the name of another key, too.
            rows.column(&position.key)?;
        }
        Ok((rows, position))
    }

    /// Moves past the first rows.
    async fn skip(&self, mut offset: u64, position: &mut Position) -> Result<()> {
        while offset > 0 {
            let batch = offset.min(LARGEST_PAGE as u64);
            let mut message =
                self.query
                    .message(position.filter(), Some(batch), parameters(position, false));
            message.output_fields.clear();
            let rows = Query::call(&self.query.target.client, message, &self.clock).await?;
            if rows.is_empty() {
                break;
            }
            position.advance(&rows)?;
            offset = offset.saturating_sub(rows.len() as u64);
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Rows>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let mut position = match self.position.take() {
            Some(position) => position,
            None => self.begin().await?,
        };
        let page_size = self.query.page_size as u64;
        let limit = self.left.map_or(page_size, |left| left.min(page_size));
        let message =
            self.query
                .message(position.filter(), Some(limit), parameters(&position, true));
        let rows = Query::call(&self.query.target.client, message, &self.clock).await?;
        if rows.is_empty() {
            self.left = Some(0);
            return Ok(None);
        }
        position.advance(&rows)?;
        self.position = Some(position);
        self.left = self.left.map(|left| left.saturating_sub(rows.len() as u64));
        Ok(Some(rows))
    }
}

impl Position {
    fn filter(&self) -> String {
        match &self.last {
            None => self.filter.expression.clone(),
            Some(last) => self.filter.and_left(&format!("{} > {last}", self.key)),
        }
    }

    fn advance(&mut self, rows: &Rows) -> Result<()> {
        let Some(row) = rows.len().checked_sub(1) else {
            return Ok(());
        };
        let column = rows.column(&self.key)?;
        let last = match column.data_type() {
            DataType::VarChar => column.text(row)?.map(|id| literal(Id::VarChar(id))),
            _ => {
                let ids = column.values::<i64>()?;
                ids.get(row).map(|id| literal(Id::Int64(*id)))
            }
        };
        self.last = last;
        Ok(())
    }
}

fn parameters(position: &Position, is_page: bool) -> Vec<KeyValuePair> {
    // The words are those that Milvus's own client sends.
    let flag = if is_page { "True" } else { "False" };
    vec![
        parameter("iterator", flag),
        parameter("reduce_stop_for_best", flag),
        parameter("collection_id", position.collection_id),
    ]
}
