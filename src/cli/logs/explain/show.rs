//! The explanation, for people and for machines.

use super::seen::{Doing, Explanation, Stage};
use crate::cli::found::Found;
use crate::cli::report::printable;
use crate::event::time::write_rfc3339;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// More of a body than this does not help anybody.
const LONGEST_BODY: usize = 4096;

/// As text.
pub(super) fn text(explained: &Explanation) -> String {
    let mut out = String::new();
    let Explanation { path, begin, end, source, .. } = explained;
    // Writing to a string cannot fail, so `ok` says all there is to say.
    writeln!(out, "{}, bytes {begin} to {end}, read by `{source}`:", printable(path)).ok();
    for found in &explained.record {
        whole(found, &mut out);
    }
    for note in &explained.notes {
        writeln!(out, "  note: {note}").ok();
    }
    let mut at_the_end = false;
    for stage in &explained.stages {
        if stage.at_the_end && !at_the_end {
            at_the_end = true;
            writeln!(out, "\nWhen nothing more comes:").ok();
        }
        self::stage(stage, &mut out);
    }
    let sinks = explained.sinks();
    match sinks.as_slice() {
        [] => writeln!(out, "\nNo sink gets it.").ok(),
        sinks => writeln!(out, "\nIt goes to: {}", sinks.join(", ")).ok(),
    };
    let mut named = Vec::new();
    for stage in explained.stages.iter().filter(|stage| stage.remembers) {
        if !named.contains(&&stage.name) {
            named.push(&stage.name);
            let name = &stage.name;
            writeln!(
                out,
                "note: `{name}` ({}) goes by other records too, of which it saw none here",
                stage.type_name
            )
            .ok();
        }
    }
    out
}

fn stage(stage: &Stage, out: &mut String) {
    let from = stage.from.as_ref().map(|from| format!("  ← {from}")).unwrap_or_default();
    writeln!(out, "\n{} ({}){from}", stage.name, stage.type_name).ok();
    match &stage.doing {
        Doing::Sink { parts: Err(fault) } => {
            writeln!(out, "  cannot take it: {}", printable(fault)).ok();
        }
        Doing::Sink { parts: Ok(parts) } => {
            for (key, body) in parts {
                if !key.is_empty() {
                    writeln!(out, "  into {}", printable(key)).ok();
                }
                let shown = &body[..body.len().min(LONGEST_BODY)];
                for line in String::from_utf8_lossy(shown).lines() {
                    writeln!(out, "    {}", printable(line)).ok();
                }
                if shown.len() < body.len() {
                    writeln!(out, "    … {} bytes in all", body.len()).ok();
                }
            }
        }
        Doing::Transform { given, errors, dropped, why } => {
            if given.is_empty() {
                let held = if stage.remembers { "gives nothing on at once" } else { "left out" };
                let place = stage.place.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
                match why.as_slice() {
                    [] => writeln!(out, "  {held}{place}").ok(),
                    why => writeln!(out, "  {held}: {}{place}", printable(&why.join("; "))).ok(),
                };
            }
            for (output, records) in given {
                if !output.is_empty() {
                    writeln!(out, "  → {}.{output}", stage.name).ok();
                }
                match (stage.taken.as_slice(), records.as_slice()) {
                    ([before], [after]) => changes(before, after, out),
                    (_, records) => records.iter().for_each(|found| whole(found, out)),
                }
            }
            if *errors > 0 {
                writeln!(out, "  counted as an error").ok();
            }
            for (why, _) in dropped {
                writeln!(out, "  dropped ({why})").ok();
            }
        }
    }
}

/// All fields of a record.
fn whole(found: &Found, out: &mut String) {
    for (name, value) in &found.fields {
        writeln!(out, "    {}", printable(&format!("{name}: {value}"))).ok();
    }
}

/// What became of the fields of a record.
fn changes(before: &Found, after: &Found, out: &mut String) {
    let mut lines = Vec::new();
    for (name, value) in &before.fields {
        match after.fields.get(name) {
            Some(new) if new == value => {}
            Some(new) => lines.push(format!("~ {name}: {value} → {new}")),
            None => lines.push(format!("- {name}")),
        }
    }
    let new = after.fields.iter().filter(|(name, _)| !before.fields.contains_key(*name));
    lines.extend(new.map(|(name, value)| format!("+ {name}: {value}")));
    if before.time_ns != after.time_ns {
        lines.push(format!("time: {}", time(after.time_ns)));
    }
    if lines.is_empty() {
        lines.push("passes as it is".to_owned());
    }
    for line in lines {
        writeln!(out, "  {}", printable(&line)).ok();
    }
}

fn time(time_ns: i64) -> String {
    let mut text = Vec::new();
    write_rfc3339(&mut text, time_ns);
    String::from_utf8_lossy(&text).into_owned()
}

/// As one JSON list, with an entry for each source that reads the file.
pub(super) fn json(all: &[Explanation]) -> String {
    let all = all.iter().map(|explained| {
        let Explanation { path, begin, end, source, notes, record, stages } = explained;
        let stages: Vec<Value> = stages.iter().map(json_stage).collect();
        json!({
            "path": path,
            "begin": begin,
            "end": end,
            "source": source,
            "notes": notes,
            "record": json_records(record).first(),
            "steps": stages,
            "sinks": explained.sinks(),
        })
    });
    format!("{:#}\n", Value::Array(all.collect()))
}

fn json_stage(stage: &Stage) -> Value {
    let mut shown = json!({"component": stage.name, "type": stage.type_name});
    if let Some(place) = &stage.place {
        shown["place"] = place.as_str().into();
    }
    if let Some(from) = &stage.from {
        shown["from"] = from.as_str().into();
    }
    shown["at_the_end"] = stage.at_the_end.into();
    shown["depends_on_others"] = stage.remembers.into();
    shown["in"] = json_records(&stage.taken).into();
    match &stage.doing {
        Doing::Sink { parts: Ok(parts) } => {
            let parts = parts
                .iter()
                .map(|(key, body)| json!({"key": key, "body": String::from_utf8_lossy(body)}));
            shown["requests"] = parts.collect();
        }
        Doing::Sink { parts: Err(fault) } => shown["fault"] = fault.as_str().into(),
        Doing::Transform { given, errors, dropped, why } => {
            let given = given.iter().map(
                |(output, records)| json!({"output": output, "records": json_records(records)}),
            );
            shown["out"] = given.collect();
            shown["errors"] = (*errors).into();
            let dropped =
                dropped.iter().map(|(why, count)| json!({"reason": why, "records": count}));
            shown["dropped"] = dropped.collect();
            shown["why"] = why.clone().into();
        }
    }
    shown
}

fn json_records(records: &[Found]) -> Vec<Value> {
    let shown =
        records.iter().map(|found| json!({"time": time(found.time_ns), "fields": found.fields}));
    shown.collect()
}
