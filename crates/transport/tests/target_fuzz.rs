//! The fuzz target for URIs, run as an ordinary test over generated input.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use proptest::prelude::*;

#[allow(unreachable_pub, reason = "the fuzz package uses it across crates")]
#[path = "../../../fuzz/bodies/uri.rs"]
mod body;

/// Pieces that URIs are made of, so that generated input gets past the first check.
fn uri_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "http://",
            "https://",
            "tcp:",
            "unix:",
            "memory:",
            "file:",
            "//",
            "/",
            ":",
            "@",
            "[",
            "]",
            "::1",
            "%40",
            "%",
            "%ff",
            "?",
            "#",
            ",",
            ".db",
            "localhost",
            "127.0.0.1",
            "19530",
            "65535",
            "443",
            " ",
            "\u{a0}",
            "\0",
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,3}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_bytes(data in prop::collection::vec(any::<u8>(), 0..64)) {
        body::uri(&data);
    }

    #[test]
    fn anything_like_a_uri(text in uri_like()) {
        body::uri(text.as_bytes());
    }
}
