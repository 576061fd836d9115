//! What becomes of records that an S3 server will not take.

use crate::bucket::Store;
use crate::harness::{Bench, free_port, lines};
use serde_json::{Value, json};

/// Lines of which every third goes below a key that is longer than S3 allows.
fn text(count: usize) -> String {
    let line = |n: usize| {
        let to = if n.is_multiple_of(3) { "x".repeat(199) } else { "short".to_owned() };
        json!({ "to": to, "n": n, "odd": "a\tb \"c\"" }).to_string() + "\n"
    };
    (0..count).map(line).collect()
}

/// A bench whose sink makes keys of six times the field `to`; what it rejects goes to `refused`.
fn bench(store: &Store, more: &Value, settings: &Value) -> Bench {
    let mut transforms = json!({ "parse": { "type": "parse", "format": "json" } });
    transforms.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut sink = json!({
        "prefix": "{{ to }}/".repeat(6), "encoding": "text", "batch": { "age": "1h" },
        "dead_letter": "refused",
    });
    sink.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let refused = json!({ "type": "file", "inputs": [], "encoding": "ndjson", "path": "refused" });
    match sink["dead_letter"] {
        Value::Null => Bench::new(transforms, store.sink(sink)),
        _ => Bench::with_more(transforms, store.sink(sink), json!({ "refused": refused })),
    }
}

fn letters(bench: &Bench) -> Vec<Value> {
    let lines = lines(&bench.path("refused"));
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn arrived(store: &Store) -> usize {
    let objects = store.objects();
    objects.iter().map(|(key, body)| crate::s3::unpacked(key, body).lines().count()).sum()
}

#[test]
fn records_of_an_object_that_is_refused_for_good_are_dead_letters_as_they_were_read() {
    // More than go in one batch of letters.
    let text = text(6000);
    let buffered = json!({ "buffer": { "type": "disk" } });
    for settings in [json!({}), buffered] {
        let store = Store::start();
        let bench = bench(&store, &json!({}), &settings);
        bench.append(&text);
        bench.once();
        assert_eq!(arrived(&store), 4000, "{}", bench.said());
        let letters = letters(&bench);
        let expected: Vec<&str> = text.lines().step_by(3).collect();
        let of = |name: &str| letters.iter().map(|letter| letter[name].clone()).collect::<Vec<_>>();
        assert!(of("message") == expected, "{} letters", letters.len());
        let mut offset = 0;
        for (at, line) in text.lines().enumerate() {
            if at % 3 == 0 {
                assert_eq!(letters[at / 3]["offset"], offset);
            }
            offset += line.len() + 1;
        }
        let first = &letters[0];
        assert_eq!((&first["sink"], &first["source"]), (&json!("out"), &json!("in")));
        assert_eq!(first["path"], bench.path("in.log").to_str().unwrap());
        let reason = first["reason"].as_str().unwrap();
        assert!(reason.contains("KeyTooLongError"), "{reason}");
        assert_eq!(first["status"], 400);
    }
}

#[test]
fn a_record_that_a_transform_has_changed_is_a_dead_letter_as_it_is_now() {
    let store = Store::start();
    let set = json!({ "set": { "type": "set", "fields": { "new": "{{ n + 1 }}" } } });
    let bench = bench(&store, &set, &json!({ "encoding": "ndjson" }));
    bench.append(text(1));
    bench.once();
    let letters = letters(&bench);
    assert_eq!(letters.len(), 1, "{}", bench.said());
    let message: Value = serde_json::from_str(letters[0]["message"].as_str().unwrap()).unwrap();
    assert_eq!((&message["n"], message["new"].is_null()), (&json!(0), false));
}

#[test]
fn without_a_dead_letter_what_is_refused_for_good_is_dropped_and_counted() {
    let store = Store::start();
    let bench = bench(&store, &json!({}), &json!({ "dead_letter": null }));
    bench.append(text(300));
    bench.once();
    assert_eq!((arrived(&store), letters(&bench).len()), (200, 0));
    let said = bench.said();
    assert!(said.contains("dropped") && said.contains("records=100"), "{said}");
}

#[test]
fn after_so_many_attempts_an_object_goes_to_the_dead_letters() {
    let store = Store::new();
    let retry = json!({ "initial": "10ms", "max": "20ms", "attempts": 3 });
    let bench = bench(&store, &json!({}), &json!({ "retry": retry }));
    let text = text(2);
    bench.append(&text);
    bench.once();
    let letters = letters(&bench);
    let mut messages: Vec<_> =
        letters.iter().map(|letter| letter["message"].as_str().unwrap()).collect();
    messages.sort_unstable();
    let mut expected: Vec<_> = text.lines().collect();
    expected.sort_unstable();
    assert_eq!(messages, expected);
    let reason = letters[0]["reason"].as_str().unwrap();
    assert!(reason.contains("given up after 3 attempts"), "{reason}");
}

#[test]
fn what_people_have_to_mend_is_waited_for_and_told_at_the_start() {
    let store = Store::start();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for (setting, value, code) in
        [("bucket", json!("nowhere"), "NoSuchBucket"), ("endpoint", json!(nobody), "refused")]
    {
        let mut settings = json!({ "retry": { "initial": "10ms", "max": "20ms" } });
        settings["batch"] = json!({ "age": "50ms" });
        settings[setting] = value;
        let bench = bench(&store, &json!({}), &settings);
        let agent = bench.start(&[]);
        let tells = || {
            let said = bench.said();
            said.contains("the other side does not answer yet") && said.contains(code)
        };
        bench.wait_until("it says who is not there", tells);
        // This server makes buckets that it does not know.
        if setting == "endpoint" {
            bench.append("{\"to\": \"short\"}\n");
            let tries = || bench.said().matches("will try again").count() > 1;
            bench.wait_until("it tries again and again", tries);
        }
        assert!(!bench.said().contains("dropped") && letters(&bench).is_empty());
        drop(agent);
    }
}
