//! What a search asks for, read from its key-value parameters, its placeholders and the collection.

use std::collections::HashMap;

use milvus_protocol::common::{KeyValuePair, PlaceholderGroup, PlaceholderType, PlaceholderValue};
use milvus_protocol::milvus::{SearchRequest, search_request::SearchInput};
use milvus_protocol::schema::{IDs, TemplateValue, i_ds::IdField};
use prost::Message as _;

use super::filters::read_filter;
use super::parameters::{find, flag, refuse_time_zones};
use super::querying::{MAX_WINDOW, number};
use crate::catalog::{CollectionRecord, FieldRecord, default_metric, metric_supports};
use crate::column::ColumnType;
use crate::distance::{Metric, Queries};
use crate::engine::{
    Grouping, Key, Reader, ScoreRange, SearchRequest as EngineSearch, Targets, analyzer_of,
};
use crate::error::{MilvusError, MilvusErrorKind};
use crate::text::bm25::term_counts;

/// Most hits of a group, as Milvus is configured where nobody changed it.
const MAX_GROUP_SIZE: i64 = 10;

/// The parts of a search request and of a part of a hybrid one that say what to search.
pub(super) struct SearchParts<'a> {
    pub(super) parameters: &'a [KeyValuePair],
    pub(super) filter: &'a str,
    pub(super) templates: &'a HashMap<String, TemplateValue>,
    pub(super) input: Option<&'a SearchInput>,
}

impl<'a> From<&'a SearchRequest> for SearchParts<'a> {
    fn from(request: &'a SearchRequest) -> Self {
        Self {
            parameters: &request.search_params,
            filter: &request.dsl,
            templates: &request.expr_template_values,
            input: request.search_input.as_ref(),
        }
    }
}

/// A search ready to run, and how to write its answer.
pub(super) struct ReadSearch {
    pub(super) search: EngineSearch,
    pub(super) round_decimal: i32,
    /// Hits of one page, when this is a call of a search iterator (version 2).
    pub(super) iterator_batch: Option<usize>,
    /// The score after which that iterator goes on.
    pub(super) after: Option<f32>,
}

/// `params`, which is JSON inside of a string.
fn inner_parameters(
    parameters: &[KeyValuePair],
) -> Result<serde_json::Map<String, serde_json::Value>, MilvusError> {
    match find(parameters, "params").filter(|text| !text.trim().is_empty()) {
        None => Ok(serde_json::Map::new()),
        Some(text) => serde_json::from_str(text).map_err(|error| {
            MilvusError::invalid(format!("search params are not a JSON object: {error}"))
        }),
    }
}

fn vector_field<'a>(
    record: &'a CollectionRecord,
    parameters: &[KeyValuePair],
) -> Result<&'a FieldRecord, MilvusError> {
    let name = find(parameters, "anns_field").unwrap_or_default();
    if name.is_empty() {
        let mut vectors = record
            .fields
            .iter()
            .filter(|field| field.data_type.is_vector());
        return match (vectors.next(), vectors.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(MilvusError::invalid(
                "multiple anns_fields exist, please specify a anns_field in search_params",
            )),
        };
    }
    let field = record.field(name).ok_or_else(|| {
        MilvusError::invalid(format!(
            "failed to get field schema by name: fieldName({name}) not found"
        ))
    })?;
    if field.data_type.is_vector() {
        return Ok(field);
    }
    Err(MilvusError::invalid(format!(
        "field ({name}) to search is not of vector data type"
    )))
}

fn metric(
    record: &CollectionRecord,
    field: &FieldRecord,
    asked: &str,
) -> Result<Metric, MilvusError> {
    let bm25 = record.bm25_for_output(&field.name).is_some();
    let indexed = record
        .index_on(&field.name)
        .and_then(|index| index.metric())
        .map(str::to_owned);
    let name = match (asked.trim().to_ascii_uppercase(), indexed) {
        (asked, Some(indexed)) if asked.is_empty() || asked == indexed => indexed,
        (asked, Some(indexed)) => {
            return Err(MilvusError::expected(
                indexed,
                asked,
                "metric type not match",
            ));
        }
        (asked, None) if asked.is_empty() => default_metric(field, bm25).to_owned(),
        (asked, None) => asked,
    };
    if !metric_supports(field, bm25, &name) {
        return Err(MilvusError::invalid(format!(
            "metric type {name} not found or not supported for field {} of type {}",
            field.name,
            field.column_type()
        )));
    }
    list_metric(&name)
        .or_else(|| Metric::from_name(&name).filter(|_| !is_list(field)))
        .ok_or_else(|| {
            MilvusError::new(
                MilvusErrorKind::Unimplemented,
                format!(
                    "metric type {name} is not supported by the embedded engine for field {}{}",
                    field.name,
                    if is_list(field) {
                        ": the structs of a row are searched as a whole, by a MAX_SIM metric and lists of vectors"
                    } else {
                        ""
                    }
                ),
            )
        })
}

