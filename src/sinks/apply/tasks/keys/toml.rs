//! Keys of TOML files. Comments, order and spelling of all else stay.

use super::{Format, line_end, line_start, newline};
use serde_json::{Number, Value as Json};
use toml_edit::{Array, Document, DocumentMut, InlineTable, Item, Table, TableLike, Value};

pub(in super::super) static FORMAT: Format = Format { name: "TOML", empty: "", read, set, remove };

fn read(text: &str) -> Result<Json, String> {
    let document = Document::parse(text).map_err(|error| {
        let error = error.to_string();
        format!("it is no TOML: {}", error.trim_end().replace('\n', " "))
    })?;
    Ok(table_json(document.as_table()))
}

fn table_json(table: &dyn TableLike) -> Json {
    Json::Object(table.iter().map(|(name, item)| (name.to_owned(), item_json(item))).collect())
}

fn item_json(item: &Item) -> Json {
    match item {
        Item::None => Json::Null,
        Item::Value(value) => value_json(value),
        Item::Table(table) => table_json(table),
        Item::ArrayOfTables(tables) => tables.iter().map(|table| table_json(table)).collect(),
    }
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::String(text) => text.value().as_str().into(),
        Value::Integer(number) => (*number.value()).into(),
        // JSON has no word for what is no number.
        Value::Float(number) => Number::from_f64(*number.value())
            .map_or_else(|| number.value().to_string().into(), Json::Number),
        Value::Boolean(value) => (*value.value()).into(),
        Value::Datetime(time) => time.value().to_string().into(),
        Value::Array(items) => items.iter().map(value_json).collect(),
        Value::InlineTable(table) => table_json(table),
    }
}

/// A value as it is written, with a time in place of a time.
fn value_of(json: &Json, old: Option<&Value>) -> Result<Value, String> {
    Ok(match json {
        Json::Null => return Err("TOML has no null".into()),
        Json::Bool(value) => Value::from(*value),
        Json::String(text) => match (old, text.parse::<toml_edit::Datetime>()) {
            (Some(Value::Datetime(_)), Ok(time)) => Value::from(time),
            _ => Value::from(text.as_str()),
        },
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) if !json.is_u64() => Value::from(number),
            _ => return Err(format!("TOML has no number as large as {number}")),
        },
        Json::Array(items) => {
            let items = items.iter().map(|item| value_of(item, None));
            Value::Array(items.collect::<Result<Array, _>>()?)
        }
        Json::Object(map) => {
            let mut table = InlineTable::new();
            for (name, value) in map {
                table.insert(name, value_of(value, None)?);
            }
            Value::InlineTable(table)
        }
    })
}

/// A table of its own, with its `[heading]` unless it only holds tables.
fn table_of(map: &serde_json::Map<String, Json>) -> Result<Table, String> {
    let mut table = Table::new();
    table.set_implicit(!map.is_empty() && map.values().all(Json::is_object));
    for (name, value) in map {
        table.insert(name, item_of(value)?);
    }
    Ok(table)
}

fn item_of(json: &Json) -> Result<Item, String> {
    Ok(match json {
        Json::Object(map) if !map.is_empty() => Item::Table(table_of(map)?),
        other => Item::Value(value_of(other, None)?),
    })
}

const COMMENT: &str = "a comment stands in or above what is replaced, and would be lost";

fn has_comment_above(table: &Table) -> bool {
    let prefix = table.decor().prefix().and_then(|prefix| prefix.as_str());
    prefix.is_some_and(|prefix| prefix.contains('#'))
}

/// Whether a comment stands at a table's heading or below it, however deep.
fn bears_comment(table: &Table) -> bool {
    let suffix = table.decor().suffix().and_then(|suffix| suffix.as_str());
    let behind = suffix.is_some_and(|suffix| suffix.contains('#'));
    has_comment_above(table) || behind || has_comment_inside(table)
}

fn has_comment_inside(table: &Table) -> bool {
    // Tables within it have headings of their own, and are not written with it.
    let within = |item: &Item| match item {
        Item::Table(inner) => bears_comment(inner),
        Item::ArrayOfTables(tables) => tables.iter().any(bears_comment),
        Item::Value(_) | Item::None => false,
    };
    table.to_string().contains('#') || table.iter().any(|(_, item)| within(item))
}

/// Edits a document that is spelled again as it was written.
fn edited(
    text: &str,
    edit: impl FnOnce(&mut Item) -> Result<(), String>,
) -> Result<String, String> {
    let end = newline(text);
    let plain = text.replace("\r\n", "\n");
    let mut document: DocumentMut =
        plain.parse().map_err(|error| format!("it is no TOML: {error}"))?;
    let spelled = document.to_string();
    if spelled.replace('\n', end) != text && format!("{text}{end}") != spelled.replace('\n', end) {
        return Err("it mixes line ends, or is written in a way that cannot be kept".into());
    }
    edit(document.as_item_mut())?;
    Ok(document.to_string().replace('\n', end))
}

fn set(text: &str, steps: &[String], value: &Json) -> Result<String, String> {
    edited(text, |item| set_in(item, steps, value))
}

