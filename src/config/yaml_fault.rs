//! What is said about YAML that cannot be read: the parser's verdict, and the usual cause.

use super::read::span;
use crate::event::fault::Diagnostic;
use crate::event::tree::{SourceFile, Span};
use saphyr_parser::Tag;
use std::sync::Arc;

/// An error of syntax at byte `at`, as the parser words it in `info`.
pub(super) fn syntax(file: &Arc<SourceFile>, at: usize, info: &str) -> Diagnostic {
    let at = at.min(file.text.len());
    if let Some(tab) = tab_in_indentation(&file.text, at) {
        let message = "a tab in the indentation, which YAML wants to be of spaces";
        return Diagnostic::new(message, Some(span(file, tab, tab + 1)))
            .hint("replace the tab by spaces");
    }
    let place = span(file, at, at + 1);
    let info = info
        .strip_prefix("while ")
        .and_then(|info| info.split_once(", "))
        .map_or(info.to_owned(), |(doing, what)| format!("{what} while {doing}"));
    let hint = hint(&info, place.line_text());
    Diagnostic { hint, ..Diagnostic::new(format!("not valid YAML: {info}"), Some(place)) }
}

fn hint(info: &str, line: &str) -> Option<String> {
    let is = |words: &str| info.contains(words);
    let hint = if line.contains("{{") || line.contains("{%") {
        "put a value that begins with `{{` or `{%` in quotes"
    } else if is("mapping values are not allowed") {
        "put text with `: ` in it in quotes, or mend the indentation"
    } else if is("unknown anchor") || is("anchor or alias") {
        "put text that begins with `*` or `&` in quotes"
    } else if is("unexpected character") {
        "put text that begins with `@`, `%` or a backtick in quotes"
    } else if is("quoted scalar") || is("double-quoted") {
        "the closing quote is missing or not where it should be"
    } else if is("escape") {
        "write backslashes twice in double quotes, or use single quotes"
    } else if is("simple key") {
        "this line lacks its `: `"
    } else if is("block mapping") || is("block collection") || is("indentation") {
        "the indentation is not that of the lines above"
    } else if is("flow") || is("placement of ':'") {
        "a bracket or a comma is missing before this place"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

/// The first tab in the indentation of the line at `at` or of its neighbours, since the parser
/// notices it before or after.
fn tab_in_indentation(text: &str, at: usize) -> Option<usize> {
    let mut lines = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        lines.push((start, line));
        start += line.len();
    }
    let current = lines.partition_point(|(start, _)| *start <= at).saturating_sub(1);
    let near = lines.get(current.saturating_sub(1)..)?.iter().take(3);
    near.into_iter().find_map(|(start, line)| {
        let blank = line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t'));
        blank.into_iter().position(|byte| byte == b'\t').map(|tab| start + tab)
    })
}

/// A list or mapping where a key should be: as a rule an expression without quotes.
pub(super) fn structured_key(at: Span) -> Diagnostic {
    let before = at.file.text.get(..=at.start).unwrap_or_default();
    if before.ends_with("{{") {
        let place = Span { start: at.start - 1, ..at };
        return Diagnostic::new("an expression without quotes around it", Some(place))
            .hint("put the whole value in quotes: \"{{ ... }}\"");
    }
    Diagnostic::new("a list or mapping as a key; keys are text", Some(at))
}

/// A tag that means nothing here.
pub(super) fn tag(tag: &Tag, at: Span) -> Diagnostic {
    if tag.handle == "!" && tag.suffix.starts_with("vault") {
        let message = "Ansible's vault cannot be opened here";
        return Diagnostic::new(message, Some(at))
            .hint("put the value in a secrets file and write \"{{ secrets.NAME }}\"");
    }
    if tag.is_yaml_core_schema() {
        let message = format!("the tag `!!{}` does not fit this value", tag.suffix);
        return Diagnostic::new(message, Some(at)).hint("leave the tag out");
    }
    Diagnostic::new(format!("unknown tag `{tag}`"), Some(at))
        .hint("leave it out; the tags there are: `!unsafe`, `!!str`")
}
