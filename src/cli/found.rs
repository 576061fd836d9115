//! Records that came out of a trial, in a form that can be compared and shown.

use crate::event::Batch;
use crate::event::encode::{Encoder, Encoding, Extra};
use crate::event::log::{Kept, KeptRecord, LogBatch, RecordRef};
use crate::event::metric::MetricBatch;
use crate::topology::graph::Port;
use crate::topology::trial::{Cause, Step};
use serde_json::{Map, Value};
use std::sync::Arc;

/// One record.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Its line, where the record still is that.
    pub(super) line: Option<String>,
    pub(super) fields: Map<String, Value>,
    pub(super) time_ns: i64,
}

/// All that came out at one place.
#[derive(Default)]
pub(super) struct Arrived {
    pub(super) records: Vec<Found>,
    /// The same for conditions, which are about batches.
    pub(super) batches: Vec<LogBatch>,
}

impl Arrived {
    /// What the steps of a trial gave at `port`, or to it if it is a sink.
    pub(super) fn at(port: &Port, steps: &[Step], is_sink: bool) -> Self {
        let mut arrived = Self::default();
        for step in steps.iter().filter(|step| step.node == port.node) {
            if is_sink {
                if let Cause::Batch(batch) = &step.cause {
                    arrived.add(batch);
                }
                continue;
            }
            for (_, batch) in step.emitted.iter().filter(|(output, _)| *output == port.output) {
                arrived.add(batch);
            }
        }
        arrived
    }

    fn add(&mut self, batch: &Batch) {
        self.records.extend(of_batch(batch));
        match batch {
            Batch::Logs(logs) => self.batches.push(logs.clone()),
            Batch::Metrics(metrics) => {
                self.batches.extend(objects(metrics).iter().map(as_record));
            }
            Batch::Tasks(_) => {}
        }
    }
}

/// The records of a batch; each sample of metrics is one. A desired state has none.
pub(super) fn of_batch(batch: &Batch) -> Vec<Found> {
    match batch {
        Batch::Logs(logs) => logs.records().map(|record| Found::of(&record)).collect(),
        Batch::Metrics(metrics) => {
            let found = |fields| Found { line: None, fields, time_ns: 0 };
            objects(metrics).into_iter().map(found).collect()
        }
        Batch::Tasks(_) => Vec::new(),
    }
}

impl Found {
    fn of(record: &RecordRef<'_>) -> Self {
        let fields: Map<String, Value> =
            record.fields().map(|(name, value)| (name.to_owned(), value.to_json())).collect();
        let line = match fields.get("message") {
            _ if record.is_untouched() => {
                Some(String::from_utf8_lossy(record.message()).into_owned())
            }
            Some(Value::String(text)) if fields.len() == 1 => Some(text.clone()),
            _ => None,
        };
        Self { line, fields, time_ns: record.time_ns() }
    }

    /// As one short text.
    pub(super) fn shown(&self) -> String {
        let is_line = self.fields.len() == 1 && self.fields.contains_key("message");
        match &self.line {
            Some(line) if is_line => Value::from(line.as_str()).to_string(),
            _ => Value::Object(self.fields.clone()).to_string(),
        }
    }
}

/// Each sample as the object that JSON has for it.
fn objects(metrics: &MetricBatch) -> Vec<Map<String, Value>> {
    let mut text = Vec::new();
    Encoder::new(&Encoding::Ndjson, Extra::Nothing).encode_metrics(metrics, &mut text);
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// The object as a record, so that conditions can be about it.
fn as_record(fields: &Map<String, Value>) -> LogBatch {
    let kept = |value: &Value| match value {
        Value::String(text) => Kept::Text(text.as_bytes().to_vec()),
        other => Kept::Json(other.to_string().into_bytes()),
    };
    let fields = fields.iter().map(|(name, value)| (name.as_str().into(), kept(value)));
    let (origin, fields) = (Arc::default(), fields.collect());
    KeptRecord { origin, offset: 0, time_ns: 0, fields }.into_batch()
}
