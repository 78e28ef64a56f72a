//! Collections: made, described, renamed, emptied, altered.
//!
//! Invariant: a collection is described as it was made; what a server would ignore is not sent to it.

use milvus_client::admin::{Index, LoadState};
use milvus_client::schema::{CollectionSchema, DataType, FieldSchema, FunctionSchema};
use milvus_client::{ConsistencyLevel, Error, MetricType};

use super::PATIENCE;
use crate::conformance::documents::{DIMENSION, Document, vector};
use crate::conformance::{
    Check, Lack, Stage, Verdict, check, expect, expect_eq, expect_in_time, wrong,
};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(collections_live_and_die),
        check!(levels_and_shards_are_kept, MilvusLite => Lack::Silent),
        check!(a_collection_in_one_line_is_ready),
        check!(an_index_of_no_field_makes_no_collection),
        check!(collections_are_renamed),
        check!(collections_are_truncated, Milvus23 => Lack::MissingFeature),
        check!(properties_are_set_at_first),
        check!(properties_are_altered),
        check!(properties_are_dropped, Milvus23 => Lack::MissingFeature),
        check!(
            parameters_of_fields_are_altered,
            Milvus23 => Lack::MissingFeature,
            MilvusLite => Lack::MissingFeature,
        ),
        check!(
            collections_grow_fields,
            Milvus23 => Lack::MissingFeature,
            MilvusLite => Lack::MissingFeature,
        ),
        check!(a_new_field_that_old_rows_cannot_have_is_refused),
        check!(fields_may_be_nullable, Milvus23 => Lack::MissingFeature),
        check!(fields_may_be_filled_by_functions, Milvus23 => Lack::MissingFeature),
        check!(
            fields_may_cluster_rows,
            Milvus23 => Lack::MissingFeature,
            MilvusLite => Lack::MissingFeature,
        ),
        check!(a_stale_schema_is_forgotten),
        check!(rows_are_counted_by_statistics),
    ]
}

async fn collections_live_and_die(stage: &mut Stage) -> Verdict {
    let name = stage.name();
    let client = stage.client.clone();
    expect("not there yet", !client.has_collection(&name).await?)?;
    let schema = Document::schema()
        .field(FieldSchema::array("tags", DataType::Int32, 8))
        .description("a check")
        .dynamic_fields();
    client.create_collection(&name, schema).await?;
    expect("there", client.has_collection(&name).await?)?;
    expect("listed", client.list_collections().await?.contains(&name))?;

    let described = client.describe_collection(&name).await?;
    expect_eq("name", described.name.as_str(), name.as_str())?;
    let title = described.schema.field_named("title");
    let title = title.map(|field| (field.data_type, field.max_length));
    expect_eq("title", title, Some((DataType::VarChar, Some(64))))?;
    let tags = described.schema.field_named("tags");
    let tags = tags.map(|field| (field.element_type, field.max_capacity));
    expect_eq("tags", tags, Some((Some(DataType::Int32), Some(8))))?;
    expect("dynamic fields", described.schema.has_dynamic_fields)?;

    let other = CollectionSchema::ids_and_vectors(DIMENSION + 1);
    let again = client.create_collection(&name, other).await;
    expect("no other schema under the same name", again.is_err())?;
    client.drop_collection(&name).await?;
    expect("gone", !client.has_collection(&name).await?)?;
    match client.describe_collection(&name).await {
        Err(error) if error.is_collection_not_found() => Ok(()),
        other => wrong(format!("described after its end: {other:?}")),
    }
}

async fn levels_and_shards_are_kept(stage: &mut Stage) -> Verdict {
    let name = stage.name();
    stage
        .client
        .create_collection(&name, Document::schema())
        .shards(1)
        .consistency_level(ConsistencyLevel::Session)
        .await?;
    let described = stage.client.describe_collection(&name).await?;
    let level = described.consistency_level;
    expect_eq("level", level, Some(ConsistencyLevel::Session))?;
    expect_eq("shards", described.shards, 1)
}

