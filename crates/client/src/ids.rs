//! Primary keys that callers give: to delete, to get, to search by.
//!
//! Invariant: the parts of a long list cover every id exactly once, in order.

use std::ops::Range;

use bytes::Bytes;
use milvus_protocol::schema::{IDs, LongArray, StringArray, i_ds::IdField};

use crate::client::Client;
use crate::describe_collection::CollectionDescription;
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::filter::{Filter, FilterValue, TEMPLATES, quoted};
use crate::results::{Id, Ids};
use crate::schema::DataType;

/// Ids of one request: what servers take as `limit`, and few enough for a parser of expressions.
const IDS_AT_A_TIME: usize = 16_384;
/// Bytes of ids of one request.
const BYTES_AT_A_TIME: usize = 4 << 20;
/// The name of the placeholder.
const PLACEHOLDER: &str = "ids";

macro_rules! from_integers {
    ($($integer:ty),*) => {$(
        impl From<Vec<$integer>> for Ids {
            fn from(ids: Vec<$integer>) -> Self {
                Self::Int64(ids.into_iter().map(i64::from).collect())
            }
        }

        impl From<&[$integer]> for Ids {
            fn from(ids: &[$integer]) -> Self {
                Self::Int64(ids.iter().copied().map(i64::from).collect())
            }
        }

        impl<const N: usize> From<[$integer; N]> for Ids {
            fn from(ids: [$integer; N]) -> Self {
                Self::Int64(ids.into_iter().map(i64::from).collect())
            }
        }
    )*};
}
from_integers!(i32, i64, u32);

macro_rules! from_texts {
    ($($text:ty),*) => {$(
        impl From<Vec<$text>> for Ids {
            fn from(ids: Vec<$text>) -> Self {
                ids.as_slice().into()
            }
        }

        impl From<&[$text]> for Ids {
            fn from(ids: &[$text]) -> Self {
                let bytes = |id: &$text| Bytes::copy_from_slice(id.as_bytes());
                Self::VarChar(ids.iter().map(bytes).collect())
            }
        }

        impl<const N: usize> From<[$text; N]> for Ids {
            fn from(ids: [$text; N]) -> Self {
                ids.as_slice().into()
            }
        }
    )*};
}
from_texts!(String, &str);

impl From<Ids> for IDs {
    fn from(ids: Ids) -> Self {
        Self {
            id_field: Some(match ids {
                Ids::Int64(data) => IdField::IntId(LongArray { data }),
                Ids::VarChar(data) => IdField::StrId(StringArray { data }),
            }),
        }
    }
}

impl Ids {
    /// Checks the type of the ids against the collection's primary key; returns the key's name.
    pub(crate) fn check<'c>(&self, collection: &'c CollectionDescription) -> Result<&'c str> {
        let key = collection.schema.primary_key().ok_or_else(|| {
            Error::answer(
                format!("the schema of {:?}", collection.name),
                "it has no primary key",
            )
        })?;
        let given = match self {
            Self::Int64(_) => DataType::Int64,
            Self::VarChar(_) => DataType::VarChar,
        };
        if key.data_type == given || self.is_empty() {
            return Ok(&key.name);
        }
        Err(Error::request(
            format!("ids of {:?}", collection.name),
            "ids",
            format!(
                "are {given}, the primary key `{}` is {}",
                key.name, key.data_type
            ),
        ))
    }

    fn slice(&self, range: Range<usize>) -> Self {
        match self {
            Self::Int64(ids) => Self::Int64(ids.get(range).unwrap_or_default().to_vec()),
            Self::VarChar(ids) => Self::VarChar(ids.get(range).unwrap_or_default().to_vec()),
        }
    }

    /// Where to cut the list.
    pub(crate) fn parts(&self, most: usize) -> Vec<Range<usize>> {
        self.parts_of(most, BYTES_AT_A_TIME)
    }

    /// Where to cut the list into parts of so many ids and bytes at most.
    fn parts_of(&self, most: usize, most_bytes: usize) -> Vec<Range<usize>> {
        let most = most.clamp(1, IDS_AT_A_TIME);
        let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
        for place in 0..self.len() {
            let id_bytes = match self.get(place) {
                Some(Id::VarChar(id)) => id.len() + 4,
                _ => 21,
            };
            if place - start == most || (bytes + id_bytes > most_bytes && place > start) {
                parts.push(start..place);
                (start, bytes) = (place, 0);
            }
            bytes += id_bytes;
        }
        if start < self.len() {
            parts.push(start..self.len());
        }
        parts
    }

    /// The filter for some of the ids.
    pub(crate) fn filter(&self, range: Range<usize>, key: &str, has_templates: bool) -> Filter {
        let ids = self.slice(range);
        if has_templates {
            let value = match ids {
                Self::Int64(ids) => FilterValue::Int64List(ids),
                Self::VarChar(_) => {
                    FilterValue::StringList(ids.iter().map(|id| id.to_string()).collect())
                }
            };
            return Filter {
                expression: format!("{key} in {{{PLACEHOLDER}}}"),
                values: vec![(PLACEHOLDER.to_owned(), value)],
            };
        }
        let literals: Vec<_> = ids.iter().map(literal).collect();
        Filter {
            expression: format!("{key} in [{}]", literals.join(",")),
            values: Vec::new(),
        }
    }
}

