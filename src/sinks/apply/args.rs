//! From what is written after a module's name to a mapping of parameters.

use super::params::{Kind, Spec};
use super::words::{Quotes, computed_value, key_value, split};
use crate::event::fault::Diagnostic;
use crate::event::tree::{Key, Node, Value};
use std::borrow::Cow;

/// A task's arguments as a mapping: free form (`src=a dest=b`, `ls -l chdir=/`) is taken apart.
pub(super) fn normalize<'a>(
    module: &str,
    spec: &Spec,
    args: &'a Node,
) -> Result<Cow<'a, Node>, Box<Diagnostic>> {
    let mapping =
        |entries| Cow::Owned(Node { value: Value::Map(entries), span: args.span.clone() });
    match &args.value {
        Value::Map(_) => Ok(Cow::Borrowed(args)),
        Value::Null => Ok(mapping(Vec::new())),
        Value::String(text) => Ok(mapping(free_form(module, spec, text, args)?)),
        _ => {
            let why =
                format!("`{module}` takes a mapping of parameters, and this is {}", args.kind());
            Err(Box::new(Diagnostic::new(why, args.span.clone())))
        }
    }
}

fn free_form(
    module: &str,
    spec: &Spec,
    text: &str,
    args: &Node,
) -> Result<Vec<(Key, Node)>, Box<Diagnostic>> {
    let complain = |why: String| Box::new(Diagnostic::new(why, args.span.clone()));
    let node = |text: &str| Node { value: Value::String(text.into()), span: args.span.clone() };
    let words = split(text, Quotes::Keep)
        .map_err(|quote| complain(format!("a quote ({quote}) is opened and not closed")))?;
    let mut entries = Vec::new();
    // What is left, with the blanks and line ends in it: they may matter.
    let mut rest = String::new();
    let mut ends_with_rest = true;
    let mut ahead = text;
    for word in &words {
        // In a command only its own options are taken out: `dd if=/dev/zero` is left alone.
        let known = |key: &str| match (spec.free_form, spec.find(key)) {
            (None, _) => true,
            (Some(name), Some(param)) => name != key || param.kind != Kind::CommandLine,
            (Some(_), None) => false,
        };
        let blanks = ahead.len() - ahead.trim_start().len();
        let (before, behind) = ahead.split_at_checked(blanks + word.len()).unwrap_or((ahead, ""));
        ahead = behind;
        ends_with_rest = false;
        let pair = if spec.others.is_some() { computed_value(word) } else { key_value(word) };
        match pair.filter(|(key, _)| known(key)) {
            Some((key, value)) => {
                let value = split(value, Quotes::Resolve).unwrap_or_default().join(" ");
                entries.push((Key { name: key.into(), span: args.span.clone() }, node(&value)));
            }
            None if spec.free_form.is_none() => {
                return Err(complain(format!(
                    "`{module}` takes `key=value`, and this is `{word}`"
                )));
            }
            None => {
                rest.push_str(before);
                ends_with_rest = true;
            }
        }
    }
    match spec.free_form {
        // The text as written where nothing was taken out of it.
        Some(name) if entries.is_empty() => entries.push((name.into(), node(text))),
        Some(name) if !rest.is_empty() => {
            let end = if ends_with_rest { ahead } else { "" };
            entries.push((name.into(), node(&format!("{}{end}", rest.trim_start()))));
        }
        _ => {}
    }
    Ok(entries)
}

/// The parameters that are expressions, which the task evaluates by itself, apart from those to
/// be rendered beforehand.
pub(super) fn set_conditions_aside<'a>(
    spec: &Spec,
    args: &'a Node,
) -> (Cow<'a, Node>, Vec<(Key, Node)>) {
    let is_condition = |key: &Key| {
        spec.find(&key.name).is_some_and(|param| matches!(param.kind, Kind::Conditions | Kind::Raw))
    };
    let entries = args.as_map().unwrap_or_default();
    if !entries.iter().any(|(key, _)| is_condition(key)) {
        return (Cow::Borrowed(args), Vec::new());
    }
    let (aside, rendered): (Vec<_>, Vec<_>) =
        entries.iter().cloned().partition(|(key, _)| is_condition(key));
    (Cow::Owned(Node { value: Value::Map(rendered), span: args.span.clone() }), aside)
}
