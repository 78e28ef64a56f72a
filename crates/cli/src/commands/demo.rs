//! `milvusctl demo`: from nothing to the first answer, on a database in this process, through two aliases.
//!
//! Invariant: it needs no server, no network and no model, and leaves nothing behind unless asked to.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use milvus_connections::client::admin::Index;
use milvus_connections::client::schema::{CollectionSchema, FieldSchema};
use milvus_connections::client::{ConsistencyLevel, MetricType};
use milvus_connections::{Client, ConnectionParams, Connections};
use serde::Serialize;

use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Cell, Paint, Report, Table, Tone};
use crate::progress::during;

/// Dimensions of the demo's vectors.
const DIMENSION: usize = 256;
const COLLECTION: &str = "notes";
const QUESTION: &str = "how long should bread dough rise before baking";

/// Search a small collection in a database of this process, without any server
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  milvusctl demo
  milvusctl demo \"which planet has rings\"
  milvusctl demo --keep ./demo.db")]
pub(crate) struct DemoArguments {
    /// What to look for
    #[arg(value_name = "QUESTION", default_value = QUESTION)]
    question: String,
    /// Keep the database there; its name ends in .db
    #[arg(long, value_name = "PATH")]
    keep: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Demo {
    question: String,
    rows: u64,
    aliases: Vec<Alias>,
    answers: Vec<Answer>,
    milliseconds: u64,
}

#[derive(Debug, Serialize)]
struct Alias {
    alias: String,
    address: String,
    rows: u64,
}

#[derive(Debug, Serialize)]
struct Answer {
    score: f32,
    topic: String,
    text: String,
}

impl Report for Demo {
    fn render(&self, paint: Paint) -> String {
        let mut text = format!(
            "{} rows inserted, searched and read again after a reconnect, in {} ms\n\n",
            self.rows, self.milliseconds
        );
        let mut aliases = Table::with_heading(&["ALIAS", "ADDRESS", "ROWS"]);
        for alias in &self.aliases {
            aliases.push([
                Cell::new(&alias.alias, Tone::Strong),
                Cell::plain(&alias.address),
                Cell::number(alias.rows.to_string()),
            ]);
        }
        text.push_str(&aliases.render(2, paint));
        text.push_str(&format!("\n{}\n", paint.tone(Tone::Strong, &self.question)));
        let mut answers = Table::default();
        for answer in &self.answers {
            answers.push([
                Cell::number(format!("{:.2}", answer.score)),
                Cell::new(&answer.topic, Tone::Faint),
                Cell::plain(&answer.text),
            ]);
        }
        text.push_str(&answers.render(2, paint));
        text.push_str("\nThe vectors are counts of hashed words, so that no model is needed.\nNext: `milvusctl add prod https://…`, `milvusctl doctor prod`\n");
        text
    }
}

pub(super) async fn run(arguments: &DemoArguments, console: &mut Console) -> Result<Exit, Failure> {
    let scratch = std::env::temp_dir().join(format!("milvusctl-demo-{}", std::process::id()));
    let path = match &arguments.keep {
        Some(path) => path.clone(),
        None => {
            let made = std::fs::create_dir_all(&scratch);
            made.map_err(|error| {
                Failure::new(Exit::Failed, "can't make a folder for the demo", error)
                    .at(scratch.display())
            })?;
            scratch.join("demo.db")
        }
    };
    let outcome = during(
        console,
        "running the demo",
        show(&path, &arguments.question),
    )
    .await;
    if arguments.keep.is_none() {
        // What can't be removed is in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&scratch);
    }
    console.report(&outcome?)?;
    Ok(Exit::Success)
}

fn failed(error: milvus_connections::client::Error) -> Failure {
    Failure::new(Exit::Failed, "the demo failed", error)
}

async fn show(path: &std::path::Path, question: &str) -> Result<Demo, Failure> {
    let began = Instant::now();
    let connections = Connections::isolated();
    connections.add_connection([
        ("default", ConnectionParams::uri(path.display().to_string())),
        ("dev", ConnectionParams::uri("memory:")),
    ])?;
    let client = connections.connect("default").await?;
    fill(&client).await.map_err(failed)?;
    let answers = search(&client, question).await.map_err(failed)?;
    drop(client);
    // What was written is there after the file was closed and opened again.
    connections.disconnect("default").await;
    let again = connections.connect("default").await?;
    let rows = again.query(COLLECTION).count().await.map_err(failed)?;
    let dev = connections.connect("dev").await?;
    fill(&dev).await.map_err(failed)?;
    let aliases = vec![
        Alias {
            alias: "default".into(),
            address: again.connection().address().into(),
            rows,
        },
        Alias {
            alias: "dev".into(),
            address: dev.connection().address().into(),
            rows: dev.query(COLLECTION).count().await.map_err(failed)?,
        },
    ];
    drop((again, dev));
    connections.disconnect("default").await;
    connections.disconnect("dev").await;
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Demo {
        question: question.to_owned(),
        rows,
        aliases,
        answers,
        milliseconds,
    })
}

