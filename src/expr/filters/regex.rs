//! Filters with patterns. What a pattern means is in `expr/pattern.rs`.

use crate::expr::call::{Call, Callable};
use crate::expr::pattern::{Options, Pattern};
use fancy_regex::Captures;
use minijinja::Error;
use minijinja::value::Value;

pub(super) const TABLE: &[Callable] = &[
    Callable::new(
        &["regex_replace"],
        "pattern='', replacement='', ignorecase=false, multiline=false, count=0, mandatory_count=0",
        replace,
        "The text with every match (the first `count` of them) replaced; `\\1` and `\\g<name>` are groups.",
        "'a1b2' | regex_replace('([0-9])', '<\\\\1>') → 'a<1>b<2>'",
    ),
    Callable::new(
        &["regex_search"],
        "pattern, *groups, ignorecase=false, multiline=false",
        search,
        "The first match, or the groups that are named, as a list; null where there is none.",
        "'foo=bar' | regex_search('(\\\\w+)=(\\\\w+)', '\\\\2') → ['bar']",
    ),
    Callable::new(
        &["regex_findall"],
        "pattern, multiline=false, ignorecase=false",
        find_all,
        "All matches; where the pattern has groups, those.",
        "'a1b2' | regex_findall('[0-9]') → ['1', '2']",
    ),
    Callable::new(
        &["regex_escape"],
        "re_type='python'",
        escape,
        "A pattern that matches the text itself; `re_type` is `python` or `posix_basic`.",
        "'a.b' | regex_escape → 'a\\\\.b'",
    ),
];

fn pattern(call: &Call<'_, '_, '_>) -> Result<Pattern, Error> {
    let text = call.text("pattern").unwrap_or_default();
    Pattern::new(&text, Options::of(call))
}

fn replace(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let (text, pattern) = (call.value.to_string(), pattern(call)?);
    let by = call.text("replacement").unwrap_or_default();
    let most = call.count("count", 0)?;
    let most = if most == 0 { usize::MAX } else { most };
    let (mut out, mut end, mut count) = (String::new(), 0, 0);
    for found in pattern.all(&text)?.iter().take(most) {
        let Some(whole) = found.get(0) else { continue };
        out.push_str(&text[end..whole.start()]);
        expand(call, &by, found, &mut out)?;
        end = whole.end();
        count += 1;
    }
    let least = call.count("mandatory_count", 0)?;
    if count < least {
        return Err(call.wrong(format!("replaced {count} times, and {least} were expected")));
    }
    out.push_str(&text[end..]);
    Ok(out.into())
}

/// Writes a replacement as Python's `re.sub` does.
fn expand(
    call: &Call<'_, '_, '_>,
    by: &str,
    found: &Captures<'_>,
    out: &mut String,
) -> Result<(), Error> {
    let mut rest = by;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escaped = &rest[at + 1..];
        let first = escaped.chars().next();
        let width = match first {
            Some('g') if escaped.starts_with("g<") => {
                let name = escaped[2..].split('>').next().unwrap_or_default();
                out.push_str(group(call, found, name)?.unwrap_or_default());
                (name.len() + 3).min(escaped.len())
            }
            Some('0') => {
                out.push('\0');
                1
            }
            Some(digit) if digit.is_ascii_digit() => {
                let width = escaped.bytes().take(2).take_while(u8::is_ascii_digit).count();
                out.push_str(group(call, found, &escaped[..width])?.unwrap_or_default());
                width
            }
            Some('n') => {
                out.push('\n');
                1
            }
            Some('t') => {
                out.push('\t');
                1
            }
            Some('r') => {
                out.push('\r');
                1
            }
            Some('\\') => {
                out.push('\\');
                1
            }
            _ => {
                out.push('\\');
                0
            }
        };
        rest = &escaped[width..];
    }
    out.push_str(rest);
    Ok(())
}

/// The group with a number or a name.
fn group<'t>(
    call: &Call<'_, '_, '_>,
    found: &Captures<'t>,
    name: &str,
) -> Result<Option<&'t str>, Error> {
    let part = match name.parse::<usize>() {
        Ok(number) if number < found.len() => found.get(number),
        Ok(_) => return Err(call.wrong(format!("refers to group {name}, and there is none"))),
        Err(_) => found.name(name),
    };
    Ok(part.map(|part| part.as_str()))
}

fn search(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let (text, pattern) = (call.value.to_string(), pattern(call)?);
    let Some(found) = pattern.first(&text)? else { return Ok(Value::from(())) };
    if call.rest.is_empty() {
        return Ok(found.get(0).map_or("", |whole| whole.as_str()).into());
    }
    let named = call.rest.iter().map(|name| -> Result<Value, Error> {
        let name = name.to_string();
        // Doubled ones are meant so where they stand in YAML's double quotes, too.
        let plain = name.starts_with('\\').then(|| name.trim_start_matches('\\'));
        let plain = plain.ok_or_else(|| {
            call.wrong(format!("takes groups as `\\\\1` or `\\\\g<name>`, and this is `{name}`"))
        })?;
        let plain = plain.strip_prefix("g<").map_or(plain, |name| name.trim_end_matches('>'));
        Ok(group(call, &found, plain)?.map_or_else(|| Value::from(()), Value::from))
    });
    Ok(named.collect::<Result<Vec<_>, _>>()?.into())
}

fn find_all(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let (text, pattern) = (call.value.to_string(), pattern(call)?);
    let part = |found: &Captures<'_>, at| Value::from(found.get(at).map_or("", |p| p.as_str()));
    let all = pattern.all(&text)?;
    let item = |found: &Captures<'_>| -> Value {
        match found.len() {
            1 => part(found, 0),
            2 => part(found, 1),
            count => (1..count).map(|at| part(found, at)).collect(),
        }
    };
    Ok(all.iter().map(item).collect())
}

fn escape(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let special = match call.text("re_type").as_deref() {
        None | Some("python") => "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}",
        Some("posix_basic") => "[].^$*\\",
        Some(other) => {
            let known = "it knows python and posix_basic";
            return Err(call.wrong(format!("knows no kind of pattern `{other}`; {known}")));
        }
    };
    let mut out = String::new();
    for c in call.value.to_string().chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(out.into())
}
