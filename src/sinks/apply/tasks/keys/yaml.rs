//! Keys of YAML files, edited where they are written, so that comments, order and quotes of all
//! else stay. What cannot be edited so is refused: anchors, aliases and tags on the way, brackets
//! over several lines, comments inside a value that is replaced.

use super::yaml_text::{Block, flow, is_short, key, scalar};
use super::yaml_tree::{Body, Node, Slot, column, read as read_tree};
use super::{Format, line_end, line_start, newline, wrapped};
use saphyr_parser::ScalarStyle;
use serde_json::Value as Json;
use std::ops::Range;

pub(in super::super) static FORMAT: Format = Format { name: "YAML", empty: "", read, set, remove };

fn read(text: &str) -> Result<Json, String> {
    match read_tree(text)? {
        Some(root) => root.json(),
        None => Ok(Json::Null),
    }
}

/// `text` with `new` in place of a part of it.
fn spliced(text: &str, gone: Range<usize>, new: &str) -> String {
    format!("{}{new}{}", &text[..gone.start], &text[gone.end..])
}

/// How lists and mappings of this file are written.
fn block(text: &str, root: &Node) -> Block {
    fn unit(text: &str, node: &Node) -> Option<usize> {
        match &node.body {
            Body::Map(entries) => entries.iter().find_map(|(key, value)| {
                let is_block = matches!(value.body, Body::Map(_)) && !value.is_flow(text);
                let deeper = column(text, value.span.start);
                let own = is_block.then(|| deeper.checked_sub(column(text, key.span.start)));
                own.flatten().filter(|unit| *unit > 0).or_else(|| unit(text, value))
            }),
            Body::List(items) => items.iter().find_map(|item| unit(text, item)),
            _ => None,
        }
    }
    Block { unit: unit(text, root).unwrap_or(2), newline: newline(text) }
}

/// Complains of what cannot be edited.
fn must_be_plain(node: &Node, way: &[String]) -> Result<(), String> {
    let way = || if way.is_empty() { "the file".into() } else { format!("`{}`", way.join(".")) };
    if node.marked {
        return Err(format!("{} has an anchor or a tag, or is an alias, and is not edited", way()));
    }
    if let Body::Map(entries) = &node.body {
        let merges = |key: &Node| matches!(&key.body, Body::Scalar(name, _) if name == "<<");
        if entries.iter().any(|(key, _)| merges(key)) {
            return Err(format!("{} merges another mapping (`<<`), and is not edited", way()));
        }
    }
    Ok(())
}

/// Whether a part of the text may hold a comment.
fn has_comment(text: &str, part: Range<usize>) -> bool {
    let part = &text[part];
    let begins = |at: usize| at == 0 || part[..at].ends_with([' ', '\t', '\n']);
    part.match_indices('#').any(|(at, _)| begins(at))
}

fn refuse_comment(text: &str, part: Range<usize>) -> Result<(), String> {
    if has_comment(text, part) {
        return Err("a comment stands in the value that is replaced, and would be lost".into());
    }
    Ok(())
}

/// The value that a step leads to.
fn find<'n>(node: &'n Node, step: &str) -> Option<&'n Node> {
    match &node.body {
        Body::Map(entries) => entries
            .iter()
            .find(|(key, _)| matches!(&key.body, Body::Scalar(name, _) if name == step))
            .map(|(_, value)| value),
        Body::List(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    }
}

fn set(text: &str, steps: &[String], value: &Json) -> Result<String, String> {
    let Some(root) = read_tree(text)?.filter(|root| !root.is_null()) else {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { newline(text) };
        let block = Block { unit: 2, newline: newline(text) };
        return Ok(format!(
            "{text}{end}{}{}",
            block.lines(&wrapped(steps, value), 0),
            block.newline
        ));
    };
    let block = block(text, &root);
    let mut node = &root;
    for (depth, step) in steps.iter().enumerate() {
        must_be_plain(node, &steps[..depth])?;
        if node.is_null() {
            return replaced(text, block, node, &wrapped(&steps[depth..], value));
        }
        match find(node, step) {
            Some(next) => node = next,
            None => return added(text, block, node, step, &wrapped(&steps[depth + 1..], value)),
        }
    }
    must_be_plain(node, steps)?;
    replaced(text, block, node, value)
}

