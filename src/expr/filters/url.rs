//! Filters on URLs.

use crate::expr::call::{Call, Callable};
use crate::expr::random::Random;
use indexmap::IndexMap;
use minijinja::Error;
use minijinja::value::{Value, ValueKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

pub(super) const TABLE: &[Callable] = &[
    Callable::new(
        &["urlencode"],
        "",
        |call| {
            let pair = |(key, value): (Value, Value)| {
                format!("{}={}", form(&key.to_string()), form(&value.to_string()))
            };
            let pairs: Vec<String> = match call.value.kind() {
                ValueKind::Map => super::dict::entries(&call.value).into_iter().map(pair).collect(),
                ValueKind::Seq | ValueKind::Iterable => {
                    let pairs = call.items()?.into_iter().map(|item| -> Result<_, Error> {
                        Ok(pair((item.get_item_by_index(0)?, item.get_item_by_index(1)?)))
                    });
                    pairs.collect::<Result<_, _>>()?
                }
                _ => return Ok(path(&call.value.to_string()).into()),
            };
            Ok(pairs.join("&").into())
        },
        "Text as it stands in a URL; a mapping as a query.",
        "'a b/c' | urlencode → 'a%20b/c'",
    )
    .derives(),
    Callable::new(
        &["urldecode"],
        "",
        |call| {
            let text = call.value.to_string().replace('+', " ");
            Ok(percent_decode_str(&text).decode_utf8_lossy().into_owned().into())
        },
        "The text that stands in a URL.",
        "'a%20b' | urldecode → 'a b'",
    )
    .derives(),
    Callable::new(
        &["urlsplit"],
        "query=''",
        url_split,
        "The parts of a URL, or one of them: `scheme`, `hostname`, `port`, `path`, `query`, \
         `fragment`, `netloc`, `username` or `password`.",
        "'http://a:80/b' | urlsplit('port') → 80",
    ),
    Callable::new(
        &["random_mac"],
        "seed=none",
        |call| {
            let prefix = call.value.to_string().to_lowercase();
            let mut parts: Vec<String> = prefix.split(':').map(str::to_owned).collect();
            let is_pair = |part: &String| u8::from_str_radix(part, 16).is_ok() && part.len() == 2;
            if parts.len() > 5 || !parts.iter().all(is_pair) {
                return Err(
                    call.wrong(format!("takes one to five pairs of hex digits, not `{prefix}`"))
                );
            }
            let seed = call.get("seed").cloned();
            let mut random = Random::new(seed.as_ref());
            // As in Ansible: one number of 40 bits, of which the missing pairs are taken.
            let low = 1_u64 << 38;
            let drawn = format!("{:x}", low + random.below((1 << 40) - low));
            let missing = 6 - parts.len();
            let pairs = drawn.as_bytes().chunks(2).take(missing);
            parts.extend(pairs.map(|pair| String::from_utf8_lossy(pair).into_owned()));
            Ok(parts.join(":").into())
        },
        "A MAC address that begins with the given pairs; with `seed` the same each time.",
        "'52:54:00' | random_mac(seed=host)",
    ),
];

const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn path(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

fn form(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string().replace("%20", "+")
}

fn url_split(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let text = call.value.to_string();
    let parts = parts(&text);
    match call.text("query").filter(|name| !name.is_empty()) {
        None => Ok(parts
            .into_iter()
            .map(|(name, part)| (Value::from(name), part))
            .collect::<IndexMap<_, _>>()
            .into()),
        Some(name) => {
            let part = parts.into_iter().find(|(other, _)| *other == name);
            part.map(|(_, part)| part)
                .ok_or_else(|| call.wrong(format!("knows no part `{name}` of a URL")))
        }
    }
}

/// As Python's `urlsplit` cuts it.
fn parts(text: &str) -> Vec<(&'static str, Value)> {
    let nothing = || Value::from(());
    let scheme_end = text.find(':').filter(|at| {
        let scheme = &text[..*at];
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    let (scheme, rest) =
        scheme_end.map_or((String::new(), text), |at| (text[..at].to_lowercase(), &text[at + 1..]));
    let (netloc, rest) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        None => ("", rest),
    };
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (user, address) = netloc.rsplit_once('@').map_or((None, netloc), |(u, a)| (Some(u), a));
    let (username, password) =
        match user.map(|user| user.split_once(':').map_or((user, None), |(u, p)| (u, Some(p)))) {
            Some((name, word)) => (name.into(), word.map_or_else(nothing, Value::from)),
            None => (nothing(), nothing()),
        };
    let (hostname, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, after)) => (inner, after.strip_prefix(':')),
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    let hostname = match hostname {
        "" => nothing(),
        name => name.to_lowercase().into(),
    };
    let port = port.and_then(|port| port.parse::<u16>().ok()).map_or_else(nothing, Value::from);
    vec![
        ("fragment", fragment.into()),
        ("hostname", hostname),
        ("netloc", netloc.into()),
        ("password", password),
        ("path", path.into()),
        ("port", port),
        ("query", query.into()),
        ("scheme", scheme.into()),
        ("username", username),
    ]
}
