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

/// What a query is given: collection, filter and the values of its placeholders, output fields, partitions, limit, offset,
/// whether to ignore growing segments, consistency, other parameters. A tuple: to look its parts up by name takes longer.
#[derive(FromPyObject)]
pub(crate) struct QueryArguments<'py>(
    String,
    String,
    Option<Bound<'py, PyDict>>,
    Vec<String>,
    Vec<String>,
    Option<u64>,
    Option<u64>,
    bool,
    Consistency,
    Bound<'py, PyDict>,
);

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
        let QueryArguments(
            collection,
            filter,
            filter_params,
            output_fields,
            partitions,
            limit,
            offset,
            ignore_growing,
            level,
            parameters,
        ) = arguments;
        Ok(Self {
            collection,
            filter,
            filter_values: filter_values(filter_params.as_ref())?,
            output_fields,
            partitions,
            limit,
            offset,
            ignore_growing,
            consistency: consistency(level)?,
            parameters: pairs(&parameters)?,
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

/// What one nearest-neighbour search is given: vectors, or ids of rows; field, filter and the values of its placeholders,
/// limit, metric, decimals, whether to ignore growing segments, parameters of the index, those of the search.
#[derive(FromPyObject)]
pub(crate) struct AnnArguments<'py>(
    Option<Bound<'py, PyAny>>,
    Option<Bound<'py, PyAny>>,
    Option<String>,
    String,
    Option<Bound<'py, PyDict>>,
    u64,
    Option<String>,
    i64,
    bool,
    Bound<'py, PyDict>,
    Bound<'py, PyDict>,
);

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
        let AnnArguments(
            data,
            near_ids,
            field,
            filter,
            filter_params,
            limit,
            metric_type,
            round_decimal,
            ignore_growing,
            parameters,
            more,
        ) = arguments;
        Ok(Self {
            queries: data.as_ref().map(queries).transpose()?,
            ids: near_ids
                .as_ref()
                .map(|given| ids(given, false))
                .transpose()?,
            field,
            filter,
            filter_values: filter_values(filter_params.as_ref())?,
            limit,
            metric_type,
            round_decimal: u8::try_from(round_decimal).ok(),
            ignore_growing,
            parameters: parameters
                .iter()
                .map(parameter)
                .collect::<Result<_, Failure>>()?,
            more: pairs(&more)?,
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

/// What is the same for every kind of search: collection, output fields, partitions, consistency, functions that score anew
/// and their parameters.
#[derive(FromPyObject)]
pub(crate) struct SearchArguments<'py>(
    String,
    Vec<String>,
    Vec<String>,
    Consistency,
    Vec<GivenFunction<'py>>,
    Bound<'py, PyDict>,
);

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
        let SearchArguments(collection, output_fields, partitions, level, functions, parameters) =
            arguments;
        Ok(Self {
            collection,
            output_fields,
            partitions,
            consistency: consistency(level)?,
            functions: functions
                .into_iter()
                .map(function)
                .collect::<Result<_, Failure>>()?,
            function_parameters: pairs(&parameters)?,
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
        // Without a strategy a function merges, or the servers' own choice, which is this one.
        None | Some("rrf") => Rerank::Rrf {
            k: rank.k.unwrap_or(60),
        },
        Some(other) => {
            let unknown = format!(
                "no such way to merge the hits of a hybrid search: {other:?}; use RRFRanker, WeightedRanker or a Function"
            );
            return Err(Failure::parameter(unknown).into_exception(connection.py()));
        }
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
