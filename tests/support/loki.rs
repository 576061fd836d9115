//! A Loki that takes nothing that Loki would not: labels and times of the right form, and no line
//! that is too old. As Loki does, it keeps what is good of a request that it refuses, and one of two
//! lines that are the same at the same time.

use crate::stub::{Answer, Asked, Manners, Stub};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// An older line than this is refused.
const OLDEST_NS: u128 = 7 * 86_400 * 1_000_000_000;
/// A line may be so much behind the newest of its stream.
const BEHIND_NS: i64 = 3_600 * 1_000_000_000;

/// Time, line and metadata.
pub(crate) type Entry = (i64, String, Map<String, Value>);

/// By tenant and labels.
pub(crate) type Streams = BTreeMap<(String, String), Vec<Entry>>;

/// What a server has, and how it behaves; clones are the same server.
#[derive(Clone, Default)]
pub(crate) struct Loki {
    pub(crate) manners: Arc<Mutex<Manners>>,
    store: Arc<Mutex<Store>>,
}

#[derive(Default)]
struct Store {
    streams: Streams,
    /// Lines that were there already.
    known: usize,
    /// The most streams that came in one request.
    most_streams: usize,
    violations: Vec<String>,
}

impl Loki {
    /// Listens at `address`, or on any free port.
    pub(crate) fn listen(&self, address: Option<SocketAddr>) -> Stub {
        let loki = self.clone();
        Stub::start(address, &self.manners, move |asked| loki.receive(asked))
    }

    /// All streams.
    pub(crate) fn streams(&self) -> Streams {
        let store = self.store.lock().unwrap();
        assert_eq!(store.violations, Vec::<String>::new());
        store.streams.clone()
    }

    /// All lines, stream by stream.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.streams().into_values().flatten().map(|(_, line, _)| line).collect()
    }

    /// How many lines came that were there already.
    pub(crate) fn known(&self) -> usize {
        self.store.lock().unwrap().known
    }

    /// The most streams in one request.
    pub(crate) fn most_streams(&self) -> usize {
        self.store.lock().unwrap().most_streams
    }

    fn receive(&self, asked: &Asked) -> Answer {
        if asked.method == "HEAD" {
            return (405, String::new());
        }
        let mut store = self.store.lock().unwrap();
        match store.push(asked) {
            Err(violation) => {
                store.violations.push(violation.clone());
                (400, violation)
            }
            Ok(Some(refusal)) => (400, refusal),
            Ok(None) => (204, String::new()),
        }
    }
}

impl Store {
    /// Keeps what is good. Says what is refused; an error is what no client should send.
    fn push(&mut self, asked: &Asked) -> Result<Option<String>, String> {
        if asked.path != "/loki/api/v1/push" {
            return Err(format!("404 page not found: {}", asked.path));
        }
        if asked.header("content-type") != "application/json" {
            return Err("Content-Type must be application/json".to_owned());
        }
        let body: Value = serde_json::from_slice(&asked.body).map_err(|error| error.to_string())?;
        let streams = body["streams"].as_array().ok_or("no streams")?;
        self.most_streams = self.most_streams.max(streams.len());
        let mut refusal = None;
        for stream in streams {
            let labels = stream["stream"].as_object().ok_or("no labels")?;
            check_labels(labels)?;
            let place = (asked.header("x-scope-orgid").to_owned(), stream["stream"].to_string());
            for value in stream["values"].as_array().ok_or("no values")? {
                let entry = entry(value)?;
                refusal = self.keep(&place, entry).or(refusal);
            }
        }
        Ok(refusal)
    }

    fn keep(&mut self, place: &(String, String), entry: Entry) -> Option<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        if u128::try_from(entry.0).unwrap() + OLDEST_NS < now {
            return Some(format!(
                "entry for stream '{}' has timestamp too old: {}",
                place.1, entry.0
            ));
        }
        let stream = self.streams.entry(place.clone()).or_default();
        let newest = stream.iter().map(|(time, ..)| *time).max().unwrap_or_default();
        if entry.0 + BEHIND_NS < newest {
            return Some(format!("entry too far behind, entry timestamp is: {}", entry.0));
        }
        if stream.iter().any(|(time, line, _)| (*time, line) == (entry.0, &entry.1)) {
            self.known += 1;
        } else {
            stream.push(entry);
        }
        None
    }
}

fn check_labels(labels: &Map<String, Value>) -> Result<(), String> {
    if labels.is_empty() {
        return Err("at least one label pair is required per stream".to_owned());
    }
    for (name, text) in labels {
        let fits = |char: char| char.is_ascii_alphanumeric() || char == '_';
        if !name.chars().all(fits) || name.starts_with(|char: char| char.is_ascii_digit()) {
            return Err(format!("invalid label name {name}"));
        }
        if text.as_str().is_none_or(|text| text.is_empty() || text.len() > 2048) {
            return Err(format!("invalid label value {text}"));
        }
    }
    Ok(())
}

/// Time as digits in a text, line as a text, and metadata, all texts.
fn entry(value: &Value) -> Result<Entry, String> {
    let parts = value.as_array().filter(|parts| (2..=3).contains(&parts.len()));
    let parts = parts.ok_or("an entry has two or three parts")?;
    let time = parts[0].as_str().ok_or("a time is a text")?;
    if time.len() < 19 || !time.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{time} is no time in nanoseconds"));
    }
    let line = parts[1].as_str().ok_or("a line is a text")?.to_owned();
    let metadata = match parts.get(2) {
        None => Map::new(),
        Some(Value::Object(metadata)) if metadata.values().all(Value::is_string) => {
            metadata.clone()
        }
        Some(_) => return Err("metadata are texts by name".to_owned()),
    };
    Ok((time.parse().map_err(|_| "no time")?, line, metadata))
}
