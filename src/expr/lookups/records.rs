//! Look-ups of records in CSV, INI and properties files.

use super::{Asked, LookUp};
use crate::expr::pattern::{Options, Pattern};
use indexmap::IndexMap;
use minijinja::Error;
use minijinja::value::Value;

pub(super) const TABLE: &[LookUp] = &[
    LookUp::new(
        &["csvfile"],
        "*keys, file='ansible.csv', delimiter='TAB', col=1, keycol=0, default=none",
        |asked| {
            let found = asked.names().map(|term| csv(asked, &term));
            Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        },
        "A field of the row of a CSV file that begins with a key.",
        "lookup('csvfile', 'web1', file='hosts.csv', delimiter=',')",
    ),
    LookUp::new(
        &["ini"],
        "*keys, file='ansible.ini', section='global', type='ini', re=false, default='', \
         case_sensitive=false, allow_no_value=false, encoding='utf-8', interpolation=true",
        |asked| {
            let found = asked.names().map(|term| ini(asked, &term));
            Ok(found.collect::<Result<Vec<_>, _>>()?.concat())
        },
        "A value of an INI file, or of a properties file with `type='properties'`.",
        "lookup('ini', 'port', section='db', file='app.ini')",
    ),
];

/// A key, and the options that stand in the same text.
fn split(term: &str, options: &IndexMap<String, Value>) -> (String, IndexMap<String, Value>) {
    let mut options = options.clone();
    let mut key: Vec<&str> = Vec::new();
    let mut rest = Some(term);
    while let Some(ahead) = rest {
        let (word, after) = match ahead.split_once(' ') {
            Some((word, after)) => (word, Some(after)),
            None => (ahead, None),
        };
        rest = after;
        match word.split_once('=') {
            Some((name, value)) if !name.is_empty() && !key.is_empty() => {
                // A value in quotes may hold blanks.
                let quoted = ['"', '\''].into_iter().find_map(|quote| {
                    ahead[name.len() + 1..].strip_prefix(quote)?.split_once(quote)
                });
                let value = match quoted {
                    Some((value, after)) => {
                        rest = after.strip_prefix(' ');
                        value
                    }
                    None => value,
                };
                options.insert(name.to_owned(), value.into());
            }
            _ => key.push(word),
        }
    }
    (key.join(" "), options)
}

fn csv(asked: &Asked<'_>, term: &str) -> Result<Option<Value>, Error> {
    let (key, options) = split(term, &asked.options);
    let text = |name: &str, otherwise: &str| {
        options.get(name).map_or_else(|| otherwise.to_owned(), ToString::to_string)
    };
    let delimiter = match text("delimiter", "TAB").as_str() {
        "TAB" | "t" | "\\t" => '\t',
        other => other.chars().next().unwrap_or('\t'),
    };
    let column = |name: &str, otherwise: &str| -> Result<usize, Error> {
        let text = text(name, otherwise);
        text.parse().map_err(|_| asked.wrong(format!("takes a number as `{name}`, not `{text}`")))
    };
    let (col, keycol) = (column("col", "1")?, column("keycol", "0")?);
    let file = super::files::read(asked, "files", &text("file", "ansible.csv"))?;
    for row in rows(&file, delimiter) {
        if row.get(keycol).is_some_and(|field| *field == key) {
            let field = row.get(col);
            let told = || asked.wrong(format!("finds no column {col} in the row of `{key}`"));
            return Ok(Some(field.ok_or_else(told)?.as_str().into()));
        }
    }
    Ok(options.get("default").cloned().filter(|value| !value.is_none()))
}

/// The rows of a CSV file; a field in quotes may hold delimiters, line ends and doubled quotes.
fn rows(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut quoted = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let Some(row) = rows.last_mut() else { break };
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                push(row, '"');
            }
            '"' if quoted => quoted = false,
            '"' if row.last().is_some_and(String::is_empty) => quoted = true,
            '\r' if !quoted => {}
            '\n' if !quoted => rows.push(vec![String::new()]),
            c if c == delimiter && !quoted => row.push(String::new()),
            c => push(row, c),
        }
    }
    rows
}

fn push(row: &mut [String], c: char) {
    if let Some(field) = row.last_mut() {
        field.push(c);
    }
}

