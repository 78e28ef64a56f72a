//! Everyday work with the official Rust client. Arguments: URI, file of root's password.
//!
//! Invariant: it ends with exit code 0 and a JSON list of what was done, or says what differed.

use std::collections::HashSet;
use std::error::Error;
use std::result::Result;

use milvus::v2::prelude::*;
use serde_json::json;

type Done = Result<(), Box<dyn Error>>;

const NOTES: &str = "rust_notes";

fn check(what: &str, holds: bool) -> Done {
    if holds {
        Ok(())
    } else {
        Err(what.to_owned().into())
    }
}

fn fails<T>(outcome: Result<T, milvus::v2::error::Error>, words: &str) -> Done {
    match outcome {
        Ok(_) => Err(format!("should have failed with {words:?}").into()),
        Err(error) if error.to_string().contains(words) => Ok(()),
        Err(error) => Err(format!("{words:?} is not in {error}").into()),
    }
}

async fn connect(
    uri: &str,
    user: &str,
    password: &str,
) -> Result<ClientV2, milvus::v2::error::Error> {
    let config = ConnectConfig::new()
        .uri(uri)
        .token(format!("{user}:{password}"));
    ClientV2::new(&config).await
}

fn vector(seed: i64) -> Vec<f32> {
    vec![seed as f32, 1.0, 2.0, 3.0]
}

async fn collection(client: &ClientV2) -> Done {
    let schema = CollectionSchema::new()
        .enable_dynamic_field(true)
        .add_field(
            FieldSchema::new()
                .name("id")
                .data_type(DataType::Int64)
                .primary_key(true),
        )
        .add_field(
            FieldSchema::new()
                .name("text")
                .data_type(DataType::VarChar)
                .max_length(200)
                .enable_analyzer(true),
        )
        .add_field(
            FieldSchema::new()
                .name("dense")
                .data_type(DataType::FloatVector)
                .dimension(4),
        )
        .add_field(
            FieldSchema::new()
                .name("words")
                .data_type(DataType::SparseFloatVector),
        )
        .add_function(
            Function::new()
                .name("bm25")
                .function_type(FunctionType::Bm25)
                .input_fields(["text"])
                .output_fields(["words"]),
        );
    let create = CreateCollectionRequest::builder()
        .collection_name(NOTES)
        .schema(schema)
        .index_params(vec![
            IndexParam::new()
                .field_name("dense")
                .index_type(IndexType::Hnsw)
                .metric_type(MetricType::L2)
                .extra_params(
                    [
                        ("M".into(), "8".into()),
                        ("efConstruction".into(), "64".into()),
                    ]
                    .into(),
                ),
            IndexParam::new()
                .field_name("words")
                .index_type(IndexType::SparseInvertedIndex)
                .metric_type(MetricType::Bm25),
        ])
        .build()?;
    client.create_collection(create).await?;
    let load = LoadCollectionRequest::builder()
        .collection_name(NOTES)
        .build()?;
    client.load_collection(load).await?;
    let has = HasCollectionRequest::builder()
        .collection_name(NOTES)
        .build()?;
    check("has_collection", client.has_collection(has).await?.exists())
}

async fn count(client: &ClientV2, filter: &str) -> Result<i64, Box<dyn Error>> {
    let request = QueryRequest::builder()
        .collection_name(NOTES)
        .filter(filter)
        .output_fields(["count(*)"])
        .consistency_level(ConsistencyLevel::Strong)
        .build()?;
    let answer = client.query(request).await?;
    let row = answer.results().rows()?.next().ok_or("no row")?;
    Ok(row.get_i64("count(*)")?)
}

async fn rows(client: &ClientV2) -> Done {
    let rows: Vec<_> = (0..50)
        .map(|id| json!({"id": id, "text": format!("note number {id}"), "dense": vector(id), "n": id}))
        .collect();
    let insert = InsertRequest::builder()
        .collection_name(NOTES)
        .rows(rows)
        .build()?;
    check("insert", client.insert(insert).await?.insert_count() == 50)?;
    let changed = vec![json!({"id": 7, "text": "changed", "dense": vector(70), "n": 700})];
    let insert = InsertRequest::builder()
        .collection_name(NOTES)
        .rows(changed)
        .build()?;
    let upsert = UpsertRequest::builder().insert(insert).build()?;
    check("upsert", client.upsert(upsert).await?.upsert_count() == 1)?;
    let delete = DeleteRequest::builder()
        .collection_name(NOTES)
        .filter("id in [1, 2]")
        .build()?;
    check("delete", client.delete(delete).await?.delete_count() == 2)?;
    check("count", count(client, "").await? == 48)?;
    check(
        "count with a filter",
        count(client, "n >= 40 and id > 0").await? == 11,
    )?;
    let get = GetRequest::builder()
        .collection_name(NOTES)
        .ids(Ids::Int64(vec![7]))
        .output_fields(["text"])
        .build()?;
    let got = client.get(get).await?;
    let row = got.results().rows()?.next().ok_or("no row")?;
    check("get", row.to_entity_row()?["text"] == "changed")?;
    let flush = FlushRequest::builder().collection_names([NOTES]).build()?;
    client.flush(flush).await?;
    Ok(())
}

