//! Tests of values: patterns, lists, truth, URLs.

use crate::expr::call::{Call, Callable, list};
use crate::expr::pattern::{Options, Pattern};
use minijinja::Error;
use minijinja::value::{Value, ValueKind};

pub(super) const TABLE: &[Callable] = &[
    Callable::new(
        &["match"],
        "pattern, ignorecase=false, multiline=false",
        |call| matches(call, true),
        "The text matches a pattern from its beginning.",
        "'abc' is match('a') → true",
    ),
    Callable::new(
        &["search"],
        "pattern, ignorecase=false, multiline=false",
        |call| matches(call, false),
        "The pattern is found in the text.",
        "'abc' is search('b') → true",
    ),
    Callable::new(
        &["regex"],
        "pattern, ignorecase=false, multiline=false, match_type='search'",
        |call| match call.text("match_type").as_deref() {
            None | Some("search") => matches(call, false),
            Some("match") => matches(call, true),
            Some("fullmatch") => full_match(call),
            Some(other) => {
                let known = "it knows search, match and fullmatch";
                Err(call.wrong(format!("knows no match_type `{other}`; {known}")))
            }
        },
        "The text matches in the way that `match_type` says: `search`, `match` or `fullmatch`.",
        "'abc' is regex('b') → true",
    ),
    Callable::new(
        &["contains"],
        "value",
        |call| {
            let wanted = call.need("value")?;
            Ok(match (call.value.as_str(), wanted.as_str()) {
                (Some(text), Some(part)) => text.contains(part),
                _ => call.items()?.contains(wanted),
            }
            .into())
        },
        "The list has this item, the mapping this key, the text this part.",
        "[1, 2] is contains(2) → true",
    ),
    Callable::new(
        &["subset", "issubset"],
        "superset",
        |call| {
            let other = call.list("superset")?;
            Ok(call.items()?.iter().all(|item| other.contains(item)).into())
        },
        "All items are in the other list.",
        "[1] is subset([1, 2]) → true",
    ),
    Callable::new(
        &["superset", "issuperset"],
        "subset",
        |call| {
            let items = call.items()?;
            Ok(call.list("subset")?.iter().all(|item| items.contains(item)).into())
        },
        "All items of the other list are in this one.",
        "[1, 2] is superset([1]) → true",
    ),
    Callable::new(
        &["any"],
        "",
        |call| Ok(call.items()?.iter().any(Value::is_true).into()),
        "Some item counts as true.",
        "[0, 1] is any → true",
    ),
    Callable::new(
        &["all"],
        "",
        |call| Ok(call.items()?.iter().all(Value::is_true).into()),
        "All items count as true.",
        "[0, 1] is all → false",
    ),
    Callable::new(
        &["truthy"],
        "convert_bool=false",
        |call| Ok(truthy(call).into()),
        "The value counts as true; with `convert_bool` words such as `no` are read too.",
        "'a' is truthy → true",
    ),
    Callable::new(
        &["falsy"],
        "convert_bool=false",
        |call| Ok((!truthy(call)).into()),
        "The value counts as false.",
        "'' is falsy → true",
    ),
    Callable::new(
        &["nan", "isnan"],
        "",
        |call| Ok(f64::try_from(call.value.clone()).is_ok_and(f64::is_nan).into()),
        "Is no number, though of that type.",
        "1.0 is nan → false",
    ),
    Callable::new(
        &["sequence"],
        "",
        |call| {
            let kinds = [ValueKind::Seq, ValueKind::Map, ValueKind::String];
            Ok(kinds.contains(&call.value.kind()).into())
        },
        "Has a length and items: a list, a mapping or a text.",
        "'a' is sequence → true",
    ),
    Callable::new(
        &["callable"],
        "",
        |call| Ok((call.value.kind() == ValueKind::Plain).into()),
        "Can be called.",
        "1 is callable → false",
    ),
    Callable::new(
        &["vault_encrypted", "vaulted_file"],
        "",
        |_| Ok(false.into()),
        "Is encrypted by Ansible's vault, which nothing here is.",
        "'a' is vault_encrypted → false",
    ),
    Callable::new(
        &["uri"],
        "schemes=none",
        |call| Ok(is_uri(call, false).into()),
        "Is a URI, of one of the schemes where some are named.",
        "'http://a' is uri → true",
    ),
    Callable::new(
        &["url"],
        "schemes=none",
        |call| Ok(is_uri(call, true).into()),
        "Is a URI with the address of a server, or of a file.",
        "'http://a/b' is url → true",
    ),
    Callable::new(
        &["urn"],
        "",
        |call| {
            let text = call.value.to_string();
            Ok(text.to_lowercase().starts_with("urn:").into())
        },
        "Is a URN.",
        "'urn:isbn:1' is urn → true",
    ),
];

fn pattern(call: &Call<'_, '_, '_>, text: &str) -> Result<(String, Pattern), Error> {
    // As Ansible: what is no text is looked at as its text.
    let subject = match call.value.as_str() {
        Some(text) => text.to_owned(),
        None if call.value.is_undefined() => return Err(call.expected("text")),
        None => call.value.to_string(),
    };
    Ok((subject, Pattern::new(text, Options::of(call))?))
}

fn matches(call: &Call<'_, '_, '_>, at_start: bool) -> Result<Value, Error> {
    let (subject, pattern) = pattern(call, &call.text("pattern").unwrap_or_default())?;
    Ok(pattern.matches(&subject, at_start)?.into())
}

fn full_match(call: &Call<'_, '_, '_>) -> Result<Value, Error> {
    let text = call.text("pattern").unwrap_or_default();
    let (subject, pattern) = pattern(call, &format!(r"\A(?:{text})\Z"))?;
    Ok(pattern.matches(&subject, false)?.into())
}

fn truthy(call: &Call<'_, '_, '_>) -> bool {
    match call.value.as_str() {
        Some(text) if call.flag("convert_bool", false) => {
            let word = text.to_ascii_lowercase();
            match word.as_str() {
                "no" | "off" | "false" | "0" | "n" | "f" => false,
                _ => !text.is_empty(),
            }
        }
        _ => call.value.is_true(),
    }
}

/// As Ansible: nearly any text is a URI, and what names a server (or a file) is a URL.
fn is_uri(call: &Call<'_, '_, '_>, needs_address: bool) -> bool {
    let text = call.value.to_string();
    let begins = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let (scheme, rest) = match text.split_once(':').filter(|(scheme, _)| begins(scheme)) {
        Some((scheme, rest)) => (scheme.to_lowercase(), rest),
        None => (String::new(), text.as_str()),
    };
    let asked = call.get("schemes").and_then(list).unwrap_or_default();
    if !asked.is_empty() && !asked.iter().any(|other| other.as_str() == Some(scheme.as_str())) {
        return false;
    }
    let address = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next());
    !needs_address || scheme == "file" || address.is_some_and(|address| !address.is_empty())
}
