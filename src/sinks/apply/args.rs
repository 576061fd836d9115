//! From what is written after a module's name to a mapping of parameters.

use super::params::{Kind, Spec};
use super::words::{Quotes, key_value, split};
use crate::event::fault::Diagnostic;
use crate::event::tree::{Key, Node, Value};

/// A task's arguments as a mapping: free form (`src=a dest=b`, `ls -l chdir=/`) is taken apart.
pub(super) fn normalize(module: &str, spec: &Spec, args: &Node) -> Result<Node, Box<Diagnostic>> {
    let mapping = |entries| Node { value: Value::Map(entries), span: args.span.clone() };
    match &args.value {
        Value::Map(_) => Ok(args.clone()),
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
    let mut rest = Vec::new();
    for word in &words {
        // In a command only its own options are taken out: `dd if=/dev/zero` is left alone.
        let known = |key: &str| {
            spec.free_form.is_none() || (spec.free_form != Some(key) && spec.find(key).is_some())
        };
        match key_value(word).filter(|(key, _)| known(key)) {
            Some((key, value)) => {
                let value = split(value, Quotes::Resolve).unwrap_or_default().join(" ");
                entries.push((Key { name: key.into(), span: args.span.clone() }, node(&value)));
            }
            None => rest.push(word.as_str()),
        }
    }
    match spec.free_form {
        // The text as written where nothing was taken out of it: blanks in it may matter.
        Some(name) if entries.is_empty() => entries.push((name.into(), node(text))),
        Some(name) if !rest.is_empty() => entries.push((name.into(), node(&rest.join(" ")))),
        None if !rest.is_empty() => {
            let why = format!("`{module}` takes `key=value`, and this is `{}`", rest[0]);
            return Err(complain(why));
        }
        _ => {}
    }
    Ok(entries)
}

/// The parameters that are expressions, which the task evaluates by itself, apart from those to
/// be rendered beforehand.
pub(super) fn set_conditions_aside(spec: &Spec, args: &Node) -> (Node, Vec<(Key, Node)>) {
    let is_condition = |key: &Key| {
        spec.find(&key.name)
            .is_some_and(|param| matches!(param.kind, Kind::Conditions | Kind::Raw))
    };
    let entries = args.as_map().unwrap_or_default();
    let (aside, rendered): (Vec<_>, Vec<_>) =
        entries.iter().cloned().partition(|(key, _)| is_condition(key));
    (Node { value: Value::Map(rendered), span: args.span.clone() }, aside)
}
