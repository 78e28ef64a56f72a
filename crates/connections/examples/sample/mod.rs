//! Texts with real embeddings for the examples: 64 sentences about eight topics, 8 questions, and what a model says they mean
//! (all-MiniLM-L6-v2, 384 dimensions; `embed.py` made the files and makes those of other texts).
//!
//! Invariant: the vectors stand in the order of the texts.
#![allow(dead_code, reason = "each example needs some of it")]

pub(crate) mod npy;

use std::error::Error;

use milvus_connections::client::f32_of_f16;
use serde::Deserialize;

/// What an example may end with.
pub(crate) type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// Numbers in a vector.
pub(crate) const DIMENSION: usize = 384;

/// A sentence.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Text {
    /// Its key; questions have none.
    #[serde(default)]
    pub(crate) id: i64,
    /// One of eight.
    pub(crate) topic: String,
    /// The sentence.
    pub(crate) text: String,
}

/// The sentences, and their vectors one after the other.
pub(crate) fn texts() -> Result<(Vec<Text>, Vec<f32>), Box<dyn Error + Send + Sync>> {
    read(include_str!("texts.jsonl"), include_bytes!("texts.npy"))
}

/// The questions, and their vectors one after the other.
pub(crate) fn questions() -> Result<(Vec<Text>, Vec<f32>), Box<dyn Error + Send + Sync>> {
    read(
        include_str!("questions.jsonl"),
        include_bytes!("questions.npy"),
    )
}

fn read(
    lines: &str,
    vectors: &'static [u8],
) -> Result<(Vec<Text>, Vec<f32>), Box<dyn Error + Send + Sync>> {
    let texts = lines
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Text>, _>>()?;
    let vectors = npy::Npy::parse(bytes::Bytes::from_static(vectors))?;
    let (halves, _) = vectors.values.as_chunks::<2>();
    let numbers = halves
        .iter()
        .map(|half| f32_of_f16(u16::from_le_bytes(*half)));
    Ok((texts, numbers.collect()))
}
