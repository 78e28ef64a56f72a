//! placeholder

mod target;

pub use target::{
    DEFAULT_HOST, DEFAULT_PORT, DEFAULT_SECURE_PORT, Endpoint, Host, ParsedUri, Target,
    TargetError, TargetFault, parse_address, parse_uri,
};