/// Whether each row has a list of vectors.
fn is_list(field: &FieldRecord) -> bool {
    field.data_type == crate::catalog::DataType::ArrayOfVector
}

/// The metric by which the vectors of two lists are compared, for a metric of lists.
fn list_metric(name: &str) -> Option<Metric> {
    match name.strip_prefix("MAX_SIM")? {
        "" => Some(Metric::Cosine),
        suffix => Metric::from_name(suffix.strip_prefix('_')?),
    }
}

/// A bound of a range search: in `params`, or beside it.
fn bound(
    inner: &serde_json::Map<String, serde_json::Value>,
    parameters: &[KeyValuePair],
    key: &str,
) -> Result<Option<f32>, MilvusError> {
    let value = match inner.get(key) {
        Some(serde_json::Value::Null) | None => find(parameters, key).map(str::to_owned),
        Some(serde_json::Value::String(text)) => Some(text.clone()),
        Some(value) => Some(value.to_string()),
    };
    let Some(text) = value else { return Ok(None) };
    text.parse::<f32>()
        .map(Some)
        .map_err(|_| MilvusError::invalid(format!("{key} is a number, not {text}")))
}

fn check_range(metric: Metric, range: ScoreRange) -> Result<(), MilvusError> {
    let (Some(radius), Some(range_filter)) = (range.radius, range.range_filter) else {
        return Ok(());
    };
    let (fits, rule) = match metric.larger_is_better() {
        true => (
            range_filter > radius,
            "range_filter must be greater than radius for IP/COSINE",
        ),
        false => (
            range_filter < radius,
            "range_filter must be less than radius for L2/HAMMING/JACCARD",
        ),
    };
    if fits {
        Ok(())
    } else {
        Err(MilvusError::invalid(format!(
            "{rule}, range_filter:{range_filter}, radius:{radius}"
        )))
    }
}

fn grouping(
    record: &CollectionRecord,
    parameters: &[KeyValuePair],
) -> Result<Option<Grouping>, MilvusError> {
    let Some(name) = find(parameters, "group_by_field").filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let field = record.field(name).ok_or_else(|| {
        MilvusError::invalid(format!(
            "groupBy field not found in schema: field not found[field={name}]"
        ))
    })?;
    use crate::catalog::DataType as Kind;
    let groupable = matches!(
        field.data_type,
        Kind::Bool
            | Kind::Int8
            | Kind::Int16
            | Kind::Int32
            | Kind::Int64
            | Kind::VarChar
            | Kind::Timestamptz
    );
    if !groupable {
        return Err(MilvusError::invalid(format!(
            "unsupported data type for group by: field {name} is of type {}",
            field.column_type()
        )));
    }
    let size = number(parameters, "group_size")?.unwrap_or(1);
    if size <= 0 {
        return Err(MilvusError::invalid(format!(
            "input group size:{size} is negative or zero, failed to do search_groupby"
        )));
    }
    if size > MAX_GROUP_SIZE {
        return Err(MilvusError::invalid(format!(
            "input group size:{size} exceeds configured max group size:{MAX_GROUP_SIZE}"
        )));
    }
    Ok(Some(Grouping {
        field: field.clone(),
        size: size as usize,
        strict: flag(parameters, "strict_group_size"),
    }))
}

