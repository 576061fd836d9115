//! Reads config structs from a tree of nodes, with the place of everything that is wrong.
//!
//! serde stops at its first error, but a user wants to hear of all of them at once. So after an
//! error the entry or item that it blames is passed over and the value is read again, until
//! nothing is left to complain of. A missing key is made up for, for the same purpose.
//!
//! Text takes text, and numbers that can be read in one way only (`8080`, `1.10`), by their source
//! text; `yes`, `0644` or `1e3` where text goes is an error that asks for quotes. A word of a
//! closed set (an enum) is compared by source text. A number never takes text.

mod access;
mod error;
mod hole;
mod keys;
mod spanned;
#[cfg(test)]
mod tests;

pub use spanned::Spanned;

use crate::event::fault::{Diagnostic, nearest};
use crate::event::tree::{Key, Node, Value};
use access::{Known, Reader, address};
use error::{Error, Kind};
use serde::de::DeserializeOwned;

/// Each complaint costs one more reading of the tree, and no one mends more than this at a time.
const MOST_ERRORS: usize = 64;

/// Reads a `T` from `node`; `what` names the value as a whole in messages (`this file`).
///
/// # Errors
/// All that is wrong with the value, in the order in which it was noticed.
pub fn from_node<T: DeserializeOwned>(node: &Node, what: &str) -> Result<T, Vec<Diagnostic>> {
    let mut known = Known::default();
    // What the author meant by keys that are passed over: their absence is no second error.
    let mut meant: Vec<String> = Vec::new();
    let mut complaints = Vec::new();
    loop {
        let error = match T::deserialize(Reader { node, known: &known }) {
            Ok(value) if complaints.is_empty() => return Ok(value),
            Ok(_) => return Err(complaints),
            Err(error) => error,
        };
        let blamed = error.address();
        if let Kind::UnknownKey { key, known } = error.kind() {
            meant.extend(nearest(key, known.iter().copied()).map(str::to_owned));
        }
        let lacks = if let Kind::Missing(key) = error.kind() { Some(*key) } else { None };
        if complaints.is_empty() || !follows_from(&error, node, &known, &meant) {
            complaints.push(error.into_diagnostic(what));
        }
        let goes_on = match (blamed, lacks) {
            (Some(blamed), Some(key)) if known.makes_up(blamed, key) => true,
            (Some(blamed), _) => blamed != address(node) && known.pruned.insert(blamed),
            (None, _) => false,
        };
        if !goes_on || complaints.len() == MOST_ERRORS {
            return Err(complaints);
        }
    }
}

/// Whether `error` is only there because something at or below the blamed node is passed over or
/// made up.
fn follows_from(error: &Error, root: &Node, known: &Known, meant: &[String]) -> bool {
    let Some(blamed) = error.address().and_then(|address| find(root, address)) else {
        return false;
    };
    match error.kind() {
        Kind::Missing(key) => {
            let passed_over = |(name, node): &(Key, Node)| {
                known.is_pruned(node) && (*name.name == **key || meant.iter().any(|it| it == key))
            };
            known.lacking(blamed).contains(key)
                || blamed.as_map().unwrap_or_default().iter().any(passed_over)
        }
        Kind::UnknownKey { .. } => false,
        Kind::Custom(_) | Kind::Mismatch { .. } | Kind::UnknownWord { .. } | Kind::Duplicate(_) => {
            let touched = |node: &Node| known.is_pruned(node) || !known.lacking(node).is_empty();
            touched(blamed) || any_below(blamed, &touched)
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
    if access::address(node) == address {
        return Some(node);
    }
    children(node).find_map(|child| find(child, address))
}
