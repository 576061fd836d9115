//! What a config's author hears: every error, its place, its mending.

use super::*;
use crate::event::tree::{Key, SourceFile, Span};
use indexmap::IndexMap;
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;

/// Reads `key: value` lines and flow lists, enough to have places here, where no file is read.
fn tree(text: &str) -> Node {
    let file = Arc::new(SourceFile::new(Path::new("a.yml").into(), text.to_owned()));
    let mut entries = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let span = |from: usize, text: &str| {
            let start = start + from;
            Some(Span { file: file.clone(), start, end: start + text.len() })
        };
        let (key, value) = line.trim_end().split_once(": ").unwrap();
        let node = Node { value: value_of(value, &file), span: span(key.len() + 2, value) };
        entries.push((Key { name: key.into(), span: span(0, key) }, node));
        start += line.len();
    }
    let span = Some(Span { file, start: 0, end: text.len() });
    Node { value: Value::Map(entries), span }
}

fn value_of(text: &str, file: &Arc<SourceFile>) -> Value {
    let span = Some(Span { file: file.clone(), start: 0, end: 0 });
    let node = |text: &str| Node { value: value_of(text, file), span: span.clone() };
    let within = |open, close| text.strip_prefix(open)?.strip_suffix(close);
    if let Some(items) = within('[', ']') {
        return Value::List(items.split_terminator(", ").map(node).collect());
    }
    if let Some(entries) = within('{', '}') {
        let entries = entries.split_terminator(", ").filter_map(|entry| entry.split_once(": "));
        return Value::Map(entries.map(|(key, value)| (Key::from(key), node(value))).collect());
    }
    let source: Arc<str> = text.into();
    match (text, text.parse::<i64>(), text.parse::<f64>()) {
        ("~", ..) => Value::Null,
        ("yes", ..) => Value::Bool { value: true, text: source },
        (_, Ok(value), _) => Value::Int { value, text: source },
        (_, _, Ok(value)) => Value::Float { value, text: source },
        _ => Value::String(text.trim_matches('"').into()),
    }
}

