//! Analyzers, text conditions and BM25 against values worked out by hand.

use std::sync::Arc;

use proptest::prelude::*;

use super::bm25::{Parameters, Scorer, Statistics, term_counts, term_id};
use super::{Analyzer, TextQuery};

fn texts(analyzer: &Analyzer, text: &str) -> Vec<String> {
    analyzer
        .tokens(text)
        .into_iter()
        .map(|token| token.text)
        .collect()
}

fn custom(parameters: &str) -> Analyzer {
    Analyzer::from_json(parameters).unwrap()
}

#[test]
fn standard_cuts_at_everything_that_is_not_alphanumeric() {
    let analyzer = Analyzer::standard();
    assert_eq!(
        texts(&analyzer, "The 2 QUICK Brown-Foxes dog's 32.3 中文 Straße"),
        [
            "the", "2", "quick", "brown", "foxes", "dog", "s", "32", "3", "中文", "straße"
        ]
    );
    assert!(analyzer.tokens(" .,;").is_empty());
}

#[test]
fn english_removes_stop_words_after_stemming() {
    // "this" stems to "this", "was" to "was"; "ands" stems to "and" and so is removed too.
    assert_eq!(
        texts(
            &Analyzer::english(),
            "This was running with the ands and Flies"
        ),
        ["run", "fli"]
    );
}

