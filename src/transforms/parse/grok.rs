//! Patterns made of named patterns, as Logstash has them: `%{IP:client} %{NUMBER:ms:int}`.

use super::Emit;
use super::options::FieldType;
use fancy_regex::{Regex, RegexBuilder};
use grok::parser::{GrokComponent, grok_split};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

/// Steps back that one match may take. Patterns that look ahead and behind can need ever more of
/// them for a line that was made for it; an ordinary line needs some hundreds.
const STEPS: usize = 50_000;
/// Lines above this are not tried: each step may look at all of the line.
const LINE_BYTES: usize = 32 << 10;
/// Memory for a compiled pattern, and how long it may get when all names are filled in.
const SIZE_LIMIT: usize = 4 << 20;
const TEXT_LIMIT: usize = 256 << 10;
/// Names within names.
const DEPTH_LIMIT: u32 = 64;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Grok {
    regex: Regex,
    /// Number of the group, name of the field, and its type.
    fields: Vec<(usize, String, FieldType)>,
}

impl Grok {
    /// Fills in the names, from `own` before Logstash's.
    pub(super) fn new(
        pattern: &str,
        own: &BTreeMap<String, String>,
        types: &BTreeMap<String, FieldType>,
    ) -> Result<Self, String> {
        let mut known: HashMap<&str, &str> = grok::patterns().iter().copied().collect();
        known.extend(own.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        let mut expansion = Expansion { known, text: String::new(), aliases: Vec::new() };
        expansion.add(pattern, 0)?;
        let regex = RegexBuilder::new(&expansion.text)
            .backtrack_limit(STEPS)
            .delegate_size_limit(SIZE_LIMIT)
            .build()
            .map_err(|error| format!("`{pattern}` is not a pattern: {error}"))?;
        let mut fields = Vec::new();
        for (group, group_name) in regex.capture_names().enumerate() {
            let Some(group_name) = group_name else { continue };
            let alias = group_name.strip_prefix(GROUP).and_then(|number| number.parse().ok());
            let (field, kind) = match alias.and_then(|at: usize| expansion.aliases.get(at)) {
                Some((field, kind)) => (field.as_str(), *kind),
                None => (group_name, FieldType::Text),
            };
            let kind = types.get(field).copied().unwrap_or(kind);
            fields.push((group, field.to_owned(), kind));
        }
        if fields.is_empty() {
            return Err(format!(
                "`{pattern}` names no field; name one: `%{{NUMBER:duration_ms:int}}`"
            ));
        }
        let is_field = |name: &String| fields.iter().any(|(_, field, _)| field == name);
        if let Some(unknown) = types.keys().find(|name| !is_field(name)) {
            return Err(format!("`types` names `{unknown}`, and `{pattern}` has no such field"));
        }
        Ok(Self { regex, fields })
    }

    /// Matches one line.
    pub(super) fn parse(
        &self,
        line: &[u8],
        emit: &mut Emit<'_, '_, '_>,
    ) -> Result<(), &'static str> {
        if line.len() > LINE_BYTES {
            return Err("a line of at most 32 KiB");
        }
        let text = std::str::from_utf8(line).map_err(|_| "text that is UTF-8")?;
        let captures = match self.regex.captures(text) {
            Ok(Some(captures)) => captures,
            Ok(None) => return Err("a line that the pattern matches"),
            Err(_) => return Err("a line that the pattern matches within 50000 steps"),
        };
        for (group, field, kind) in &self.fields {
            // A group that took no part gives no field.
            if let Some(found) = captures.get(*group) {
                emit.typed(field, &line[found.start()..found.end()], *kind);
            }
        }
        Ok(())
    }
}

/// How the groups of aliases are called: an alias may have characters that a group's name may not.
const GROUP: &str = "_grok_";

/// A pattern whose names are being filled in.
struct Expansion<'k> {
    known: HashMap<&'k str, &'k str>,
    text: String,
    aliases: Vec<(String, FieldType)>,
}

impl Expansion<'_> {
    fn add(&mut self, pattern: &str, depth: u32) -> Result<(), String> {
        for part in grok_split(pattern) {
            match part {
                GrokComponent::RegularExpression { string, .. } => self.text.push_str(string),
                GrokComponent::GrokPattern {
                    pattern, name, alias, extract, definition, ..
                } => {
                    let text = match (definition, self.known.get(name)) {
                        ("", Some(text)) => (*text).to_owned(),
                        ("", None) => {
                            return Err(format!(
                                "`{pattern}`: there is no pattern `{name}`; `patterns` can define it"
                            ));
                        }
                        (text, _) => text.to_owned(),
                    };
                    if depth == DEPTH_LIMIT || self.text.len() > TEXT_LIMIT {
                        return Err(format!("`{pattern}` contains itself, or far too much"));
                    }
                    if alias.is_empty() {
                        self.text.push_str("(?:");
                    } else {
                        let kind = field_type(pattern, extract)?;
                        write!(self.text, "(?<{GROUP}{}>", self.aliases.len()).ok();
                        self.aliases.push((alias_name(alias), kind));
                    }
                    self.add(&text, depth + 1)?;
                    self.text.push(')');
                }
                GrokComponent::PatternError(_) => {
                    return Err(format!(
                        "`{pattern}` is not a pattern: after `%{{` goes `NAME}}`, `NAME:field}}` or `NAME:field:type}}`"
                    ));
                }
            }
        }
        Ok(())
    }
}

fn field_type(pattern: &str, word: &str) -> Result<FieldType, String> {
    Ok(match word {
        "" | "string" | "text" => FieldType::Text,
        "int" | "integer" | "long" => FieldType::Int,
        "float" | "double" | "number" => FieldType::Float,
        "bool" | "boolean" => FieldType::Bool,
        _ => return Err(format!("`{pattern}`: `{word}` is none of int, float, bool and text")),
    })
}

/// Logstash's `[http][status]` is `http.status`.
fn alias_name(alias: &str) -> String {
    match alias.strip_prefix('[').and_then(|alias| alias.strip_suffix(']')) {
        Some(inner) => inner.replace("][", "."),
        None => alias.to_owned(),
    }
}
