//! The fuzz target for profile files, run as an ordinary test over generated input.
#![allow(clippy::expect_used, reason = "a test stops at the first surprise")]

use milvus_connections::Field;
use proptest::prelude::*;

#[allow(unreachable_pub, reason = "the fuzz package uses it across crates")]
#[path = "../../../fuzz/bodies/profile.rs"]
mod body;

/// Pieces that profiles are made of, so that generated input gets past the TOML parser.
fn profile_like() -> impl Strategy<Value = String> {
    let names: Vec<String> = Field::ALL
        .iter()
        .map(|field| field.name().to_owned())
        .chain(["adress".to_owned(), "a.b".to_owned(), "\"\"".to_owned()])
        .collect();
    let values = prop::sample::select(vec![
        "'localhost:19530'",
        "'http://u:p@h/db'",
        "''",
        "1",
        "-1",
        "1.5",
        "nan",
        "true",
        "[]",
        "['a:1']",
        "{}",
        "'x.db'",
        "99999999999",
        "1979-05-27",
        "\"\"\"\n\"\"\"",
    ]);
    let line = prop_oneof![
        5 => (prop::sample::select(names), values).prop_map(|(name, value)| format!("{name} = {value}\n")),
        2 => "[a-c]{0,2}".prop_map(|alias| format!("[{alias}]\n")),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(line, 0..10).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn any_bytes(data in prop::collection::vec(any::<u8>(), 0..64)) {
        body::profile(&data);
    }

    #[test]
    fn anything_like_a_profile(text in profile_like()) {
        body::profile(text.as_bytes());
    }
}
