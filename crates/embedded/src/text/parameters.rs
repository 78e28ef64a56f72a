//! Reads Milvus's `analyzer_params`.
//!
//! The invariant is that nothing is ignored: a key, a filter or a value that this engine does not know is an error when the
//! collection is created, not a silently different index.

use std::collections::HashSet;

use regex::{Regex, RegexBuilder};
use rust_stemmers::{Algorithm, Stemmer};
use serde_json::{Map, Value};

use super::analyzer::{Analyzer, Filter, Tokenizer};
use super::stop_words;

/// Size that a compiled regular expression of a filter may reach.
const REGEX_LIMIT: usize = 1 << 20;

/// Analyzer parameters that can't be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("analyzer_params: {reason}")]
pub struct AnalyzerError {
    reason: String,
}

type Parsed<T> = Result<T, AnalyzerError>;

fn fault<T>(reason: impl Into<String>) -> Parsed<T> {
    Err(AnalyzerError {
        reason: reason.into(),
    })
}

impl Analyzer {
    /// Words in lower case: the analyzer of a field that names none.
    pub fn standard() -> Self {
        Self::build("standard", Tokenizer::Standard, vec![Filter::Lowercase])
    }

    /// Words in lower case, reduced to their English stems, without (stemmed) English stop words.
    pub fn english() -> Self {
        let filters = vec![
            Filter::Lowercase,
            Filter::Stem(Stemmer::create(Algorithm::English)),
            Filter::Stop(stop_words::ENGLISH.map(str::to_owned).into()),
        ];
        Self::build("english", Tokenizer::Standard, filters)
    }

    fn build(name: &str, tokenizer: Tokenizer, filters: Vec<Filter>) -> Self {
        Self {
            tokenizer,
            filters,
            description: name.to_owned(),
        }
    }

    /// The analyzer that `analyzer_params` describe: `{"type": "english"}`, or a chain such as
    /// `{"tokenizer": "standard", "filter": ["lowercase", {"type": "length", "max": 40}]}`. Empty text or an empty object is
    /// [`Analyzer::standard`].
    ///
    /// Known are the types `standard` and `english`; the tokenizers `standard` and `whitespace`; the filters `lowercase`,
    /// `asciifolding`, `alphanumonly`, `cncharonly`, `cnalphanumonly`, `removepunct`, `length`, `stop`, `stemmer`, `regex`.
    ///
    /// # Errors
    /// When the text is no JSON object, or names something that this engine does not have.
    pub fn from_json(parameters: &str) -> Result<Self, AnalyzerError> {
        if parameters.trim().is_empty() {
            return Ok(Self::standard());
        }
        let value: Value = match serde_json::from_str(parameters) {
            Ok(value) => value,
            Err(error) => return fault(format!("not JSON: {error}")),
        };
        let Value::Object(object) = value else {
            return fault("expected a JSON object, as in {\"type\": \"english\"}");
        };
        match object.get("type") {
            Some(Value::String(name)) => built_in(name, &object),
            Some(_) => fault("'type' must be a string"),
            None if object.is_empty() => Ok(Self::standard()),
            None => chain(&object),
        }
    }
}

fn built_in(name: &str, parameters: &Map<String, Value>) -> Parsed<Analyzer> {
    if let Some(key) = parameters
        .keys()
        .find(|key| !matches!(key.as_str(), "type" | "stop_words"))
    {
        return fault(format!("unknown analyzer option key: {key}"));
    }
    let mut analyzer = match name {
        "standard" => Analyzer::standard(),
        "english" => Analyzer::english(),
        "chinese" => {
            return fault(
                "the built-in analyzer 'chinese' is not part of this engine (its dictionary would double the build); \
                 use a Milvus server, or {\"tokenizer\": \"whitespace\"} over text that is segmented beforehand",
            );
        }
        other => {
            return fault(format!(
                "unknown build-in analyzer type: {other}; known are standard and english"
            ));
        }
    };
    if let Some(words) = parameters.get("stop_words") {
        analyzer.filters.push(Filter::Stop(word_list(words)?));
    }
    Ok(analyzer)
}