/// Puts a value where another is.
fn replaced(text: &str, block: Block, node: &Node, value: &Json) -> Result<String, String> {
    let is_block = matches!(node.body, Body::List(_) | Body::Map(_)) && !node.is_flow(text);
    let in_brackets = node.slot == Slot::Flow;
    if node.is_flow(text) && text[node.span.clone()].contains('\n') {
        return Err("it is written in brackets over several lines".into());
    }
    refuse_comment(text, node.span.clone())?;
    let style = match &node.body {
        Body::Scalar(_, style) => *style,
        _ => ScalarStyle::Plain,
    };
    if in_brackets || node.is_flow(text) || (is_short(value) && !is_block) {
        let new = if is_short(value) { scalar(value, style) } else { flow(value) };
        let lead = if text[..node.span.start].ends_with([':', '-', ',']) { " " } else { "" };
        return Ok(spliced(text, node.span.clone(), &format!("{lead}{new}")));
    }
    match node.slot {
        Slot::Entry { colon_end, column } => {
            refuse_comment(text, colon_end..node.span.start)?;
            let line = line_end(text, node.span.end);
            let rest = text[node.span.end..line].trim_end_matches(['\r', '\n']);
            let new = block.behind_colon(value, column);
            // A comment behind the old value stays behind the key.
            let new = if is_short(value) { format!("{new}{rest}") } else { format!("{rest}{new}") };
            Ok(spliced(text, colon_end..node.span.end + rest.len(), &new))
        }
        Slot::Item => {
            let column = column(text, node.span.start);
            let new = block.lines(value, column);
            Ok(spliced(text, node.span.clone(), new.trim_start()))
        }
        Slot::Root => Ok(spliced(text, node.span.clone(), &block.lines(value, 0))),
        Slot::Key | Slot::Flow => Err("it is written in a way that is not edited".into()),
    }
}

/// Adds an entry to a mapping, or an item to a list.
fn added(
    text: &str,
    block: Block,
    node: &Node,
    step: &str,
    value: &Json,
) -> Result<String, String> {
    let is_map = matches!(node.body, Body::Map(_));
    if node.is_flow(text) {
        if text[node.span.clone()].contains('\n') {
            return Err("it is written in brackets over several lines".into());
        }
        let new = if is_map { format!("{}: {}", key(step), flow(value)) } else { flow(value) };
        let inner = text[node.span.start + 1..node.span.end - 1].trim_end();
        let at = node.span.start + 1 + inner.len();
        let comma = match inner.trim_end_matches(',') {
            "" => "",
            bare if bare.len() < inner.len() => " ",
            _ => ", ",
        };
        return Ok(spliced(text, at..at, &format!("{comma}{new}")));
    }
    let column = column(text, node.span.start);
    let pad = " ".repeat(column);
    let new = if is_map {
        format!("{pad}{}:{}", key(step), block.behind_colon(value, column))
    } else {
        format!("{pad}-{}", block.behind_dash(value, column))
    };
    let at = line_end(text, node.span.end);
    let lead = if text[..at].ends_with('\n') { "" } else { block.newline };
    Ok(spliced(text, at..at, &format!("{lead}{new}{}", block.newline)))
}

