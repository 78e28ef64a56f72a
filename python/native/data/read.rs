//! Query, get, search, hybrid search.
//!
//! Invariant: a parameter that has no method of the client's is passed on under its name, as PyMilvus does.

use milvus_client::schema::{DataType, FunctionSchema, FunctionType};
use milvus_client::{
    AnnSearch, Client, ConsistencyLevel, FilterValue, HybridSearch, Ids, MetricType, Query, Rerank,
    Search,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::Value;

use super::parameters::{Consistency, consistency, filter_values, ids, json, pairs};
use super::results::{QueryAnswer, SearchAnswer};
use super::vectors::{Queries, queries};
use super::verb::{Options, call};
use crate::connection::Connection;
use crate::errors::Failure;

/// What a query is given.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct QueryArguments<'py> {
    collection: String,
    filter: String,
    filter_params: Option<Bound<'py, PyDict>>,
    output_fields: Vec<String>,
    partitions: Vec<String>,
    limit: Option<u64>,
    offset: Option<u64>,
    ignore_growing: bool,
    consistency: Consistency,
    parameters: Bound<'py, PyDict>,
}

/// A query as it will be made.
pub(crate) struct QueryRequest {
    collection: String,
    filter: String,
    filter_values: Vec<(String, FilterValue)>,
    output_fields: Vec<String>,
    partitions: Vec<String>,
    limit: Option<u64>,
    offset: Option<u64>,
    ignore_growing: bool,
    consistency: Option<ConsistencyLevel>,
    parameters: Vec<(String, String)>,
}

impl QueryRequest {
    pub(crate) fn read(arguments: QueryArguments<'_>) -> Result<Self, Failure> {
        Ok(Self {
            collection: arguments.collection,
            filter: arguments.filter,
            filter_values: filter_values(arguments.filter_params.as_ref())?,
            output_fields: arguments.output_fields,
            partitions: arguments.partitions,
            limit: arguments.limit,
            offset: arguments.offset,
            ignore_growing: arguments.ignore_growing,
            consistency: consistency(arguments.consistency)?,
            parameters: pairs(&arguments.parameters)?,
        })
    }

    pub(crate) fn build(self, client: &Client) -> Query {
        let mut query = client
            .query(self.collection)
            .filter(self.filter)
            .output_fields(self.output_fields);
        for (name, value) in self.filter_values {
            query = query.filter_value(name, value);
        }
        for partition in self.partitions {
            query = query.partition(partition);
        }
        if let Some(limit) = self.limit {
            query = query.limit(limit);
        }
        if let Some(offset) = self.offset {
            query = query.offset(offset);
        }
        if self.ignore_growing {
            query = query.ignore_growing();
        }
        if let Some(level) = self.consistency {
            query = query.consistency(level);
        }
        for (key, value) in self.parameters {
            query = query.parameter(key, value);
        }
        query
    }
}

/// Reads rows by filter.
#[pyfunction]
pub(crate) fn query<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    arguments: QueryArguments<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let request =
        QueryRequest::read(arguments).map_err(|failure| failure.into_exception(connection.py()))?;
    call(connection, options, move |client, options| async move {
        send!(request.build(&client), options).map(QueryAnswer::from)
    })
}

/// Reads rows by primary key, any number of them.
#[pyfunction]
#[expect(
    clippy::too_many_arguments,
    reason = "each is one of Milvus's parameters"
)]
pub(crate) fn get<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    collection: String,
    keys: &Bound<'py, PyAny>,
    keys_are_text: bool,
    output_fields: Vec<String>,
    partitions: Vec<String>,
    level: Consistency,
) -> PyResult<Bound<'py, PyAny>> {
    let read = || -> Result<_, Failure> { Ok((ids(keys, keys_are_text)?, consistency(level)?)) };
    let (keys, level) = read().map_err(|failure| failure.into_exception(connection.py()))?;
    call(connection, options, move |client, options| async move {
        let mut get = client
            .get(collection)
            .ids(keys)
            .output_fields(output_fields);
        for partition in partitions {
            get = get.partition(partition);
        }
        if let Some(level) = level {
            get = get.consistency(level);
        }
        send!(get, options).map(QueryAnswer::from)
    })
}

/// A function of the server's: name, type number, description, input fields, output fields, parameters.
pub(crate) type GivenFunction<'py> = (
    String,
    i32,
    String,
    Vec<String>,
    Vec<String>,
    Bound<'py, PyDict>,
);

/// # Errors
/// A parameter that can't be sent.
pub(crate) fn function(given: GivenFunction<'_>) -> Result<FunctionSchema, Failure> {
    let (name, number, description, inputs, outputs, parameters) = given;
    let mut function =
        FunctionSchema::new(name, FunctionType::from_number(number)).description(description);
    function.input_fields = inputs;
    function.output_fields = outputs;
    function.parameters = pairs(&parameters)?.into_iter().collect();
    Ok(function)
}

