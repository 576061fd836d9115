//! What conditions promise.

use super::*;
use crate::event::log::{Origin, Value, Verdict as Rewritten};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

fn plain(text: &[u8]) -> LogBatch {
    let origin = Origin { source: "logs.app".into(), ..Origin::default() };
    LogBatch::from_lines(&Bytes::copy_from_slice(text), Arc::new(origin), 0, 0)
}

/// One record whose fields are the entries of `object`.
fn record(object: &Json) -> LogBatch {
    let mut batch = plain(b"x\n");
    batch.rewrite(|_, writer| {
        for (name, value) in object.as_object().unwrap() {
            match value {
                Json::String(text) if text.len() % 2 == 0 => {
                    writer.push_text(name, text.as_bytes());
                }
                Json::Bool(value) => writer.push(name, Value::Bool(*value)),
                other => writer.push_json(name, other.to_string().as_bytes()),
            }
        }
        Rewritten::Touched
    });
    batch
}

fn constants() -> Map<String, Json> {
    let constants = json!({
        "facts": {"os": {"family": "debian"}, "cores": 4},
        "vars": {"limit": 500, "levels": ["error", "fatal"], "status": 1},
        "host": "web1",
    });
    constants.as_object().unwrap().clone()
}

fn bound(text: &str) -> Bound {
    let condition: Condition = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    condition.bind(&constants()).unwrap()
}

fn verdict(text: &str, object: &Json) -> Verdict {
    bound(text).judge(&record(object))[0]
}

fn access() -> Json {
    json!({
        "status": 503, "path": "/api/v1", "level": "error", "odd": "é\"\\", "none": null,
        "ok": false, "tags": ["a", 1], "user": {"name": "eve"}, "source": "mine", "big": 1.5e3,
    })
}

#[test]
fn conditions_hold_for_what_they_say() {
    for text in [
        "status >= 500 and path is match('/api')",
        "status == 503.0 and status != 5 and not status < 503",
        "500 < status <= 503 < 504",
        "level in ['error', 'fatal'] and level in vars.levels and level in levels",
        "level not in ['info']",
        "'pi' in path and 'x' not in path",
        "'a' in tags and 1 in tags and 'b' not in tags and 'name' in user",
        "path is search('V1', ignorecase=true) and path is not match('api')",
        "path is regex('v[0-9]$')",
        "odd == 'é\"\\\\'",
        "none is none and none is defined and none == none",
        "ok == false and ok is defined and not ok",
        "tags and user and tags == ['a', 1]",
        "record['status'] == 503 and record.status == status",
        "record['source'] == 'mine' and source == 'logs.app'",
        "host == 'web1' and facts.os.family == 'debian' and facts['cores'] >= 4",
        "status > limit and status > vars.limit",
        "user.name == 'eve' and user['name'] | upper == 'EVE'",
        "status + 1 == 504 and (level | length) == 5",
        "user.name == 'eve' and user['name'] in ['eve'] and record.user.name is match('e')",
        "user.nope is not defined and user.name.deep is undefined and 'v' in user.name",
        "path.startswith('/api') and path.endswith('v1') and not user.name.startswith('x')",
        "level.upper() == 'ERROR' and level | upper in ['ERROR'] and user.name | length == 3",
        "status | int == 503 and status | float > 502.5 and big | int == 1500",
        "'7' | int == 7 and vars.levels | length == 2",
        "level ~ status == 'error503'",
        "(path | replace('/', '')) is search('^api')",
        "status is number and level is string and status is odd",
        "'yes' == ('yes' if status > 1 else 'no')",
        "(missing or 'nobody') == 'nobody'",
        "missing | default(7) == 7",
        "big == 1500 and big > status",
        "true",
    ] {
        assert_eq!(verdict(text, &access()), Verdict::Holds, "{text}");
    }
}

#[test]
fn a_missing_field_makes_every_comparison_false() {
    for text in [
        "nope == 1",
        "nope != 1",
        "nope < 1",
        "nope >= 1",
        "1 == nope",
        "nope == nope",
        "nope in [1]",
        "'a' in nope",
        "nope is search('')",
        "nope is defined",
        "nope is none",
        "nope",
        "nope + 1 > 0",
        "nope.deep == 1",
        "user.nope == 1",
        "nope | length > 0",
        "facts.nope == 1",
        "none < 5",
        "none is search('')",
        "'a' in none",
        "none.startswith('')",
        "none.deep == 1",
        "nope.startswith('')",
        "user.nope.endswith('')",
        "user.nope in [1]",
        "path.deep == 1",
        "status.deep",
        "nope | lower == ''",
    ] {
        assert_eq!(verdict(text, &access()), Verdict::Fails, "{text}");
        assert_eq!(verdict(&format!("not ({text})"), &access()), Verdict::Holds, "{text}");
    }
}

