//! Search and hybrid search.

use milvus_protocol::common::KeyValuePair;
use milvus_protocol::milvus::*;
use milvus_protocol::packed_bytes;
use milvus_protocol::schema::{
    FunctionScore, FunctionType, SearchIteratorV2Results, SearchResultData,
};

use super::Embedded;
use super::answer::Call;
use super::field_data::{write_column, write_ids};
use super::parameters::{find, flag, refuse_time_zones};
use super::querying::{MAX_WINDOW, OutputFields, number, output_fields};
use super::search_parameters::{SearchParts, read_search, round_decimal};
use super::struct_arrays::write_columns;
use super::{Moment, reader};
use crate::engine::{Hit, Ranker, Reader, fuse};
use crate::error::{MilvusError, MilvusErrorKind};

/// Most searches that one hybrid search fuses.
const MAX_SEARCHES: usize = 1024;

fn round(score: f32, decimals: i32) -> f32 {
    if decimals < 0 {
        return score;
    }
    let scale = 10f64.powi(decimals);
    ((f64::from(score) * scale).round() / scale) as f32
}

/// What an answer is made of.
struct Page {
    hits: Vec<Vec<Hit>>,
    limit: usize,
    round_decimal: i32,
}

fn results(
    reader: &Reader,
    page: &Page,
    output: &OutputFields,
    collection: String,
    session_ts: u64,
) -> Result<SearchResults, MilvusError> {
    let record = reader.record();
    let segments = reader.segments();
    let addresses: Vec<_> = page.hits.iter().flatten().map(|hit| hit.address).collect();
    let primary = record.primary()?;
    let keys = reader.gather(&segments, primary, &addresses)?;
    let columns = output
        .fields
        .iter()
        .map(|field| reader.gather(&segments, field, &addresses))
        .collect::<Result<Vec<_>, _>>()?;
    let fields_data = write_columns(record, &output.fields, &columns);
    let scores: Vec<f32> = page
        .hits
        .iter()
        .flatten()
        .map(|hit| round(hit.score, page.round_decimal))
        .collect();
    let data = SearchResultData {
        num_queries: page.hits.len() as i64,
        top_k: page.limit as i64,
        fields_data,
        scores: packed_bytes(scores),
        ids: Some(write_ids(&keys)),
        topks: page.hits.iter().map(|hits| hits.len() as i64).collect(),
        output_fields: output.names.clone(),
        all_search_count: reader
            .segments()
            .iter()
            .map(|view| view.alive() as i64)
            .sum(),
        primary_field_name: primary.name.clone(),
        ..SearchResultData::default()
    };
    Ok(SearchResults {
        results: Some(data),
        collection_name: collection,
        session_ts,
        ..SearchResults::default()
    })
}