/// What one nearest-neighbour search is given: `parameters` are those of the index, `more` those of the search.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct AnnArguments<'py> {
    data: Option<Bound<'py, PyAny>>,
    ids: Option<Bound<'py, PyAny>>,
    field: Option<String>,
    filter: String,
    filter_params: Option<Bound<'py, PyDict>>,
    limit: u64,
    metric_type: Option<String>,
    round_decimal: i64,
    ignore_growing: bool,
    parameters: Bound<'py, PyDict>,
    more: Bound<'py, PyDict>,
}

/// One search as it will be made.
pub(crate) struct Ann {
    queries: Option<Queries>,
    ids: Option<Ids>,
    field: Option<String>,
    filter: String,
    filter_values: Vec<(String, FilterValue)>,
    limit: u64,
    metric_type: Option<String>,
    round_decimal: Option<u8>,
    ignore_growing: bool,
    parameters: Vec<(String, Value)>,
    more: Vec<(String, String)>,
}

impl Ann {
    pub(crate) fn read(arguments: AnnArguments<'_>) -> Result<Self, Failure> {
        let parameter = |(key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| -> Result<_, Failure> {
            let key: String = key.extract()?;
            let value = json(&key, &value)?;
            Ok((key, value))
        };
        Ok(Self {
            queries: arguments.data.as_ref().map(queries).transpose()?,
            ids: arguments
                .ids
                .as_ref()
                .map(|given| ids(given, false))
                .transpose()?,
            field: arguments.field,
            filter: arguments.filter,
            filter_values: filter_values(arguments.filter_params.as_ref())?,
            limit: arguments.limit,
            metric_type: arguments.metric_type,
            round_decimal: u8::try_from(arguments.round_decimal).ok(),
            ignore_growing: arguments.ignore_growing,
            parameters: arguments
                .parameters
                .iter()
                .map(parameter)
                .collect::<Result<_, Failure>>()?,
            more: pairs(&arguments.more)?,
        })
    }

    /// The type of the field that bytes are searched in.
    async fn field_type(&self, client: &Client, collection: &str) -> Option<DataType> {
        if !self.queries.as_ref().is_some_and(Queries::need_field) {
            return None;
        }
        let description = client.remembered_collection(collection).await.ok()?;
        let schema = &description.schema;
        let field = match &self.field {
            Some(name) => schema.field_named(name),
            None => schema.vector_fields().next(),
        };
        field.map(|field| field.data_type)
    }

    pub(crate) async fn search(self, client: &Client, collection: &str) -> Search {
        let field_type = self.field_type(client, collection).await;
        let mut search = client
            .search(collection)
            .filter(self.filter)
            .limit(self.limit);
        if let Some(queries) = self.queries {
            search = search.vectors(queries.for_field(|| field_type));
        }
        if let Some(ids) = self.ids {
            search = search.near_ids(ids);
        }
        if let Some(field) = self.field {
            search = search.field(field);
        }
        if let Some(metric_type) = self.metric_type {
            search = search.metric_type(MetricType::from_name(&metric_type));
        }
        if let Some(places) = self.round_decimal {
            search = search.round_decimal(places);
        }
        if self.ignore_growing {
            search = search.ignore_growing();
        }
        for (name, value) in self.filter_values {
            search = search.filter_value(name, value);
        }
        for (key, value) in self.parameters {
            search = search.parameter(key, value);
        }
        for (key, value) in self.more {
            search = match (key.as_str(), value.parse::<u64>()) {
                ("group_by_field", _) => search.group_by(value),
                ("group_size", Ok(size)) => search.group_size(size),
                ("strict_group_size", _) if value == "True" => search.strict_group_size(),
                ("offset", Ok(hits)) => search.offset(hits),
                _ => search.search_parameter(key, value),
            };
        }
        search
    }

    async fn part(self, client: &Client, collection: &str) -> AnnSearch {
        let field_type = self.field_type(client, collection).await;
        let mut search = AnnSearch::new(self.field.unwrap_or_default())
            .filter(self.filter)
            .limit(self.limit);
        if let Some(queries) = self.queries {
            search = search.vectors(queries.for_field(|| field_type));
        }
        if let Some(metric_type) = self.metric_type {
            search = search.metric_type(MetricType::from_name(&metric_type));
        }
        if let Some(places) = self.round_decimal {
            search = search.round_decimal(places);
        }
        if self.ignore_growing {
            search = search.ignore_growing();
        }
        for (name, value) in self.filter_values {
            search = search.filter_value(name, value);
        }
        for (key, value) in self.parameters {
            search = search.parameter(key, value);
        }
        for (key, value) in self.more {
            search = search.search_parameter(key, value);
        }
        search
    }
}

/// What is the same for every kind of search.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct SearchArguments<'py> {
    collection: String,
    output_fields: Vec<String>,
    partitions: Vec<String>,
    consistency: Consistency,
    functions: Vec<GivenFunction<'py>>,
    function_parameters: Bound<'py, PyDict>,
}

