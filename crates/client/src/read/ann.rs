//! One nearest-neighbour search: the vectors, the field, the filter and the parameters of its index.
//!
//! A [`Search`](super::Search) is one of these with what belongs to the answer; a hybrid search has
//! several.
//!
//! Invariant: a parameter is sent once, under the name the server knows.

use milvus_protocol::common::{DslType, KeyValuePair};
use milvus_protocol::milvus::SearchRequest;
use milvus_protocol::milvus::search_request::SearchInput;
use serde_json::{Map, Value};

use super::target::parameter;
use super::vector::{QueryVector, fit_all, placeholder_group};
use crate::describe_collection::CollectionDescription;
use crate::error::{Error, InvalidValue, Result};
use crate::filter::{Filter, FilterValue};
use crate::metric_type::MetricType;
use crate::results::Ids;

/// One nearest-neighbour search of a [`HybridSearch`](super::HybridSearch).
///
/// ```
/// use milvus_client::AnnSearch;
///
/// let by_text = AnnSearch::new("terms").vector("full text search").limit(50);
/// let by_meaning = AnnSearch::new("vector").vector([0.1, 0.2]).filter("year > 2000").limit(50);
/// # let _ = (by_text, by_meaning);
/// ```
#[derive(Clone, Debug)]
#[must_use = "it is part of a search"]
pub struct AnnSearch {
    pub(super) field: Option<String>,
    pub(super) vectors: Vec<QueryVector>,
    pub(super) ids: Option<Ids>,
    pub(super) filter: Filter,
    pub(super) limit: u64,
    pub(super) parameters: Map<String, Value>,
    pub(super) metric_type: Option<MetricType>,
    pub(super) round_decimal: i32,
    pub(super) ignore_growing: bool,
    pub(super) more: Vec<KeyValuePair>,
}

pub(super) const DEFAULT_LIMIT: u64 = 10;

impl AnnSearch {
    /// A search in this vector field.
    pub fn new(field: impl Into<String>) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::anywhere()
        }
    }

    /// A search in the only vector field.
    pub(super) fn anywhere() -> Self {
        Self {
            field: None,
            vectors: Vec::new(),
            ids: None,
            filter: Filter::default(),
            limit: DEFAULT_LIMIT,
            parameters: Map::new(),
            metric_type: None,
            round_decimal: -1,
            ignore_growing: false,
            more: Vec::new(),
        }
    }

    /// Sets what is searched for: a vector, or a text for a field that BM25 fills.
    pub fn vector(mut self, vector: impl Into<QueryVector>) -> Self {
        self.vectors = vec![vector.into()];
        self
    }

    /// Sets what is searched for, several at once; each query of a hybrid search has as many.
    pub fn vectors<I>(mut self, vectors: I) -> Self
    where
        I: IntoIterator<Item: Into<QueryVector>>,
    {
        self.vectors = vectors.into_iter().map(Into::into).collect();
        self
    }

    /// Keeps only rows for which this expression is true.
    pub fn filter(mut self, expression: impl Into<String>) -> Self {
        self.filter.expression = expression.into();
        self
    }

    /// Fills the placeholder `{name}` of the filter.
    pub fn filter_value(mut self, name: impl Into<String>, value: impl Into<FilterValue>) -> Self {
        self.filter.values.push((name.into(), value.into()));
        self
    }

    /// Sets how many hits this search brings in; 10 by default.
    pub fn limit(mut self, hits: u64) -> Self {
        self.limit = hits;
        self
    }

    /// Sets a parameter of the index, such as `nprobe` or `ef`.
    pub fn parameter(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.parameters.insert(key.into(), value.into());
        self
    }

    /// Says the metric; the index's own when left out. One that has no name here is
    /// [`MetricType::Other`].
    pub fn metric_type(mut self, metric_type: MetricType) -> Self {
        self.metric_type = Some(metric_type);
        self
    }

    /// Rounds scores to this many decimal places.
    pub fn round_decimal(mut self, places: u8) -> Self {
        self.round_decimal = i32::from(places);
        self
    }

    /// Looks only at segments that are sealed and indexed.
    pub fn ignore_growing(mut self) -> Self {
        self.ignore_growing = true;
        self
    }

    /// Sets a parameter of the search that has no method here, such as `hints` or `timezone`.
    pub fn search_parameter(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        let key: String = key.into();
        self.more.push(parameter(&key, value));
        self
    }

    /// Checks the vectors against the schema, and names the field when there is only one.
    pub(super) fn fit(&mut self, request: &str, collection: &CollectionDescription) -> Result<()> {
        let schema = &collection.schema;
        let field = match &self.field {
            Some(name) => schema
                .field_named(name)
                .or_else(|| schema.member_named(name)),
            None => {
                let mut fields = schema.vector_fields();
                match (fields.next(), fields.next()) {
                    (only, None) => only,
                    (Some(_), Some(_)) => {
                        let names: Vec<_> =
                            schema.vector_fields().map(|f| f.name.as_str()).collect();
                        return Err(Error::request(
                            request,
                            "field",
                            format!("is missing: choose one of {}", names.join(", ")),
                        ));
                    }
                    (None, Some(_)) => None,
                }
            }
        };
        // What the schema doesn't have the server may know better.
        let Some(field) = field else {
            return Ok(());
        };
        self.field.get_or_insert_with(|| field.name.clone());
        let vectors = std::mem::take(&mut self.vectors);
        self.vectors = fit_all(vectors, field).map_err(|(place, rule)| {
            let invalid = InvalidValue::new(&field.name, Some(place as u64), rule);
            Error::from(invalid.in_collection(&collection.name))
        })?;
        Ok(())
    }

    /// The message, but for what belongs to the whole request.
    pub(super) fn message(self, request: &str) -> Result<SearchRequest> {
        let missing = |rule: &str| Err(Error::request(request, "vector", rule));
        let expr_template_values = self.filter.template_values();
        let mut search_params = vec![
            parameter("topk", self.limit),
            parameter("round_decimal", self.round_decimal),
            parameter("ignore_growing", self.ignore_growing),
        ];
        if let Some(field) = &self.field {
            search_params.push(parameter("anns_field", field));
        }
        if let Some(metric_type) = &self.metric_type {
            search_params.push(parameter("metric_type", metric_type));
        }
        search_params.push(parameter("params", Value::Object(self.parameters)));
        search_params.extend(self.more);
        let (nq, input) = match (self.ids, self.vectors) {
            (Some(_), vectors) if !vectors.is_empty() => {
                return missing("is given together with ids; give one of them");
            }
            (Some(ids), _) => (ids.len(), SearchInput::Ids(ids.into())),
            (None, vectors) if vectors.is_empty() => {
                return missing("is missing: give a vector, a text or ids");
            }
            (None, vectors) => {
                let count = vectors.len();
                match placeholder_group(vectors) {
                    Some(group) => (count, SearchInput::PlaceholderGroup(group)),
                    None => return missing("s are not all of one kind"),
                }
            }
        };
        Ok(SearchRequest {
            dsl: self.filter.expression,
            dsl_type: DslType::BoolExprV1.into(),
            search_params,
            nq: nq as i64,
            expr_template_values,
            search_input: Some(input),
            ..SearchRequest::default()
        })
    }
}
