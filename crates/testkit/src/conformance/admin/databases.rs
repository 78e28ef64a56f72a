//! Databases and their properties.
//!
//! Invariant: what is in one database is not seen in another.

use milvus_client::Error;

use crate::conformance::documents::Document;
use crate::conformance::{Check, Lack, Stage, Verdict, check, expect, expect_eq, wrong};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(databases_live_and_die),
        check!(databases_have_properties, Milvus23 => Lack::MissingFeature),
        check!(a_database_without_a_name_is_refused),
    ]
}

async fn databases_live_and_die(stage: &mut Stage) -> Verdict {
    let name = stage.database();
    let client = stage.client.clone();
    client.create_database(&name).await?;
    let is_listed = client.list_databases().await?.contains(&name);
    expect("it is listed", is_listed)?;
    let again = client.create_database(&name).await;
    expect("no two of one name", again.is_err())?;

    let inside = client.using_database(&name)?;
    inside
        .create_collection("novels", Document::schema())
        .await?;
    expect_eq("inside", inside.list_collections().await?, ["novels"])?;
    let is_outside = client.has_collection("novels").await?;
    expect("not seen from another database", !is_outside)?;
    let early = client.drop_database(&name).await;
    expect("a database with collections stays", early.is_err())?;
    inside.insert("novels").rows(&Document::all(0..3)).await?;
    inside.drop_collection("novels").await?;
    client.drop_database(&name).await?;
    let is_listed = client.list_databases().await?.contains(&name);
    expect("it is gone", !is_listed)
}

async fn databases_have_properties(stage: &mut Stage) -> Verdict {
    const KEY: &str = "database.replica.number";
    let name = stage.database();
    let client = stage.client.clone();
    client.create_database(&name).property(KEY, 1).await?;
    let described = client.describe_database(&name).await?;
    expect_eq("name", described.name.as_str(), name.as_str())?;
    let value = described.properties.get(KEY).map(String::as_str);
    expect_eq("property", value, Some("1"))?;
    client
        .alter_database_properties(&name)
        .property(KEY, 2)
        .await?;
    let described = client.describe_database(&name).await?;
    let value = described.properties.get(KEY).map(String::as_str);
    expect_eq("altered", value, Some("2"))?;
    client.drop_database_properties(&name, [KEY]).await?;
    let described = client.describe_database(&name).await?;
    expect("dropped", !described.properties.contains_key(KEY))
}

async fn a_database_without_a_name_is_refused(stage: &mut Stage) -> Verdict {
    match stage.client.create_database("").await {
        Err(Error::InvalidRequest(_)) => {}
        other => return wrong(format!("accepted: {other:?}")),
    }
    // So is a change that changes nothing.
    match stage.client.alter_database_properties("any").await {
        Err(Error::InvalidRequest(_)) => Ok(()),
        other => wrong(format!("accepted: {other:?}")),
    }
}