fn set_in(item: &mut Item, steps: &[String], json: &Json) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else {
        let is_commented = match &*item {
            Item::Value(value @ (Value::Array(_) | Value::InlineTable(_))) => {
                // What stands behind it stays.
                let mut bare = value.clone();
                bare.decor_mut().clear();
                bare.to_string().contains('#')
            }
            Item::Table(table) => has_comment_inside(table),
            Item::ArrayOfTables(tables) => tables.iter().any(bears_comment),
            Item::Value(_) | Item::None => false,
        };
        if is_commented {
            return Err(COMMENT.into());
        }
        let old = item.as_value().cloned();
        let mut new = match (&old, json) {
            (None, Json::Object(map)) => {
                let mut table = table_of(map)?;
                if let Some(old) = item.as_table() {
                    *table.decor_mut() = old.decor().clone();
                    table.set_position(old.position());
                    // Its heading may bear a comment.
                    table.set_implicit(false);
                }
                *item = Item::Table(table);
                return Ok(());
            }
            (None, _) if item.as_table().is_some_and(has_comment_above) => {
                return Err(COMMENT.into());
            }
            (old, json) => value_of(json, old.as_ref())?,
        };
        if let Some(old) = &old {
            *new.decor_mut() = old.decor().clone();
        }
        *item = Item::Value(new);
        return Ok(());
    };
    match item {
        Item::ArrayOfTables(tables) => {
            let index = step.parse().unwrap_or(tables.len());
            if index >= tables.len() {
                match super::wrapped(rest, json) {
                    Json::Object(map) => tables.push(table_of(&map)?),
                    _ => return Err("its items are tables".into()),
                }
                return Ok(());
            }
            match tables.get_mut(index) {
                Some(table) => set_in_table(table, rest, json),
                None => Ok(()),
            }
        }
        Item::Value(Value::Array(items)) => {
            let index = step.parse().unwrap_or(items.len());
            match items.get_mut(index) {
                None => items.push(value_of(&super::wrapped(rest, json), None)?),
                Some(value) => set_value(value, rest, json)?,
            }
            Ok(())
        }
        Item::Value(value) => set_value(value, steps, json),
        Item::Table(table) => set_in_table(table, steps, json),
        Item::None => Err(format!("`{step}` is in nothing")),
    }
}

fn set_in_table(table: &mut Table, steps: &[String], json: &Json) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else {
        return Err("a table is not replaced by something else".into());
    };
    match table.get_mut(step) {
        Some(item) => set_in(item, rest, json),
        None => {
            table.insert(step, item_of(&super::wrapped(rest, json))?);
            Ok(())
        }
    }
}

/// Sets something inside a value that is on one line.
fn set_value(value: &mut Value, steps: &[String], json: &Json) -> Result<(), String> {
    let mut item = Item::Value(value.clone());
    match (&mut item, steps.split_first()) {
        (Item::Value(Value::InlineTable(table)), Some((step, rest))) => match table.get_mut(step) {
            Some(value) => set_value(value, rest, json)?,
            None => {
                table.insert(step, value_of(&super::wrapped(rest, json), None)?);
            }
        },
        (Item::Value(Value::Array(_)), _) | (_, None) => set_in(&mut item, steps, json)?,
        (_, Some((step, _))) => return Err(format!("`{step}` is in what is no table")),
    }
    match item {
        Item::Value(new) => *value = new,
        _ => return Err("a table cannot be put in there".into()),
    }
    Ok(())
}

fn remove(text: &str, steps: &[String]) -> Result<String, String> {
    if let Some(new) = without_line(text, steps) {
        return Ok(new);
    }
    edited(text, |item| remove_in(item, steps))
}

/// A key with its value on lines of their own is cut out, so that the comments around it stay.
fn without_line(text: &str, steps: &[String]) -> Option<String> {
    let document = Document::parse(text).ok()?;
    let (last, way) = steps.split_last()?;
    let table =
        way.iter().try_fold(document.as_table(), |table, step| table.get(step)?.as_table())?;
    let (key, item) = table.get_key_value(last)?;
    let (key, value) = (key.span()?, item.as_value()?.span()?);
    let start = line_start(text, key.start);
    let end = line_end(text, value.end);
    let after = text[value.end..end].trim_start();
    let is_alone =
        text[start..key.start].trim().is_empty() && (after.is_empty() || after.starts_with('#'));
    is_alone.then(|| format!("{}{}", &text[..start], &text[end..]))
}

fn remove_in(item: &mut Item, steps: &[String]) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else { return Ok(()) };
    let index = step.parse::<usize>().ok();
    if rest.is_empty() {
        match (item, index) {
            (Item::ArrayOfTables(tables), Some(index)) => drop(tables.remove(index)),
            (Item::Value(Value::Array(items)), Some(index)) => drop(items.remove(index)),
            (item, _) => match item.as_table_like_mut() {
                Some(table) => drop(table.remove(step)),
                None => return Err(format!("`{step}` is in nothing")),
            },
        }
        return Ok(());
    }
    match (item, index) {
        (Item::ArrayOfTables(tables), Some(index)) => match tables.get_mut(index) {
            Some(table) => {
                let mut item = Item::Table(table.clone());
                remove_in(&mut item, rest)?;
                if let Item::Table(new) = item {
                    *table = new;
                }
                Ok(())
            }
            None => Ok(()),
        },
        (Item::Value(Value::Array(items)), Some(index)) => match items.get_mut(index) {
            Some(value) => {
                let mut item = Item::Value(value.clone());
                remove_in(&mut item, rest)?;
                if let Item::Value(new) = item {
                    *value = new;
                }
                Ok(())
            }
            None => Ok(()),
        },
        (item, _) => match item.as_table_like_mut().and_then(|table| table.get_mut(step)) {
            Some(item) => remove_in(item, rest),
            None => Ok(()),
        },
    }
}
