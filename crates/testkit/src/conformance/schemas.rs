//! What is remembered of schemas: descriptions, and changes that others make.
//!
//! Invariant: a remembered schema never makes a valid request fail.

use milvus_client::schema::{CollectionSchema, DataType, FieldSchema};
use serde_json::json;

use super::documents::{DIMENSION, vector};
use super::{Check, Lack, Stage, Verdict, check, expect, expect_eq, wrong};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(a_description_says_what_was_made),
        check!(words_of_the_user_are_kept, MilvusLite => Lack::Silent),
        check!(a_collection_that_others_remade_is_noticed),
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