async fn search(client: &ClientV2) -> Done {
    let request = SearchRequest::builder()
        .collection_name(NOTES)
        .vector_field("dense")
        .vectors(SearchVectors::Float(vec![vector(9), vector(20)]))
        .filter("n < 30")
        .output_fields(["n", "text"])
        .limit(3)
        .consistency_level(ConsistencyLevel::Bounded)
        .build()?;
    let answer = client.search(request).await?;
    check("search of two", answer.results().iter().count() == 2)?;
    let first = answer.results().iter().next().ok_or("no hits")?;
    let hit = first.rows()?.next().ok_or("no hit")?;
    check(
        "the nearest",
        hit.to_entity_row()?["text"] == "note number 9",
    )?;
    let request = SearchRequest::builder()
        .collection_name(NOTES)
        .vector_field("words")
        .vectors(SearchVectors::EmbeddedText(vec!["changed".into()]))
        .output_fields(["text"])
        .limit(5)
        .build()?;
    let answer = client.search(request).await?;
    let first = answer.results().iter().next().ok_or("no hits")?;
    check("full text", first.rows()?.count() == 1)?;
    let dense = SubSearchRequest::builder()
        .vector_field("dense")
        .vectors(SearchVectors::Float(vec![vector(9)]))
        .limit(5)
        .build()?;
    let words = SubSearchRequest::builder()
        .vector_field("words")
        .vectors(SearchVectors::EmbeddedText(vec!["changed".into()]))
        .limit(5)
        .build()?;
    let request = HybridSearchRequest::builder()
        .collection_name(NOTES)
        .sub_requests(vec![dense, words])
        .rerank(WeightedRerank::new().weights(vec![0.5, 0.5]))
        .output_fields(["text"])
        .limit(4)
        .build()?;
    let answer = client.hybrid_search(request).await?;
    let first = answer.results().iter().next().ok_or("no hits")?;
    check("hybrid search", first.rows()?.count() == 4)
}

async fn iterators(client: &ClientV2) -> Done {
    let query = QueryRequest::builder()
        .collection_name(NOTES)
        .filter("id >= 0")
        .output_fields(["n"])
        .build()?;
    let request = QueryIteratorRequest::builder()
        .query(query)
        .batch_size(9)
        .limit(-1)
        .build()?;
    let mut iterator = client.query_iterator(request).await?;
    let mut ids = HashSet::new();
    while let Some(page) = iterator.next().await? {
        let rows: Vec<_> = page.results().rows()?.collect();
        if rows.is_empty() {
            break;
        }
        for row in rows {
            ids.insert(row.get_i64("id")?);
        }
    }
    check("query iterator", ids.len() == 48)?;
    let search = SearchRequest::builder()
        .collection_name(NOTES)
        .vector_field("dense")
        .vectors(SearchVectors::Float(vec![vector(9)]))
        .output_fields(["n"])
        .limit(7)
        .build()?;
    let request = SearchIteratorRequest::builder()
        .search(search)
        .batch_size(7)
        .limit(20)
        .build()?;
    let mut iterator = client.search_iterator(request).await?;
    let mut hits = HashSet::new();
    while let Some(page) = iterator.next().await? {
        let Some(result) = page.results().iter().next() else {
            break;
        };
        let rows: Vec<_> = result.rows()?.collect();
        if rows.is_empty() {
            break;
        }
        for row in rows {
            hits.insert(row.get_i64("id")?);
        }
    }
    check("search iterator", hits.len() == 20)
}

