//! What the tasks that set one key of a structured file share: parameters, and the way from the
//! tree that is to a tree that differs in that key alone.

pub(super) mod json;
pub(super) mod toml;
pub(super) mod yaml;
mod yaml_text;
mod yaml_tree;

use super::edit::{Codec, Edited, File, check as check_edit};
use super::{Failure, Outcome, Task, TaskContext, file_attributes};
use crate::event::fault::Diagnostic;
use crate::event::tree::Node;
use crate::expr::value::{from_node, to_json};
use crate::host::machine::Machine;
use crate::host::machine::path::Follow;
use crate::sinks::apply::params::{Kind, Param, Params, Spec};
use serde_json::Value as Json;

/// What these tasks take.
pub(super) const SPEC: Spec = Spec {
    shared: &[file_attributes::PARAMS],
    ..Spec::new(&[
    Param::new("path", Kind::Path).or(&["dest"]).required().says("The file."),
    Param::new("key", Kind::Any).required().says(
        "Where the value is: names with dots between them, `server.tls.port`, or a list of names, \
         `[server, \"a.b\", port]`. In a list of the file a number is an item, counted from 0; the \
         number behind the last one adds an item. What is missing on the way is made.",
    ),
    Param::new("value", Kind::Any).says(
        "What is there: text, a number, a truth value, a list or a mapping. Of a mapping that is \
         there already only what differs is changed.",
    ),
    Param::new("state", Kind::OneOf(&["absent", "present"]))
        .says("Whether the key is there; `present` where not given."),
    Param::new("create", Kind::Bool).says("Make the file where it is missing; true where not given."),
    file_attributes::BACKUP,
    file_attributes::VALIDATE,
])};

/// How the files of one format are read and edited. Complaints name what in the file is in the way.
pub(super) struct Format {
    pub(super) name: &'static str,
    /// What a file without any key holds.
    pub(super) empty: &'static str,
    pub(super) read: fn(&str) -> Result<Json, String>,
    /// Gives a key a value that it has not; all but the last step may be missing, too.
    pub(super) set: fn(&str, &[String], &Json) -> Result<String, String>,
    /// Takes away a key that is there.
    pub(super) remove: fn(&str, &[String]) -> Result<String, String>,
}

/// A task that sets a key of a file of this format.
pub(super) fn task(params: Params, format: &'static Format) -> Box<dyn Task> {
    Box::new(Keys { params, format })
}

/// What can be said against the parameters as written.
pub(super) fn check(params: &Params) -> Vec<Diagnostic> {
    let mut complaints = check_edit(params, &[]);
    let mut complain = |why: String| complaints.push(Diagnostic::new(why, params.span.clone()));
    let present = params.text("state") != Some("absent");
    match (present, params.has("value")) {
        (true, false) => complain("`state: present` needs a `value`".into()),
        (false, true) => complain("`state: absent` takes no `value`".into()),
        _ => {}
    }
    let is_written = |node: &Node| node.scalar_text().is_none_or(|text| !text.contains("{{"));
    if let Some(Err(why)) = params.any("key").filter(|node| is_written(node)).map(steps) {
        complain(why);
    }
    complaints
}

/// The names on the way to the key.
fn steps(key: &Node) -> Result<Vec<String>, String> {
    let steps: Vec<String> = match key.as_list() {
        Some(items) => {
            let texts = items.iter().map(|item| item.scalar_text().map(str::to_owned));
            texts.collect::<Option<_>>().ok_or("the names in `key` are text")?
        }
        None => match key.scalar_text() {
            Some(text) => text.split('.').map(str::to_owned).collect(),
            None => {
                return Err(format!(
                    "`key` takes text or a list of names, and this is {}",
                    key.kind()
                ));
            }
        },
    };
    if steps.is_empty() || steps.iter().any(String::is_empty) {
        return Err("`key` holds an empty name".into());
    }
    Ok(steps)
}

struct Keys {
    params: Params,
    format: &'static Format,
}

impl Task for Keys {
    fn converge(&self, machine: &mut Machine, _: &TaskContext<'_>) -> Result<Outcome, Failure> {
        let params = &self.params;
        let file = match File::open(params, machine) {
            Ok(file) => file,
            Err(stop) => return stop.told(),
        };
        if !params.flag("create", true)
            && let Err(stop) = file.must_exist(machine, Some("`create: true` makes it"))
        {
            return stop.told();
        }
        let path = params.path("path").unwrap_or_default();
        let in_file = |why: String| Failure::new(format!("{}: {why}", path.display()));
        if file.codec != Codec::Utf8 {
            return Err(in_file("it is not UTF-8 text".into()));
        }
        let steps = match params.any("key").map(steps) {
            Some(steps) => steps.map_err(Failure::new)?,
            None => Vec::new(),
        };
        let present = params.text("state") != Some("absent");
        let wanted = params.any("value").filter(|_| present);
        let wanted = wanted.map(|node| to_json(&from_node(node)));
        let done = file.change(params, machine, &|text| {
            edit(self.format, text, &steps, wanted.as_ref()).map_err(in_file)
        })?;
        let is_silent = done.returned.get("msg").is_some_and(|said| said.as_str() == Some(""));
        let done = if is_silent { done.with("msg", "OK") } else { done };
        let done = done.with("path", path.display().to_string());
        file_attributes::returned(done, machine, &path, Follow::Yes)
    }
}

