//! Collections.

use milvus_client::admin::{Index, LoadState};
use milvus_client::schema::{CollectionSchema, DataType, FieldSchema, FunctionSchema};
use milvus_client::{ConsistencyLevel, Error, MetricType};

use crate::Backend;
use crate::backend::{PATIENCE, docs_schema, refusal, unique};

pub(crate) async fn lives_and_dies(backend: Backend) {
    let client = &backend.client;
    let name = unique("docs");
    assert!(!client.has_collection(name.as_str()).await.unwrap());
    let schema = docs_schema()
        .field(FieldSchema::varchar("title", 64))
        .field(FieldSchema::array("tags", DataType::Int32, 8))
        .description("a check")
        .dynamic_fields();
    client
        .create_collection(name.as_str(), schema)
        .shards(1)
        .consistency_level(ConsistencyLevel::Session)
        .await
        .unwrap();
    assert!(client.has_collection(name.as_str()).await.unwrap());
    assert!(client.list_collections().await.unwrap().contains(&name));

    let described = client.describe_collection(name.as_str()).await.unwrap();
    assert_eq!(described.name, name);
    let title = described.schema.field_named("title").unwrap();
    assert_eq!(
        (title.data_type, title.max_length),
        (DataType::VarChar, Some(64))
    );
    let tags = described.schema.field_named("tags").unwrap();
    assert_eq!(
        (tags.element_type, tags.max_capacity),
        (Some(DataType::Int32), Some(8))
    );
    assert!(described.schema.has_dynamic_fields);
    if backend.is_milvus() {
        assert_eq!(described.consistency_level, Some(ConsistencyLevel::Session));
        assert_eq!(described.shards, 1);
    }

    // The same again is no error on Milvus; another schema is one everywhere.
    let other = CollectionSchema::ids_and_vectors(8);
    refusal(client.create_collection(name.as_str(), other).await);
    client.drop_collection(name.as_str()).await.unwrap();
    assert!(!client.has_collection(name.as_str()).await.unwrap());
    assert!(
        client
            .describe_collection(name)
            .await
            .unwrap_err()
            .is_collection_not_found()
    );
}

pub(crate) async fn in_one_line_is_ready(backend: Backend) {
    let client = &backend.client;
    let name = unique("docs");
    client
        .create_collection(name.as_str(), CollectionSchema::ids_and_vectors(4))
        .index("vector", Index::auto(MetricType::Cosine))
        .consistency_level(ConsistencyLevel::Strong)
        .timeout(PATIENCE)
        .await
        .unwrap();
    assert_eq!(
        client.load_state(name.as_str()).await.unwrap(),
        LoadState::Loaded
    );
    let indexes = client.list_indexes(name.as_str()).await.unwrap();
    assert_eq!(indexes.len(), 1);
    assert_eq!(indexes[0].field, "vector");
    assert_eq!(indexes[0].index.metric_type, Some(MetricType::Cosine));
    backend.insert(&name, 0..3).await;
    let found = client
        .search(name.as_str())
        .vector([1.0, 2.0, 3.0, 4.0])
        .limit(3)
        .await
        .unwrap();
    assert_eq!(found.query(0).len(), 3);
    backend.drop(&name).await;

    let elsewhere = client
        .create_collection(name.as_str(), CollectionSchema::ids_and_vectors(4))
        .index("nowhere", Index::auto(MetricType::L2))
        .await;
    assert!(matches!(elsewhere, Err(Error::InvalidRequest(_))));
    assert!(!client.has_collection(name).await.unwrap());
}

pub(crate) async fn is_renamed(backend: Backend) {
    let client = &backend.client;
    let old = backend.docs("old").await;
    let new = unique("new");
    client
        .rename_collection(old.as_str(), new.as_str())
        .await
        .unwrap();
    assert!(!client.has_collection(old.as_str()).await.unwrap());
    assert_eq!(
        client.describe_collection(new.as_str()).await.unwrap().name,
        new
    );
    // The remembered schema of the old name is gone.
    let answer = client
        .insert(old.as_str())
        .column("id", vec![1_i64])
        .column("vector", vec![0.5_f32; 4])
        .await;
    assert!(answer.unwrap_err().is_collection_not_found());
    backend.insert(&new, 100..101).await;
    refusal(client.rename_collection(old, unique("newer")).await);
    backend.drop(&new).await;
}

