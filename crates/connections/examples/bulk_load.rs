//! Loads a NumPy file of vectors, of any size, with a progress bar.
//!
//! ```console
//! cargo run --release -p milvus-connections --example bulk_load -- vectors.npy ./vectors.db
//! cargo run --release -p milvus-connections --example bulk_load -- vectors.npy http://localhost:19530
//! ```
//!
//! Without a file it loads the sample of the examples; without a target, into memory. The file holds 32-bit or 16-bit floats,
//! one row for each vector (`numpy.save`). Its bytes go to the socket as they are.
#![allow(clippy::print_stderr, reason = "the bar is drawn there")]

mod sample;

use std::io::{IsTerminal as _, Write};
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use milvus_connections::client::admin::Index;
use milvus_connections::client::schema::{CollectionSchema, FieldSchema};
use milvus_connections::client::{Client, Column, Error, MetricType, WriteProgress, f32_of_f16};
use milvus_connections::{ConnectionParams, Connections};
use sample::Outcome;
use sample::npy::{Element, Npy};

const COLLECTION: &str = "example_bulk_load";

#[tokio::main]
async fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let (file, uri) = (arguments.next(), arguments.next());
    let uri = uri.as_deref().unwrap_or("memory:bulk");
    run(file.as_deref().map(Path::new), uri, &mut std::io::stdout()).await
}

pub(crate) async fn run(file: Option<&Path>, uri: &str, out: &mut (dyn Write + Send)) -> Outcome {
    let file = match file {
        Some(path) => Bytes::from(std::fs::read(path)?),
        None => Bytes::from_static(include_bytes!("sample/texts.npy")),
    };
    let vectors = Npy::parse(file)?;
    let client = Connections::new()
        .connect_with("target", ConnectionParams::uri(uri))
        .await?;
    if client.has_collection(COLLECTION).await? {
        client.drop_collection(COLLECTION).await?;
    }
    let column = create(&client, &vectors).await?;
    let ids: Vec<i64> = (0..).take(vectors.rows).collect();
    let began = Instant::now();
    let written = client
        .insert(COLLECTION)
        .column("id", ids)
        .column("vector", column)
        .request_bytes(4 << 20)
        .on_progress(draw)
        .await?;
    client.flush([COLLECTION]).await?;
    let seconds = began.elapsed().as_secs_f64();
    writeln!(
        out,
        "{} rows of {} numbers in {} requests",
        written.rows, vectors.dimension, written.requests
    )?;
    // What a person wants to know but a test cannot.
    eprintln!(
        "{seconds:.2} s, {:.0} MB/s",
        vectors.values.len() as f64 / 1e6 / seconds
    );

    for row in [0, vectors.rows / 2, vectors.rows - 1] {
        let found = client
            .search(COLLECTION)
            .vector(query(&vectors, row))
            .limit(1)
            .await?;
        writeln!(
            out,
            "nearest to row {row}: row {}",
            found.query(0).int64_ids()[0]
        )?;
    }
    Ok(())
}

/// Makes the collection; returns the column for it. 16-bit vectors stay as they are where the server has a field for them.
async fn create(client: &Client, vectors: &Npy) -> Result<Column, Error> {
    let create = |vector: FieldSchema| {
        let schema = CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key())
            .field(vector);
        client
            .create_collection(COLLECTION, schema)
            .index("vector", Index::flat(MetricType::Cosine))
    };
    if vectors.element == Element::F16 {
        let field = FieldSchema::float16_vector("vector", vectors.dimension);
        match create(field).await {
            Ok(()) => return Ok(Column::from(vectors.values.clone())),
            Err(Error::MissingFeature(missing)) => eprintln!("{missing}: they become 32 bits wide"),
            Err(error) => return Err(error),
        }
    }
    create(FieldSchema::float_vector("vector", vectors.dimension)).await?;
    Ok(floats(vectors))
}

/// One vector of the file, to search with; it becomes what the field holds.
fn query(vectors: &Npy, row: usize) -> Vec<f32> {
    let width = vectors.values.len() / vectors.rows;
    let values = vectors.values.slice(row * width..(row + 1) * width);
    numbers(&Npy {
        rows: 1,
        values,
        ..vectors.clone()
    })
}

fn floats(vectors: &Npy) -> Column {
    match vectors.element {
        Element::F32 => Column::from(vectors.values.clone()),
        Element::F16 => Column::from(numbers(vectors)),
    }
}

fn numbers(vectors: &Npy) -> Vec<f32> {
    match vectors.element {
        Element::F32 => {
            let (numbers, _) = vectors.values.as_chunks::<4>();
            numbers
                .iter()
                .map(|number| f32::from_le_bytes(*number))
                .collect()
        }
        Element::F16 => {
            let (halves, _) = vectors.values.as_chunks::<2>();
            halves
                .iter()
                .map(|half| f32_of_f16(u16::from_le_bytes(*half)))
                .collect()
        }
    }
}

/// Draws the bar, for people.
fn draw(progress: WriteProgress) {
    const WIDTH: u64 = 40;
    let total = progress.total.unwrap_or(progress.acknowledged).max(1);
    if !std::io::stderr().is_terminal() {
        return;
    }
    let full = progress.acknowledged * WIDTH / total;
    let bar: String = (0..WIDTH)
        .map(|place| if place < full { '█' } else { '░' })
        .collect();
    let end = if progress.acknowledged == total {
        "\n"
    } else {
        ""
    };
    eprint!(
        "\r{bar} {:>3} %  {} rows{end}",
        progress.acknowledged * 100 / total,
        progress.acknowledged
    );
}
