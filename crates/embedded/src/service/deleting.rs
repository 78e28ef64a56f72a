//! Delete: by primary keys or by any filter. What is logged are the keys that the filter found.

use milvus_protocol::milvus::*;

use super::Embedded;
use super::answer::Call;
use super::filters::read_filter;
use crate::engine::{Draft, PreparedDelete, QueryRequest, Reader};
use crate::error::MilvusError;

impl Embedded {
    pub(super) async fn on_delete(
        &self,
        call: Call<DeleteRequest>,
    ) -> Result<MutationResult, MilvusError> {
        let database = call.database(&call.message.db_name);
        let request = call.message;
        self.wait_for_room_in(&database, &request.collection_name)
            .await?;
        let change = move |draft: &mut Draft<'_>| {
            let record = draft
                .catalog()
                .collection(&database, &request.collection_name)?
                .clone();
            let (partition, partitions) = match request.partition_name.as_str() {
                "" => (0, record.partition_ids(&[])?),
                name => {
                    let id = record.partition(name)?.id;
                    (id, vec![id])
                }
            };
            let Some(filter) = read_filter(&record, &request.expr, &request.expr_template_values)?
            else {
                return Err(MilvusError::invalid(
                    "delete needs a filter; to remove all rows use truncate_collection",
                ));
            };
            // Milvus doesn't look whether keys that are listed exist, it counts them.
            let listed = filter.listed_keys();
            // Not what readers see but what is stored: rows that outlived their TTL go too.
            let reader = Reader::of_all_rows(draft.snapshot(record.id)?, partitions);
            let found = reader.query(&QueryRequest {
                filter: Some(filter),
                offset: 0,
                limit: None,
                fields: vec![record.primary()?.clone()],
            })?;
            let keys = found
                .columns
                .into_iter()
                .next()
                .ok_or_else(|| MilvusError::invalid("no primary key"))?;
            let count = listed.unwrap_or(keys.len());
            let (timestamp, _) = draft.delete(PreparedDelete {
                record,
                keys,
                partition,
            })?;
            Ok((count, timestamp))
        };
        let (count, timestamp) = self.engine.write(change).await?;
        Ok(MutationResult {
            acknowledged: true,
            delete_cnt: count as i64,
            timestamp,
            ..MutationResult::default()
        })
    }
}