/// Gives the key at `steps` the value that is wanted, or takes it away; all else stays as it is, to
/// the byte. That the outcome is the tree that is meant is checked by reading it.
pub(super) fn edit(
    format: &Format,
    text: &str,
    steps: &[String],
    wanted: Option<&Json>,
) -> Result<Edited, String> {
    let unchanged = || Edited { text: text.to_owned(), done: String::new() };
    let is_blank = text.trim().is_empty();
    let tree = if is_blank { (format.read)(format.empty)? } else { (format.read)(text)? };
    let found = get(&tree, steps)?;
    if found == wanted {
        return Ok(unchanged());
    }
    let mut expected = tree.clone();
    let base = if is_blank { format.empty } else { text };
    let (new, done) = match wanted {
        Some(wanted) => {
            put(&mut expected, steps, wanted);
            let done = if found.is_some() { "key changed" } else { "key added" };
            (assign(format, base.to_owned(), found, steps, wanted)?, done)
        }
        None => {
            let parent = steps.split_last().map(|(_, way)| get(&tree, way)).transpose()?;
            if parent.flatten().is_some_and(Json::is_array) {
                return Err(
                    "the items behind one that goes would take its number, so that each run \
                            took another: set the list as a whole"
                        .into(),
                );
            }
            take(&mut expected, steps);
            ((format.remove)(base, steps)?, "key removed")
        }
    };
    if (format.read)(&new).is_ok_and(|new| new == expected) {
        return Ok(Edited { text: new, done: done.into() });
    }
    let (name, key) = (format.name, steps.join("."));
    Err(format!(
        "`{key}` cannot be edited safely in this {name}; write it differently there, or use `template`"
    ))
}

/// Sets a value; of a mapping over a mapping, or a list over a list, only what differs, so that
/// comments stay.
fn assign(
    format: &Format,
    mut text: String,
    found: Option<&Json>,
    steps: &[String],
    wanted: &Json,
) -> Result<String, String> {
    let below = |step: String| [steps, &[step]].concat();
    match (found, wanted) {
        (Some(Json::Object(old)), Json::Object(new)) if !old.is_empty() && !new.is_empty() => {
            for (name, value) in new {
                if old.get(name) != Some(value) {
                    text = assign(format, text, old.get(name), &below(name.clone()), value)?;
                }
            }
            for name in old.keys().filter(|name| !new.contains_key(*name)) {
                text = (format.remove)(&text, &below(name.clone()))?;
            }
            Ok(text)
        }
        (Some(Json::Array(old)), Json::Array(new)) if !old.is_empty() && !new.is_empty() => {
            for (at, value) in new.iter().enumerate() {
                if old.get(at) != Some(value) {
                    text = assign(format, text, old.get(at), &below(at.to_string()), value)?;
                }
            }
            for at in (new.len()..old.len()).rev() {
                text = (format.remove)(&text, &below(at.to_string()))?;
            }
            Ok(text)
        }
        _ => (format.set)(&text, steps, wanted),
    }
}

/// What is at `steps`; nothing where something on the way is missing or null.
fn get<'t>(tree: &'t Json, steps: &[String]) -> Result<Option<&'t Json>, String> {
    let mut here = tree;
    for (at, step) in steps.iter().enumerate() {
        let way =
            || if at == 0 { "the file".into() } else { format!("`{}`", steps[..at].join(".")) };
        let next = match here {
            Json::Object(map) => map.get(step),
            Json::Array(items) => match step.parse::<usize>() {
                Ok(index) if index <= items.len() => items.get(index),
                Ok(_) => {
                    let count = items.len();
                    return Err(format!(
                        "{} is a list of {count} items, and has no item {step}",
                        way()
                    ));
                }
                Err(_) => {
                    return Err(format!(
                        "{} is a list, and `{step}` is not the number of an item",
                        way()
                    ));
                }
            },
            Json::Null => None,
            other => {
                return Err(format!("{} is {}, and a mapping is expected", way(), kind(other)));
            }
        };
        match next {
            Some(next) => here = next,
            None => return Ok(None),
        }
    }
    Ok(Some(here))
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a truth value",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "a mapping",
    }
}

/// Sets what is at `steps`; that it can be has been found out by [`get`].
fn put(tree: &mut Json, steps: &[String], value: &Json) {
    let Some((step, rest)) = steps.split_first() else {
        *tree = value.clone();
        return;
    };
    if let Json::Array(items) = tree {
        let index = step.parse().unwrap_or(items.len());
        if index >= items.len() {
            items.push(Json::Null);
        }
        put(&mut items[index], rest, value);
        return;
    }
    if !tree.is_object() {
        *tree = Json::Object(serde_json::Map::new());
    }
    if let Json::Object(map) = tree {
        put(map.entry(step.clone()).or_insert(Json::Null), rest, value);
    }
}

/// Takes away what is at `steps`.
fn take(tree: &mut Json, steps: &[String]) {
    let Some((last, way)) = steps.split_last() else { return };
    let parent = way.iter().try_fold(tree, |here, step| match here {
        Json::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        here => here.get_mut(step),
    });
    match (parent, last.parse::<usize>()) {
        (Some(Json::Array(items)), Ok(index)) if index < items.len() => drop(items.remove(index)),
        (Some(Json::Object(map)), _) => drop(map.shift_remove(last)),
        _ => {}
    }
}

/// `value` inside mappings of the names `steps`.
fn wrapped(steps: &[String], value: &Json) -> Json {
    steps.iter().rev().fold(value.clone(), |value, step| {
        Json::Object([(step.clone(), value)].into_iter().collect())
    })
}

/// The white space that the line of byte `at` begins with.
fn indent_of(text: &str, at: usize) -> &str {
    let line = &text[line_start(text, at)..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Where the line of byte `at` begins.
fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// Where the line of byte `at` ends, its line end included.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end + 1)
}

/// What ends the lines of a text.
fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

#[cfg(test)]
mod tests;
