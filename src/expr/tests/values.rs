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
        |call| Ok(is_uri(call, &[]).into()),
        "Is a URI, of one of the schemes where some are named.",
        "'http://a' is uri → true",
    ),
    Callable::new(
        &["url"],
        "schemes=none",
        |call| Ok(is_uri(call, &["http", "https", "ftp"]).into()),
        "Is a URL of a web or FTP server, or of one of the schemes.",
        "'http://a/b' is url → true",
    ),
    Callable::new(
        &["urn"],
        "",
        |call| {
            let text = call.value.to_string();
            let rest = text.to_lowercase().strip_prefix("urn:").map(str::to_owned);
            Ok(rest
                .is_some_and(|rest| {
                    rest.split_once(':').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty())
                })
                .into())
        },
        "Is a URN.",
        "'urn:isbn:1' is urn → true",
    ),
];

fn pattern(call: &Call<'_, '_, '_>, text: &str) -> Result<(String, Pattern), Error> {
    let subject = call.value.as_str().ok_or_else(|| call.expected("text"))?;
    Ok((subject.to_owned(), Pattern::new(text, Options::of(call))?))
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

fn is_uri(call: &Call<'_, '_, '_>, usual: &[&str]) -> bool {
    let text = call.value.to_string();
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let asked = call.get("schemes").and_then(list).unwrap_or_default();
    let scheme = scheme.to_lowercase();
    let begins = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let fits = begins && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let wanted = match asked.is_empty() {
        true => usual.is_empty() || usual.contains(&scheme.as_str()),
        false => asked.iter().any(|other| other.as_str() == Some(scheme.as_str())),
    };
    let address =
        rest.strip_prefix("//").map_or("", |rest| rest.split(['/', '?', '#']).next().unwrap_or(""));
    fits && wanted && !rest.is_empty() && (usual.is_empty() || !address.is_empty())
}
