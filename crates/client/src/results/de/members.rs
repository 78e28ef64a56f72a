//! The members of a JSON object, found in its text: which keys there are, and where their values stand.
//!
//! A value is parsed only when somebody reads it, and then straight into what it is read as.
//!
//! Invariant: whatever the text is, looking for members ends; a value that is found is checked by who parses it.

use std::borrow::Cow;

use serde::de::Error as _;

use super::Unreadable;

/// A key, and the text of its value.
pub(super) type Member<'a> = (Cow<'a, str>, &'a [u8]);

/// What is left of an object.
pub(super) struct Members<'a> {
    /// After the opening brace, or after a value.
    rest: &'a [u8],
}

impl<'a> Members<'a> {
    /// The members of an object; of `null`, none.
    pub(super) fn of(text: &'a [u8]) -> Result<Self, Unreadable> {
        match text.trim_ascii() {
            [b'{', rest @ ..] => Ok(Self { rest }),
            b"" | b"null" => Ok(Self { rest: b"}" }),
            _ => Err(Unreadable::custom("this is no JSON object")),
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Member<'a>>, Unreadable> {
        let broken = || Unreadable::custom("the JSON object is broken");
        let mut rest = self.rest.trim_ascii_start();
        if let [b',', more @ ..] = rest {
            rest = more.trim_ascii_start();
        }
        if rest.first() == Some(&b'}') {
            return Ok(None);
        }
        let key = value_bytes(rest).filter(|_| rest.first() == Some(&b'"'));
        let (key, rest) = rest
            .split_at_checked(key.ok_or_else(broken)?)
            .ok_or_else(broken)?;
        let [b':', rest @ ..] = rest.trim_ascii_start() else {
            return Err(broken());
        };
        let rest = rest.trim_ascii_start();
        let value = value_bytes(rest).and_then(|bytes| rest.split_at_checked(bytes));
        let (value, rest) = value.ok_or_else(broken)?;
        self.rest = rest;
        Ok(Some((name(key)?, value)))
    }
}

/// A key, borrowed unless something in it is escaped.
fn name(quoted: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    match quoted {
        [b'"', plain @ .., b'"'] if !plain.contains(&b'\\') => {
            let plain = std::str::from_utf8(plain).map_err(Unreadable::custom)?;
            Ok(Cow::Borrowed(plain))
        }
        _ => Ok(Cow::Owned(serde_json::from_slice(quoted)?)),
    }
}

/// How many bytes the value at the start of a text has; `None` when it has no end.
fn value_bytes(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut is_quoted = false;
    let mut bytes = text.iter().enumerate();
    while let Some((place, byte)) = bytes.next() {
        if is_quoted {
            match byte {
                b'\\' => _ = bytes.next(),
                b'"' if depth == 0 => return Some(place + 1),
                b'"' => is_quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => is_quoted = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 1 => depth -= 1,
            b'}' | b']' if depth == 1 => return Some(place + 1),
            // The end of a number or a word.
            b'}' | b',' if depth == 0 => return (place > 0).then_some(place),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Result<Vec<(String, String)>, Unreadable> {
        let mut members = Members::of(text.as_bytes())?;
        let mut all = Vec::new();
        while let Some((key, value)) = members.next()? {
            all.push((
                key.into_owned(),
                String::from_utf8_lossy(value).trim().to_owned(),
            ));
        }
        Ok(all)
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "\\PC{0,8}[\\\\\"{}\\[\\],:]{0,3}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::btree_map("[a-z\\\\\"]{0,3}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_members_are_those_that_a_parser_finds(
            object in proptest::collection::btree_map("[a-z\\\\\"]{0,3}", json(), 0..5),
            pretty in any::<bool>(),
        ) {
            let value = serde_json::Value::Object(object.clone().into_iter().collect());
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let found = all(&text).expect("an object");
            let found: std::collections::BTreeMap<String, serde_json::Value> = found
                .into_iter()
                .map(|(key, value)| (key, serde_json::from_str(&value).expect("JSON")))
                .collect();
            prop_assert_eq!(found, object);
        }

        #[test]
        fn any_text_comes_to_an_end(text in "[{}\\[\\]\",:a\\\\ 1]{0,24}") {
            let _ = all(&text);
        }
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        assert_eq!(all("null").expect("none"), []);
        for text in [
            "[1]",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{a:1}",
            "{\"a\" 1}",
            "{\"a\":}",
        ] {
            assert!(all(text).is_err(), "{text}");
        }
    }
}
