//! Values of parameters that several tasks read the same way: lists, numbers, ages, sizes.

use super::Failure;
use crate::event::fault::Diagnostic;
use crate::event::tree::Node;
use crate::sinks::apply::params::Params;

/// A list of text; one text is taken apart at its commas, as Ansible does.
pub(super) fn list(params: &Params, name: &str) -> Vec<String> {
    match params.any(name) {
        None => Vec::new(),
        Some(node) => match node.as_list() {
            Some(items) => items.iter().filter_map(Node::scalar_text).map(str::to_owned).collect(),
            None => {
                let text = node.scalar_text().unwrap_or_default();
                let parts = text.split(',').filter(|part| !part.is_empty());
                parts.map(str::to_owned).collect()
            }
        },
    }
}

/// A number, whole or not.
pub(super) fn number(params: &Params, name: &str) -> Result<Option<f64>, Failure> {
    let Some(text) = params.any(name).and_then(Node::scalar_text) else { return Ok(None) };
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Some(number)),
        _ => Err(Failure::new(format!("`{name}` takes a number, and this is `{text}`"))),
    }
}

/// What can be said against a number as written.
pub(super) fn check_number(params: &Params, name: &str) -> Option<Diagnostic> {
    let node = params.any(name)?;
    if node.scalar_text().is_some_and(|text| text.contains("{{")) {
        return None;
    }
    let complaint = number(params, name).err().map(|failure| failure.message);
    let complaint = complaint.or_else(|| {
        let is_scalar = node.scalar_text().is_some();
        (!is_scalar).then(|| format!("`{name}` takes a number, and this is {}", node.kind()))
    })?;
    Some(Diagnostic::new(complaint, node.span.clone()))
}

/// A whole number with a unit's letter behind it; `units` says how much each is.
pub(super) fn with_unit(text: &str, units: &[(char, i64)]) -> Option<i64> {
    let text = text.trim();
    let (digits, factor) = match text.chars().last()? {
        c if c.is_ascii_digit() => (text, 1),
        c => {
            let unit = units.iter().find(|(unit, _)| *unit == c.to_ascii_lowercase())?;
            (&text[..text.len() - c.len_utf8()], unit.1)
        }
    };
    digits.parse::<i64>().ok()?.checked_mul(factor)
}