/// Reads a search. `limit_key` is where its number of hits stands.
pub(super) fn read_search(
    reader: &Reader,
    parts: &SearchParts<'_>,
) -> Result<ReadSearch, MilvusError> {
    let record = reader.record();
    let parameters = parts.parameters;
    refuse_time_zones(parameters)?;
    let inner = inner_parameters(parameters)?;
    let field = vector_field(record, parameters)?;
    let metric = metric(
        record,
        field,
        find(parameters, "metric_type").unwrap_or_default(),
    )?;
    let limit = match number(parameters, "topk")? {
        Some(limit) => limit,
        None => number(parameters, "limit")?
            .ok_or_else(|| MilvusError::invalid("topk not found in search_params"))?,
    };
    let offset = number(parameters, "offset")?.unwrap_or(0);
    if limit <= 0 || limit > MAX_WINDOW {
        return Err(MilvusError::invalid(format!(
            "topk [{limit}] is invalid, it should be in range [1, {MAX_WINDOW}]"
        )));
    }
    if offset < 0 || offset.saturating_add(limit) > MAX_WINDOW {
        return Err(MilvusError::invalid(format!(
            "offset+limit [{}] is invalid, it should be in range [1, {MAX_WINDOW}]",
            offset.saturating_add(limit)
        )));
    }
    let range = ScoreRange {
        radius: bound(&inner, parameters, "radius")?,
        range_filter: bound(&inner, parameters, "range_filter")?,
    };
    check_range(metric, range)?;
    let iterator_batch = match flag(parameters, "search_iter_v2") {
        false => None,
        true => Some(
            number(parameters, "search_iter_batch_size")?
                .filter(|size| *size > 0)
                .unwrap_or(limit) as usize,
        ),
    };
    let after =
        match find(parameters, "search_iter_last_bound").filter(|_| iterator_batch.is_some()) {
            None => None,
            Some(text) => Some(text.parse::<f32>().map_err(|_| {
                MilvusError::invalid(format!("search_iter_last_bound is a number, not {text}"))
            })?),
        };
    let grouping = grouping(record, parameters)?;
    if grouping.is_some() {
        let iterates = flag(parameters, "iterator") || iterator_batch.is_some();
        check_grouped(iterates, range)?;
    }
    let targets = read_targets(reader, field, metric, parts.input)?;
    if iterator_batch.is_some() && targets.len() != 1 {
        return Err(MilvusError::invalid(
            "search iterator does not support multiple queries",
        ));
    }
    let search = EngineSearch {
        field: field.clone(),
        metric,
        targets,
        filter: read_filter(record, parts.filter, parts.templates)?,
        limit: iterator_batch.unwrap_or(limit as usize),
        offset: offset as usize,
        range: after.map_or(range, |bound| range.after(metric, bound)),
        grouping,
        with_ties: iterator_batch.is_some(),
    };
    Ok(ReadSearch {
        search,
        round_decimal: round_decimal(parameters)?,
        iterator_batch,
        after,
    })
}

/// Refuses what Milvus doesn't group.
fn check_grouped(iterates: bool, range: ScoreRange) -> Result<(), MilvusError> {
    if iterates {
        return Err(MilvusError::invalid(
            "Not allowed to do groupBy when doing iteration",
        ));
    }
    if range.radius.is_some() || range.range_filter.is_some() {
        return Err(MilvusError::invalid(
            "Not allowed to do range-search when doing search-group-by",
        ));
    }
    Ok(())
}

/// How many decimals scores are rounded to; -1 for all.
pub(super) fn round_decimal(parameters: &[KeyValuePair]) -> Result<i32, MilvusError> {
    let decimals = number(parameters, "round_decimal")?.unwrap_or(-1);
    if (-1..=6).contains(&decimals) {
        return Ok(decimals as i32);
    }
    Err(MilvusError::invalid(format!(
        "round_decimal [{decimals}] is invalid, it should be -1 or an integer in range [0, 6]"
    )))
}

fn read_targets(
    reader: &Reader,
    field: &FieldRecord,
    metric: Metric,
    input: Option<&SearchInput>,
) -> Result<Targets, MilvusError> {
    let targets = match input {
        Some(SearchInput::PlaceholderGroup(bytes)) => {
            placeholder_targets(reader, field, metric, bytes)?
        }
        Some(SearchInput::Ids(ids)) => stored_targets(reader, field, metric, ids)?,
        None => Targets::Texts(Vec::new()),
    };
    let count = targets.len() as i64;
    if (1..=MAX_WINDOW).contains(&count) {
        return Ok(targets);
    }
    Err(MilvusError::invalid(format!(
        "nq (number of search vector per search request) should be in range [1, {MAX_WINDOW}], but got {count}: nq [{count}] is invalid"
    )))
}

fn vectors<B: AsRef<[u8]>>(
    field: &FieldRecord,
    metric: Metric,
    vectors: &[B],
) -> Result<Targets, MilvusError> {
    let queries = Queries::new(field.column_type(), metric, vectors);
    queries.map(Targets::Vectors).map_err(|error| {
        MilvusError::invalid(format!(
            "vector dimension mismatch or malformed vector, field {}: {error}",
            field.name
        ))
    })
}

