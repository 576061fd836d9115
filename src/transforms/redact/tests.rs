//! What should not be in a log is not, and all the rest is as it was.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::{Arc, LazyLock, Mutex};

fn config(yaml: &str) -> Config {
    serde_yaml::from_str(yaml).unwrap()
}

fn batch(text: &str) -> LogBatch {
    LogBatch::from_lines(&Bytes::copy_from_slice(text.as_bytes()), Arc::default(), 0, 0)
}

fn run(yaml: &str, batch: LogBatch) -> LogBatch {
    let mut redact = Redact::new(&config(yaml)).unwrap();
    let mut out = Outputs::default();
    redact.transform(Batch::Logs(batch), &mut out).unwrap();
    match out.take().0.remove(0).1 {
        Batch::Logs(logs) => logs,
        other => panic!("{other:?}"),
    }
}

/// Everything at once; made once, since that takes a while.
static ALL: LazyLock<Mutex<Redact>> = LazyLock::new(|| {
    let yaml = "{patterns: [card, email, ipv4, ipv6, ssn, bearer_token, jwt, aws_access_key, \
                aws_secret_key, private_key, service_token], regexes: {o: 'o(x)?'}}";
    Mutex::new(Redact::new(&config(yaml)).unwrap())
});

/// The message of the one line.
fn line(yaml: &str, text: &str) -> String {
    let batch = run(yaml, batch(&format!("{text}\n")));
    let record = batch.records().next().unwrap();
    let message = record.get("message").unwrap().as_text().unwrap();
    String::from_utf8(message.into_owned()).unwrap()
}

#[test]
fn each_pattern_hides_what_it_knows_and_nothing_that_looks_like_it() {
    let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let cases = [
        ("card", "pay 4111 1111 1111 1111 now", "pay *** now"),
        ("card", "pay 4111-1111-1111-1111, 5500005555555559", "pay ***, ***"),
        ("card", "no 4111 1111 1111 1112 and 1700000000000000000", "="),
        ("card", "order 2222 4111 1111 1111 1111", "order 2222 ***"),
        ("email", "from a.b+c@mail.example.com to @nobody x@y", "from *** to @nobody x@y"),
        ("ipv4", "10.0.0.1:80 and 256.1.1.1 and 1.2.3.4.5", "***:80 and 256.1.1.1 and 1.2.3.4.5"),
        (
            "ipv6",
            "from 2001:db8::1 at 12:34:56 by std::string",
            "from *** at 12:34:56 by std::string",
        ),
        ("ipv6", "[::1]:80 aa:bb:cc:dd:ee:ff ::ffff:10.0.0.1", "[***]:80 aa:bb:cc:dd:ee:ff ***"),
        (
            "ssn",
            "is 123-45-6789, not 666-45-6789 or 123-45-67890",
            "is ***, not 666-45-6789 or 123-45-67890",
        ),
        ("bearer_token", "Authorization: Bearer abc.def-123==", "Authorization: Bearer ***"),
        ("jwt", "t=eyJhbGciOiJI.eyJzdWIiOiIx.SflKxw_x-1 ok", "t=*** ok"),
        ("aws_access_key", "id AKIAIOSFODNN7EXAMPLE!", "id ***!"),
        ("service_token", "glpat-abcdefghij0123456789 xoxb-1234567890-abc", "*** ***"),
        (
            "private_key",
            "a -----BEGIN RSA PRIVATE KEY-----MII\\nx-----END RSA PRIVATE KEY----- z",
            "a *** z",
        ),
        ("private_key", "a -----BEGIN PRIVATE KEY-----MII", "a ***"),
    ];
    for (pattern, text, expected) in cases {
        let expected = if expected == "=" { text } else { expected };
        assert_eq!(line(&format!("patterns: [{pattern}]"), text), expected, "{pattern}");
    }
    for text in [format!("aws_secret_access_key={key}"), format!("\"SecretKey\": \"{key}\"")] {
        assert_eq!(line("patterns: [aws_secret_key]", &text), text.replace(key, "***"));
    }
}