#[test]
fn chains_run_in_the_order_given() {
    let text = "Éclairs AND crème-brûlée 東京 don't_stop 123456789";
    assert_eq!(
        texts(&custom(r#"{"tokenizer": "whitespace"}"#), text),
        text.split(' ').collect::<Vec<_>>()
    );
    let folding = custom(
        r#"{"tokenizer": "standard", "filter": ["asciifolding", "lowercase", {"type": "stop", "stop_words": ["of", "_english_"]}, {"type": "length", "max": 8}, "alphanumonly"]}"#,
    );
    assert_eq!(
        texts(&folding, text),
        ["eclairs", "creme", "brulee", "don", "t", "stop"]
    );
    assert_eq!(
        texts(
            &custom(r#"{"tokenizer": "standard", "filter": ["cncharonly"]}"#),
            text
        ),
        ["東京"]
    );
    assert_eq!(
        texts(
            &custom(
                r#"{"tokenizer": "standard", "filter": [{"type": "regex", "expr": "^[0-9]+$"}]}"#
            ),
            text
        ),
        ["123456789"]
    );
    assert_eq!(
        texts(
            &custom(
                r#"{"tokenizer": "standard", "filter": ["lowercase", {"type": "stemmer", "language": "german"}]}"#
            ),
            "Häuser"
        ),
        ["haus"]
    );
    assert_eq!(
        texts(
            &custom(r#"{"type": "standard", "stop_words": ["quick"]}"#),
            "a quick fox"
        ),
        ["a", "fox"]
    );
    assert_eq!(
        texts(
            &custom(r#"{"tokenizer": "whitespace", "filter": ["removepunct"]}"#),
            "a !? b."
        ),
        ["a", "b."]
    );
    assert_eq!(texts(&custom(""), "A b"), texts(&custom("{}"), "A b"));
}

#[test]
fn positions_keep_the_gaps_of_dropped_tokens() {
    let positions: Vec<_> = Analyzer::english()
        .tokens("the cat and the dog")
        .into_iter()
        .map(|token| token.position)
        .collect();
    assert_eq!(positions, [1, 4]);
}

#[test]
fn unknown_parameters_are_errors_that_name_them() {
    for (parameters, named) in [
        ("[]", "object"),
        ("{", "not JSON"),
        (r#"{"type": "chinese"}"#, "chinese"),
        (r#"{"type": "klingon"}"#, "klingon"),
        (r#"{"type": "standard", "filter": []}"#, "filter"),
        (r#"{"filter": []}"#, "tokenizer"),
        (r#"{"tokenizer": "jieba"}"#, "jieba"),
        (r#"{"tokenizer": "standard", "filter": ["lower"]}"#, "lower"),
        (
            r#"{"tokenizer": "standard", "filter": [{"type": "length"}]}"#,
            "max",
        ),
        (
            r#"{"tokenizer": "standard", "filter": [{"type": "regex", "expr": "("}]}"#,
            "regular expression",
        ),
        (
            r#"{"tokenizer": "standard", "filter": [{"type": "stemmer", "language": "klingon"}]}"#,
            "klingon",
        ),
        (
            r#"{"tokenizer": "standard", "filter": [{"type": "stop", "stop_words": ["_german_"]}]}"#,
            "_german_",
        ),
    ] {
        let error = Analyzer::from_json(parameters).unwrap_err().to_string();
        assert!(error.contains(named), "{parameters}: {error}");
    }
}

#[test]
fn text_match_counts_distinct_tokens() {
    let analyzer = Arc::new(Analyzer::standard());
    let query = |text: &str, minimum| TextQuery::any_of(analyzer.clone(), text, minimum);
    assert!(query("fox dog", 1).matches("A Fox!"));
    assert!(!query("fox dog", 2).matches("fox fox"));
    assert!(query("fox dog", 2).matches("dog, fox"));
    assert!(query("fox", 9).matches("fox"));
    assert!(!query("", 1).matches("fox") && !query("fox", 1).matches(""));
}

#[test]
fn phrases_keep_order_and_distance_up_to_the_slop() {
    let analyzer = Arc::new(Analyzer::standard());
    let query = |text: &str, slop| TextQuery::phrase(analyzer.clone(), text, slop);
    assert!(query("quick fox", 0).matches("the quick fox"));
    assert!(!query("quick fox", 0).matches("quick brown fox"));
    assert!(query("quick fox", 1).matches("quick brown fox"));
    assert!(!query("fox quick", 1).matches("quick fox"));
    assert!(query("fox quick", 2).matches("quick fox"));
    assert!(query("a b a", 0).matches("b a b a") && !query("a b a", 0).matches("a b b"));
    assert!(!query("", 5).matches("fox"));
}

#[test]
fn term_ids_are_crc32_of_at_most_100_bytes() {
    // CRC-32 (IEEE) of "123456789" is the check value of the polynomial.
    assert_eq!(term_id("123456789"), 0xcbf4_3926);
    assert_eq!(term_id(""), 0);
    assert_eq!(term_id(&"x".repeat(100)), term_id(&"x".repeat(200)));
    assert_ne!(term_id(&"x".repeat(99)), term_id(&"x".repeat(100)));
}

#[test]
fn scores_follow_the_formula() {
    let analyzer = Analyzer::standard();
    let rows = ["the cat sat", "the dog sat on the cat", "a bird"];
    let mut statistics = Statistics::default();
    let vectors: Vec<_> = rows.iter().map(|row| term_counts(&analyzer, row)).collect();
    vectors
        .iter()
        .for_each(|(dimensions, counts)| statistics.add(dimensions, counts));
    assert_eq!(
        (statistics.rows(), statistics.average_length()),
        (3, 11.0 / 3.0)
    );

    let (dimensions, counts) = term_counts(&analyzer, "cat the the");
    let scorer = Scorer::new(&dimensions, &counts, &statistics, Parameters::default());
    let expected = |row: &[(f64, f64, f64)], length: f64| {
        row.iter()
            .map(|(tf, qtf, n)| {
                let w = tf * 2.2 / (tf + 1.2 * (1.0 - 0.75 + 0.75 * length / (11.0 / 3.0)));
                w * qtf * (1.0 + (3.0 - n + 0.5) / (n + 0.5)).ln()
            })
            .sum::<f64>()
    };
    let score = |row: usize| scorer.score(&vectors[row].0, &vectors[row].1);
    assert!(
        (f64::from(score(0).unwrap()) - expected(&[(1.0, 1.0, 2.0), (1.0, 2.0, 2.0)], 3.0)).abs()
            < 1e-5
    );
    assert!(
        (f64::from(score(1).unwrap()) - expected(&[(1.0, 1.0, 2.0), (2.0, 2.0, 2.0)], 6.0)).abs()
            < 1e-5
    );
    assert_eq!(score(2), None);
}

proptest! {
    #[test]
    fn statistics_do_not_depend_on_how_rows_are_split(rows in prop::collection::vec("[a-d ]{0,12}", 0..12), cut in any::<prop::sample::Index>(), drop in any::<prop::sample::Index>()) {
        let analyzer = Analyzer::standard();
        let gather = |rows: &[String]| {
            let mut statistics = Statistics::default();
            for row in rows {
                let (dimensions, counts) = term_counts(&analyzer, row);
                statistics.add(&dimensions, &counts);
            }
            statistics
        };
        let whole = gather(&rows);
        let (head, tail) = rows.split_at(cut.index(rows.len() + 1));
        let mut merged = gather(tail);
        merged.merge(&gather(head));
        prop_assert_eq!(&merged, &whole);
        if !rows.is_empty() {
            let dropped = drop.index(rows.len());
            let (dimensions, counts) = term_counts(&analyzer, &rows[dropped]);
            merged.remove(&dimensions, &counts);
            let rest: Vec<_> = rows.iter().enumerate().filter(|(row, _)| *row != dropped).map(|(_, row)| row.clone()).collect();
            prop_assert_eq!(merged, gather(&rest));
        }
    }

    #[test]
    fn no_text_makes_an_analyzer_panic(text in ".{0,40}", parameters in ".{0,40}") {
        let _ = Analyzer::from_json(&parameters);
        for analyzer in [Analyzer::english(), custom(r#"{"tokenizer": "standard", "filter": ["asciifolding", "removepunct", "cnalphanumonly"]}"#)] {
            analyzer.tokens(&text);
            let (dimensions, _) = term_counts(&analyzer, &text);
            prop_assert!(dimensions.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