async fn administration(client: &ClientV2) -> Done {
    let create = CreatePartitionRequest::builder()
        .collection_name(NOTES)
        .partition_name("p1")
        .build()?;
    client.create_partition(create).await?;
    let list = ListPartitionsRequest::builder()
        .collection_name(NOTES)
        .build()?;
    check(
        "partitions",
        client.list_partitions(list).await?.partition_names().len() == 2,
    )?;
    let create = CreateAliasRequest::builder()
        .collection_name(NOTES)
        .alias("rust_alias")
        .build()?;
    client.create_alias(create).await?;
    let describe = DescribeAliasRequest::builder()
        .alias("rust_alias")
        .build()?;
    client.describe_alias(describe).await?;
    client
        .drop_alias(DropAliasRequest::builder().alias("rust_alias").build()?)
        .await?;
    let describe = DescribeIndexRequest::builder()
        .collection_name(NOTES)
        .field_name("dense")
        .build()?;
    client.describe_index(describe).await?;
    let release = ReleaseCollectionRequest::builder()
        .collection_name(NOTES)
        .build()?;
    client.release_collection(release).await?;
    fails(
        client
            .query(
                QueryRequest::builder()
                    .collection_name(NOTES)
                    .filter("id > 0")
                    .limit(1)
                    .build()?,
            )
            .await,
        "not loaded",
    )?;
    let load = LoadCollectionRequest::builder()
        .collection_name(NOTES)
        .build()?;
    client.load_collection(load).await?;
    let create = CreateDatabaseRequest::builder()
        .database_name("rust_sales")
        .build()?;
    client.create_database(create).await?;
    let databases = client
        .list_databases(ListDatabasesRequest::builder().build()?)
        .await?;
    check(
        "databases",
        databases
            .database_names()
            .iter()
            .any(|name| name == "rust_sales"),
    )?;
    client.use_database("rust_sales").await?;
    let list = client
        .list_collections(ListCollectionsRequest::builder().build()?)
        .await?;
    check("an empty database", list.collection_names().is_empty())?;
    client.use_database("default").await?;
    let drop = DropDatabaseRequest::builder()
        .database_name("rust_sales")
        .build()?;
    client.drop_database(drop).await?;
    Ok(())
}

async fn users(client: &ClientV2, uri: &str) -> Done {
    let create = CreateUserRequest::builder()
        .username("rust_user")
        .password("secret-of-rust")
        .build()?;
    client.create_user(create).await?;
    client
        .create_role(
            CreateRoleRequest::builder()
                .role_name("rust_role")
                .build()?,
        )
        .await?;
    let grant = GrantRoleRequest::builder()
        .username("rust_user")
        .role_name("rust_role")
        .build()?;
    client.grant_role(grant).await?;
    let user = connect(uri, "rust_user", "secret-of-rust").await?;
    let query = || {
        QueryRequest::builder()
            .collection_name(NOTES)
            .filter("id == 7")
            .output_fields(["text"])
            .build()
    };
    fails(user.query(query()?).await, "permission deny to rust_user")?;
    let grant = GrantPrivilegeRequest::builder()
        .role_name("rust_role")
        .database_name("default")
        .collection_name(NOTES)
        .privilege("CollectionReadOnly")
        .build()?;
    client.grant_privilege(grant).await?;
    check(
        "a query by grant",
        user.query(query()?).await?.results().rows()?.count() == 1,
    )?;
    let update = UpdatePasswordRequest::builder()
        .username("rust_user")
        .old_password("secret-of-rust")
        .new_password("another-secret")
        .build()?;
    client.update_password(update).await?;
    fails(user.query(query()?).await, "auth check failure")?;
    connect(uri, "rust_user", "another-secret").await?;
    let users = client
        .list_users(ListUsersRequest::builder().build()?)
        .await?;
    check(
        "users",
        users.usernames().iter().any(|name| name == "rust_user"),
    )?;
    client
        .drop_role(
            DropRoleRequest::builder()
                .role_name("rust_role")
                .force(true)
                .build()?,
        )
        .await?;
    client
        .drop_user(DropUserRequest::builder().username("rust_user").build()?)
        .await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Done {
    let mut arguments = std::env::args().skip(1);
    let uri = arguments.next().ok_or("a URI")?;
    let password = std::fs::read_to_string(arguments.next().ok_or("the file of root's password")?)?;
    if let Ok(client) = connect(&uri, "root", "not the password").await {
        let version = GetServerVersionRequest::builder().build()?;
        fails(client.server_version(version).await, "auth check failure")?;
    }
    let client = connect(&uri, "root", &password).await?;
    collection(&client)
        .await
        .map_err(|error| format!("collection: {error}"))?;
    rows(&client)
        .await
        .map_err(|error| format!("rows: {error}"))?;
    search(&client)
        .await
        .map_err(|error| format!("search: {error}"))?;
    iterators(&client)
        .await
        .map_err(|error| format!("iterators: {error}"))?;
    administration(&client)
        .await
        .map_err(|error| format!("administration: {error}"))?;
    users(&client, &uri)
        .await
        .map_err(|error| format!("users: {error}"))?;
    let nope = DescribeCollectionRequest::builder()
        .collection_name("nope")
        .build()?;
    fails(
        client.describe_collection(nope).await,
        "can't find collection",
    )?;
    client
        .drop_collection(
            DropCollectionRequest::builder()
                .collection_name(NOTES)
                .build()?,
        )
        .await?;
    println!(
        "{}",
        json!([
            "collection",
            "rows",
            "search",
            "iterators",
            "administration",
            "users"
        ])
    );
    Ok(())
}