async fn a_collection_in_one_line_is_ready(stage: &mut Stage) -> Verdict {
    let name = stage.name();
    let client = stage.client.clone();
    client
        .create_collection(&name, CollectionSchema::ids_and_vectors(DIMENSION))
        .index("vector", Index::auto(MetricType::L2))
        .timeout(PATIENCE)
        .await?;
    // A node that is late with its sign of life is taken for gone, for a while.
    let is_loaded = || async {
        let state = client.load_state(&name).await?;
        expect_eq("state", state, LoadState::Loaded)
    };
    expect_in_time(is_loaded).await?;
    let indexes = client.list_indexes(&name).await?;
    let metrics: Vec<_> = indexes
        .iter()
        .map(|index| &index.index.metric_type)
        .collect();
    expect_eq("metrics", metrics, [&Some(MetricType::L2)])?;
    client
        .insert(&name)
        .column("id", [1_i64, 2])
        .column("vector", [vector(1), vector(2)])
        .await?;
    let is_found = || async {
        let found = client.search(&name).vector(vector(2)).limit(1).await?;
        expect_eq("nearest", found.query(0).int64_ids(), [2])
    };
    expect_in_time(is_found).await
}

async fn an_index_of_no_field_makes_no_collection(stage: &mut Stage) -> Verdict {
    let name = stage.name();
    let created = stage
        .client
        .create_collection(&name, Document::schema())
        .index("nowhere", Index::auto(MetricType::L2))
        .await;
    match created {
        Err(Error::InvalidRequest(_)) => {}
        other => return wrong(format!("accepted: {other:?}")),
    }
    expect(
        "nothing was made",
        !stage.client.has_collection(&name).await?,
    )
}

async fn collections_are_renamed(stage: &mut Stage) -> Verdict {
    let old = stage.collection(&Document::schema()).await?;
    let new = stage.name();
    let client = stage.client.clone();
    client.insert(&old).rows(&Document::all(0..5)).await?;
    client.rename_collection(&old, &new).await?;
    expect("the old name is gone", !client.has_collection(&old).await?)?;
    let described = client.describe_collection(&new).await?;
    expect_eq("name", described.name.as_str(), new.as_str())?;
    // The remembered schema of the old name is gone too.
    match client.insert(&old).rows(&Document::all(5..6)).await {
        Err(error) if error.is_collection_not_found() => {}
        other => return wrong(format!("inserted under the old name: {other:?}")),
    }
    client.insert(&new).rows(&Document::all(5..6)).await?;
    let again = client.rename_collection(&old, stage.name()).await;
    expect("what is not there is not renamed", again.is_err())
}

async fn collections_are_truncated(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    let client = stage.client.clone();
    client.insert(&name).rows(&Document::all(0..10)).await?;
    client.truncate_collection(&name).await?;
    let count = client.query(&name).filter("id >= 0").count().await?;
    expect_eq("rows", count, 0)?;
    let fields = client.describe_collection(&name).await?.schema.fields.len();
    expect_eq("fields", fields, 4)?;
    client.insert(&name).rows(&Document::all(0..2)).await?;
    let count = client.query(&name).filter("id >= 0").count().await?;
    expect_eq("rows again", count, 2)
}

const TTL: &str = "collection.ttl.seconds";

async fn properties_are_set_at_first(stage: &mut Stage) -> Verdict {
    let name = stage.name();
    let create = stage.client.create_collection(&name, Document::schema());
    create.property(TTL, 3600).await?;
    let described = stage.client.describe_collection(&name).await?;
    let value = described.properties.get(TTL).map(String::as_str);
    expect_eq("property", value, Some("3600"))
}

async fn properties_are_altered(stage: &mut Stage) -> Verdict {
    let name = stage.name();
    let client = stage.client.clone();
    client.create_collection(&name, Document::schema()).await?;
    client
        .alter_collection_properties(&name)
        .property(TTL, 7200)
        .await?;
    let described = client.describe_collection(&name).await?;
    let value = described.properties.get(TTL).map(String::as_str);
    expect_eq("altered", value, Some("7200"))?;
    client.drop_collection(&name).await?;
    let gone = client
        .alter_collection_properties(&name)
        .property(TTL, 1)
        .await;
    expect("what is gone is not altered", gone.is_err())
}

async fn properties_are_dropped(stage: &mut Stage) -> Verdict {
    let name = stage.name();
    let client = stage.client.clone();
    let created = client.create_collection(&name, Document::schema());
    created.property(TTL, 3600).await?;
    client.drop_collection_properties(&name, [TTL]).await?;
    let described = client.describe_collection(&name).await?;
    expect("dropped", !described.properties.contains_key(TTL))
}

async fn parameters_of_fields_are_altered(stage: &mut Stage) -> Verdict {
    let name = stage.name();
    let client = stage.client.clone();
    client.create_collection(&name, Document::schema()).await?;
    client
        .alter_collection_field(&name, "title")
        .parameter("max_length", 128)
        .await?;
    let described = client.describe_collection(&name).await?;
    let title = described.schema.field_named("title");
    expect_eq("limit", title.and_then(|field| field.max_length), Some(128))
}