/// The ranker of a hybrid search: an older one among the rank parameters, or a function.
fn read_ranker(
    parameters: &[KeyValuePair],
    function: Option<&FunctionScore>,
    searches: usize,
) -> Result<Ranker, MilvusError> {
    if let Some(function) = function.and_then(|score| score.functions.first()) {
        let value = |key: &str| find(&function.params, key);
        return match value("reranker").unwrap_or_default() {
            "rrf" => reciprocal_rank(value("k").map(str::to_owned)),
            "weighted" => weighted(
                value("weights").unwrap_or("[]"),
                flag(&function.params, "norm_score"),
                searches,
            ),
            other => Err(MilvusError::new(
                MilvusErrorKind::Unimplemented,
                format!(
                    "reranker {other} (function type {:?}) is not supported by the embedded engine: use rrf or weighted",
                    FunctionType::try_from(function.r#type)
                ),
            )),
        };
    }
    let inner: serde_json::Value = match find(parameters, "params")
        .filter(|text| !text.trim().is_empty())
    {
        None => serde_json::Value::Null,
        Some(text) => serde_json::from_str(text)
            .map_err(|error| MilvusError::invalid(format!("rank params are not JSON: {error}")))?,
    };
    match find(parameters, "strategy").unwrap_or("rrf") {
        "rrf" => reciprocal_rank(inner.get("k").map(serde_json::Value::to_string)),
        "weighted" => {
            let normalize = inner
                .get("norm_score")
                .and_then(serde_json::Value::as_bool)
                .unwrap_or(true);
            weighted(
                &inner
                    .get("weights")
                    .map(serde_json::Value::to_string)
                    .unwrap_or_default(),
                normalize,
                searches,
            )
        }
        other => Err(MilvusError::invalid(format!(
            "unsupported rank type {other}: use rrf or weighted"
        ))),
    }
}

fn reciprocal_rank(k: Option<String>) -> Result<Ranker, MilvusError> {
    let k = k.map_or(Ok(60.0), |text| text.trim_matches('"').parse::<f32>());
    match k {
        Ok(k) if k > 0.0 && k < 16_384.0 => Ok(Ranker::ReciprocalRank { k }),
        _ => Err(MilvusError::invalid(
            "The rank params k should be in range (0, 16384)",
        )),
    }
}

fn weighted(weights: &str, normalize: bool, searches: usize) -> Result<Ranker, MilvusError> {
    let weights: Vec<f32> = serde_json::from_str(weights).map_err(|_| {
        MilvusError::invalid("The weights of the weighted ranker should be an array of numbers")
    })?;
    if weights.len() != searches {
        return Err(MilvusError::expected(
            searches,
            weights.len(),
            "the length of weights param mismatch with ann search requests",
        ));
    }
    if weights.iter().any(|weight| !(0.0..=1.0).contains(weight)) {
        return Err(MilvusError::invalid(
            "rank param weight should be in range [0, 1]",
        ));
    }
    Ok(Ranker::Weighted { weights, normalize })
}

/// A window among rank parameters.
fn hybrid_window(parameters: &[KeyValuePair]) -> Result<(usize, usize), MilvusError> {
    let limit = number(parameters, "limit")?
        .or(number(parameters, "topk")?)
        .ok_or_else(|| MilvusError::invalid("limit not found in rank_params"))?;
    let offset = number(parameters, "offset")?.unwrap_or(0);
    if limit <= 0 || offset < 0 || offset.saturating_add(limit) > MAX_WINDOW {
        return Err(MilvusError::invalid(format!(
            "limit [{limit}] is invalid, offset+limit should be in range [1, {MAX_WINDOW}]"
        )));
    }
    Ok((offset as usize, limit as usize))
}

impl Embedded {
    pub(super) async fn on_search(
        &self,
        call: Call<SearchRequest>,
    ) -> Result<SearchResults, MilvusError> {
        let database = call.database(&call.message.db_name);
        let request = call.message;
        self.blocking(move |engine| {
            if !request.sub_reqs.is_empty() {
                return Err(MilvusError::invalid(
                    "several searches in one go through HybridSearch",
                ));
            }
            refuse_extras(
                request.function_score.as_ref(),
                request.search_aggregation.is_some() || request.highlighter.is_some(),
            )?;
            let state = engine.state();
            let moment = Moment::new(&request.search_params, request.guarantee_timestamp);
            let (reader, session_ts) = reader(
                engine,
                &state,
                &database,
                &request.collection_name,
                &request.partition_names,
                moment,
            )?;
            let output = output_fields(reader.record(), &request.output_fields, false)?;
            let read = read_search(&reader, &SearchParts::from(&request))?;
            let hits = reader.search(&read.search)?;
            let page = Page {
                hits,
                limit: read.search.limit,
                round_decimal: read.round_decimal,
            };
            let last = page
                .hits
                .first()
                .and_then(|hits| hits.last())
                .map(|hit| hit.score);
            let mut answer = results(&reader, &page, &output, request.collection_name, session_ts)?;
            if let Some(data) = &mut answer.results {
                if let Some(grouping) = &read.search.grouping {
                    let addresses: Vec<_> =
                        page.hits.iter().flatten().map(|hit| hit.address).collect();
                    let values = reader.gather(&reader.segments(), &grouping.field, &addresses)?;
                    data.group_by_field_value = Some(write_column(&grouping.field, &values));
                }
                if read.iterator_batch.is_some() {
                    let given = find(&request.search_params, "search_iter_id")
                        .filter(|id| !id.is_empty())
                        .map(str::to_owned);
                    let bound = last.or(read.after).unwrap_or_default();
                    let token = given.unwrap_or_else(|| format!("{:016x}", engine.clock().next()));
                    data.search_iterator_v2_results = Some(SearchIteratorV2Results {
                        token,
                        last_bound: bound,
                    });
                }
            }
            Ok(answer)
        })
        .await
    }

    pub(super) async fn on_hybrid_search(
        &self,
        call: Call<HybridSearchRequest>,
    ) -> Result<SearchResults, MilvusError> {
        let database = call.database(&call.message.db_name);
        let request = call.message;
        self.blocking(move |engine| {
            let searches = request.requests.len();
            if searches == 0 || searches > MAX_SEARCHES {
                return Err(MilvusError::invalid(format!("the number of searches of a hybrid search should be in range [1, {MAX_SEARCHES}], but got {searches}")));
            }
            if find(&request.rank_params, "group_by_field").is_some_and(|name| !name.is_empty()) {
                return Err(MilvusError::new(MilvusErrorKind::Unimplemented, "group_by_field in a hybrid search is not supported by the embedded engine"));
            }
            let ranker = read_ranker(&request.rank_params, request.function_score.as_ref(), searches)?;
            let (offset, limit) = hybrid_window(&request.rank_params)?;
            let round_decimal = round_decimal(&request.rank_params)?;
            refuse_time_zones(&request.rank_params)?;
            let state = engine.state();
            let (reader, session_ts) = reader(engine, &state, &database, &request.collection_name, &request.partition_names, Moment::default())?;
            let output = output_fields(reader.record(), &request.output_fields, false)?;
            let mut found = Vec::with_capacity(searches);
            for part in &request.requests {
                let read = read_search(&reader, &SearchParts::from(part))?;
                found.push((read.search.metric, reader.search(&read.search)?));
            }
            let queries = found.first().map_or(0, |(_, hits)| hits.len());
            if found.iter().any(|(_, hits)| hits.len() != queries) {
                return Err(MilvusError::invalid("the searches of a hybrid search have different numbers of queries"));
            }
            let fused = (0..queries).map(|query| {
                let lists: Vec<_> = found.iter().map(|(metric, hits)| (*metric, hits[query].clone())).collect();
                fuse(&ranker, &lists).into_iter().skip(offset).take(limit).collect()
            });
            let page = Page { hits: fused.collect(), limit, round_decimal };
            results(&reader, &page, &output, request.collection_name, session_ts)
        })
        .await
    }
}

fn refuse_extras(function: Option<&FunctionScore>, others: bool) -> Result<(), MilvusError> {
    if function.is_some_and(|function| !function.functions.is_empty()) || others {
        let message = "rerank functions, aggregation and highlighting of a search are not supported by the embedded engine";
        return Err(MilvusError::new(MilvusErrorKind::Unimplemented, message));
    }
    Ok(())
}