pub(crate) async fn is_truncated(backend: Backend) {
    let client = &backend.client;
    let name = backend.docs("docs").await;
    let truncated = client.truncate_collection(name.as_str()).await;
    if backend.is_milvus() {
        backend.lacks("truncation", truncated);
    } else {
        truncated.unwrap();
        assert_eq!(
            client
                .collection_statistics(name.as_str())
                .await
                .unwrap()
                .row_count,
            0
        );
        assert_eq!(
            client
                .describe_collection(name.as_str())
                .await
                .unwrap()
                .schema
                .fields
                .len(),
            2
        );
    }
    backend.drop(&name).await;
}

pub(crate) async fn has_properties(backend: Backend) {
    const KEY: &str = "collection.ttl.seconds";
    let client = &backend.client;
    let name = unique("docs");
    client
        .create_collection(name.as_str(), docs_schema())
        .property(KEY, 3600)
        .await
        .unwrap();
    if backend.is_milvus() {
        let described = client.describe_collection(name.as_str()).await.unwrap();
        assert_eq!(described.properties[KEY], "3600");
    }
    client
        .alter_collection_properties(name.as_str())
        .property(KEY, 7200)
        .await
        .unwrap();
    let described = client.describe_collection(name.as_str()).await.unwrap();
    assert_eq!(described.properties[KEY], "7200");
    let dropped = client
        .drop_collection_properties(name.as_str(), [KEY])
        .await;
    if backend.is_milvus() {
        backend.lacks("deletion of a collection's properties", dropped);
    } else {
        dropped.unwrap();
        let described = client.describe_collection(name.as_str()).await.unwrap();
        assert!(!described.properties.contains_key(KEY), "{described:?}");
    }
    let altered = client
        .alter_collection_field(name.as_str(), "vector")
        .parameter("mmap.enabled", true)
        .await;
    backend.lacks("field's parameters", altered);
    backend.drop(&name).await;
    refusal(
        client
            .alter_collection_properties(name)
            .property(KEY, 1)
            .await,
    );
}

pub(crate) async fn grows_a_field(backend: Backend) {
    let client = &backend.client;
    let name = backend.docs("docs").await;
    let required = client
        .add_collection_field(name.as_str(), FieldSchema::varchar("author", 20))
        .await;
    assert!(
        matches!(required, Err(Error::InvalidRequest(_))),
        "{required:?}"
    );
    let author = FieldSchema::varchar("author", 20).nullable();
    let added = client.add_collection_field(name.as_str(), author).await;
    backend.lacks("new fields", added);
    backend.drop(&name).await;
}

pub(crate) async fn refuses_what_the_server_would_ignore(backend: Backend) {
    let client = &backend.client;
    let name = unique("docs");
    let nullable = docs_schema().field(FieldSchema::varchar("title", 20).nullable());
    let created = client.create_collection(name.as_str(), nullable).await;
    if backend.is_milvus() {
        backend.lacks("nullable fields", created);
    } else {
        created.unwrap();
        let described = client.describe_collection(name.as_str()).await.unwrap();
        assert!(described.schema.field_named("title").unwrap().is_nullable);
        backend.drop(&name).await;
    }
    let text = FieldSchema::varchar("text", 200).analyzer(&serde_json::Value::Null);
    let full_text = docs_schema()
        .field(text)
        .field(FieldSchema::sparse_float_vector("terms"))
        .function(FunctionSchema::bm25("terms_of_text", "text", "terms"));
    let created = client.create_collection(name.as_str(), full_text).await;
    if backend.is_milvus() {
        backend.lacks("functions", created);
        assert!(!client.has_collection(name).await.unwrap());
    } else {
        created.unwrap();
        backend.drop(&name).await;
    }
}

pub(crate) async fn a_stale_schema_is_forgotten(backend: Backend) {
    let client = &backend.client;
    let name = backend.docs("docs").await;
    backend.drop(&name).await;
    let schema = CollectionSchema::ids_and_vectors(8);
    client
        .create_collection(name.as_str(), schema)
        .await
        .unwrap();
    // Checked against the remembered schema of the first collection it would be refused.
    client
        .insert(name.as_str())
        .column("id", vec![1_i64])
        .column("vector", vec![0.5_f32; 8])
        .await
        .unwrap();
    backend.drop(&name).await;
}
