//! Databases.

use milvus_client::Error;

use crate::Backend;
use crate::backend::{docs_schema, refusal, unique};

pub(crate) async fn lives_and_dies(backend: Backend) {
    let client = &backend.client;
    let name = unique("books");
    client.create_database(name.as_str()).await.unwrap();
    assert!(client.list_databases().await.unwrap().contains(&name));
    refusal(client.create_database(name.as_str()).await);

    let books = client.using_database(&name).unwrap();
    books
        .create_collection("novels", docs_schema())
        .await
        .unwrap();
    assert_eq!(books.list_collections().await.unwrap(), ["novels"]);
    assert!(!client.has_collection("novels").await.unwrap());
    refusal(client.drop_database(name.as_str()).await);

    // What is remembered of a database goes with it.
    books
        .insert("novels")
        .column("id", vec![1_i64])
        .column("vector", vec![0.5_f32; 4])
        .await
        .unwrap();
    books.drop_collection("novels").await.unwrap();
    client.drop_database(name.as_str()).await.unwrap();
    assert!(!client.list_databases().await.unwrap().contains(&name));
    let empty = client.create_database("").await;
    assert!(matches!(empty, Err(Error::InvalidRequest(_))));
}

pub(crate) async fn has_properties(backend: Backend) {
    const KEY: &str = "database.replica.number";
    let client = &backend.client;
    let name = unique("books");
    let create = client.create_database(name.as_str()).property(KEY, 1).await;
    if backend.is_milvus() {
        backend.lacks("properties of databases", create);
        client.create_database(name.as_str()).await.unwrap();
    } else {
        create.unwrap();
    }
    let described = client.describe_database(name.as_str()).await;
    let altered = client
        .alter_database_properties(name.as_str())
        .property(KEY, 2)
        .await;
    let dropped = client.drop_database_properties(name.as_str(), [KEY]).await;
    if backend.is_milvus() {
        backend.lacks("descriptions of databases", described);
        backend.lacks("properties of databases", altered);
        backend.lacks("properties of databases", dropped);
    } else {
        let described = described.unwrap();
        assert_eq!(
            (described.name.as_str(), described.properties[KEY].as_str()),
            (name.as_str(), "1")
        );
        altered.unwrap();
        dropped.unwrap();
        let described = client.describe_database(name.as_str()).await.unwrap();
        assert!(!described.properties.contains_key(KEY), "{described:?}");
    }
    client.drop_database(name.as_str()).await.unwrap();
    let nothing = client.alter_database_properties(name).await;
    assert!(matches!(nothing, Err(Error::InvalidRequest(_))));
}
