//! Functions that the server runs: on rows as they arrive (BM25, embeddings) or on results (rerank).
//!
//! Invariant: a function names fields; it never carries data.

use std::collections::BTreeMap;

/// What a function computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FunctionType {
    /// Sparse term weights of an analysed text field.
    Bm25,
    /// A dense vector of a text field, computed by a model provider.
    TextEmbedding,
    /// A new order of search results.
    Rerank,
    /// A MinHash signature.
    MinHash,
    /// A fingerprint of a molecule.
    MolFingerprint,
    /// A function type this crate does not know, by its number in the protocol.
    Other(i32),
}

impl FunctionType {
    /// The number of this function type in the protocol (`schema.FunctionType`).
    pub const fn number(self) -> i32 {
        match self {
            Self::Bm25 => 1,
            Self::TextEmbedding => 2,
            Self::Rerank => 3,
            Self::MinHash => 4,
            Self::MolFingerprint => 5,
            Self::Other(number) => number,
        }
    }

    /// The function type with this number in the protocol.
    pub const fn from_number(number: i32) -> Self {
        match number {
            1 => Self::Bm25,
            2 => Self::TextEmbedding,
            3 => Self::Rerank,
            4 => Self::MinHash,
            5 => Self::MolFingerprint,
            other => Self::Other(other),
        }
    }
}

/// A function of a collection's schema, or a reranking function of a search.
///
/// ```
/// use milvus_client::schema::FunctionSchema;
///
/// let bm25 = FunctionSchema::bm25("text_to_terms", "text", "terms");
/// assert_eq!(bm25.input_fields, ["text"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionSchema {
    /// The function's name, unique within the collection.
    pub name: String,
    /// The server's number for the function; 0 before it is created.
    pub id: i64,
    /// What the function is for, in the user's words.
    pub description: String,
    /// What it computes.
    pub function_type: FunctionType,
    /// The fields it reads.
    pub input_fields: Vec<String>,
    /// The fields it fills; rows must not give them.
    pub output_fields: Vec<String>,
    /// Further parameters, as the server documents them.
    pub parameters: BTreeMap<String, String>,
}

impl FunctionSchema {
    /// A function of any type.
    pub fn new(name: impl Into<String>, function_type: FunctionType) -> Self {
        Self {
            name: name.into(),
            id: 0,
            description: String::new(),
            function_type,
            input_fields: Vec::new(),
            output_fields: Vec::new(),
            parameters: BTreeMap::new(),
        }
    }

    /// BM25 term weights of the text field `input` into the sparse vector field `output`.
    pub fn bm25(
        name: impl Into<String>,
        input: impl Into<String>,
        output: impl Into<String>,
    ) -> Self {
        Self::new(name, FunctionType::Bm25)
            .input(input)
            .output(output)
    }

    /// Adds a field that the function reads.
    pub fn input(mut self, field: impl Into<String>) -> Self {
        self.input_fields.push(field.into());
        self
    }

    /// Adds a field that the function fills.
    pub fn output(mut self, field: impl Into<String>) -> Self {
        self.output_fields.push(field.into());
        self
    }

    /// Sets a parameter.
    pub fn parameter(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.parameters.insert(key.into(), value.to_string());
        self
    }

    /// Says what the function is for.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }
}