/// A search as it will be made, but for its vectors.
pub(crate) struct Target {
    pub(crate) collection: String,
    output_fields: Vec<String>,
    partitions: Vec<String>,
    consistency: Option<ConsistencyLevel>,
    functions: Vec<FunctionSchema>,
    function_parameters: Vec<(String, String)>,
}

impl Target {
    pub(crate) fn read(arguments: SearchArguments<'_>) -> Result<Self, Failure> {
        Ok(Self {
            collection: arguments.collection,
            output_fields: arguments.output_fields,
            partitions: arguments.partitions,
            consistency: consistency(arguments.consistency)?,
            functions: arguments
                .functions
                .into_iter()
                .map(function)
                .collect::<Result<_, Failure>>()?,
            function_parameters: pairs(&arguments.function_parameters)?,
        })
    }

    pub(crate) fn complete(self, mut search: Search) -> Search {
        search = search.output_fields(self.output_fields);
        for partition in self.partitions {
            search = search.partition(partition);
        }
        if let Some(level) = self.consistency {
            search = search.consistency(level);
        }
        for function in self.functions {
            search = search.rerank(function);
        }
        for (key, value) in self.function_parameters {
            search = search.rerank_parameter(key, value);
        }
        search
    }

    fn complete_hybrid(self, mut search: HybridSearch) -> HybridSearch {
        search = search.output_fields(self.output_fields);
        for partition in self.partitions {
            search = search.partition(partition);
        }
        if let Some(level) = self.consistency {
            search = search.consistency(level);
        }
        if let Some(function) = self.functions.into_iter().next() {
            search = search.rerank(Rerank::Function(function));
        }
        search
    }
}

/// Searches the nearest rows.
#[pyfunction]
pub(crate) fn search<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    arguments: SearchArguments<'py>,
    ann: AnnArguments<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let read = || -> Result<_, Failure> { Ok((Target::read(arguments)?, Ann::read(ann)?)) };
    let (target, ann) = read().map_err(|failure| failure.into_exception(connection.py()))?;
    call(connection, options, move |client, options| async move {
        let search = ann.search(&client, &target.collection).await;
        send!(target.complete(search), options).map(SearchAnswer::from)
    })
}

/// How the hits of a hybrid search are merged: the strategy's name and parameters.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct RankArguments<'py> {
    strategy: Option<String>,
    k: Option<u32>,
    weights: Vec<f64>,
    norm_score: bool,
    limit: u64,
    offset: u64,
    round_decimal: i64,
    more: Bound<'py, PyDict>,
}

/// Makes several searches and merges their hits.
#[pyfunction]
pub(crate) fn hybrid_search<'py>(
    connection: &Bound<'py, Connection>,
    options: Options,
    arguments: SearchArguments<'py>,
    searches: Vec<AnnArguments<'py>>,
    rank: RankArguments<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let read = || -> Result<_, Failure> {
        let searches: Result<Vec<_>, Failure> = searches.into_iter().map(Ann::read).collect();
        Ok((Target::read(arguments)?, searches?, pairs(&rank.more)?))
    };
    let (target, searches, more) =
        read().map_err(|failure| failure.into_exception(connection.py()))?;
    let rerank = match rank.strategy.as_deref() {
        Some("weighted") => Rerank::Weighted {
            weights: rank.weights,
            normalize: rank.norm_score,
        },
        _ => Rerank::Rrf {
            k: rank.k.unwrap_or(60),
        },
    };
    let (limit, offset, places) = (
        rank.limit,
        rank.offset,
        u8::try_from(rank.round_decimal).ok(),
    );
    call(connection, options, move |client, options| async move {
        let mut hybrid = client
            .hybrid_search(&target.collection)
            .rerank(rerank)
            .limit(limit)
            .offset(offset);
        for search in searches {
            hybrid = hybrid.search(search.part(&client, &target.collection).await);
        }
        if let Some(places) = places {
            hybrid = hybrid.round_decimal(places);
        }
        for (key, value) in more {
            hybrid = match (key.as_str(), value.parse::<u64>()) {
                ("group_by_field", _) => hybrid.group_by(value),
                ("group_size", Ok(size)) => hybrid.group_size(size),
                ("strict_group_size", _) if value == "True" => hybrid.strict_group_size(),
                _ => hybrid.rank_parameter(key, value),
            };
        }
        send!(target.complete_hybrid(hybrid), options).map(SearchAnswer::from)
    })
}
