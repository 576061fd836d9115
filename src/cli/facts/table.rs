//! Facts as a table: one line a value, its dotted path in front.

use serde_json::Value;
use std::fmt::Write;

/// Paths that are longer do not move the values of all others.
const WIDEST_PATH: usize = 40;

/// Draws the entries of a mapping.
pub(super) fn draw(facts: &Value) -> String {
    let mut rows = Vec::new();
    flatten(String::new(), facts, &mut rows);
    let width = |(path, _): &(String, String)| path.chars().count();
    let widest = rows.iter().map(width).filter(|width| *width <= WIDEST_PATH).max().unwrap_or(0);
    let mut out = String::new();
    for (path, value) in &rows {
        // Writing to a string cannot fail, so `ok` says all there is to say.
        writeln!(out, "{path:widest$}  {value}").ok();
    }
    out
}

fn flatten(path: String, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (name, value) in entries {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(format!("{path}{dot}{}", shown(name)), value, rows);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (at, item) in items.iter().enumerate() {
                flatten(format!("{path}.{at}"), item, rows);
            }
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(scalar).collect();
            rows.push((path, or_dash(items.join(", "))));
        }
        value => rows.push((path, or_dash(scalar(value)))),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text),
        Value::Null | Value::Object(_) | Value::Array(_) => String::new(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

/// The text without what could move a terminal's cursor: names of users and mounts are not ours.
fn shown(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_value_has_a_line_and_the_values_stand_below_each_other() {
        let facts = json!({
            "os": {"family": "debian", "codename": null},
            "cpu": {"count": 2, "flags": ["fpu", "vme"]},
            "groups": {},
        });
        let expected = "os.family    debian\n\
                        os.codename  -\n\
                        cpu.count    2\n\
                        cpu.flags    fpu, vme\n\
                        groups       -\n";
        assert_eq!(draw(&facts), expected);
    }

    #[test]
    fn what_a_host_says_cannot_steer_the_terminal() {
        assert_eq!(draw(&json!({"a\u{1b}[2J": "b\nc"})), "a\u{fffd}[2J  b\u{fffd}c\n");
    }
}
