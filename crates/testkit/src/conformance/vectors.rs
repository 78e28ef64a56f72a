//! Vectors of every kind, in and out again and searched.
//!
//! Invariant: a vector of 16 bits or fewer comes back with the very bits that were stored.

use bytes::Bytes;
use milvus_client::schema::{CollectionSchema, DataType, FieldSchema, FunctionSchema};
use milvus_client::{Column, QueryVector, SparseVector, f16_bits};
use serde::Deserialize;
use serde_json::json;

use super::documents::DIMENSION;
use super::{Check, Lack, Stage, Verdict, check, expect_eq, wrong};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(binary_vectors, MilvusLite => Lack::MissingFeature),
        // Milvus 2.3.5 would take them and find the wrong ones.
        check!(
            float16_vectors,
            Milvus23 => Lack::MissingFeature,
            MilvusLite => Lack::MissingFeature,
        ),
        check!(
            bfloat16_vectors,
            Milvus23 => Lack::MissingFeature,
            MilvusLite => Lack::MissingFeature,
        ),
        check!(
            int8_vectors,
            Milvus23 => Lack::MissingFeature,
            MilvusLite => Lack::MissingFeature,
        ),
        check!(sparse_vectors, Milvus23 => Lack::MissingFeature),
        check!(texts_by_bm25, Milvus23 => Lack::MissingFeature),
    ]
}

fn schema(vector: FieldSchema) -> CollectionSchema {
    CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(vector)
}

/// Inserts packed vectors 0…4 and looks for each of them.
async fn packed(stage: &mut Stage, field: FieldSchema, vector: fn(u8) -> Vec<u8>) -> Verdict {
    let data_type = field.data_type;
    let name = stage.collection_by_verb(schema(field)).await?;
    let vectors: Vec<u8> = (0..5).flat_map(vector).collect();
    stage
        .client
        .insert(&name)
        .column("id", (0..5).collect::<Vec<i64>>())
        .column("vector", Bytes::from(vectors))
        .await?;
    let found = stage
        .client
        .query(&name)
        .filter("id >= 0")
        .output_fields(["vector"])
        .await?;
    let ids = found.column("id")?.values::<i64>()?;
    expect_eq("rows", ids.len(), 5)?;
    for (row, id) in ids.iter().enumerate() {
        let bytes = found.column("vector")?.vector_bytes(row);
        expect_eq("a vector", bytes, Some(Bytes::from(vector(*id as u8))))?;
    }
    for id in 0..5_u8 {
        let query = QueryVector::packed(data_type, vector(id));
        let nearest = stage.client.search(&name).vector(query).limit(1).await?;
        expect_eq("nearest", nearest.query(0).int64_ids(), [i64::from(id)])?;
    }
    Ok(())
}

async fn binary_vectors(stage: &mut Stage) -> Verdict {
    packed(stage, FieldSchema::binary_vector("vector", 32), |id| {
        vec![1 << id, 0xFF, 0, id]
    })
    .await
}

async fn float16_vectors(stage: &mut Stage) -> Verdict {
    let field = FieldSchema::float16_vector("vector", DIMENSION);
    packed(stage, field, |id| {
        let values = (0..DIMENSION).map(|place| f32::from(id) + place as f32 * 0.5);
        values
            .flat_map(|value| f16_bits(value).to_le_bytes())
            .collect()
    })
    .await
}

async fn bfloat16_vectors(stage: &mut Stage) -> Verdict {
    let schema = schema(FieldSchema::bfloat16_vector("vector", 2));
    let name = stage.collection_by_verb(schema).await?;
    // Given as f32, converted on the way.
    stage
        .client
        .insert(&name)
        .rows(&[
            json!({"id": 1, "vector": [1.5, -2.0]}),
            json!({"id": 2, "vector": [8.0, 9.0]}),
        ])
        .await?;
    #[derive(Deserialize)]
    struct Row {
        vector: Vec<f32>,
    }
    let found = stage
        .client
        .get(&name)
        .ids([1])
        .output_fields(["vector"])
        .await?;
    expect_eq("vector", found.row::<Row>(0)?.vector, [1.5, -2.0])?;
    let nearest = stage
        .client
        .search(&name)
        .vector([8.0, 8.5])
        .limit(1)
        .await?;
    expect_eq("nearest", nearest.query(0).int64_ids(), [2])
}

async fn int8_vectors(stage: &mut Stage) -> Verdict {
    let field = FieldSchema::int8_vector("vector", DIMENSION);
    packed(stage, field, |id| {
        let mut vector = vec![1; DIMENSION];
        vector[usize::from(id)] = 100;
        vector
    })
    .await
}

async fn sparse_vectors(stage: &mut Stage) -> Verdict {
    let schema = schema(FieldSchema::sparse_float_vector("vector"));
    let name = stage.collection_by_verb(schema).await?;
    let vector = |id: u32| SparseVector::from([(id, 1.0), (1_000_000 + id, 0.25)]);
    let vectors: Vec<_> = (0..5).map(vector).collect();
    stage
        .client
        .insert(&name)
        .column("id", (0..5).collect::<Vec<i64>>())
        .column("vector", Column::from(vectors))
        .await?;
    stage
        .client
        .insert(&name)
        .rows(&[json!({"id": 9, "vector": {"9": 2.0, "1": 0.5}})])
        .await?;
    let found = stage
        .client
        .get(&name)
        .ids([3])
        .output_fields(["vector"])
        .await?;
    expect_eq(
        "vector",
        found.column("vector")?.sparse_vector(0)?,
        Some(vector(3)),
    )?;
    let nearest = stage
        .client
        .search(&name)
        .vector(vector(4))
        .limit(1)
        .await?;
    expect_eq("nearest", nearest.query(0).int64_ids(), [4])?;
    let unordered = stage
        .client
        .search(&name)
        .vector(SparseVector::from([(9, 1.0)]))
        .limit(1)
        .await?;
    expect_eq("nearest to 9", unordered.query(0).int64_ids(), [9])
}

async fn texts_by_bm25(stage: &mut Stage) -> Verdict {
    let text = FieldSchema::varchar("text", 256).analyzer(&json!({"type": "standard"}));
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .field(text)
        .field(FieldSchema::sparse_float_vector("terms"))
        .function(FunctionSchema::bm25("terms_of_text", "text", "terms"));
    let name = stage.collection_by_verb(schema).await?;
    let rows = [
        json!({"id": 1, "text": "the quick brown fox jumps over the lazy dog"}),
        json!({"id": 2, "text": "vector databases find what is near"}),
        json!({"id": 3, "text": "a fox and a vector"}),
    ];
    stage.client.insert(&name).rows(&rows).await?;
    let found = stage
        .client
        .search(&name)
        .field("terms")
        .vector("databases that are near")
        .output_fields(["text"])
        .limit(1)
        .await?;
    let Some(hit) = found.query(0).get(0) else {
        return wrong("no hit");
    };
    expect_eq("best hit", hit.id().to_string(), "2")?;
    // The data type is on the wire as the server sent it.
    expect_eq("type", found.columns()[0].data_type(), DataType::VarChar)
}
