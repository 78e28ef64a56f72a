//! Arrays of structs: lists of structs as `serde` sees them, in and out again, and conditions on them.
//!
//! Invariant: a list that comes back is the list that went in, member for member.

use milvus_client::admin::Index;
use milvus_client::schema::{CollectionSchema, FieldSchema, StructArraySchema};
use milvus_client::{ConsistencyLevel, Error, MetricType, QueryVector, Rule};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Check, Lack, Stage, Verdict, check, expect, expect_eq, wrong};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(structs_come_back, Milvus23 => Lack::MissingFeature, MilvusLite => Lack::MissingFeature),
        check!(columns_of_structs_come_back, Milvus23 => Lack::MissingFeature, MilvusLite => Lack::MissingFeature),
        check!(filters_count_structs, Milvus23 => Lack::MissingFeature, MilvusLite => Lack::MissingFeature),
        check!(lists_of_vectors_are_searched, Milvus23 => Lack::MissingFeature, MilvusLite => Lack::MissingFeature),
        check!(structs_that_do_not_fit_are_refused, Milvus23 => Lack::MissingFeature, MilvusLite => Lack::MissingFeature),
    ]
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Clip {
    title: String,
    second: i32,
    score: f32,
    is_cut: bool,
    emb: Vec<f32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Film {
    id: i64,
    clips: Option<Vec<Clip>>,
}

fn film(id: i64) -> Film {
    let clip = |place: i64| Clip {
        title: format!("{} {id}", ["calm", "loud"][(place % 2) as usize]),
        second: (id * 100 + place) as i32,
        score: place as f32 / 4.0,
        is_cut: place == 0,
        emb: vec![id as f32, place as f32, 1.0],
    };
    Film {
        id,
        clips: (id % 5 != 4).then(|| (0..id % 5).map(clip).collect()),
    }
}

/// A collection of films, some of which have no list at all.
async fn films(stage: &mut Stage) -> Result<String, Error> {
    let clips = StructArraySchema::new("clips", 8)
        .field(FieldSchema::varchar("title", 64))
        .field(FieldSchema::int32("second"))
        .field(FieldSchema::float("score"))
        .field(FieldSchema::bool("is_cut"))
        .field(FieldSchema::float_vector("emb", 3))
        .nullable();
    let schema = CollectionSchema::new()
        .field(FieldSchema::int64("id").primary_key())
        .struct_array_field(clips);
    let name = stage.name();
    let metric = MetricType::Other("MAX_SIM_L2".to_owned());
    stage
        .client
        .create_collection(&name, schema)
        .index("clips[emb]", Index::hnsw(metric, 16, 64))
        .consistency_level(ConsistencyLevel::Strong)
        .await?;
    Ok(name)
}

async fn filled(stage: &mut Stage) -> Result<String, Error> {
    let name = films(stage).await?;
    let rows: Vec<_> = (0..20).map(film).collect();
    stage.client.insert(&name).rows(&rows).await?;
    Ok(name)
}

async fn structs_come_back(stage: &mut Stage) -> Verdict {
    let name = filled(stage).await?;
    let query = || stage.client.query(&name).filter("id >= 0");
    let found = query().output_fields(["*"]).await?;
    expect_eq(
        "rows",
        found.to_vec::<Film>()?,
        (0..20).map(film).collect::<Vec<_>>(),
    )?;
    let values: Vec<Value> = found.to_vec()?;
    expect_eq("a row as JSON", values[2].clone(), json!(film(2)))?;
    // An upsert replaces the list; a row that gives none has none.
    let rows = [json!({"id": 3, "clips": film(7).clips}), json!({"id": 2})];
    stage.client.upsert(&name).rows(&rows).await?;
    let found = query().output_fields(["clips"]).await?.to_vec::<Film>()?;
    expect_eq("a list replaced", &found[3].clips, &film(7).clips)?;
    expect_eq("a list left out", &found[2].clips, &None)?;
    let title = query().output_fields(["clips[title]"]).await?;
    let values: Vec<Value> = title.to_vec()?;
    expect_eq(
        "one member",
        &values[1]["clips"],
        &json!([{"title": "calm 1"}]),
    )
}

async fn columns_of_structs_come_back(stage: &mut Stage) -> Verdict {
    let name = films(stage).await?;
    let lists: Vec<Option<Value>> = (0..20)
        .map(|id| film(id).clips.map(|clips| json!(clips)))
        .collect();
    stage
        .client
        .insert(&name)
        .column("id", (0..20).collect::<Vec<i64>>())
        .column("clips", lists)
        .await?;
    let found = stage
        .client
        .query(&name)
        .filter("id >= 0")
        .output_fields(["*"])
        .await?;
    expect_eq(
        "rows",
        found.to_vec::<Film>()?,
        (0..20).map(film).collect::<Vec<_>>(),
    )?;
    let Some(clips) = found
        .columns()
        .iter()
        .find(|column| column.name() == "clips")
    else {
        return wrong("there is no column of structs");
    };
    let names: Vec<_> = clips
        .members()
        .iter()
        .map(milvus_client::ResultColumn::name)
        .collect();
    expect_eq(
        "members",
        names,
        vec!["title", "second", "score", "is_cut", "emb"],
    )?;
    let list = clips.members()[4].vector_list(3).map(|list| list.len());
    expect_eq("bytes of three vectors", list, Some(36))
}

async fn filters_count_structs(stage: &mut Stage) -> Verdict {
    let name = filled(stage).await?;
    let cases = [
        (
            "match_any(clips, $[title] like 'loud%' && $[score] > 0)",
            2..=3,
            8,
        ),
        ("match_all(clips, $[is_cut] == true)", 0..=1, 8),
        ("match_least(clips, $[score] >= 0, threshold=3)", 3..=3, 4),
        (
            "id >= 0 and element_filter(clips, $[second] in [203, 701])",
            7..=7,
            0,
        ),
    ];
    for (filter, rests, count) in cases {
        let found = stage
            .client
            .query(&name)
            .filter(filter)
            .output_fields(["id"])
            .await?;
        let ids: Vec<i64> = found
            .to_vec::<Value>()?
            .iter()
            .filter_map(|row| row["id"].as_i64())
            .collect();
        let wanted: Vec<i64> = match count {
            0 => rests.collect(),
            _ => (0..20).filter(|id| rests.contains(&(id % 5))).collect(),
        };
        expect_eq(filter, ids, wanted)?;
    }
    Ok(())
}

async fn lists_of_vectors_are_searched(stage: &mut Stage) -> Verdict {
    let name = filled(stage).await?;
    let query = QueryVector::list([[7.0, 0.0, 1.0], [7.0, 1.0, 1.0]]);
    let found = stage
        .client
        .search(&name)
        .field("clips[emb]")
        .vector(query)
        .filter("match_any(clips, $[second] >= 0)")
        .limit(3)
        .await?;
    let hits = found.query(0);
    // Film 7 has both vectors; 6 and 8 have (6, 0) and (8, 0), (8, 1) beside others.
    expect_eq("the nearest", hits.int64_ids(), &[7, 8, 6][..])?;
    expect_eq("distances", hits.scores(), &[0.0, 2.0, 3.0][..])
}

async fn structs_that_do_not_fit_are_refused(stage: &mut Stage) -> Verdict {
    let name = films(stage).await?;
    let clip =
        json!({"title": "a", "second": 1, "score": 0.5, "is_cut": true, "emb": [1.0, 2.0, 3.0]});
    let with = |key: &str, value: Value| {
        let mut clip = clip.clone();
        clip[key] = value;
        json!({"id": 1, "clips": [clip]})
    };
    let mut lacking = clip.clone();
    lacking.as_object_mut().map(|clip| clip.remove("emb"));
    let rows = [
        (with("second", json!("one")), "second"),
        (with("title", json!("x".repeat(65))), "title"),
        (with("emb", json!([1.0])), "emb"),
        (with("more", json!(1)), "more"),
        (json!({"id": 1, "clips": [lacking]}), "emb"),
        (json!({"id": 1, "clips": [1]}), "struct"),
        (json!({"id": 1, "clips": vec![clip.clone(); 9]}), "8"),
    ];
    for (row, words) in rows {
        match stage.client.insert(&name).rows(&[row]).await {
            Err(error) if error.invalid_value().is_some() => {
                let invalid = error
                    .invalid_value()
                    .map(|invalid| (invalid.field.as_str(), invalid.row));
                expect_eq("field and row", invalid, Some(("clips", Some(0))))?;
                expect(
                    &format!("{error} names {words}"),
                    error.to_string().contains(words),
                )?;
                expect(
                    "the rule",
                    error.invalid_value().is_some_and(|invalid| {
                        matches!(invalid.rule, Rule::Row(_) | Rule::MaxCapacity { .. })
                    }),
                )?;
            }
            other => return wrong(format!("{words}: {other:?}")),
        }
    }
    Ok(())
}