async fn collections_grow_fields(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    let client = stage.client.clone();
    client.insert(&name).rows(&Document::all(0..3)).await?;
    let author = FieldSchema::varchar("author", 20).nullable();
    client.add_collection_field(&name, author).await?;
    let described = client.describe_collection(&name).await?;
    expect(
        "described",
        described.schema.field_named("author").is_some(),
    )?;
    let old = client
        .query(&name)
        .filter("id >= 0")
        .output_fields(["author"])
        .await?;
    let column = old.column("author")?;
    let is_null = (0..old.len()).all(|row| column.is_null(row));
    expect("old rows have none", old.len() == 3 && is_null)?;
    let row = serde_json::json!({"id": 7, "title": "new", "year": 2007, "vector": vector(7), "author": "Ada"});
    client.insert(&name).rows(&[row]).await?;
    let new = client.get(&name).ids([7]).output_fields(["author"]).await?;
    expect_eq(
        "new rows have one",
        new.column("author")?.text(0)?,
        Some("Ada"),
    )
}

async fn a_new_field_that_old_rows_cannot_have_is_refused(stage: &mut Stage) -> Verdict {
    let author = FieldSchema::varchar("author", 20);
    match stage.client.add_collection_field("any", author).await {
        Err(Error::InvalidRequest(_)) => Ok(()),
        other => wrong(format!("accepted: {other:?}")),
    }
}

async fn fields_may_be_nullable(stage: &mut Stage) -> Verdict {
    let name = stage.name();
    let schema = Document::schema().field(FieldSchema::varchar("author", 20).nullable());
    stage.client.create_collection(&name, schema).await?;
    let described = stage.client.describe_collection(&name).await?;
    let author = described.schema.field_named("author");
    expect("nullable", author.is_some_and(|field| field.is_nullable))
}

async fn fields_may_be_filled_by_functions(stage: &mut Stage) -> Verdict {
    let name = stage.name();
    let text = FieldSchema::varchar("text", 200).analyzer(&serde_json::Value::Null);
    let schema = Document::schema()
        .field(text)
        .field(FieldSchema::sparse_float_vector("terms"))
        .function(FunctionSchema::bm25("terms_of_text", "text", "terms"));
    stage.client.create_collection(&name, schema).await?;
    let described = stage.client.describe_collection(&name).await?;
    let terms = described.schema.field_named("terms");
    expect(
        "filled by a function",
        terms.is_some_and(|field| field.is_function_output),
    )
}

async fn fields_may_cluster_rows(stage: &mut Stage) -> Verdict {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::int32("year").clustering_key())
        .field(FieldSchema::float_vector("vector", DIMENSION));
    let name = stage.collection_by_verb(schema).await?;
    let client = stage.client.clone();
    let described = client.describe_collection(&name).await?;
    let year = described.schema.field_named("year");
    let clusters = year.is_some_and(|field| field.is_clustering_key);
    expect("described as the clustering key", clusters)?;
    client
        .insert(&name)
        .column("id", [1_i64, 2])
        .column("year", [2001, 2002])
        .column("vector", [vector(1), vector(2)])
        .await?;
    let count = client.query(&name).filter("year == 2001").count().await?;
    expect_eq("rows of a year", count, 1)
}

async fn a_stale_schema_is_forgotten(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    let client = stage.client.clone();
    client.insert(&name).rows(&Document::all(0..3)).await?;
    client.drop_collection(&name).await?;
    let schema = CollectionSchema::ids_and_vectors(DIMENSION);
    client.create_collection(&name, schema).await?;
    // Checked against the remembered schema of the first collection it would be refused.
    client
        .insert(&name)
        .column("id", [1_i64])
        .column("vector", [vector(1)])
        .await?;
    Ok(())
}

async fn rows_are_counted_by_statistics(stage: &mut Stage) -> Verdict {
    let name = stage.collection(&Document::schema()).await?;
    let client = stage.client.clone();
    client.insert(&name).rows(&Document::all(0..30)).await?;
    client.flush([&name]).timeout(PATIENCE).await?;
    let counted = || async {
        let counted = client.collection_statistics(&name).await?;
        expect_eq("rows", counted.row_count, 30)
    };
    expect_in_time(counted).await
}
