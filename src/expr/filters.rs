//! Ansible's filters, beside those that Jinja itself has.

use super::value::{from_json, pairs, to_json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};
use regex::{Regex, RegexBuilder};
use sha2::Digest as _;
use std::fmt::Write as _;
use std::path::Path;

/// Makes the filters known to `environment`.
pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("mandatory", mandatory);
    environment.add_filter("bool", truth);
    environment.add_filter("ternary", ternary);
    environment.add_filter("to_json", |value: &Value| compact_json(value));
    environment
        .add_filter("to_nice_json", |value: &Value, options: Kwargs| nice_json(value, &options));
    environment.add_filter("from_json", parse_json);
    environment.add_filter("b64encode", |text: &str| STANDARD.encode(text));
    environment.add_filter("b64decode", b64decode);
    environment.add_filter("hash", hash);
    environment.add_filter("checksum", |text: &str| hex(&sha1::Sha1::digest(text.as_bytes())));
    environment.add_filter("quote", |text: &Value| quote(&text.to_string()));
    environment.add_filter("basename", |path: &str| last_component(path).to_owned());
    environment.add_filter("dirname", |path: &str| {
        Path::new(path).parent().map_or_else(String::new, |parent| parent.display().to_string())
    });
    environment.add_filter(
        "regex_replace",
        |text: &Value, pattern: &str, by: Option<&str>, options: Kwargs| {
            regex_replace(text, pattern, by, &options)
        },
    );
    environment.add_filter(
        "regex_search",
        |text: &Value, pattern: &str, groups: Rest<Value>, options: Kwargs| {
            regex_search(text, pattern, &groups, &options)
        },
    );
    environment.add_filter("regex_findall", |text: &Value, pattern: &str, options: Kwargs| {
        regex_findall(text, pattern, &options)
    });
    environment.add_filter("regex_escape", |text: &str| regex::escape(text));
    environment.add_filter("combine", |first: &Value, others: Rest<Value>, options: Kwargs| {
        combine(first, &others, &options)
    });
    environment.add_filter("dict2items", |map: &Value, options: Kwargs| dict2items(map, &options));
    environment
        .add_filter("items2dict", |list: &Value, options: Kwargs| items2dict(list, &options));
    environment.add_filter("flatten", |list: &Value| -> Result<Value, Error> {
        let mut flat = Vec::new();
        flatten(list, &mut flat)?;
        Ok(flat.into())
    });
    environment.add_filter("union", |a: &Value, b: &Value| set(a.try_iter()?.chain(b.try_iter()?)));
    environment.add_filter("intersect", |a: &Value, b: &Value| {
        let b: Vec<Value> = b.try_iter()?.collect();
        set(a.try_iter()?.filter(|item| b.contains(item)))
    });
    environment.add_filter("difference", |a: &Value, b: &Value| {
        let b: Vec<Value> = b.try_iter()?.collect();
        set(a.try_iter()?.filter(|item| !b.contains(item)))
    });
}

fn wrong(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, why.into())
}

fn mandatory(value: &Value, message: Option<&str>) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(wrong(message.unwrap_or("a mandatory variable is not defined")));
    }
    Ok(value.clone())
}

/// Ansible's reading of truth: the words that mean yes, and nothing else.
fn truth(value: &Value) -> Result<bool, Error> {
    if value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    Ok(match value.as_str() {
        Some(text) => {
            matches!(text.to_ascii_lowercase().as_str(), "yes" | "true" | "on" | "1" | "y" | "t")
        }
        None => value.is_true(),
    })
}

fn ternary(value: &Value, yes: &Value, no: &Value, none: Option<&Value>) -> Value {
    match none {
        Some(none) if value.is_none() => none.clone(),
        _ if value.is_true() => yes.clone(),
        _ => no.clone(),
    }
}

/// JSON with a blank after `:` and `,`, which is how Python writes it and task files expect it.
fn compact_json(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    write_json(&to_json(value), &mut out).map_err(|_| wrong("there is no JSON for this value"))?;
    Ok(out)
}