async fn fill(client: &Client) -> milvus_connections::client::Result<()> {
    if client.has_collection(COLLECTION).await? {
        client.drop_collection(COLLECTION).await?;
    }
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(FieldSchema::varchar("topic", 64))
        .field(FieldSchema::varchar("text", 512))
        .field(FieldSchema::float_vector("vector", DIMENSION));
    client
        .create_collection(COLLECTION, schema)
        .index("vector", Index::auto(MetricType::Cosine))
        .await?;
    let vectors: Vec<f32> = NOTES.iter().flat_map(|(_, text)| embed(text)).collect();
    client
        .insert(COLLECTION)
        .column("id", (0..).take(NOTES.len()).collect::<Vec<i64>>())
        .column(
            "topic",
            NOTES.iter().map(|(topic, _)| *topic).collect::<Vec<_>>(),
        )
        .column(
            "text",
            NOTES.iter().map(|(_, text)| *text).collect::<Vec<_>>(),
        )
        .column("vector", vectors)
        .await?;
    Ok(())
}

async fn search(
    client: &Client,
    question: &str,
) -> milvus_connections::client::Result<Vec<Answer>> {
    let found = client
        .search(COLLECTION)
        .vector(embed(question))
        .output_fields(["topic", "text"])
        .limit(3)
        .consistency(ConsistencyLevel::Strong)
        .await?;
    #[derive(serde::Deserialize)]
    struct Note {
        topic: String,
        text: String,
    }
    let mut answers = Vec::new();
    for hit in found.query(0) {
        let Note { topic, text } = hit.fields()?;
        answers.push(Answer {
            score: hit.score(),
            topic,
            text,
        });
    }
    Ok(answers)
}

/// Words, without their endings, counted by the hash of each (FNV-1a) into a fixed number of dimensions.
fn embed(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSION];
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() > 3);
    for word in words {
        let word = word.to_lowercase();
        let stem = word.trim_end_matches(['s', 'e']).trim_end_matches("ing");
        let hash = stem.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        if let Some(value) = usize::try_from(hash % DIMENSION as u64)
            .ok()
            .and_then(|index| vector.get_mut(index))
        {
            *value += 1.0;
        }
    }
    vector
}

/// What there is to find: a topic and a note.
const NOTES: [(&str, &str); 24] = [
    (
        "baking",
        "Let the bread dough rise until it has doubled, about two hours, before baking it.",
    ),
    (
        "baking",
        "A hot oven and a little steam give bread a thin, crackling crust.",
    ),
    (
        "baking",
        "Too much flour on the table makes dough dry; wet hands help more.",
    ),
    (
        "baking",
        "Sourdough starter is flour and water that wild yeast has moved into.",
    ),
    (
        "gardening",
        "Tomatoes want sun, deep water twice a week, and a stake to climb.",
    ),
    (
        "gardening",
        "Cut roses back in early spring, above a bud that looks outward.",
    ),
    (
        "gardening",
        "Compost needs air: turn the heap and mix green with brown.",
    ),
    (
        "gardening",
        "Plant garlic in autumn, harvest it when half of its leaves are yellow.",
    ),
    (
        "astronomy",
        "Saturn is the planet whose rings can be seen with a small telescope.",
    ),
    (
        "astronomy",
        "The moon shows us one side because it turns once with every orbit.",
    ),
    (
        "astronomy",
        "A comet grows its tail when the sun warms the ice in it.",
    ),
    (
        "astronomy",
        "Light from the nearest star travels four years to reach us.",
    ),
    (
        "cycling",
        "A chain that is cleaned and oiled shifts better and wears slower.",
    ),
    (
        "cycling",
        "Lower tyre pressure a little for gravel and raise it for smooth roads.",
    ),
    (
        "cycling",
        "Set the saddle so that the knee is slightly bent at the lowest point.",
    ),
    (
        "cycling",
        "Brake with both hands before the curve, not in it.",
    ),
    (
        "music",
        "Practise a hard passage slowly until the fingers know the way.",
    ),
    (
        "music",
        "A guitar goes out of tune when warm strings meet a cold room.",
    ),
    (
        "music",
        "Singing in a choir is mostly listening to the others.",
    ),
    (
        "music",
        "The left hand of the piano carries the rhythm in a waltz.",
    ),
    (
        "weather",
        "High thin clouds from the west often come a day before rain.",
    ),
    (
        "weather",
        "Fog forms on clear nights when the ground cools the damp air.",
    ),
    (
        "weather",
        "Thunder follows lightning by three seconds for every kilometre.",
    ),
    (
        "weather",
        "Snow is white because its crystals scatter all colours alike.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_question_finds_its_note_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let demo = show(&folder.path().join("demo.db"), QUESTION)
            .await
            .unwrap();
        assert_eq!(demo.answers[0].topic, "baking");
        assert!(demo.answers[0].text.contains("rise"), "{:?}", demo.answers);
        assert!(demo.answers[0].score > demo.answers[2].score);
        assert_eq!(demo.rows, 24);
        assert!(demo.aliases.iter().all(|alias| alias.rows == 24));
        let other = show(&folder.path().join("demo.db"), "which planet has rings")
            .await
            .unwrap();
        assert!(
            other.answers[0].text.contains("Saturn"),
            "{:?}",
            other.answers
        );
    }
}