fn chain(parameters: &Map<String, Value>) -> Parsed<Analyzer> {
    if let Some(key) = parameters
        .keys()
        .find(|key| !matches!(key.as_str(), "tokenizer" | "filter"))
    {
        return fault(format!("unknown analyzer option key: {key}"));
    }
    let name = match parameters.get("tokenizer") {
        Some(Value::String(name)) => name,
        Some(Value::Object(object)) => {
            match (object.get("type"), object.keys().find(|key| *key != "type")) {
                (Some(Value::String(name)), None) => name,
                (_, Some(key)) => {
                    return fault(format!("the tokenizer option '{key}' is not supported"));
                }
                _ => return fault("a tokenizer object needs a 'type'"),
            }
        }
        Some(_) => return fault("tokenizer name should be string or dict"),
        None => return fault("tokenizer name or type must be set"),
    };
    let tokenizer = match name.as_str() {
        "standard" => Tokenizer::Standard,
        "whitespace" => Tokenizer::Whitespace,
        other => {
            return fault(format!(
                "the tokenizer '{other}' is not part of this engine; known are standard and whitespace"
            ));
        }
    };
    let filters = match parameters.get("filter") {
        None => Vec::new(),
        Some(Value::Array(list)) => list.iter().map(filter).collect::<Parsed<_>>()?,
        Some(_) => return fault("filter params should be array"),
    };
    Ok(Analyzer {
        tokenizer,
        filters,
        description: format!(
            "{name} with {} filters",
            parameters
                .get("filter")
                .map_or(0, |list| list.as_array().map_or(0, Vec::len))
        ),
    })
}

fn filter(value: &Value) -> Parsed<Filter> {
    let (name, options) = match value {
        Value::String(name) => (name.as_str(), None),
        Value::Object(object) => match object.get("type") {
            Some(Value::String(name)) => (name.as_str(), Some(object)),
            _ => return fault("no type field in filter params"),
        },
        _ => return fault("a filter is a name or an object with a 'type'"),
    };
    let option = |key: &str| options.and_then(|options| options.get(key));
    Ok(match name {
        "lowercase" => Filter::Lowercase,
        "asciifolding" => Filter::AsciiFolding,
        "alphanumonly" => Filter::AlphanumericOnly,
        "cncharonly" => Filter::ChineseOnly(expression(r"\p{Han}")?),
        "cnalphanumonly" => Filter::ChineseAlphanumericOnly(expression(r"[\p{Han}a-zA-Z0-9]")?),
        "removepunct" => Filter::RemovePunctuation,
        "length" => match option("max").and_then(Value::as_u64).map(usize::try_from) {
            Some(Ok(most)) => Filter::Length(most),
            _ => return fault("the filter 'length' needs 'max', a number of bytes"),
        },
        "stop" => match option("stop_words") {
            Some(words) => Filter::Stop(word_list(words)?),
            None => return fault("the filter 'stop' needs 'stop_words', a list of words"),
        },
        "stemmer" => match option("language").and_then(Value::as_str) {
            Some(language) => Filter::Stem(Stemmer::create(algorithm(language)?)),
            None => return fault("the filter 'stemmer' needs a 'language'"),
        },
        "regex" => match option("expr").and_then(Value::as_str) {
            Some(pattern) => Filter::Regex(expression(pattern)?),
            None => return fault("the filter 'regex' needs 'expr', a regular expression"),
        },
        other => return fault(format!("build analyzer failed, filter not found :{other}")),
    })
}

fn expression(pattern: &str) -> Parsed<Regex> {
    RegexBuilder::new(pattern)
        .size_limit(REGEX_LIMIT)
        .build()
        .or_else(|error| fault(format!("invalid regular expression: {error}")))
}

/// A list of words, in which `_english_` stands for the English stop words.
fn word_list(value: &Value) -> Parsed<HashSet<String>> {
    let words = match value {
        Value::Array(words) => words.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut set = HashSet::with_capacity(words.len());
    for word in words {
        match word.as_str() {
            Some("_english_") => set.extend(stop_words::ENGLISH.map(str::to_owned)),
            Some(name) if name.len() > 2 && name.starts_with('_') && name.ends_with('_') => {
                return fault(format!(
                    "the stop word list {name} is not part of this engine; give the words themselves, or _english_"
                ));
            }
            Some(word) => {
                set.insert(word.to_owned());
            }
            None => return fault("stop_words must be strings"),
        }
    }
    Ok(set)
}

fn algorithm(language: &str) -> Parsed<Algorithm> {
    Ok(match language.to_lowercase().as_str() {
        "arabic" => Algorithm::Arabic,
        "danish" => Algorithm::Danish,
        "dutch" => Algorithm::Dutch,
        "english" => Algorithm::English,
        "finnish" => Algorithm::Finnish,
        "french" => Algorithm::French,
        "german" => Algorithm::German,
        "greek" => Algorithm::Greek,
        "hungarian" => Algorithm::Hungarian,
        "italian" => Algorithm::Italian,
        "norwegian" => Algorithm::Norwegian,
        "portuguese" => Algorithm::Portuguese,
        "romanian" => Algorithm::Romanian,
        "russian" => Algorithm::Russian,
        "spanish" => Algorithm::Spanish,
        "swedish" => Algorithm::Swedish,
        "tamil" => Algorithm::Tamil,
        "turkish" => Algorithm::Turkish,
        other => return fault(format!("the stemmer does not know the language '{other}'")),
    })
}