fn write_json(json: &serde_json::Value, out: &mut String) -> std::fmt::Result {
    match json {
        serde_json::Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write_json(item, out)?;
            }
            out.push(']');
        }
        serde_json::Value::Object(entries) => {
            out.push('{');
            for (at, (key, value)) in entries.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write!(out, "{}: ", serde_json::Value::from(key.as_str()))?;
                write_json(value, out)?;
            }
            out.push('}');
        }
        scalar => write!(out, "{scalar}")?,
    }
    Ok(())
}

fn nice_json(value: &Value, options: &Kwargs) -> Result<String, Error> {
    let indent = " ".repeat(options.get::<Option<usize>>("indent")?.unwrap_or(4).min(16));
    options.get::<Option<bool>>("sort_keys")?;
    options.assert_all_used()?;
    let mut json = to_json(value);
    json.sort_all_objects();
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    serde::Serialize::serialize(&json, &mut serializer).map_err(|e| wrong(e.to_string()))?;
    String::from_utf8(out).map_err(|e| wrong(e.to_string()))
}

fn parse_json(text: &str) -> Result<Value, Error> {
    let json = serde_json::from_str(text).map_err(|e| wrong(format!("this is not JSON: {e}")))?;
    Ok(from_json(&json))
}

fn b64decode(text: &str) -> Result<String, Error> {
    let bytes = STANDARD.decode(text).map_err(|e| wrong(format!("this is not base64: {e}")))?;
    String::from_utf8(bytes).map_err(|_| wrong("the decoded bytes are not UTF-8 text"))
}

fn hash(text: &str, kind: Option<&str>) -> Result<String, Error> {
    let text = text.as_bytes();
    Ok(match kind.unwrap_or("sha1") {
        "sha1" => hex(&sha1::Sha1::digest(text)),
        "sha256" => hex(&sha2::Sha256::digest(text)),
        "sha512" => hex(&sha2::Sha512::digest(text)),
        other => {
            return Err(wrong(format!("there is no hash `{other}`; use sha1, sha256 or sha512")));
        }
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        out.extend([byte >> 4, byte & 15].map(|n| char::from_digit(n.into(), 16).unwrap_or('0')));
        out
    })
}

/// One word for a POSIX shell.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%_-+=:,./".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

fn last_component(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A pattern with Ansible's options `ignorecase` and `multiline`.
pub(super) fn compile(pattern: &str, options: &Kwargs) -> Result<Regex, Error> {
    RegexBuilder::new(pattern)
        .case_insensitive(options.get::<Option<bool>>("ignorecase")?.unwrap_or(false))
        .multi_line(options.get::<Option<bool>>("multiline")?.unwrap_or(false))
        .build()
        .map_err(|e| wrong(format!("`{pattern}` is not a regular expression: {}", last_line(&e))))
}

fn last_line(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().trim().to_owned()
}

fn regex_replace(
    text: &Value,
    pattern: &str,
    by: Option<&str>,
    options: &Kwargs,
) -> Result<String, Error> {
    let regex = compile(pattern, options)?;
    options.assert_all_used()?;
    let by = references(by.unwrap_or_default());
    Ok(regex.replace_all(&text.to_string(), by.as_str()).into_owned())
}

/// Python's `\1` and `\g<name>` in the form of the regex library; a `$` stays a `$`.
fn references(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek().copied()) {
            ('$', _) => out.push_str("$$"),
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                rest.next();
                out.extend(["${", digit.to_string().as_str(), "}"]);
            }
            ('\\', Some('g')) => {
                let name: String = rest.by_ref().skip(2).take_while(|c| *c != '>').collect();
                out.extend(["${", name.as_str(), "}"]);
            }
            ('\\', Some('\\')) => out.extend(rest.next()),
            ('\\', Some('n')) => {
                rest.next();
                out.push('\n');
            }
            (c, _) => out.push(c),
        }
    }
    out
}