fn placeholder_targets(
    reader: &Reader,
    field: &FieldRecord,
    metric: Metric,
    bytes: &bytes::Bytes,
) -> Result<Targets, MilvusError> {
    let group = PlaceholderGroup::decode(bytes.clone()).map_err(|error| {
        MilvusError::invalid(format!("the placeholder group can't be decoded: {error}"))
    })?;
    let Some(values) = group.placeholders.first() else {
        return Ok(Targets::Texts(Vec::new()));
    };
    if values.r#type == PlaceholderType::VarChar as i32 {
        let terms = values
            .values
            .iter()
            .map(|text| text_terms(reader.record(), field, text));
        return terms.collect::<Result<_, _>>().map(Targets::Texts);
    }
    if metric == Metric::Bm25 {
        return Err(MilvusError::invalid(format!(
            "field {} is the output of a BM25 function: search it with texts, not with vectors",
            field.name
        )));
    }
    if is_list(field) {
        return list_targets(field, metric, values);
    }
    if values.r#type != field.data_type as i32 {
        let about = "vector type must be the same";
        let name = |number: i32| {
            PlaceholderType::try_from(number)
                .map_or_else(|_| number.to_string(), |kind| format!("{kind:?}"))
        };
        return Err(MilvusError::invalid(format!(
            "{about}, field {} - type {}, search info type {}",
            field.name,
            name(field.data_type as i32),
            name(values.r#type)
        )));
    }
    vectors(field, metric, &values.values)
}

/// From the number of a type of vectors to that of placeholders for lists of them.
const LIST_OFFSET: i32 =
    PlaceholderType::EmbListFloatVector as i32 - PlaceholderType::FloatVector as i32;

/// Lists of vectors to search with.
fn list_targets(
    field: &FieldRecord,
    metric: Metric,
    values: &PlaceholderValue,
) -> Result<Targets, MilvusError> {
    let ColumnType::Array(element) = field.column_type() else {
        return Err(MilvusError::invalid(format!(
            "field {} has no lists of vectors",
            field.name
        )));
    };
    let kind = element.column_type();
    if values.r#type != field.vector_type() as i32 + LIST_OFFSET {
        return Err(MilvusError::invalid(format!(
            "field {} is searched with embedding lists of {kind}, search info type {}",
            field.name, values.r#type
        )));
    }
    let width = kind.row_width().unwrap_or(0).max(1);
    let list = |bytes: &bytes::Bytes| {
        if bytes.is_empty() || !bytes.len().is_multiple_of(width) {
            return Err(MilvusError::invalid(format!(
                "an embedding list for field {} is one or more vectors of {width} bytes, found {} bytes",
                field.name,
                bytes.len()
            )));
        }
        let vectors: Vec<&[u8]> = bytes.chunks_exact(width).collect();
        Queries::new(kind, metric, &vectors).map_err(|error| {
            MilvusError::invalid(format!("malformed vector, field {}: {error}", field.name))
        })
    };
    values
        .values
        .iter()
        .map(list)
        .collect::<Result<_, _>>()
        .map(Targets::Lists)
}

/// A text to search with: the terms that the BM25 function of the field would make of it.
fn text_terms(
    record: &CollectionRecord,
    field: &FieldRecord,
    text: &[u8],
) -> Result<(Vec<u32>, Vec<f32>), MilvusError> {
    let function = record.bm25_for_output(&field.name);
    let input = function.and_then(|function| record.field(function.inputs.first()?));
    let Some(input) = input else {
        return Err(MilvusError::invalid(format!(
            "field {} is not the output of a BM25 function, so it can't be searched with a text: embed the text first",
            field.name
        )));
    };
    let text = std::str::from_utf8(text)
        .map_err(|_| MilvusError::invalid("the text to search with is not UTF-8"))?;
    Ok(term_counts(&*analyzer_of(input)?, text))
}

/// The vectors of stored rows.
fn stored_targets(
    reader: &Reader,
    field: &FieldRecord,
    metric: Metric,
    ids: &IDs,
) -> Result<Targets, MilvusError> {
    if is_list(field) {
        return Err(MilvusError::new(
            MilvusErrorKind::Unimplemented,
            format!(
                "search of field {} by the lists of stored rows is not supported by the embedded engine: send the vectors",
                field.name
            ),
        ));
    }
    let keys: Vec<Key> = match &ids.id_field {
        Some(IdField::IntId(values)) => values.data.iter().map(|id| Key::Int(*id)).collect(),
        Some(IdField::StrId(values)) => values
            .data
            .iter()
            .map(|id| Key::Text(String::from_utf8_lossy(id).into_owned()))
            .collect(),
        None => Vec::new(),
    };
    let find = |key: &Key| {
        let vector = reader.vector_of(field, key)?;
        vector.ok_or_else(|| {
            MilvusError::invalid(format!(
                "some of the provided primary key IDs do not exist: {key:?}"
            ))
        })
    };
    vectors(
        field,
        metric,
        &keys.iter().map(find).collect::<Result<Vec<_>, _>>()?,
    )
}
