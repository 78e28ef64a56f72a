//! Asks two instances the same and compares: is what `dev` would answer to each tenant what `prod` answers?
//!
//! ```console
//! cargo run -p milvus-connections --example dev_and_prod                                   # two databases in this process
//! cargo run -p milvus-connections --example dev_and_prod -- http://dev:19530 http://prod:19530
//! ```
//!
//! Each sentence belongs to a tenant (its topic), who sees only what is theirs: the tenant is the collection's partition key,
//! and every search is filtered by it. `dev` has the newest sentences already, `prod` not yet.

mod sample;

use std::io::Write;

use milvus_connections::client::MetricType;
use milvus_connections::client::admin::Index;
use milvus_connections::client::schema::{CollectionSchema, FieldSchema};
use milvus_connections::{Client, ConnectionParams, Connections};
use sample::{DIMENSION, Outcome};

const COLLECTION: &str = "example_dev_and_prod";

#[tokio::main]
async fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let (dev, prod) = (arguments.next(), arguments.next());
    let dev = dev.as_deref().unwrap_or("memory:dev");
    run(
        dev,
        prod.as_deref().unwrap_or("memory:prod"),
        &mut std::io::stdout(),
    )
    .await
}

pub(crate) async fn run(dev: &str, prod: &str, out: &mut (dyn Write + Send)) -> Outcome {
    let connections = Connections::new();
    connections.add_connection([
        ("dev", ConnectionParams::uri(dev)),
        ("prod", ConnectionParams::uri(prod)),
    ])?;
    tokio::try_join!(connections.connect("dev"), connections.connect("prod"))?;
    // From here on names are enough, wherever in the program.
    let (dev, prod) = (connections.get("dev")?, connections.get("prod")?);
    tokio::try_join!(fill(&dev, 1), fill(&prod, 2))?;

    let (questions, vectors) = sample::questions()?;
    for (question, vector) in questions.iter().zip(vectors.chunks(DIMENSION)) {
        let (of_dev, of_prod) = tokio::try_join!(
            ask(&dev, &question.topic, vector),
            ask(&prod, &question.topic, vector)
        )?;
        if of_dev == of_prod {
            writeln!(out, "{:<10} same       {of_dev}", question.topic)?;
        } else {
            writeln!(out, "{:<10} different  dev:  {of_dev}", question.topic)?;
            writeln!(out, "{:<10}            prod: {of_prod}", "")?;
        }
    }
    for client in [&dev, &prod] {
        client.drop_collection(COLLECTION).await?;
    }
    Ok(())
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The best sentence for a tenant.
async fn ask(client: &Client, tenant: &str, vector: &[f32]) -> Result<String, Failure> {
    let found = client
        .search(COLLECTION)
        .vector(vector)
        .filter(format!("tenant == \"{tenant}\""))
        .output_fields(["text"])
        .limit(1)
        .await?;
    let (texts, rows) = found.query(0).column("text")?;
    Ok(texts.text(rows.start)?.unwrap_or_default().to_owned())
}

/// Every `step`-th sentence of each tenant, from the first on.
async fn fill(client: &Client, step: usize) -> Outcome {
    if client.has_collection(COLLECTION).await? {
        client.drop_collection(COLLECTION).await?;
    }
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::varchar("tenant", 32).partition_key())
        .field(FieldSchema::varchar("text", 512))
        .field(FieldSchema::float_vector("vector", DIMENSION));
    client
        .create_collection(COLLECTION, schema)
        .partitions(8)
        .index("vector", Index::flat(MetricType::Cosine))
        .await?;
    let (texts, vectors) = sample::texts()?;
    #[derive(serde::Serialize)]
    struct Row<'a> {
        id: i64,
        tenant: &'a str,
        text: &'a str,
        vector: &'a [f32],
    }
    let rows: Vec<Row<'_>> = texts
        .iter()
        .zip(vectors.chunks(DIMENSION))
        .step_by(step)
        .map(|(text, vector)| Row {
            id: text.id,
            tenant: &text.topic,
            text: &text.text,
            vector,
        })
        .collect();
    client.insert(COLLECTION).rows(&rows).await?;
    Ok(())
}
