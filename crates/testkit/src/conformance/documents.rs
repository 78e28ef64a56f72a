//! The rows that most checks use, made from a number so that anybody can say what a row must hold.
//!
//! Invariant: the document of a number is always the same.

use milvus_client::schema::{CollectionSchema, FieldSchema};
use serde::{Deserialize, Serialize};

pub(super) const DIMENSION: usize = 8;

/// A document with a primary key of the caller's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Document {
    pub(super) id: i64,
    pub(super) title: String,
    pub(super) year: i32,
    pub(super) vector: Vec<f32>,
}

impl Document {
    pub(super) fn new(id: i64) -> Self {
        Self {
            id,
            title: format!("title {id}"),
            year: 2000 + (id % 10) as i32,
            vector: vector(id),
        }
    }

    pub(super) fn all(ids: std::ops::Range<i64>) -> Vec<Self> {
        ids.map(Self::new).collect()
    }

    pub(super) fn schema() -> CollectionSchema {
        CollectionSchema::new()
            .field(FieldSchema::int64("id").primary_key())
            .field(FieldSchema::varchar("title", 64))
            .field(FieldSchema::int32("year"))
            .field(FieldSchema::float_vector("vector", DIMENSION))
    }
}

/// The vector of a number: on a line, so that the nearest ones are the neighbours.
pub(super) fn vector(id: i64) -> Vec<f32> {
    (0..DIMENSION)
        .map(|place| id as f32 + place as f32 / 16.0)
        .collect()
}
