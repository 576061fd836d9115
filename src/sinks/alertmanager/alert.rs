//! A record as an alert, in the form of Alertmanager's API of version 2.

use crate::event::log::RecordRef;
use crate::event::time::write_rfc3339;
use indexmap::IndexMap;
use serde_json::{Map, Value as Json, json};

/// The state of a rule's alert, which says nothing of how severe it is.
const FIRING: &str = "firing";

/// The alert that a record of `threshold` tells of; of any other record, one with its message.
pub(super) fn alert(record: &RecordRef<'_>, added: &IndexMap<String, String>) -> Json {
    let text = |name: &str| match record.get(name)?.to_json() {
        Json::String(text) if !text.is_empty() => Some(text),
        _ => None,
    };
    let map = |name: &str| match record.get(name).map(|value| value.to_json()) {
        Some(Json::Object(map)) => map,
        _ => Map::new(),
    };
    let mut labels = Map::new();
    for (name, value) in map("labels") {
        match value {
            Json::String(value) if !value.is_empty() => {
                labels.insert(label_name(&name), value.into());
            }
            _ => {}
        }
    }
    // The name of a metric is no label of an alert.
    labels.remove("__name__");
    let mut or = |name: &str, value: String| {
        labels.entry(label_name(name)).or_insert_with(|| value.into());
    };
    let state = text("state").or_else(|| text("to"));
    if let Some(state) = state.filter(|state| state != FIRING) {
        or("severity", state);
    }
    or("alertname", text("check").unwrap_or_else(|| "driftless".to_owned()));
    for (name, value) in added.iter().filter(|(_, value)| !value.is_empty()) {
        or(name, value.clone());
    }
    if !record.batch().origin.host.is_empty() {
        or("host", record.batch().origin.host.to_string());
    }
    let mut annotations = map("annotations");
    if annotations.is_empty() {
        let message = String::from_utf8_lossy(record.message()).into_owned();
        annotations.insert("summary".to_owned(), text("message").unwrap_or(message).into());
    }
    let starts = text("since").unwrap_or_else(|| {
        let mut time = Vec::new();
        write_rfc3339(&mut time, record.time_ns());
        String::from_utf8_lossy(&time).into_owned()
    });
    let mut alert = json!({ "labels": labels, "annotations": annotations, "startsAt": starts });
    // Without an end it holds for as long as Alertmanager hears of it now and then.
    if let (Some(ended), Json::Object(alert)) = (text("ended"), &mut alert) {
        alert.insert("endsAt".to_owned(), ended.into());
    }
    alert
}

/// What no label's name can have becomes `_`.
fn label_name(name: &str) -> String {
    let part = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let name: String = name.chars().map(part).collect();
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}