/// An id as a literal of an expression.
pub(crate) fn literal(id: Id<'_>) -> String {
    match id {
        Id::Int64(id) => id.to_string(),
        Id::VarChar(id) => quoted(id),
    }
}

/// Filters that together choose the rows with these ids, each of at most so many bytes. Each is made when its turn comes.
pub(crate) fn id_filters<'a>(
    client: &Client,
    collection: &'a CollectionDescription,
    ids: &'a Ids,
    bytes: Option<usize>,
) -> Result<impl ExactSizeIterator<Item = (Range<u64>, Filter)> + Send + use<'a>> {
    let key = ids.check(collection)?;
    let has_templates = client.is_known_to_have(TEMPLATES);
    let bytes = bytes.unwrap_or(BYTES_AT_A_TIME).min(BYTES_AT_A_TIME);
    let parts = ids.parts_of(IDS_AT_A_TIME, bytes).into_iter();
    Ok(parts.map(move |part| {
        let rows = part.start as u64..part.end as u64;
        (rows, ids.filter(part, key, has_templates))
    }))
}

/// Servers that lack this would answer as if no query had been given.
pub(crate) const SEARCH_BY_IDS: Feature = Feature::since("search by ids", 2, 6).not_in_lite();

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_cover_every_id_once(count in 0_usize..70_000, most in 1_usize..20_000) {
            let ids = Ids::Int64((0..count as i64).collect());
            let parts = ids.parts(most);
            let mut next = 0;
            for part in &parts {
                prop_assert_eq!(part.start, next);
                prop_assert!(!part.is_empty() && part.len() <= most);
                next = part.end;
            }
            prop_assert_eq!(next, count);
        }
    }

    #[test]
    fn long_texts_are_cut_by_size() {
        let ids = Ids::from(vec!["x".repeat(1 << 20); 10]);
        let parts = ids.parts(16_384);
        assert_eq!(parts.iter().map(ExactSizeIterator::len).max(), Some(3));
        assert_eq!(parts.iter().map(ExactSizeIterator::len).sum::<usize>(), 10);
    }

    #[test]
    fn ids_become_a_list_or_a_placeholder() {
        let ids = Ids::from(["a", "b\"c"]);
        assert_eq!(
            ids.filter(0..2, "key", false).expression,
            r#"key in ["a","b\"c"]"#
        );
        let filter = ids.filter(1..2, "key", true);
        assert_eq!(filter.expression, "key in {ids}");
        assert_eq!(
            filter.values,
            [(
                "ids".to_owned(),
                FilterValue::StringList(vec!["b\"c".to_owned()])
            )]
        );
    }
}
