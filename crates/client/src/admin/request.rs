//! What the requests of this module have in common: how they are declared, which names they refuse, and
//! how a change of a collection reaches the schemas that are remembered.
//!
//! Invariant: a request that changes what a collection is holds a [`Changing`] while its call is under
//! way, so that no remembered schema outlives the change, also when the caller goes away.

use std::future::Future;

use milvus_protocol::common::Status;

use crate::client::Client;
use crate::error::{Error, Result};

/// Declares a request: what it cannot do without in parentheses, what may be left out (and then is the
/// type's default) in braces.
macro_rules! request_type {
    (
        $(#[$attribute:meta])*
        $name:ident ( $($given:ident: $given_type:ty),* $(,)? )
        $({ $($option:ident: $option_type:ty),* $(,)? })?
        => $output:ty
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug)]
        #[must_use = "nothing is sent before `.await`"]
        pub struct $name {
            client: $crate::client::Client,
            pub(super) settings: $crate::call::CallSettings,
            $($given: $given_type,)*
            $($($option: $option_type,)*)?
        }

        request!($name => $output);

        impl $name {
            fn new(client: &$crate::client::Client, $($given: $given_type),*) -> Self {
                Self {
                    client: client.clone(),
                    settings: $crate::call::CallSettings::default(),
                    $($given,)*
                    $($($option: <$option_type>::default(),)*)?
                }
            }
        }
    };
}

/// Makes a request one call: `message()`, the call, and `$read` of the answer.
macro_rules! single_call {
    ($name:ident: $rpc:ident of $feature:expr, $read:expr => $output:ty) => {
        impl $name {
            async fn send(self) -> $crate::error::Result<$output> {
                let message = self.message()?;
                let clock = self.settings.start();
                let call = self
                    .client
                    .call($feature, &milvus_protocol::rpc::$rpc, message, &clock);
                $crate::admin::request::read(call, $read).await
            }
        }
    };
}

/// An enum of the protocol's numbers, with an escape for numbers that only newer servers know.
macro_rules! numbered {
    (
        $(#[$attribute:meta])*
        $name:ident {
            $($(#[$variant_attribute:meta])* $variant:ident = $number:literal,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_attribute])* $variant,)*
            /// One this crate does not know, by its number in the protocol.
            Other(i32),
        }

        impl $name {
            /// The number in the protocol.
            pub const fn number(self) -> i32 {
                match self {
                    $(Self::$variant => $number,)*
                    Self::Other(number) => number,
                }
            }

            /// The one with this number in the protocol.
            pub const fn from_number(number: i32) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    other => Self::Other(other),
                }
            }
        }
    };
}

/// An enum of the protocol's names, with an escape for names that only newer servers know.
macro_rules! named {
    (
        $(#[$attribute:meta])*
        $name:ident {
            $($(#[$variant_attribute:meta])* $variant:ident = $text:literal,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_attribute])* $variant,)*
            /// One this crate does not know, by its name.
            Other(String),
        }

        impl $name {
            /// The name that servers use.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(name) => name,
                }
            }

            /// The one of this name, in upper or lower case.
            pub fn from_name(name: &str) -> Self {
                const NAMES: &[&str] = &[$($text),*];
                let known = NAMES.iter().find(|known| known.eq_ignore_ascii_case(name));
                match known.copied() {
                    $(Some($text) => Self::$variant,)*
                    _ => Self::Other(name.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.name())
            }
        }
    };
}

/// Awaits a call and reads its answer. A function, so that the types of `reading` are known from `call`.
pub(super) async fn read<Answer, Output>(
    call: impl Future<Output = Result<Answer>>,
    reading: impl FnOnce(Answer) -> Result<Output>,
) -> Result<Output> {
    reading(call.await?)
}

/// For answers that say nothing but that it was done.
pub(super) fn done(_: Status) -> Result<()> {
    Ok(())
}

/// A name (or other text) that must not be empty.
pub(super) fn given(request: &'static str, parameter: &'static str, value: &str) -> Result<String> {
    if value.is_empty() {
        return Err(Error::request(request, parameter, "is empty"));
    }
    Ok(value.to_owned())
}

/// Names that must be there, none of them empty.
pub(super) fn all_given(
    request: &'static str,
    parameter: &'static str,
    values: &[String],
) -> Result<Vec<String>> {
    if values.is_empty() {
        return Err(Error::request(request, parameter, "has no element"));
    }
    for (place, value) in values.iter().enumerate() {
        if value.is_empty() {
            let rule = format!("has an empty element at {place}");
            return Err(Error::request(request, parameter, rule));
        }
    }
    Ok(values.to_vec())
}

/// Texts of anything that can be iterated.
pub(super) fn texts(values: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    values.into_iter().map(Into::into).collect()
}

/// Forgets collections (or aliases) when it is made and when it goes out of scope.
pub(super) struct Changing<'a> {
    client: &'a Client,
    names: Vec<&'a str>,
}

impl<'a> Changing<'a> {
    pub(super) fn new(client: &'a Client, names: impl IntoIterator<Item = &'a str>) -> Self {
        let changing = Self {
            client,
            names: names.into_iter().collect(),
        };
        changing.forget();
        changing
    }

    fn forget(&self) {
        for name in &self.names {
            self.client.forget_collection(name);
        }
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_names_are_refused_with_their_place() {
        let refused = |names: &[&str]| {
            let names: Vec<String> = texts(names.iter().copied());
            all_given("load_partitions", "partitions", &names)
                .expect_err("refused")
                .to_string()
        };
        insta::assert_snapshot!(refused(&[]), @"load_partitions: `partitions` has no element; nothing was sent");
        insta::assert_snapshot!(refused(&["a", ""]), @"load_partitions: `partitions` has an empty element at 1; nothing was sent");
        let error = given("drop_alias", "alias", "").expect_err("refused");
        insta::assert_snapshot!(error, @"drop_alias: `alias` is empty; nothing was sent");
    }
}
