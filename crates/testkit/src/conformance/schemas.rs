//! What is remembered of schemas: descriptions, and changes that others make.
//!
//! Invariant: a remembered schema never makes a valid request fail.

use futures_util::TryStreamExt as _;
use milvus_client::AnnSearch;
use milvus_client::schema::{CollectionSchema, DataType, FieldSchema};
use serde_json::json;

use super::documents::{DIMENSION, vector};
use super::{Check, Lack, Stage, Verdict, check, expect, expect_eq, wrong};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(a_description_says_what_was_made),
        check!(words_of_the_user_are_kept, MilvusLite => Lack::Silent),
        check!(a_collection_that_others_remade_is_noticed),
        check!(reads_notice_that_a_collection_was_remade),
        check!(pages_notice_that_a_collection_was_remade),
        check!(writes_notice_that_a_collection_was_remade),
        check!(
            hybrid_searches_notice_that_a_collection_was_remade,
            Milvus23 => Lack::MissingFeature,
        ),
        check!(a_collection_that_is_not_there_is_named),
    ]
}

async fn a_description_says_what_was_made(stage: &mut Stage) -> Verdict {
    let schema = CollectionSchema::new()
        .field(FieldSchema::varchar("key", 99).primary_key())
        .field(FieldSchema::array("tags", DataType::VarChar, 7).max_length(5))
        .field(FieldSchema::float_vector("vector", DIMENSION))
        .dynamic_fields();
    let name = stage.collection(&schema).await?;
    let found = stage.client.describe_collection(&name).await?;
    expect_eq("name", found.name.as_str(), name.as_str())?;
    expect_eq("dynamic", found.schema.has_dynamic_fields, true)?;
    for made in &schema.fields {
        let Some(field) = found.schema.field_named(&made.name) else {
            return wrong(format!("there is no field {}", made.name));
        };
        expect_eq("type", field.data_type, made.data_type)?;
        expect_eq("element type", field.element_type, made.element_type)?;
        expect_eq("dimension", field.dimension, made.dimension)?;
        if made.data_type == DataType::VarChar {
            // Of the elements of arrays, some servers keep it to themselves.
            expect_eq("max_length", field.max_length, made.max_length)?;
        }
        expect_eq("max_capacity", field.max_capacity, made.max_capacity)?;
        expect_eq("primary key", field.is_primary_key, made.is_primary_key)?;
    }
    Ok(())
}

async fn words_of_the_user_are_kept(stage: &mut Stage) -> Verdict {
    let schema = CollectionSchema::ids_and_vectors(DIMENSION).description("a test");
    let name = stage.collection(&schema).await?;
    let found = stage.client.describe_collection(&name).await?;
    expect_eq("description", found.schema.description.as_str(), "a test")
}

async fn a_collection_that_others_remade_is_noticed(stage: &mut Stage) -> Verdict {
    let schema = |dimension| {
        CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key())
            .field(FieldSchema::float_vector("vector", dimension))
    };
    let name = stage.collection(&schema(DIMENSION)).await?;
    let row = json!({"id": 1, "vector": vector(1)});
    stage.client.insert(&name).rows(&[row]).await?;
    stage.recreate(&name, &schema(3)).await?;
    let row = json!({"id": 2, "vector": [1.0, 2.0, 3.0]});
    stage.client.insert(&name).rows(&[row]).await?;
    stage.recreate(&name, &schema(4)).await?;
    let found = stage.client.search(&name).vector([0.0; 4]).await?;
    expect("the new collection is empty", found.is_empty())
}

/// The collection that is remembered, and the one that others then make of it: with another key, another vector.
fn first() -> CollectionSchema {
    CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::float_vector("vector", DIMENSION))
}

fn second() -> CollectionSchema {
    CollectionSchema::new()
        .field(FieldSchema::varchar("key", 32).primary_key())
        .field(FieldSchema::float_vector("embedding", 3))
}

/// A collection that others have made anew, empty; the client remembers the first one.
async fn remade(stage: &mut Stage) -> milvus_client::Result<String> {
    let name = stage.collection(&first()).await?;
    stage.client.remembered_collection(&name).await?;
    stage.recreate(&name, &second()).await?;
    Ok(name)
}

async fn reads_notice_that_a_collection_was_remade(stage: &mut Stage) -> Verdict {
    let name = remade(stage).await?;
    let client = stage.client.clone();
    let got = client.get(&name).ids(["a", "b"]).await?;
    expect("get: the new collection is empty", got.is_empty())?;
    // Remembered is now the second collection.
    stage.recreate(&name, &first()).await?;
    let found = client.search(&name).vector([0.0; DIMENSION]).await?;
    expect("search: the new collection is empty", found.is_empty())?;
    stage.recreate(&name, &second()).await?;
    let rows = client.query(&name).filter("key != \"\"").await?;
    expect("query: the new collection is empty", rows.is_empty())
}

async fn pages_notice_that_a_collection_was_remade(stage: &mut Stage) -> Verdict {
    let name = remade(stage).await?;
    let client = stage.client.clone();
    let pages: Vec<_> = client.query(&name).pages().try_collect().await?;
    expect("query: no pages of an empty collection", pages.is_empty())?;
    stage.recreate(&name, &first()).await?;
    let search = client.search(&name).vector([0.0; DIMENSION]);
    let pages: Vec<_> = search.pages().try_collect().await?;
    expect("search: no pages of an empty collection", pages.is_empty())
}

async fn writes_notice_that_a_collection_was_remade(stage: &mut Stage) -> Verdict {
    let name = remade(stage).await?;
    let client = stage.client.clone();
    client.delete(&name).ids(["a", "b"]).await?;
    stage.recreate(&name, &first()).await?;
    let row = json!({"id": 1, "vector": vector(1)});
    client.upsert(&name).rows(&[row]).await?;
    stage.recreate(&name, &second()).await?;
    let row = json!({"key": "a", "embedding": [0.5, 0.5, 0.5]});
    client.insert(&name).rows(&[row]).await?;
    let count = client.query(&name).filter("key != \"\"").count().await?;
    expect_eq("rows", count, 1)
}

async fn hybrid_searches_notice_that_a_collection_was_remade(stage: &mut Stage) -> Verdict {
    let name = remade(stage).await?;
    let part = || AnnSearch::new("embedding").vector([0.0; 3]);
    let hybrid = stage.client.hybrid_search(&name).search(part());
    let found = hybrid.search(part()).await?;
    expect("the new collection is empty", found.is_empty())?;
    // By the name of a field that both have, with another dimension.
    let wider = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::float_vector("embedding", 5));
    stage.recreate(&name, &wider).await?;
    let part = || AnnSearch::new("embedding").vector([0.0; 5]);
    let hybrid = stage.client.hybrid_search(&name).search(part());
    let found = hybrid.search(part()).await?;
    expect("the newest collection is empty", found.is_empty())
}

async fn a_collection_that_is_not_there_is_named(stage: &mut Stage) -> Verdict {
    let name = "a_collection_that_nobody_made";
    let insert = stage.client.insert(name).rows(&[json!({"id": 1})]).await;
    let query = stage.client.query(name).limit(1).await;
    let search = stage.client.search(name).vector([1.0]).await;
    for error in [insert.err(), query.err(), search.err()] {
        match error {
            Some(error) if error.is_collection_not_found() => {}
            other => return wrong(format!("not said to be missing: {other:?}")),
        }
    }
    Ok(())
}
