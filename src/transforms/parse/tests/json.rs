//! The JSON reader, held against `serde_json`.

use crate::transforms::parse::json::{Name, object, object_like};
use crate::transforms::parse::layout::Layout;
use proptest::prelude::*;

/// Whether it is an object, after checking that both readers say so, or both do not, and
/// that they see the same entries.
fn accepted(text: &str) -> bool {
    let mut entries = Vec::new();
    let mine = object(text, |name, value| {
        entries.push((name, value));
        Ok(())
    });
    let theirs = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
    assert_eq!(mine.is_ok(), theirs.is_ok(), "{text:?}: {mine:?}, {theirs:?}");
    if let Ok(theirs) = theirs {
        let mine: serde_json::Map<_, _> = entries
            .into_iter()
            .map(|(name, value)| {
                let (Name::Plain(name) | Name::Escaped(name)) = name;
                let name = serde_json::from_str(&format!("\"{name}\"")).unwrap();
                (name, serde_json::from_slice(value).unwrap())
            })
            .collect();
        assert_eq!(mine, theirs);
    }
    mine.is_ok()
}

#[test]
fn valid_objects_are_accepted() {
    for text in [
        "{}",
        " \t\r\n{ } ",
        r#"{"a":1}"#,
        r#"{"a":1,"a":2}"#,
        r#"{ "a" : [ ] , "b" : { } , "c" : [ { "d" : [ 1 , [ ] ] } , "e" ] }"#,
        r#"{"a":-0,"b":-0.0,"c":1e5,"d":1E-5,"e":1.5e+10,"f":0e0,"g":1e-400}"#,
        r#"{"":"","é":"ü\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}"#,
        r#"{"a":null,"b":true,"c":false}"#,
        "{\"a\":\"\u{7f}\u{2028}\"}",
    ] {
        assert!(accepted(text), "{text}");
    }
}

#[test]
fn everything_else_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "[]",
        "1",
        "null",
        "\"a\"",
        "{}{}",
        "{} x",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{,"a":1}"#,
        r#"{"a":1 "b":2}"#,
        r#"{a:1}"#,
        r#"{'a':1}"#,
        r#"{"a":01}"#,
        r#"{"a":-}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":1e}"#,
        r#"{"a":1e+}"#,
        r#"{"a":+1}"#,
        r#"{"a":1e999}"#,
        r#"{"a":NaN}"#,
        r#"{"a":tru}"#,
        r#"{"a":truex}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\ud800\u0041"}"#,
        r#"{"a":"\udc00"}"#,
        r#"{"a":"b}"#,
        "{\"a\":\"\t\"}",
        "{\"a\":\"\0\"}",
        r#"{"a":[1,]}"#,
        r#"{"a":[,1]}"#,
        r#"{"a":[1}"#,
        r#"{"a":{"b":1]}"#,
        r#"{"a":{"b"}}"#,
        r#"{"a":{1:2}}"#,
        r#"{"a":[1 2]}"#,
        r#"{"a":{"b":1,}}"#,
        "\u{feff}{}",
        r#"{"a":1}]"#,
        r#"{"a":0x1}"#,
    ] {
        assert!(!accepted(text), "{text}");
    }
}

#[test]
fn nesting_has_a_limit_and_long_numbers_do_not_hurt() {
    for levels in [1, 126, 127, 128, 5000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let inner = if open == "[" { "" } else { "1" };
            let nested = format!("{}{inner}{}", open.repeat(levels), close.repeat(levels));
            accepted(&format!("{{\"a\":{nested}}}"));
        }
    }
    accepted(&format!("{{\"a\":{}}}", "9".repeat(400)));
    accepted(&format!("{{\"a\":0.{}}}", "9".repeat(400)));
}

/// An object that is valid, before somebody breaks it.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f32>().prop_map(|n| serde_json::Value::from(n).to_string()),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        "\"(\\\\u[0-9a-fA-F]{4}|\\\\n|[a-z ])*\"",
    ];
    let value = leaf.prop_recursive(4, 20, 4, |inner| {
        let name = any::<String>().prop_map(|text| serde_json::Value::from(text).to_string());
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[ {}]", items.join(" ,"))),
            proptest::collection::vec((name, inner), 0..4).prop_map(|entries| {
                let entries = entries.iter().map(|(name, value)| format!("{name}: {value}"));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }),
        ]
    });
    value.prop_map(|value| format!("{{\"a\":{value}}}"))
}

proptest! {
    #[test]
    fn both_readers_agree_on_valid_and_on_broken_objects(
        text in json(),
        at: proptest::sample::Index,
        by in "[\\[\\]{}\",:0-9eE.+\\\\ua \t\n-]{0,2}",
    ) {
        accepted(&text);
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        chars.splice(at..=at, by.chars());
        accepted(&chars.into_iter().collect::<String>());
    }

    #[test]
    fn both_readers_agree_on_noise(text in "[\\[\\]{}\",:0-9eE.\\\\ua -]{0,12}") {
        accepted(&format!("{{{text}}}"));
        accepted(&text);
    }
    #[test]
    fn what_stood_in_the_objects_before_changes_nothing(
        objects in proptest::collection::vec(
            "\\{ ?(\"(a|bc|long_name_of_a_field|x\\\\n)\" ?:1, ?){0,3}\"(a|d)\":[0-9]\\}",
            1..6,
        ),
    ) {
        let mut layout = Layout::new();
        for text in &objects {
            let (mut alone, mut after_others) = (Vec::new(), Vec::new());
            let first = object(text, |name, value| {
                alone.push((name, value));
                Ok(())
            });
            let second = object_like(text, &mut layout, |_, _, name, value| {
                after_others.push((name, value));
                Ok(())
            });
            prop_assert_eq!(first, second);
            prop_assert_eq!(alone, after_others);
        }
    }
}
