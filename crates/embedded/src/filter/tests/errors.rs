//! What people read when a filter is wrong.

use super::super::{Field, Schema, Templates, compile};
use super::rows::schema;
use crate::column::ColumnType;

fn error(expression: &str) -> String {
    compile(expression, &schema(), &Templates::new())
        .unwrap_err()
        .to_string()
}

#[test]
fn errors_show_the_place() {
    let shown = [
        "i8 > and i64 < 3",
        "i8 >",
        "(i8 > 1",
        "i8 = 1",
        "i8 > 'x'",
        "i8 > 1.5",
        "not i8 > 5",
        "s like 5",
        "s =~ '('",
        "i8 in 5",
        "i8 in ['a']",
        "5 < i8 < 3",
        "ai > 3",
        "s[0] == 'a'",
        "ai['k'] == 1",
        "b",
        "i8 + i64 > 2",
        "i8 / 0 == 1",
        "i8 << 2 == 1",
        "{limit} < i8",
        "ts > 5",
        "ts > ISO 'yesterday'",
        "ts + INTERVAL 'P1D' > 3",
        "text_match(s, 'a')",
        "text_mach(s, 'a')",
        "random_sample(2)",
        "element_filter(x, $[a] > 1)",
        "element_filter(k, $[a] > 1)",
        "match_any(k, $[n] > 'x')",
        "match_any(k, i8 > 1)",
        "match_any(k, match_all(k, $[n] > 1))",
        "match_any(k, $[n] is null)",
        "match_least(k, $[n] > 1)",
        "match_least(k, $[n] > 1, threshold=0)",
        "match_most(k, $[n] > 1, threshold='2')",
        "match_any(k, $[n] > 1, threshold=1)",
        "match_al(k, $[n] > 1)",
        "element_filter(k, $[n] > 1) and i8 > 1",
        "not element_filter(k, $[n] > 1)",
        "$[n] > 1",
        "$ > 1",
        "k > 1",
        "k[zz] == 1",
        "i8[n] == 1",
        "k[v] == 1",
        "99999999999999999999 < i8",
        "s == 'abc",
        "i8 > 1 # comment",
    ];
    let shown: Vec<String> = shown.iter().map(|expression| error(expression)).collect();
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn a_misspelt_field_is_suggested_where_there_is_no_dynamic_field() {
    let schema = Schema::new(
        [
            Field::new("price", ColumnType::Double),
            Field::new("name", ColumnType::Varchar),
        ],
        false,
    );
    let error = compile("prise > 3", &schema, &Templates::new()).unwrap_err();
    assert_eq!(
        error.reason(),
        "field prise not exist; did you mean 'price'?"
    );
    assert_eq!(error.span(), 0..5);
}

#[test]
fn long_and_many_lined_expressions_are_cut_around_the_error() {
    let long = format!(
        "{} and\n{} or i8 >> 'é'",
        "i8 > 1 and ".repeat(40) + "i8 < 3",
        "s == 'é' or ".repeat(10) + "s == 'b'"
    );
    insta::assert_snapshot!(error(&long));
}

#[test]
fn depth_is_bounded_and_length_is_not() {
    let deep = format!("{}i8 > 1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(error(&deep).contains("nested more than 128 levels"));
    assert!(
        error(&format!("{} true", "not ".repeat(10_000))).contains("nested more than 128 levels")
    );
    assert!(
        error(&format!("i8 > {}1", "1 + ".repeat(10_000))).contains("nested more than 128 levels")
    );
    assert!(
        error(&format!("i8 in {}", "[".repeat(10_000))).contains("nested more than 128 levels")
    );
    let wide = vec!["i8 > 1"; 2_000].join(" or ");
    compile(&wide, &schema(), &Templates::new()).unwrap();
    let list = format!("i8 in [{}]", vec!["1"; 10_000].join(","));
    compile(&list, &schema(), &Templates::new()).unwrap();
}
