//! Finds sentences by their words and by their meaning at once: BM25 and embeddings, merged by reciprocal rank.
//!
//! ```console
//! cargo run -p milvus-connections --example hybrid_search                            # in this process
//! cargo run -p milvus-connections --example hybrid_search -- http://localhost:19530  # on a server (2.5 or newer)
//! ```

mod sample;

use std::io::Write;

use milvus_connections::client::admin::{Index, IndexType};
use milvus_connections::client::schema::{CollectionSchema, FieldSchema, FunctionSchema};
use milvus_connections::client::{AnnSearch, Error, MetricType, Rerank, SearchResults};
use milvus_connections::{Client, ConnectionParams, Connections};
use sample::{DIMENSION, Outcome, Text};
use serde::Deserialize;

const COLLECTION: &str = "example_hybrid_search";
/// Its number is a word that no embedding knows; the rest is a question that no word of the answer is in.
const QUESTION: &str = "1205 flat";

#[tokio::main]
async fn main() -> Outcome {
    let uri = std::env::args().nth(1);
    run(
        uri.as_deref().unwrap_or("memory:hybrid"),
        &mut std::io::stdout(),
    )
    .await
}

pub(crate) async fn run(uri: &str, out: &mut (dyn Write + Send)) -> Outcome {
    let connections = Connections::new();
    let client = connections
        .connect_with("library", ConnectionParams::uri(uri))
        .await?;
    let (texts, vectors) = sample::texts()?;
    match fill(&client, &texts, vectors).await {
        Ok(()) => {}
        // The error names the feature and the server's version, before anything was sent.
        Err(Error::MissingFeature(missing)) => {
            writeln!(out, "No hybrid search here: {missing}.")?;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }

    let (_, questions) = sample::questions()?;
    // "I have a flat, how can I repair it?"
    let meaning = &questions[2 * DIMENSION..3 * DIMENSION];
    let by_words = || AnnSearch::new("words").vector(QUESTION).limit(10);
    let by_meaning = || AnnSearch::new("vector").vector(meaning).limit(10);

    let words = client
        .search(COLLECTION)
        .field("words")
        .vector(QUESTION)
        .output_fields(["text"])
        .limit(2)
        .await?;
    show(out, "By words", &words)?;
    let vectors = client
        .search(COLLECTION)
        .field("vector")
        .vector(meaning)
        .output_fields(["text"])
        .limit(2)
        .await?;
    show(out, "By meaning", &vectors)?;
    for (name, rerank) in [
        ("By both, reciprocal rank", Rerank::rrf()),
        ("By both, meaning counts more", Rerank::weighted([0.2, 0.8])),
    ] {
        let both = client
            .hybrid_search(COLLECTION)
            .search(by_words())
            .search(by_meaning())
            .rerank(rerank)
            .output_fields(["text"])
            .limit(2)
            .await?;
        show(out, name, &both)?;
    }
    client.drop_collection(COLLECTION).await?;
    Ok(())
}

#[derive(Deserialize)]
struct Sentence<'a> {
    text: &'a str,
}

fn show(out: &mut (dyn Write + Send), name: &str, found: &SearchResults) -> Outcome {
    writeln!(out, "{name}:")?;
    for hit in found.query(0) {
        writeln!(out, "  {}", hit.fields::<Sentence<'_>>()?.text)?;
    }
    Ok(())
}

async fn fill(client: &Client, texts: &[Text], vectors: Vec<f32>) -> Result<(), Error> {
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::varchar("text", 512).analyzer(&serde_json::Value::Null))
        .field(FieldSchema::sparse_float_vector("words"))
        .field(FieldSchema::float_vector("vector", DIMENSION))
        .function(FunctionSchema::bm25("words_of_text", "text", "words"));
    if client.has_collection(COLLECTION).await? {
        client.drop_collection(COLLECTION).await?;
    }
    client
        .create_collection(COLLECTION, schema)
        .index(
            "words",
            Index::new(IndexType::SparseInvertedIndex).metric_type(MetricType::Bm25),
        )
        .index("vector", Index::flat(MetricType::Cosine))
        .await?;
    // The server makes the column `words` of the column `text`.
    client
        .insert(COLLECTION)
        .column("id", texts.iter().map(|text| text.id).collect::<Vec<_>>())
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