#[test]
fn a_comparison_that_makes_no_sense_keeps_the_record_and_is_counted() {
    for text in [
        "path > 5",
        "status is match('5')",
        "'5' in status",
        "status.startswith('5')",
        "user.endswith('')",
        "user.name > 5",
        "tags < 5",
        "level + 1 > 0",
        "path > 5 and true",
        "not path > 5",
    ] {
        assert_eq!(verdict(text, &access()), Verdict::Unclear, "{text}");
        for sense in [Sense::Keep, Sense::Drop] {
            let mut batch = record(&access());
            assert_eq!(bound(text).filter(&mut batch, sense), 1, "{text}");
            assert_eq!(batch.len(), 1, "{text}");
        }
    }
    assert_eq!(verdict("level == 'error' or path > 5", &access()), Verdict::Holds);
}

#[test]
fn a_text_that_is_no_condition_says_where_and_why() {
    for (text, error) in [
        ("status >=", "column 10 of the expression: found end of input, expected expression"),
        (
            "a and b is search('x(')",
            "column 19 of the expression: `x(` is not a regular expression: unclosed group",
        ),
        (
            "{{ a == 1 }}",
            "column 1 of the expression: found braces, expected the expression alone: `a == 1`",
        ),
        ("a | shout == 1", "column 5 of the expression: there is no filter `shout`"),
        ("a == 1 b", "column 8 of the expression: unexpected input after expression"),
    ] {
        assert_eq!(text.parse::<Condition>().unwrap_err().to_string(), error, "{text}");
    }
    assert!(serde_json::from_str::<Condition>("5").is_err());
    assert_eq!(serde_json::from_str::<Condition>("true").unwrap().to_string(), "true");
}

fn left(text: &str, sense: Sense, chunk: &[u8]) -> Vec<Vec<u8>> {
    let mut batch = plain(chunk);
    assert_eq!(bound(text).filter(&mut batch, sense), 0);
    batch.records().map(|record| record.raw().to_vec()).collect()
}

#[test]
fn a_search_over_the_whole_chunk_sees_lines_one_by_one() {
    let chunk = b"an Error\r\nfine\nerro\nr\r\nERROR error\n\nlast error";
    let found = left("message is search('(?i)error')", Sense::Keep, chunk);
    assert_eq!(found, [&b"an Error\r"[..], b"ERROR error", b"last error"]);
    let rest = left("message is search('(?i)error')", Sense::Drop, chunk);
    assert_eq!(rest, [&b"fine"[..], b"erro", b"r\r", b""]);
    assert_eq!(left("'error' in message", Sense::Keep, chunk).len(), 2);
    assert_eq!(left("'error' not in message", Sense::Keep, chunk).len(), 5);
}

#[test]
fn a_search_after_a_filter_passes_over_what_was_left_out() {
    let mut batch = plain(b"a x\nb x\nb\nb x\n");
    bound("'b' in message").filter(&mut batch, Sense::Keep);
    bound("message is search('x')").filter(&mut batch, Sense::Keep);
    assert_eq!(batch.records().map(|record| record.span().0).collect::<Vec<_>>(), [4, 10]);
}

#[test]
fn what_is_common_never_asks_the_library() {
    for text in [
        "user.name == 'eve'",
        "record['user'].address['city'] in ['x']",
        "status >= 500 and message is search('x')",
        "path.startswith('/a') or path.endswith('z')",
        "user.id is defined and user.id is not none",
        "level in ['error', 'fatal'] and 'x' in user.tags",
    ] {
        assert!(bound(text).program.library.is_empty(), "{text}");
    }
    // These know their answer for text; the library is there for the rest.
    for text in ["level | lower == 'x'", "code | int >= 500", "message | length > 1000"] {
        assert_eq!(bound(text).program.library.len(), 1, "{text}");
    }
}