fn regex_search(
    text: &Value,
    pattern: &str,
    groups: &[Value],
    options: &Kwargs,
) -> Result<Value, Error> {
    let regex = compile(pattern, options)?;
    options.assert_all_used()?;
    let text = text.to_string();
    let Some(found) = regex.captures(&text) else { return Ok(Value::from(())) };
    let group = |name: &Value| -> Result<Value, Error> {
        let name = name.to_string();
        let name = name.trim_start_matches('\\');
        let name = name.strip_prefix("g<").map_or(name, |name| name.trim_end_matches('>'));
        let part = match name.parse::<usize>() {
            Ok(number) if number < found.len() => found.get(number),
            Ok(_) => return Err(wrong(format!("`{pattern}` has no group {name}"))),
            Err(_) => found.name(name),
        };
        Ok(part.map_or_else(|| Value::from(()), |part| part.as_str().into()))
    };
    if groups.is_empty() {
        return group(&Value::from(0));
    }
    Ok(groups.iter().map(group).collect::<Result<Vec<_>, _>>()?.into())
}

fn regex_findall(text: &Value, pattern: &str, options: &Kwargs) -> Result<Value, Error> {
    let regex = compile(pattern, options)?;
    options.assert_all_used()?;
    let text = text.to_string();
    let part =
        |found: &regex::Captures<'_>, at| found.get(at).map_or("", |part| part.as_str()).into();
    let item = |found: regex::Captures<'_>| -> Value {
        match found.len() {
            1 => part(&found, 0),
            2 => part(&found, 1),
            count => (1..count).map(|at| -> Value { part(&found, at) }).collect(),
        }
    };
    Ok(regex.captures_iter(&text).map(item).collect())
}

fn combine(first: &Value, others: &[Value], options: &Kwargs) -> Result<Value, Error> {
    let recursive = options.get::<Option<bool>>("recursive")?.unwrap_or(false);
    options.assert_all_used()?;
    let mut merged = first.clone();
    for other in others {
        merged = merge(&merged, other, recursive)?;
    }
    Ok(merged)
}

fn merge(a: &Value, b: &Value, recursive: bool) -> Result<Value, Error> {
    if let Some(odd) = [a, b].into_iter().find(|value| value.kind() != ValueKind::Map) {
        return Err(wrong(format!("`combine` joins mappings, and this is {}", odd.kind())));
    }
    let mut merged: IndexMap<Value, Value> =
        pairs(a).into_iter().map(|(k, v)| (k.into(), v)).collect();
    for (key, value) in pairs(b) {
        let key = Value::from(key);
        let value = match merged.get(&key) {
            Some(old)
                if recursive && old.kind() == ValueKind::Map && value.kind() == ValueKind::Map =>
            {
                merge(old, &value, recursive)?
            }
            _ => value,
        };
        merged.insert(key, value);
    }
    Ok(merged.into())
}

fn dict2items(mapping: &Value, options: &Kwargs) -> Result<Value, Error> {
    let (key_name, value_name) = names(options)?;
    if mapping.kind() != ValueKind::Map {
        return Err(wrong(format!("`dict2items` takes a mapping, and this is {}", mapping.kind())));
    }
    let item = |(key, value): (String, Value)| {
        Value::from_pairs([(key_name.as_str(), Value::from(key)), (value_name.as_str(), value)])
    };
    Ok(pairs(mapping).into_iter().map(item).collect())
}

fn items2dict(list: &Value, options: &Kwargs) -> Result<Value, Error> {
    let (key_name, value_name) = names(options)?;
    let mut merged = IndexMap::new();
    for item in list.try_iter()? {
        merged.insert(item.get_attr(&key_name)?, item.get_attr(&value_name)?);
    }
    Ok(merged.into())
}

fn names(options: &Kwargs) -> Result<(String, String), Error> {
    let name = |option, otherwise: &str| -> Result<String, Error> {
        Ok(options.get::<Option<String>>(option)?.unwrap_or_else(|| otherwise.to_owned()))
    };
    let names = (name("key_name", "key")?, name("value_name", "value")?);
    options.assert_all_used()?;
    Ok(names)
}

fn flatten(list: &Value, into: &mut Vec<Value>) -> Result<(), Error> {
    for item in list.try_iter()? {
        match item.kind() {
            ValueKind::Seq => flatten(&item, into)?,
            ValueKind::None => {}
            _ => into.push(item),
        }
    }
    Ok(())
}

fn set(items: impl Iterator<Item = Value>) -> Result<Value, Error> {
    let mut unique: Vec<Value> = Vec::new();
    for item in items {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    Ok(unique.into())
}
