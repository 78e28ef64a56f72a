//! Partitions and aliases.
//!
//! Invariant: rows of a partition are found in it alone; an alias leads where it was last sent.

use crate::conformance::documents::Document;
use crate::conformance::{
    Check, Lack, Stage, Verdict, check, expect, expect_eq, expect_in_time, wrong,
};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(partitions_live_and_die),
        check!(rows_stay_in_their_partition),
        check!(rows_of_partitions_are_counted_by_statistics),
        check!(reads_of_unknown_partitions_are_refused, MilvusLite => Lack::Silent),
        check!(aliases_move_between_collections),
        check!(aliases_are_described_and_listed),
        check!(a_description_lists_aliases, MilvusLite => Lack::Silent),
    ]
}

async fn partitions_live_and_die(stage: &mut Stage) -> Verdict {
    let name = stage.name();
    let client = stage.client.clone();
    client.create_collection(&name, Document::schema()).await?;
    expect_eq(
        "at first",
        client.list_partitions(&name).await?,
        ["_default"],
    )?;
    client.create_partition(&name, "old").await?;
    expect("there", client.has_partition(&name, "old").await?)?;
    expect("another is not", !client.has_partition(&name, "new").await?)?;
    let mut partitions = client.list_partitions(&name).await?;
    partitions.sort();
    expect_eq("listed", partitions, ["_default", "old"])?;
    client.drop_partition(&name, "old").await?;
    expect("gone", !client.has_partition(&name, "old").await?)?;
    let default = client.drop_partition(&name, "_default").await;
    expect("the default partition stays", default.is_err())?;
    let nowhere = client.list_partitions(stage.name()).await;
    expect("of no collection", nowhere.is_err())
}

async fn rows_stay_in_their_partition(stage: &mut Stage) -> Verdict {
    let name = stage.name();
    let client = stage.client.clone();
    let index = milvus_client::admin::Index::flat(milvus_client::MetricType::L2);
    let created = client.create_collection(&name, Document::schema());
    created
        .index("vector", index)
        .timeout(super::PATIENCE)
        .await?;
    client.create_partition(&name, "old").await?;
    client
        .load_collection(&name)
        .timeout(super::PATIENCE)
        .await?;
    client.insert(&name).rows(&Document::all(0..10)).await?;
    let old = Document::all(100..103);
    client.insert(&name).partition("old").rows(&old).await?;
    let query = || client.query(&name).filter("id >= 0");
    expect_eq("in all", query().count().await?, 13)?;
    expect_eq("in one", query().partition("old").count().await?, 3)?;
    let found = client.search(&name).vector(Document::new(0).vector);
    let found = found.partition("old").limit(1).await?;
    expect_eq("nearest in one", found.query(0).int64_ids(), [100])
}

async fn rows_of_partitions_are_counted_by_statistics(stage: &mut Stage) -> Verdict {
    let name = stage.name();
    let client = stage.client.clone();
    client.create_collection(&name, Document::schema()).await?;
    client.create_partition(&name, "old").await?;
    client.insert(&name).rows(&Document::all(0..10)).await?;
    let old = Document::all(100..103);
    client.insert(&name).partition("old").rows(&old).await?;
    client.flush([&name]).timeout(super::PATIENCE).await?;
    for (partition, rows) in [("old", 3), ("_default", 10)] {
        let counted = || async {
            let counted = client.partition_statistics(&name, partition).await?;
            expect_eq(partition, counted.row_count, rows)
        };
        expect_in_time(counted).await?;
    }
    let nowhere = client.partition_statistics(&name, "new").await;
    expect("of no partition", nowhere.is_err())
}

async fn reads_of_unknown_partitions_are_refused(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    stage
        .client
        .insert(&name)
        .rows(&Document::all(0..3))
        .await?;
    let query = stage.client.query(&name).filter("id >= 0");
    let nowhere = query.partition("new").count().await;
    expect("refused", nowhere.is_err())
}

async fn aliases_move_between_collections(stage: &mut Stage) -> Verdict {
    let (first, second) = (stage.name(), stage.name());
    let alias = stage.alias().await;
    let client = stage.client.clone();
    for name in [&first, &second] {
        client.create_collection(name, Document::schema()).await?;
    }
    client.create_alias(&first, &alias).await?;
    let again = client.create_alias(&second, &alias).await;
    expect("no two of one name", again.is_err())?;
    let described = client.describe_collection(&alias).await?;
    expect_eq("leads to", described.name.as_str(), first.as_str())?;
    client.alter_alias(&second, &alias).await?;
    let described = client.describe_collection(&alias).await?;
    expect_eq("then leads to", described.name.as_str(), second.as_str())?;
    client.drop_alias(&alias).await?;
    match client.describe_collection(&alias).await {
        Err(error) if error.is_collection_not_found() => Ok(()),
        other => wrong(format!("leads somewhere after its end: {other:?}")),
    }
}

async fn aliases_are_described_and_listed(stage: &mut Stage) -> Verdict {
    let name = stage.name();
    let alias = stage.alias().await;
    let client = stage.client.clone();
    client.create_collection(&name, Document::schema()).await?;
    client.create_alias(&name, &alias).await?;
    let described = client.describe_alias(&alias).await?;
    expect_eq("collection", described.collection.as_str(), name.as_str())?;
    let of_collection = client.list_aliases().collection(&name).await?;
    expect_eq("of the collection", of_collection, [alias.as_str()])?;
    let all = client.list_aliases().await?;
    expect("among all", all.contains(&alias))
}

async fn a_description_lists_aliases(stage: &mut Stage) -> Verdict {
    let name = stage.name();
    let alias = stage.alias().await;
    let client = stage.client.clone();
    client.create_collection(&name, Document::schema()).await?;
    client.create_alias(&name, &alias).await?;
    let described = client.describe_collection(&name).await?;
    expect_eq("aliases", described.aliases, [alias])
}
