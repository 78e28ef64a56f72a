//! Finds sentences by what they mean: real texts, real embeddings.
//!
//! ```console
//! cargo run -p milvus-connections --example semantic_search                            # in this process
//! cargo run -p milvus-connections --example semantic_search -- http://localhost:19530  # on a server
//! ```

mod sample;

use std::io::Write;

use milvus_connections::client::MetricType;
use milvus_connections::client::admin::Index;
use milvus_connections::client::schema::{CollectionSchema, FieldSchema};
use milvus_connections::{Client, ConnectionParams, Connections};
use sample::{DIMENSION, Outcome};
use serde::Deserialize;

const COLLECTION: &str = "example_semantic_search";

#[tokio::main]
async fn main() -> Outcome {
    let uri = std::env::args().nth(1);
    run(
        uri.as_deref().unwrap_or("memory:semantic"),
        &mut std::io::stdout(),
    )
    .await
}

#[derive(Deserialize)]
struct Sentence<'a> {
    topic: &'a str,
    text: &'a str,
}

pub(crate) async fn run(uri: &str, out: &mut (dyn Write + Send)) -> Outcome {
    let connections = Connections::new();
    let client = connections
        .connect_with("library", ConnectionParams::uri(uri))
        .await?;
    fill(&client).await?;

    let (questions, vectors) = sample::questions()?;
    // All questions at once; the hits of each are a view into one answer.
    let found = client
        .search(COLLECTION)
        .vectors(vectors.chunks(DIMENSION))
        .output_fields(["topic", "text"])
        .limit(2)
        .await?;
    for (question, hits) in questions.iter().zip(found.queries()) {
        writeln!(out, "{}", question.text)?;
        for hit in hits {
            let sentence: Sentence<'_> = hit.fields()?;
            writeln!(
                out,
                "  {:.2}  [{}] {}",
                hit.score(),
                sentence.topic,
                sentence.text
            )?;
        }
    }

    // The same among the sentences of one topic only.
    let found = client
        .search(COLLECTION)
        .vector(&vectors[..DIMENSION])
        .filter("topic == \"weather\"")
        .output_fields(["topic", "text"])
        .limit(1)
        .await?;
    for hit in found.query(0) {
        let sentence: Sentence<'_> = hit.fields()?;
        writeln!(
            out,
            "\nAnd about the weather only:\n  {:.2}  [{}] {}",
            hit.score(),
            sentence.topic,
            sentence.text
        )?;
    }
    client.drop_collection(COLLECTION).await?;
    Ok(())
}

async fn fill(client: &Client) -> Outcome {
    let (texts, vectors) = sample::texts()?;
    if client.has_collection(COLLECTION).await? {
        client.drop_collection(COLLECTION).await?;
    }
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::varchar("topic", 32))
        .field(FieldSchema::varchar("text", 512))
        .field(FieldSchema::float_vector("vector", DIMENSION));
    client
        .create_collection(COLLECTION, schema)
        .index("vector", Index::flat(MetricType::Cosine))
        .await?;
    client
        .insert(COLLECTION)
        .column("id", texts.iter().map(|text| text.id).collect::<Vec<_>>())
        .column(
            "topic",
            texts
                .iter()
                .map(|text| text.topic.as_str())
                .collect::<Vec<_>>(),
        )
        .column(
            "text",
            texts
                .iter()
                .map(|text| text.text.as_str())
                .collect::<Vec<_>>(),
        )
        .column("vector", vectors)
        .await?;
    Ok(())
}
