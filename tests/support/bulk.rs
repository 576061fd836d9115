//! A bulk API that takes nothing that Elasticsearch would not: every action with its document, ids
//! once, data streams by `create` alone, and a result for each document.

use crate::stub::{Answer, Asked, Manners, Stub};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// What a server has, and how it behaves; clones are the same server.
#[derive(Clone, Default)]
pub(crate) struct Cluster {
    pub(crate) manners: Arc<Mutex<Manners>>,
    store: Arc<Mutex<Store>>,
}

#[derive(Default)]
struct Store {
    /// By index and id.
    documents: BTreeMap<(String, String), Value>,
    /// Ids that were sent though they were there.
    known: usize,
    /// What no server would take, in its words.
    violations: Vec<String>,
    /// Every document is refused with 429 when it first comes, if its number is such.
    busy: Option<fn(&Value) -> bool>,
    seen: BTreeSet<String>,
    queries: BTreeSet<String>,
    largest: usize,
    wire_bytes: usize,
    given: u64,
}

impl Cluster {
    /// Listens at `address`, or on any free port.
    pub(crate) fn listen(&self, address: Option<SocketAddr>) -> Stub {
        let cluster = self.clone();
        Stub::start(address, &self.manners, move |asked| cluster.receive(asked))
    }

    /// Documents for which this holds are refused once, as by a server whose queue is full.
    pub(crate) fn is_busy_for(&self, documents: fn(&Value) -> bool) {
        self.store.lock().unwrap().busy = Some(documents);
    }

    /// All documents, by index and id.
    pub(crate) fn documents(&self) -> BTreeMap<(String, String), Value> {
        let store = self.store.lock().unwrap();
        assert_eq!(store.violations, Vec::<String>::new());
        store.documents.clone()
    }

    /// The messages of all documents.
    pub(crate) fn messages(&self) -> Vec<String> {
        let text = |document: &Value| document["message"].as_str().unwrap_or_default().to_owned();
        self.documents().values().map(text).collect()
    }

    /// How many documents came that were there already.
    pub(crate) fn known(&self) -> usize {
        self.store.lock().unwrap().known
    }

    /// Queries of the requests, without repetition.
    pub(crate) fn queries(&self) -> Vec<String> {
        self.store.lock().unwrap().queries.iter().cloned().collect()
    }

    /// Bytes in the largest body, and those of all as they came.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        let store = self.store.lock().unwrap();
        (store.largest, store.wire_bytes)
    }

    fn receive(&self, asked: &Asked) -> Answer {
        if (asked.method.as_str(), asked.path.as_str()) == ("HEAD", "/") {
            return (200, String::new());
        }
        let mut store = self.store.lock().unwrap();
        match store.bulk(asked) {
            Ok(items) => {
                let failed = |item: &Value| {
                    item.as_object().unwrap().values().any(|result| result.get("error").is_some())
                };
                let errors = items.iter().any(failed);
                (200, json!({ "took": 1, "errors": errors, "items": items }).to_string())
            }
            Err(reason) => {
                store.violations.push(reason.clone());
                let error = json!({ "type": "illegal_argument_exception", "reason": reason });
                (400, json!({ "error": error, "status": 400 }).to_string())
            }
        }
    }
}

impl Store {
    /// The results for each document; an error is what is wrong with the request as a whole.
    fn bulk(&mut self, asked: &Asked) -> Result<Vec<Value>, String> {
        let Asked { method, path, query, body, .. } = asked;
        if method != "POST" || path != "/_bulk" {
            return Err(format!("no handler found for {method} {path}"));
        }
        if asked.header("content-type") != "application/x-ndjson" {
            return Err("Content-Type header is not supported".to_owned());
        }
        self.largest = self.largest.max(body.len());
        self.wire_bytes += asked.wire_bytes;
        self.queries.insert(query.clone());
        let text = std::str::from_utf8(body).map_err(|_| "Invalid UTF-8")?;
        let lines = text
            .strip_suffix('\n')
            .ok_or("The bulk request must be terminated by a newline [\\n]")?;
        let mut lines = lines.split('\n');
        let mut items = Vec::new();
        while let Some(line) = lines.next() {
            let (action, meta) = action(line)?;
            let document = lines.next().ok_or("an action without a document")?;
            let result = self.take(&action, &meta, document);
            let mut item = Map::new();
            item.insert(action, result);
            items.push(Value::Object(item));
        }
        Ok(items)
    }

    fn take(&mut self, action: &str, meta: &Meta, document: &str) -> Value {
        let refused = |status: u16, kind: &str, reason: &str| json!({ "status": status, "error": { "type": kind, "reason": reason } });
        let Ok(document @ Value::Object(_)) = serde_json::from_str::<Value>(document) else {
            return refused(400, "document_parsing_exception", "failed to parse");
        };
        let is_stream = meta.index.starts_with("logs-");
        if is_stream && action != "create" {
            let reason = "only write ops with an op_type of create are allowed in data streams";
            return refused(400, "illegal_argument_exception", reason);
        }
        if is_stream && document.get("@timestamp").is_none() {
            let reason = "data stream timestamp field [@timestamp] is missing";
            return refused(400, "illegal_argument_exception", reason);
        }
        if document.get("n").is_some_and(|n| !n.is_number()) {
            let cause = json!({
                "type": "document_parsing_exception",
                "reason": "failed to parse field [n] of type [long]",
                "caused_by": { "type": "number_format_exception", "reason": "For input string" },
            });
            return json!({ "status": 400, "error": cause });
        }
        if self.busy.is_some_and(|busy| busy(&document)) && self.seen.insert(document.to_string()) {
            return refused(429, "es_rejected_execution_exception", "rejected execution");
        }
        let id = meta.id.clone().unwrap_or_else(|| {
            self.given += 1;
            format!("given-{}", self.given)
        });
        let place = (meta.index.clone(), id);
        let known = self.documents.contains_key(&place);
        if known {
            self.known += 1;
        }
        if known && action == "create" {
            let reason = "version conflict, document already exists";
            return refused(409, "version_conflict_engine_exception", reason);
        }
        self.documents.insert(place, document);
        json!({ "status": if known { 200 } else { 201 } })
    }
}

/// What an action says of its document.
struct Meta {
    index: String,
    id: Option<String>,
}

fn action(line: &str) -> Result<(String, Meta), String> {
    let malformed = || format!("Malformed action/metadata line: {line}");
    let action: Map<String, Value> = serde_json::from_str(line).map_err(|_| malformed())?;
    let mut entries = action.into_iter();
    let (Some((name, Value::Object(meta))), None) = (entries.next(), entries.next()) else {
        return Err(malformed());
    };
    if name != "create" && name != "index" {
        return Err(format!("{}, unexpected [{name}]", malformed()));
    }
    for key in meta.keys() {
        if !["_index", "_id", "routing"].contains(&key.as_str()) {
            return Err(format!("Action/metadata line contains an unknown parameter [{key}]"));
        }
    }
    let text = |key: &str| meta.get(key).map(|value| value.as_str().unwrap_or_default().to_owned());
    let index = text("_index").ok_or("index is missing")?;
    let refused = |char: char| char.is_uppercase() || " \\/*?\"<>|,#:".contains(char);
    if index.is_empty()
        || index.len() > 255
        || index.contains(refused)
        || index.starts_with(['-', '_', '+'])
    {
        return Err(format!("Invalid index name [{index}]"));
    }
    let id = text("_id");
    if id.as_ref().is_some_and(|id| id.is_empty() || id.len() > 512) {
        return Err("an id is from 1 to 512 bytes".to_owned());
    }
    Ok((name, Meta { index, id }))
}
