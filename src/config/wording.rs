//! Puts a component's complaints into the words of the file that it was written in: a lowered
//! source has keys that the component itself does not know, and short names for others.

use super::lower::{ALIASES, COMMON_KEYS, Form, Role, STEPS, Written, main_setting};
use crate::event::fault::{Diagnostic, nearest};
use crate::{sinks, sources, transforms};
use schemars::SchemaGenerator;

/// A longer list of keys hides the point.
const MOST_KEYS: usize = 16;

/// The component's complaints in the file's words.
pub(super) fn reworded(
    complaints: Vec<Diagnostic>,
    written: &Written,
    type_name: &str,
) -> Vec<Diagnostic> {
    let mut complaints: Vec<_> =
        complaints.into_iter().map(|it| in_words_of(written, it, type_name)).collect();
    // A key that is only misspelt is not missing too.
    let meant: Vec<String> = complaints.iter().filter_map(|it| it.hint.clone()).collect();
    complaints.retain(|it| match it.message.split_once(" lacks the key ") {
        Some((_, key)) => !meant.contains(&did_you_mean(key)),
        None => true,
    });
    complaints
}

/// Whether one of the complaints is that `inputs` is misspelt.
pub(super) fn misspells_inputs(complaints: &[Diagnostic]) -> bool {
    let hint = did_you_mean("`inputs`");
    complaints.iter().any(|it| it.hint.as_ref() == Some(&hint))
}

fn did_you_mean(quoted: &str) -> String {
    format!("did you mean {quoted}?")
}

fn in_words_of(written: &Written, mut complaint: Diagnostic, type_name: &str) -> Diagnostic {
    if let Some(key) = unknown_key(&complaint, written) {
        complaint.hint = Some(suggestion(&key, written, type_name));
    }
    let renamed = match written.form {
        Form::Plain => &[][..],
        Form::LogSource => &ALIASES[..],
        Form::ShortStep(step) => &[(step, main_setting(step))][..],
    };
    for (short, name) in renamed {
        complaint.message = complaint.message.replace(&format!("`{name}`"), &format!("`{short}`"));
    }
    complaint
}

/// The unknown key that the complaint is about, if it is one of the component's own level.
fn unknown_key(complaint: &Diagnostic, written: &Written) -> Option<String> {
    let key = complaint.message.strip_prefix("unknown key `")?.split('`').next()?;
    let entries = written.node.as_map()?;
    let is_own = entries.iter().any(|(it, _)| &*it.name == key && it.span == complaint.span);
    is_own.then(|| key.to_owned())
}

fn suggestion(key: &str, written: &Written, type_name: &str) -> String {
    let keys = keys(written, type_name);
    match nearest(key, keys.iter().map(String::as_str)) {
        Some(near) => did_you_mean(&format!("`{near}`")),
        None => {
            let shown: Vec<_> = keys.iter().take(MOST_KEYS).map(|key| format!("`{key}`")).collect();
            let more = if keys.len() > MOST_KEYS { ", and more" } else { "" };
            format!("the keys here are {}{more}", shown.join(", "))
        }
    }
}

/// All keys that may stand where the component is written, those of its own first.
fn keys(written: &Written, type_name: &str) -> Vec<String> {
    let mut generator = SchemaGenerator::default();
    let schema = match written.role {
        Role::Source => sources::schema(type_name, &mut generator),
        Role::Transform => transforms::schema(type_name, &mut generator),
        Role::Sink => sinks::schema(type_name, &mut generator),
    };
    let properties = schema.as_ref().and_then(|schema| schema.get("properties")?.as_object());
    let own = properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str));
    let mut keys: Vec<String> = match written.form {
        Form::Plain | Form::ShortStep(_) => own.map(str::to_owned).collect(),
        Form::LogSource => {
            let short = |key: &str| ALIASES.iter().find(|(_, name)| *name == key).map(|it| it.0);
            let own = own.map(|key| short(key).unwrap_or(key));
            own.chain(STEPS).map(str::to_owned).collect()
        }
    };
    keys.push("type".into());
    if written.role != Role::Source {
        keys.push("inputs".into());
        keys.push("buffer".into());
    }
    keys.extend(COMMON_KEYS.map(str::to_owned));
    keys
}
