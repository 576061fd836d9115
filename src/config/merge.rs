//! Makes the files of one kind into one: lists concatenate, maps merge, and nothing is said twice.

use super::discover::Found;
use crate::event::fault::Diagnostic;
use crate::event::tree::{Key, Node, Value};
use crate::expr::jinja::Engine;
use crate::expr::scope::Scope;
use std::path::PathBuf;

/// Which files count on a host.
#[derive(Debug, Default)]
pub struct Counted {
    /// Those that do.
    pub counted: Vec<PathBuf>,
    /// Those whose `when` does not hold.
    pub unmet: Vec<PathBuf>,
}

/// The content of all files, without those whose `when` does not hold; `None` where none is left.
pub(super) fn merged(
    files: impl Iterator<Item = Found>,
    engine: &Engine,
    scope: &Scope,
    which: &mut Counted,
    complaints: &mut Vec<Diagnostic>,
) -> Option<Node> {
    let mut all: Option<Node> = None;
    for mut file in files {
        if let Some((_, condition)) = file.node.take("when") {
            match engine.holds(&condition, scope) {
                Ok(true) => {}
                Ok(false) => {
                    which.unmet.push(file.path);
                    continue;
                }
                // Its content is checked all the same.
                Err(problem) => complaints.push(problem.diagnostic()),
            }
        }
        which.counted.push(file.path);
        match &mut all {
            None => all = Some(file.node),
            Some(all) => merge(all, file.node, complaints),
        }
    }
    all
}

/// Adds the content of one more file. Entries of a map at the top (`sources`, `vars`) merge;
/// below that a name belongs to one file alone.
fn merge(into: &mut Node, from: Node, complaints: &mut Vec<Diagnostic>) {
    merge_level(into, from, 1, complaints);
}

fn merge_level(into: &mut Node, from: Node, levels: usize, complaints: &mut Vec<Diagnostic>) {
    match (&mut into.value, from.value) {
        (Value::List(items), Value::List(more)) => items.extend(more),
        (Value::Map(entries), Value::Map(more)) => {
            for (key, node) in more {
                match entries.iter_mut().find(|(known, _)| known == &key) {
                    None => entries.push((key, node)),
                    Some((_, known)) if levels > 0 && is_same_collection(known, &node) => {
                        merge_level(known, node, levels - 1, complaints);
                    }
                    Some((known, _)) => complaints.push(twice(known, &key)),
                }
            }
        }
        // An empty file adds nothing; a wrong kind of content is found when it is read.
        (known @ Value::Null, value) => *known = value,
        (_, Value::Null) => {}
        (_, value) => {
            let other = Node { value, span: from.span };
            let message = format!("found {} where other files have {}", other.kind(), into.kind());
            complaints.push(
                Diagnostic::new(message, other.span)
                    .related(into.span.clone(), "one of the other files"),
            );
        }
    }
}

fn is_same_collection(a: &Node, b: &Node) -> bool {
    matches!(
        (&a.value, &b.value),
        (Value::List(_), Value::List(_)) | (Value::Map(_), Value::Map(_))
    )
}

fn twice(known: &Key, again: &Key) -> Diagnostic {
    Diagnostic::new(format!("`{}` is defined twice", again.name), again.span.clone())
        .related(known.span.clone(), "the first definition")
        .hint("each name may stand in one file only")
}