fn remove(text: &str, steps: &[String]) -> Result<String, String> {
    let Some(root) = read_tree(text)? else { return Ok(text.to_owned()) };
    let Some((last, way)) = steps.split_last() else { return Ok(text.to_owned()) };
    let mut node = &root;
    for (depth, step) in way.iter().enumerate() {
        must_be_plain(node, &steps[..depth])?;
        match find(node, step) {
            Some(next) => node = next,
            None => return Ok(text.to_owned()),
        }
    }
    must_be_plain(node, way)?;
    let places: Vec<Range<usize>> = match &node.body {
        Body::Map(entries) => entries
            .iter()
            .map(|(key, value)| key.span.start..value.span.end.max(key.span.end + 1))
            .collect(),
        Body::List(items) => items.iter().map(|item| item.span.clone()).collect(),
        _ => return Ok(text.to_owned()),
    };
    let found = match &node.body {
        Body::Map(entries) => entries
            .iter()
            .position(|(key, _)| matches!(&key.body, Body::Scalar(name, _) if name == last)),
        _ => last.parse().ok().filter(|at| *at < places.len()),
    };
    let Some(found) = found else { return Ok(text.to_owned()) };
    if places.len() == 1 && !node.is_flow(text) {
        let empty = if matches!(node.body, Body::Map(_)) { "{}" } else { "[]" };
        let gone = match node.slot {
            // A comment behind the key stays where it is.
            Slot::Entry { colon_end, .. } if !has_comment(text, colon_end..node.span.start) => {
                return Ok(spliced(text, colon_end..node.span.end, &format!(" {empty}")));
            }
            Slot::Entry { .. } => return Err("a comment stands before the last of it".into()),
            _ => node.span.clone(),
        };
        return Ok(spliced(text, gone, empty));
    }
    if node.is_flow(text) {
        let gone = match (found.checked_sub(1), places.get(found + 1)) {
            (Some(before), _) => places[before].end..places[found].end,
            (None, Some(next)) => places[found].start..next.start,
            (None, None) => node.span.start + 1..node.span.end - 1,
        };
        refuse_comment(text, gone.clone())?;
        return Ok(spliced(text, gone, ""));
    }
    let place = &places[found];
    let start = line_start(text, place.start);
    let before = &text[start..place.start];
    let is_alone = match &node.body {
        Body::Map(_) => before.trim().is_empty(),
        _ => before.trim() == "-",
    };
    if is_alone {
        return Ok(spliced(text, start..line_end(text, place.end), ""));
    }
    // The first entry of a mapping behind a dash: the next one takes its place.
    match places.get(found + 1).filter(|_| found == 0) {
        Some(next) => {
            refuse_comment(text, line_end(text, place.end)..next.start)?;
            Ok(spliced(text, place.start..next.start, ""))
        }
        None => Err("it is written in a way that is not edited".into()),
    }
}

/// Any bytes in place of a file with keys.
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile {
    use super::super::{edit, json, toml};
    use super::FORMAT;

    /// The first line is the key, the rest the file: whatever it is, nothing panics.
    pub(crate) fn file(input: &[u8]) {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let (key, text) = text.split_once('\n').unwrap_or(("a", text));
        let steps: Vec<String> = key.split('.').map(str::to_owned).collect();
        for format in [&FORMAT, &json::FORMAT, &toml::FORMAT] {
            for wanted in [None, Some(&7.into()), Some(&serde_json::json!({"x": [1]}))] {
                drop(edit(format, text, &steps, wanted));
            }
        }
    }

    pub(crate) fn files() -> Vec<Vec<u8>> {
        [
            "a.b\n# c\na:\n  b: 1 # d\n  c: [1, 'x']\nl:\n- x\n- y: |\n    text\n",
            "a.b\n{\n  \"a\": {\"b\": [1, {}], \"c\": null}\n}\n",
            "a.b\n# c\n[a]\nb = 1 # d\nc = {x = [1]}\n[[l]]\nd = 1979-05-27\n",
            "0.x\n- {x: 1}\n- &a y\n- *a\n",
        ]
        .map(|text| text.as_bytes().to_vec())
        .into()
    }
}
