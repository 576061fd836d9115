//! Reads config structs from a tree of nodes, with the place of everything that is wrong.
//!
//! serde stops at its first error, but a user wants to hear of all of them at once. So after an
//! error the entry or item that it blames is passed over and the value is read again, until
//! nothing is left to complain of.
//!
//! Text takes text, and numbers that can be read in one way only (`8080`, `1.10`), by their source
//! text; `yes`, `0644` or `1e3` where text goes is an error that asks for quotes. A word of a
//! closed set (an enum) is compared by source text. A number never takes text.

mod access;
mod error;
mod spanned;
#[cfg(test)]
mod tests;

pub use spanned::Spanned;

use crate::event::fault::{Diagnostic, nearest};
use crate::event::tree::{Node, Value};
use access::{Pruned, Reader};
use error::{Error, Kind};
use serde::de::DeserializeOwned;

/// Each complaint costs one more reading of the tree, and no one mends more than this at a time.
const MOST_ERRORS: usize = 64;

/// Reads a `T` from `node`; `what` names the value as a whole in messages (`this file`).
///
/// # Errors
/// All that is wrong with the value, in the order in which it was noticed.
pub fn from_node<T: DeserializeOwned>(node: &Node, what: &str) -> Result<T, Vec<Diagnostic>> {
    let mut pruned = Pruned::new();
    // What the author meant by keys that are passed over: their absence is no second error.
    let mut meant: Vec<String> = Vec::new();
    let mut complaints = Vec::new();
    loop {
        let error = match T::deserialize(Reader { node, pruned: &pruned }) {
            Ok(value) if complaints.is_empty() => return Ok(value),
            Ok(_) => return Err(complaints),
            Err(error) => error,
        };
        let blamed = error.address();
        if let Kind::UnknownKey { key, known } = error.kind() {
            meant.extend(nearest(key, known.iter().copied()).map(str::to_owned));
        }
        if !follows_from(&error, node, &pruned, &meant) || complaints.is_empty() {
            complaints.push(error.into_diagnostic(what));
        }
        let root = std::ptr::from_ref(node).addr();
        let news = blamed.is_some_and(|address| address != root && pruned.insert(address));
        if !news || complaints.len() == MOST_ERRORS {
            return Err(complaints);
        }
    }
}

/// Whether `error` is only there because something below the blamed node is passed over.
fn follows_from(error: &Error, root: &Node, pruned: &Pruned, meant: &[String]) -> bool {
    if pruned.is_empty() {
        return false;
    }
    let Some(blamed) = error.address().and_then(|address| find(root, address)) else {
        return false;
    };
    let is_pruned = |node: &Node| pruned.contains(&std::ptr::from_ref(node).addr());
    match error.kind() {
        Kind::Missing(key) => blamed.as_map().unwrap_or_default().iter().any(|(name, node)| {
            is_pruned(node) && (*name.name == **key || meant.iter().any(|word| word == key))
        }),
        Kind::UnknownKey { .. } => false,
        Kind::Custom(_) | Kind::Mismatch { .. } | Kind::UnknownWord { .. } | Kind::Duplicate(_) => {
            any_below(blamed, &is_pruned)
        }
    }
}

fn children(node: &Node) -> Box<dyn Iterator<Item = &Node> + '_> {
    match &node.value {
        Value::List(items) => Box::new(items.iter()),
        Value::Map(entries) => Box::new(entries.iter().map(|(_, node)| node)),
        _ => Box::new(std::iter::empty()),
    }
}

fn any_below(node: &Node, test: &dyn Fn(&Node) -> bool) -> bool {
    children(node).any(|child| test(child) || any_below(child, test))
}

fn find(node: &Node, address: usize) -> Option<&Node> {
    if std::ptr::from_ref(node).addr() == address {
        return Some(node);
    }
    children(node).find_map(|child| find(child, address))
}
