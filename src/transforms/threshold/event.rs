//! Changes of state as log records.

use super::check::Check;
use super::series::{Change, State};
use crate::event::log::{FieldWriter, LogBatch, Origin, Value, Verdict};
use crate::event::time::write_rfc3339;
use crate::expr::promql::Labels;
use bytes::Bytes;
use serde_json::{Map, Value as Json};
use std::sync::Arc;

/// A change of the state of a check's series.
pub(super) struct Event {
    pub(super) check: Check,
    pub(super) labels: Labels,
    pub(super) change: Change,
}

/// The changes as records, if there are any.
pub(super) fn records(
    events: &[Event],
    at_ms: i64,
    source: &Arc<str>,
    host: &Arc<str>,
) -> Option<LogBatch> {
    if events.is_empty() {
        return None;
    }
    let at_ns = at_ms.saturating_mul(1_000_000);
    let mut text = String::new();
    for event in events {
        // A record is a line.
        text.push_str(&event.message().replace('\n', " "));
        text.push('\n');
    }
    let origin =
        Origin { source: Arc::clone(source), host: Arc::clone(host), path: None, content: 0 };
    let mut batch = LogBatch::from_lines(&Bytes::from(text), Arc::new(origin), 0, at_ns);
    let mut events = events.iter();
    batch.rewrite(|record, writer| {
        let Some(event) = events.next() else { return Verdict::Keep };
        writer.push_text("message", record.message());
        event.write(writer);
        writer.set_time_ns(at_ns);
        Verdict::Touched
    });
    Some(batch)
}

impl Event {
    fn message(&self) -> String {
        let Change { to, value, threshold, is_flapping, .. } = &self.change;
        let mut message = self.check.name.clone();
        if self.labels.iter().next().is_some() {
            message.push_str(&format!(" {}", self.labels));
        }
        message.push_str(&format!(" is {}", to.name()));
        message.push_str(&match (value, threshold) {
            (Some(value), Some(threshold)) => format!(": {value}, threshold {threshold}"),
            (Some(value), None) => format!(": {value}"),
            (None, _) if *to == State::Ok => ": there is data".to_owned(),
            (None, _) => ": there is no data".to_owned(),
        });
        if *is_flapping {
            message.push_str("; it changes all the time, and is held");
        }
        message
    }

    fn write(&self, writer: &mut FieldWriter<'_>) {
        let Change { from, to, value, threshold, since_ms, is_flapping } = &self.change;
        writer.push_text("type", b"check.transition");
        writer.push_text("check", self.check.name.as_bytes());
        writer.push_text("series", self.labels.to_string().as_bytes());
        writer.push_text("from", from.name().as_bytes());
        writer.push_text("to", to.name().as_bytes());
        let number = |number: &Option<f64>| number.map_or(Value::Null, Value::Float);
        writer.push("value", number(value));
        writer.push("threshold", number(threshold));
        let mut since = Vec::new();
        write_rfc3339(&mut since, since_ms.saturating_mul(1_000_000));
        writer.push_text("since", &since);
        writer.push("flapping", Value::Bool(*is_flapping));
        let own = self.labels.iter();
        let given = self.check.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let labels: Map<String, Json> =
            own.chain(given).map(|(name, value)| (name.to_owned(), value.into())).collect();
        writer.push_json("labels", Json::Object(labels).to_string().as_bytes());
    }
}
