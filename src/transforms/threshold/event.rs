//! What is said of checks and rules, as log records.

use super::check::Check;
use super::series::{Change, Standing, State};
use crate::event::log::{FieldWriter, LogBatch, Origin, Value, Verdict};
use crate::event::time::write_rfc3339;
use crate::expr::promql::Labels;
use bytes::Bytes;
use serde_json::{Map, Value as Json};
use std::sync::Arc;

/// What is said of a series.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) kind: Kind,
    /// The check's or rule's name.
    pub(super) check: String,
    pub(super) series: Labels,
    pub(super) value: Option<f64>,
    pub(super) threshold: Option<f64>,
    /// When the state before a change began, or the one that stands; in milliseconds since the
    /// epoch.
    pub(super) since_ms: i64,
    /// Labels beside those of the series, which they outweigh.
    pub(super) labels: Vec<(String, String)>,
    pub(super) annotations: Vec<(String, String)>,
    pub(super) message: String,
}

/// What kind of news it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A state gave way to another.
    Transition { from: &'static str, to: &'static str, is_flapping: bool },
    /// A bad state stands, or has ended a while ago, in milliseconds since the epoch.
    Standing { state: &'static str, ended_ms: Option<i64> },
}

/// The events as records, if there are any.
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
        text.push_str(&event.message.replace('\n', " "));
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
    /// A change of a check's series.
    pub(super) fn change(check: &Check, series: Labels, change: &Change) -> Self {
        let Change { from, to, value, threshold, since_ms, is_flapping } = *change;
        let kind = Kind::Transition { from: from.name(), to: to.name(), is_flapping };
        let mut message = told(check, &series, to, value, threshold);
        if is_flapping {
            message.push_str("; it changes all the time, and is held");
        }
        let labels = check.labels();
        let (check, annotations) = (check.name.clone(), Vec::new());
        Self { kind, check, series, value, threshold, since_ms, labels, annotations, message }
    }

    /// How a check's series is.
    pub(super) fn standing(check: &Check, series: Labels, standing: &Standing) -> Self {
        let Standing { state, since_ms, ended_ms, value } = *standing;
        let kind = Kind::Standing { state: state.name(), ended_ms };
        let message = told(check, &series, state, value, None);
        let (labels, annotations) = (check.labels(), Vec::new());
        let (check, threshold) = (check.name.clone(), None);
        Self { kind, check, series, value, threshold, since_ms, labels, annotations, message }
    }

    fn write(&self, writer: &mut FieldWriter<'_>) {
        let number = |number: &Option<f64>| number.map_or(Value::Null, Value::Float);
        let time = |ms: i64| {
            let mut text = Vec::new();
            write_rfc3339(&mut text, ms.saturating_mul(1_000_000));
            text
        };
        let kind = match self.kind {
            Kind::Transition { .. } => "check.transition",
            Kind::Standing { .. } => "check.standing",
        };
        writer.push_text("type", kind.as_bytes());
        writer.push_text("check", self.check.as_bytes());
        writer.push_text("series", self.series.to_string().as_bytes());
        match self.kind {
            Kind::Transition { from, to, .. } => {
                writer.push_text("from", from.as_bytes());
                writer.push_text("to", to.as_bytes());
            }
            Kind::Standing { state, .. } => writer.push_text("state", state.as_bytes()),
        }
        writer.push("value", number(&self.value));
        writer.push("threshold", number(&self.threshold));
        writer.push_text("since", &time(self.since_ms));
        match self.kind {
            Kind::Transition { is_flapping, .. } => {
                writer.push("flapping", Value::Bool(is_flapping));
            }
            Kind::Standing { ended_ms: Some(ended_ms), .. } => {
                writer.push_text("ended", &time(ended_ms));
            }
            Kind::Standing { .. } => writer.push("ended", Value::Null),
        }
        let mut labels = self.series.clone();
        self.labels.iter().for_each(|(name, value)| labels.set(name, value));
        writer.push_json("labels", object(labels.iter()).as_bytes());
        if !self.annotations.is_empty() {
            let annotations = self.annotations.iter().map(|(name, text)| (&**name, &**text));
            writer.push_json("annotations", object(annotations).as_bytes());
        }
    }
}

fn object<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = pairs.map(|(name, value)| (name.to_owned(), Json::from(value)));
    Json::Object(pairs.collect::<Map<_, _>>()).to_string()
}

fn told(
    check: &Check,
    series: &Labels,
    state: State,
    value: Option<f64>,
    threshold: Option<f64>,
) -> String {
    let mut message = check.name.clone();
    if series.iter().next().is_some() {
        message.push_str(&format!(" {series}"));
    }
    message.push_str(&format!(" is {}", state.name()));
    message.push_str(&match (value, threshold) {
        (Some(value), Some(threshold)) => format!(": {value}, threshold {threshold}"),
        (Some(value), None) => format!(": {value}"),
        (None, _) if state == State::Ok => ": there is data".to_owned(),
        (None, _) => ": there is no data".to_owned(),
    });
    message
}