proptest! {
    /// Conditions of which a part is a search.
    #[test]
    fn a_search_beside_other_tests_finds_the_same_lines(
        chunk in "[ab\r\n é]{0,40}",
        other in proptest::sample::select(vec![
            "'b' in message", "source == 'logs.app'", "message > 5", "message is not search('b')",
            "nope is defined", "message.startswith('a')", "message | length > 2", "not (message > 5)",
            "message is search('b') and message is search('é')",
        ]),
        first: bool,
    ) {
        let search = "message is search('a')";
        let text = if first { format!("{search} and {other}") } else { format!("{other} and {search}") };
        let bound = bound(&text);
        let batch = plain(chunk.as_bytes());
        let verdicts = bound.judge(&batch);
        let mut fast = batch.clone();
        let unclear = bound.filter(&mut fast, Sense::Keep);
        let kept: Vec<_> = fast.records().map(|record| record.span()).collect();
        let expected: Vec<_> = batch
            .records()
            .zip(&verdicts)
            .filter(|(_, verdict)| **verdict != Verdict::Fails)
            .map(|(record, _)| record.span())
            .collect();
        prop_assert_eq!(kept, expected, "{}", text);
        let all = verdicts.iter().filter(|verdict| **verdict == Verdict::Unclear).count();
        prop_assert_eq!(unclear, all as u64);
    }

    /// With the search over the chunk and without it.
    #[test]
    fn both_ways_of_searching_find_the_same_lines(
        chunk in "[ab\r\n é]{0,40}",
        pattern in proptest::sample::select(vec![
            "a", "ab", "a.", "..", "[^a]", r"a\s", r"\s", r"b\b", r"\Ba", "a$", "^b", "(?m)^b", "(a|b\r)",
            r"a\n", r"(a|\n)b", "é?", "a+ ", r"\W", "(?i)A", "(?s)a.b", "(?-u:[^a])", "b{2,}?", "\r",
        ]),
    ) {
        let text = format!("message is search({})", Json::from(pattern));
        let bound = bound(&text);
        let batch = plain(chunk.as_bytes());
        let slow = bound.judge(&batch);
        let mut fast = batch.clone();
        bound.filter(&mut fast, Sense::Keep);
        let kept: Vec<_> = fast.records().map(|record| record.span()).collect();
        let expected: Vec<_> = batch
            .records()
            .zip(slow)
            .filter(|(_, verdict)| *verdict == Verdict::Holds)
            .map(|(record, _)| record.span())
            .collect();
        prop_assert_eq!(kept, expected, "{}", text);
    }

    /// Fields are all there and compared with their own kind, so that the rules for what is
    /// missing or makes no sense, which the library has otherwise, play no part.
    #[test]
    fn native_code_and_the_library_agree(text in expression(), object in fields()) {
        let names = Names::new(&constants());
        let batch = Arc::new(record(&object));
        let held = batch.records().next().unwrap().held_by(&batch);
        let whole = names.environment().compile_expression(&text).unwrap();
        let library = whole.eval(names.with(held)).unwrap().is_true();
        let native = bound(&text).judge(&batch)[0];
        prop_assert_eq!(native == Verdict::Holds, library, "{} {:?}", text, native);
    }
}

/// `s` and `t` are text, `n` and `m` numbers, `o` has the same within it, `d` is digits.
fn fields() -> impl Strategy<Value = Json> {
    let text = || "[abé\"]{0,3}";
    let number = || {
        prop_oneof![
            (-3i64..4).prop_map(Json::from),
            (-3i8..4).prop_map(|n| json!(f64::from(n) / 2.0))
        ]
    };
    let inner = (text(), number(), text())
        .prop_map(|(s, n, deep)| json!({"s": s, "n": n, "p": {"é\"": deep}, "l": ["a", n, s]}));
    let digits = "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,2})?";
    (text(), text(), number(), number(), inner, digits)
        .prop_map(|(s, t, n, m, o, d)| json!({"s": s, "t": t, "n": n, "m": m, "o": o, "d": d}))
}

fn expression() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        Just("s".into()),
        Just("t".into()),
        "'[ab]{0,2}'",
        Just("(s ~ t)".into()),
        Just("s | upper".into()),
        Just("t.lower()".into()),
        Just("o.s".into()),
        Just("o['s'] | lower".into()),
        Just("record.o.p['é\"']".into()),
    ];
    let number = prop_oneof![
        Just("n".to_owned()),
        Just("m".into()),
        "-?[0-3]",
        Just("0.5".into()),
        Just("(n + m)".into()),
        Just("(s | length)".into()),
        Just("-n".into()),
        Just("o.n".into()),
        Just("record['o']['n']".into()),
        Just("(o.s | length)".into()),
        Just("(o | length)".into()),
        Just("(d | float)".into()),
        Just("(n | int)".into()),
    ];
    let comparison =
        || prop_oneof![Just("=="), Just("!="), Just("<"), Just("<="), Just(">"), Just(">=")];
    let leaf = prop_oneof![
        (text.clone(), comparison(), text.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (number.clone(), comparison(), number.clone())
            .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (number.clone(), number.clone(), number).prop_map(|(a, b, c)| format!("{a} < {b} <= {c}")),
        (text.clone(), text.clone()).prop_map(|(a, b)| format!("{a} in {b}")),
        (text.clone(), text.clone()).prop_map(|(a, b)| format!("{a} not in ['a', {b}, 'b']")),
        (text.clone(), text.clone()).prop_map(|(a, b)| format!("{a} in ['a', 'b', {b}]")),
        text.clone().prop_map(|a| format!("{a} in ['a', 'ab']")),
        (text.clone(), "[ab.]{1,2}").prop_map(|(a, re)| format!("{a} is search('{re}')")),
        (text.clone(), "[ab.]{1,2}").prop_map(|(a, re)| format!("{a} is match('{re}')")),
        (text.clone(), "[abé]{0,2}").prop_map(|(a, b)| format!("({a}).startswith('{b}')")),
        (text.clone(), "[abé]{0,2}").prop_map(|(a, b)| format!("({a}).endswith('{b}')")),
        (text.clone(), Just("o.l")).prop_map(|(a, l)| format!("{a} in {l}")),
        Just("o.nope is defined".to_owned()),
        Just("o.p is defined and s.nope is undefined".to_owned()),
        Just("o.p".to_owned()),
        text.prop_map(|a| format!("({a})")),
        Just("n".to_owned()),
        Just("s is defined".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("not ({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a}) or ({b})")),
        ]
    })
}