fn complaints<T: DeserializeOwned + std::fmt::Debug>(text: &str) -> String {
    let complaints = from_node::<T>(&tree(text), "this file").unwrap_err();
    let lines = complaints.iter().map(|complaint| match &complaint.hint {
        Some(hint) => format!("{complaint} | {hint}"),
        None => complaint.to_string(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its errors are looked at")]
struct Site {
    #[serde(default)]
    host: String,
    #[serde(default)]
    port: u16,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    secure: bool,
    #[serde(default)]
    level: Option<Level>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    On,
    #[serde(rename = "1")]
    One,
    File {
        path: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its errors are looked at")]
struct Strict {
    url: String,
    interval: u32,
}

#[test]
fn every_error_of_a_value_is_reported_at_once_and_each_with_its_place() {
    insta::assert_snapshot!(complaints::<Site>(
        "host: yes\nprot: 80\nport: 70000\npaths: [a, [b], {c: d}]\nsecure: \"yes\"\n"
    ), @r#"
    a.yml:1:7: `host` takes text; found the truth value `yes` | put it in quotes: "yes"
    a.yml:2:1: unknown key `prot` in this file | did you mean `port`? (the keys here are `host`, `port`, `paths`, `secure`, `level`)
    a.yml:3:7: `port` takes a whole number from 0 to 65535; found the number `70000`
    a.yml:1:1: an item of `paths` takes text; found a list
    a.yml:1:1: an item of `paths` takes text; found a mapping
    a.yml:5:9: `secure` takes `true` or `false`; found the text `yes` | write true, without quotes
    "#);
}

#[test]
fn a_key_that_is_wrong_or_misspelt_is_not_said_to_be_missing_as_well() {
    insta::assert_snapshot!(complaints::<Strict>("url: [a]\nintervall: 3\n"), @r"
    a.yml:1:6: `url` takes text; found a list
    a.yml:2:1: unknown key `intervall` in this file | did you mean `interval`? (the keys here are `url`, `interval`)
    ");
}

#[test]
fn all_missing_keys_are_named_beside_the_other_errors() {
    insta::assert_snapshot!(complaints::<Strict>("url: [a]\n"), @r"
    a.yml:1:6: `url` takes text; found a list
    a.yml:1:1: this file lacks the key `interval`
    ");
    insta::assert_snapshot!(complaints::<IndexMap<String, Strict>>("a: {x: 1}\nb: {url: 0x}\n"), @r"
    unknown key `x` in `a` | the keys here are `url`, `interval`
    a.yml:1:4: `a` lacks the key `url`
    a.yml:1:4: `a` lacks the key `interval`
    a.yml:2:4: `b` lacks the key `interval`
    ");
}

#[test]
fn an_error_deep_inside_names_its_own_mapping() {
    let text = "a: {url: x, interval: no}\nb: {url: x}\nc: 5\n";
    insta::assert_snapshot!(complaints::<IndexMap<String, Strict>>(text), @r"
    a.yml:1:1: `interval` takes a whole number from 0 to 4294967295; found the text `no`
    a.yml:2:4: `b` lacks the key `interval`
    a.yml:3:4: `c` takes a mapping; found the number `5` | put it under one of its keys: `url`, `interval`
    ");
}

#[test]
fn text_takes_a_number_only_where_it_can_be_read_in_one_way() {
    let read = |text: &str| from_node::<Site>(&tree(&format!("host: {text}\n")), "it");
    for plain in ["8080", "-1", "1.10", "0", "0.5"] {
        assert_eq!(read(plain).unwrap().host, plain);
    }
    for ambiguous in ["0644", "1e3", "+1", "yes", "~"] {
        assert!(read(ambiguous).is_err(), "{ambiguous} must be put in quotes");
    }
}

#[test]
fn a_number_never_takes_text() {
    insta::assert_snapshot!(
        complaints::<Site>("port: \"80\"\n"),
        @"a.yml:1:7: `port` takes a whole number from 0 to 65535; found the text `80` | write it without quotes: 80"
    );
}

#[test]
fn a_word_of_a_closed_set_is_compared_as_it_was_written() {
    let level =
        |text: &str| from_node::<Site>(&tree(&format!("level: {text}\n")), "it").map(|it| it.level);
    assert_eq!(level("on"), Ok(Some(Level::On)));
    assert_eq!(level("1"), Ok(Some(Level::One)));
    assert_eq!(level("~"), Ok(None));
    assert_eq!(level("{file: {path: x}}"), Ok(Some(Level::File { path: "x".into() })));
}

#[test]
fn an_unknown_word_and_a_wrong_shape_name_the_words_there_are() {
    insta::assert_snapshot!(complaints::<Site>("level: fil\n"), @"a.yml:1:8: `level` cannot be `fil` | did you mean `file`? (it is one of `on`, `1`, `file`)");
    insta::assert_snapshot!(complaints::<Site>("level: file\n"), @"a.yml:1:8: `level` takes a mapping `file: ...`; found the text `file`");
    insta::assert_snapshot!(complaints::<Site>("level: []\n"), @"a.yml:1:8: `level` takes a word, or a mapping with one key; found a list | the words here are `on`, `1`, `file`");
    insta::assert_snapshot!(complaints::<Site>("level: {file: {path: []}}\n"), @"a.yml:1:1: `path` takes text; found a list");
}

#[test]
fn a_field_that_is_a_node_gets_the_subtree_as_written() {
    #[derive(Deserialize)]
    struct Task {
        name: Spanned<String>,
        args: Node,
        more: Option<Node>,
    }
    let task: Task = from_node(&tree("name: x\nargs: [0644, yes]\n"), "task").unwrap();
    assert_eq!(task.name.span.as_ref().unwrap().to_string(), "a.yml:1:7");
    assert_eq!(task.args.span.as_ref().unwrap().to_string(), "a.yml:2:7");
    assert_eq!(task.args.as_list().unwrap()[0].scalar_text(), Some("0644"));
    assert_eq!(task.more, None);
}

#[test]
fn a_mappings_keys_keep_their_places_and_their_order() {
    let map: IndexMap<Spanned<String>, i64> = from_node(&tree("b: 1\na: 2\n"), "it").unwrap();
    let keys: Vec<_> = map.keys().map(|key| key.span.as_ref().unwrap().to_string()).collect();
    assert_eq!(keys, ["a.yml:1:1", "a.yml:2:1"]);
    assert_eq!(map.get("a"), Some(&2));
}

#[test]
fn any_value_becomes_json() {
    let value: serde_json::Value = from_node(&tree("b: [1, x, ~]\na: 1.5\n"), "it").unwrap();
    assert_eq!(value.to_string(), r#"{"b":[1,"x",null],"a":1.5}"#);
    assert_eq!(serde_json::from_value::<Node>(value).unwrap(), tree("b: [1, x, ~]\na: 1.5\n"));
}

#[test]
fn a_pair_takes_exactly_two_items() {
    insta::assert_snapshot!(
        complaints::<IndexMap<String, (u8, u8)>>("a: [1, 2, 3]\nb: [1, x]\n"),
        @r"
    a.yml:1:4: `a` takes a list of 2 items; found a list | it has 3 items
    a.yml:1:1: an item of `b` takes a whole number from 0 to 255; found the text `x`
    "
    );
}

#[test]
fn a_types_own_words_are_kept() {
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Even;
    impl TryFrom<String> for Even {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            Err(format!("`{text}` is odd"))
        }
    }
    insta::assert_snapshot!(complaints::<IndexMap<String, Even>>("a: 5\n"), @"a.yml:1:4: `a`: `5` is odd");
}