fn ini(asked: &Asked<'_>, term: &str) -> Result<Vec<Value>, Error> {
    let (key, options) = split(term, &asked.options);
    let text = |name: &str, otherwise: &str| {
        options.get(name).map_or_else(|| otherwise.to_owned(), ToString::to_string)
    };
    let is_true = |text: String| matches!(text.to_lowercase().as_str(), "true" | "yes" | "1");
    let flag = |name: &str| is_true(text(name, "false"));
    let kind = text("type", "ini");
    if !matches!(kind.as_str(), "ini" | "properties") {
        return Err(asked.wrong(format!("takes ini or properties as `type`, not `{kind}`")));
    }
    let wanted =
        if kind == "properties" { "java_properties".into() } else { text("section", "global") };
    let name = text("file", "ansible.ini");
    let file = super::files::read_as(asked, "files", &name, &text("encoding", "utf-8"))?;
    let entries = entries(&file, if kind == "properties" { &wanted } else { "" });
    let case = flag("case_sensitive");
    let same = |a: &str, b: &str| if case { a == b } else { a.eq_ignore_ascii_case(b) };
    let section = entries.iter().filter(|entry| entry.section == wanted);
    if kind == "ini" {
        let empty = section.clone().find(|entry| !entry.has_value);
        if let Some(empty) = empty.filter(|_| !flag("allow_no_value") && !flag("allow_none")) {
            return Err(asked.wrong(format!("finds no value of `{}` in {name}", empty.key)));
        }
        let mut others = section.clone();
        while let Some(entry) = others.next() {
            if others.clone().any(|other| same(&other.key, &entry.key)) {
                let (key, section) = (&entry.key, &entry.section);
                return Err(asked.wrong(format!("finds `{key}` twice in [{section}] of {name}")));
            }
        }
    }
    let fill = kind == "ini" && is_true(text("interpolation", "true"));
    let told = |entry: &Entry| -> Result<Value, Error> {
        if !fill {
            return Ok(entry.value.as_str().into());
        }
        let section: Vec<_> = section.clone().collect();
        let value = filled(&entry.value, &section, &mut { MOST_FILLED });
        let endless =
            || asked.wrong(format!("finds no end of `%(…)s` in `{}` of {name}", entry.key));
        Ok(value.ok_or_else(endless)?.into())
    };
    if flag("re") {
        let pattern = Pattern::new(&key, Options { ignore_case: !case, multi_line: false })?;
        let mut found = Vec::new();
        for entry in section.clone() {
            if pattern.matches(&entry.key, true)? {
                found.push(told(entry)?);
            }
        }
        return Ok(found);
    }
    // The last one counts.
    match section.clone().rfind(|entry| same(&entry.key, &key)) {
        Some(entry) => Ok(vec![told(entry)?]),
        None => Ok(vec![options.get("default").cloned().unwrap_or_else(|| "".into())]),
    }
}

struct Entry {
    section: String,
    key: String,
    value: String,
    /// Whether there is a `=` or `:`.
    has_value: bool,
}

/// More values of a section do not go into one another: what would be more names itself, or is
/// meant to take all memory.
const MOST_FILLED: usize = 1000;

/// `value` with the values of the same section in place of `%(key)s`, as Python's reader has it.
/// `None` where those go into one another more often than `left`.
fn filled(value: &str, section: &[&Entry], left: &mut usize) -> Option<String> {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let named = after.strip_prefix('(').and_then(|after| after.split_once(")s"));
        let found = named.and_then(|(key, after)| {
            let entry = section.iter().find(|entry| entry.key.eq_ignore_ascii_case(key))?;
            Some((entry, after))
        });
        match found {
            Some((entry, after)) => {
                *left = left.checked_sub(1)?;
                out.push_str(&filled(&entry.value, section, left)?);
                rest = after;
            }
            None => {
                out.push('%');
                rest = after.strip_prefix('%').unwrap_or(after);
            }
        }
    }
    Some(out + rest)
}

/// The entries of an INI file; lines that are indented go on with the value before.
fn entries(text: &str, section: &str) -> Vec<Entry> {
    let mut section = section.to_owned();
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
            continue;
        }
        match entries.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) && last.section == section => {
                last.value.push('\n');
                last.value.push_str(trimmed);
            }
            _ => {
                let pair = trimmed.split_once(['=', ':']);
                let (key, value) = pair.unwrap_or((trimmed, ""));
                let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
                let has_value = pair.is_some();
                entries.push(Entry { section: section.clone(), key, value, has_value });
            }
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_into_one_another_and_those_without_end_are_given_up() {
        let text = "[s]\nhost = a\nurl = http://%(host)s/%d%%\nloop = %(loop)s\nb = %(c)s%(c)s\n";
        let many: String =
            (0..30).map(|n| format!("v{n} = %(v{})s%(v{})s\n", n + 1, n + 1)).collect();
        let entries = entries(&format!("{text}{many}v30 =\n"), "");
        let section: Vec<&Entry> = entries.iter().collect();
        let of = |key: &str| {
            let entry = section.iter().find(|entry| entry.key == key).unwrap();
            filled(&entry.value, &section, &mut { MOST_FILLED })
        };
        assert_eq!(of("url").as_deref(), Some("http://a/%d%"));
        assert_eq!(of("b").as_deref(), Some("%(c)s%(c)s"), "nothing is called so");
        assert_eq!((of("loop"), of("v0")), (None, None));
    }
}
