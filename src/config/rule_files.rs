//! Reads Prometheus's rule files into the settings of the `threshold` transform that names them, so
//! that what is wrong in one is told with its place, and a reload sees what is new in it.

use super::read::{Dialect, Format, read_source, read_text};
use crate::event::fault::Diagnostic;
use crate::event::tree::{Node, Span, Value};
use globset::GlobBuilder;
use std::path::{Path, PathBuf};

/// Adds the groups of the files that `rule_files` names to `groups`.
pub(super) fn take_in(node: &mut Node, complaints: &mut Vec<Diagnostic>) {
    let mut groups = Vec::new();
    for (path, span) in files(node, complaints) {
        match groups_of(&path) {
            Ok(more) => groups.extend(more),
            Err(more) => complaints.extend(more.into_iter().map(|mut it| {
                it.span = it.span.or_else(|| span.clone());
                it
            })),
        }
    }
    if groups.is_empty() {
        return;
    }
    let Value::Map(entries) = &mut node.value else { return };
    match entries.iter_mut().find(|(key, _)| &*key.name == "groups") {
        Some((_, Node { value: Value::List(own), .. })) => own.extend(groups),
        // What it is instead is told when the settings are read.
        Some(_) => {}
        None => entries.push(("groups".into(), Node::new(Value::List(groups)))),
    }
}

/// The files that are named, with where. What is no text is left to who reads the settings.
fn files(node: &Node, complaints: &mut Vec<Diagnostic>) -> Vec<(PathBuf, Option<Span>)> {
    let mut files = Vec::new();
    for named in node.get("rule_files").and_then(Node::as_list).unwrap_or_default() {
        let Some(name) = named.as_str() else { continue };
        let place = named.span.as_ref().and_then(|span| span.file.path.parent());
        let path = place.map_or_else(|| PathBuf::from(name), |place| place.join(name));
        let is_pattern = name.contains(['*', '?', '[', '{']);
        let found = if is_pattern { matching(&path) } else { Ok(vec![path]) };
        match found {
            Ok(found) if found.is_empty() => {
                let message = format!("`rule_files`: no file fits `{name}`");
                complaints.push(Diagnostic::new(message, named.span.clone()));
            }
            Ok(found) => files.extend(found.into_iter().map(|path| (path, named.span.clone()))),
            Err(reason) => {
                let message = format!("`rule_files`: `{name}`: {reason}");
                complaints.push(Diagnostic::new(message, named.span.clone()));
            }
        }
    }
    files
}

/// The files of a directory whose names fit, in their order.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let (Some(directory), Some(name)) = (pattern.parent(), pattern.file_name()) else {
        return Err("it names no file".to_owned());
    };
    let glob = GlobBuilder::new(&name.to_string_lossy()).literal_separator(true).build();
    let glob = glob.map_err(|error| error.kind().to_string())?.compile_matcher();
    let entries = directory.read_dir().map_err(|error| error.to_string())?;
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.is_file() && path.file_name().is_some_and(|it| glob.is_match(it)));
    found.sort();
    Ok(found)
}

/// The groups of a file, which has nothing else.
fn groups_of(path: &Path) -> Result<Vec<Node>, Vec<Diagnostic>> {
    let file = read_source(path).map_err(|fault| vec![*fault])?;
    let format = Format::of(path).unwrap_or(Format::Yaml);
    let node = read_text(&file, format, Dialect::Yaml12)?;
    let wrong = |message: String, span: Option<Span>| {
        let complaint = Diagnostic::new(message, span);
        Err(vec![complaint.hint("a rule file has `groups: [{name: NAME, rules: [...]}]`")])
    };
    let found = node.kind();
    let Value::Map(entries) = node.value else {
        return wrong(format!("found {found}, expected `groups`"), node.span);
    };
    let mut groups = Vec::new();
    for (key, value) in entries {
        let found = value.kind();
        match (&*key.name, value.value) {
            ("groups", Value::List(list)) => groups = list,
            ("groups", Value::Null) => {}
            ("groups", _) => {
                return wrong(format!("`groups`: found {found}, expected a list"), value.span);
            }
            (other, _) => return wrong(format!("unknown key `{other}` in a rule file"), key.span),
        }
    }
    Ok(groups)
}