#[test]
fn what_is_found_is_masked_hashed_or_removed() {
    let card = "card 4111111111111111";
    assert_eq!(line("{patterns: [card], mask: '#', keep_last: 4}", card), "card #1111");
    assert_eq!(line("{patterns: [card], action: remove}", card), "card ");
    let yaml = "{regexes: {u: 'user=(\\S+)'}, action: hash, key: correct-horse}";
    let once = line(yaml, "user=ann did");
    assert_eq!(once, line(yaml, "user=ann did"));
    assert_eq!(once.len(), "user= did".len() + 64);
    assert_ne!(once, line(&yaml.replace("horse", "mouse"), "user=ann did"));
    let vector = hmac::<Sha256>(b"Jefe", b"what do ya want for nothing?");
    assert_eq!(vector[..4], [0x5b, 0xdc, 0xc1, 0x46], "RFC 4231, test case 2");
}

#[test]
fn a_batch_without_anything_to_hide_is_not_even_cut_into_lines() {
    let clean = run("{patterns: [card, email], regexes: {x: 'abc'}}", batch("one\ntwo\n"));
    assert!(clean.is_uncut());
    let batch = run("patterns: [email]", batch("one\na@b.cd\ntwo\n"));
    let untouched: Vec<bool> = batch.records().map(|it| it.is_untouched()).collect();
    assert_eq!(untouched, [true, false, true]);
}

#[test]
fn a_pattern_that_asks_for_the_beginning_of_a_line_finds_it_in_every_line() {
    let batch = run("regexes: {x: '^b+$'}", batch("a\nbb\nabb\n"));
    let shown: Vec<_> = batch.records().map(|it| it.get("message").unwrap().to_json()).collect();
    assert_eq!(shown, ["a", "***", "abb"]);
}

#[test]
fn fields_are_looked_into_however_deep_and_however_they_are_written() {
    let text = r#"{"user":"a\u0040b.cd","card":4111111111111111,"deep":{"to":["x@y.zz",7]},"no":"n@b.cd"}"#;
    let mut batch = batch(&format!("{text}\n"));
    batch.rewrite(|record, writer| {
        let raw = std::str::from_utf8(record.raw()).unwrap();
        let tree: serde_json::Map<String, Json> = serde_json::from_str(raw).unwrap();
        for (name, value) in &tree {
            let value = value.to_string();
            match raw.find(&value) {
                Some(at) => {
                    let slice = &record.raw()[at..at + value.len()];
                    writer.push(name, record.json_at(slice));
                }
                // Written with an escape.
                None => writer.push_json(name, br#""a\u0040b.cd""#),
            }
        }
        Verdict::ParsedJson
    });
    let batch = run("{patterns: [email, card], fields: [user, card, deep]}", batch);
    let record = batch.records().next().unwrap();
    let fields = record.fields().map(|(name, value)| (name.to_owned(), value.to_json()));
    let expected = serde_json::json!({
        "user": "***", "card": "***", "deep": {"to": ["***", 7]}, "no": "n@b.cd",
    });
    assert_eq!(Json::Object(fields.collect()), expected);
}

#[test]
fn a_config_that_cannot_be_meant_is_an_error() {
    for yaml in [
        "{}",
        "{patterns: [card], action: hash}",
        "{patterns: [card], key: some-secret}",
        "regexes: {x: '('}",
        "regexes: {x: 'a*'}",
    ] {
        assert!(Redact::new(&config(yaml)).is_err(), "{yaml}");
    }
    assert!(serde_yaml::from_str::<Config>("patterns: [cards]").is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(
        prop_oneof![any::<u8>(), Just(b'@'), Just(b':'), Just(b'.'), Just(b'-'), b'0'..=b'9'], 0..60,
    )) {
        let batch = LogBatch::from_lines(&Bytes::from(bytes), Arc::default(), 0, 0);
        ALL.lock().unwrap().transform(Batch::Logs(batch), &mut Outputs::default()).unwrap();
    }

    #[test]
    fn a_card_is_found_wherever_it_stands(before in "[a-z ]{0,9}", after in "[a-z .,]{0,9}") {
        let text = format!("{before} 4111111111111111 {after}");
        let mut all = ALL.lock().unwrap();
        prop_assert!(all.redact(text.as_bytes()));
        prop_assert!(!String::from_utf8_lossy(&all.scratch).contains("4111"), "{}", text);
    }
}
