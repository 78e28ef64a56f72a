//! Filters: a boolean expression with named placeholders, and the values that fill them.
//!
//! Values never become part of the expression's text, so that a text from outside cannot change what it
//! means and a long list is not parsed as an expression.
//!
//! Invariant: an expression reaches the server exactly as it was written.

use std::collections::HashMap;

use bytes::Bytes;
use milvus_protocol::schema as wire;
use wire::template_array_value::Data as Array;
use wire::template_value::Val as Value;

use crate::feature::Feature;

/// Servers that lack this would answer with a syntax error at the placeholder.
pub(crate) const TEMPLATES: Feature =
    Feature::since("filter placeholders (`{name}`)", 2, 5).not_in_lite();

/// A value for a placeholder of a filter.
///
/// Made `from` plain values and lists of them:
///
/// ```
/// use milvus_client::FilterValue;
///
/// let year = FilterValue::from(2000);
/// let tags = FilterValue::from(["red", "green"]);
/// # let _ = (year, tags);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FilterValue {
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int64(i64),
    /// A number.
    Double(f64),
    /// A text.
    String(String),
    /// A list of booleans.
    BoolList(Vec<bool>),
    /// A list of integers.
    Int64List(Vec<i64>),
    /// A list of numbers.
    DoubleList(Vec<f64>),
    /// A list of texts.
    StringList(Vec<String>),
}

impl From<FilterValue> for wire::TemplateValue {
    fn from(value: FilterValue) -> Self {
        let list = |data: Array| Value::ArrayVal(wire::TemplateArrayValue { data: Some(data) });
        let value = match value {
            FilterValue::Bool(value) => Value::BoolVal(value),
            FilterValue::Int64(value) => Value::Int64Val(value),
            FilterValue::Double(value) => Value::FloatVal(value),
            FilterValue::String(value) => Value::StringVal(value),
            FilterValue::BoolList(data) => list(Array::BoolData(wire::BoolArray { data })),
            FilterValue::Int64List(data) => list(Array::LongData(wire::LongArray { data })),
            FilterValue::DoubleList(values) => list(Array::DoubleData(values.into())),
            FilterValue::StringList(values) => list(Array::StringData(wire::StringArray {
                data: values.into_iter().map(Bytes::from).collect(),
            })),
        };
        Self { val: Some(value) }
    }
}

macro_rules! from_values {
    ($($value:ty => $one:ident($one_type:ty), $list:ident;)*) => {$(
        impl From<$value> for FilterValue {
            fn from(value: $value) -> Self {
                Self::$one(<$one_type>::from(value))
            }
        }

        impl From<Vec<$value>> for FilterValue {
            fn from(values: Vec<$value>) -> Self {
                Self::$list(values.into_iter().map(<$one_type>::from).collect())
            }
        }

        impl From<&[$value]> for FilterValue {
            fn from(values: &[$value]) -> Self {
                Self::$list(values.iter().cloned().map(<$one_type>::from).collect())
            }
        }

        impl<const N: usize> From<[$value; N]> for FilterValue {
            fn from(values: [$value; N]) -> Self {
                Self::$list(values.into_iter().map(<$one_type>::from).collect())
            }
        }
    )*};
}
from_values! {
    bool => Bool(bool), BoolList;
    i8 => Int64(i64), Int64List;
    i16 => Int64(i64), Int64List;
    i32 => Int64(i64), Int64List;
    i64 => Int64(i64), Int64List;
    u8 => Int64(i64), Int64List;
    u16 => Int64(i64), Int64List;
    u32 => Int64(i64), Int64List;
    f32 => Double(f64), DoubleList;
    f64 => Double(f64), DoubleList;
    String => String(String), StringList;
    &str => String(String), StringList;
}

/// An expression and the values of its placeholders.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Filter {
    pub(crate) expression: String,
    pub(crate) values: Vec<(String, FilterValue)>,
}

impl Filter {
    /// The values as messages.
    pub(crate) fn template_values(&self) -> HashMap<String, wire::TemplateValue> {
        self.values
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect()
    }

    /// This and `more`, with `more` on the left: some expressions must stand rightmost.
    pub(crate) fn and_left(&self, more: &str) -> String {
        if self.expression.trim().is_empty() {
            more.to_owned()
        } else {
            format!("{more} and ({})", self.expression)
        }
    }
}

/// A text as a literal of an expression.
pub(crate) fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for character in text.chars() {
        match character {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            other => literal.push(other),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_literals_that_mean_themselves() {
        assert_eq!(quoted("a"), r#""a""#);
        assert_eq!(quoted("say \"hi\"\\"), r#""say \"hi\"\\""#);
        assert_eq!(quoted("two\nlines"), r#""two\nlines""#);
    }

    #[test]
    fn a_filter_is_joined_without_changing_its_meaning() {
        let filter = |expression: &str| Filter {
            expression: expression.to_owned(),
            values: Vec::new(),
        };
        assert_eq!(filter("").and_left("id > 1"), "id > 1");
        assert_eq!(
            filter("a == 1 or b == 2").and_left("id > 1"),
            "id > 1 and (a == 1 or b == 2)"
        );
    }

    #[test]
    fn lists_travel_as_lists() {
        let message = wire::TemplateValue::from(FilterValue::from(["a", "b"]));
        let Some(Value::ArrayVal(array)) = message.val else {
            panic!("a list");
        };
        assert_eq!(
            array.data,
            Some(Array::StringData(wire::StringArray {
                data: vec![Bytes::from("a"), Bytes::from("b")],
            }))
        );
    }
}
