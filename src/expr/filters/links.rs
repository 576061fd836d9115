//! `urlize`: links of HTML in place of the addresses in a text, as Jinja makes them.

use crate::expr::call::Call;
use minijinja::Error;
use minijinja::value::Value;
use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// What may stand before an address and is no part of it.
const OPENING: [&str; 3] = ["(", "<", "&lt;"];
/// What may stand behind one.
const CLOSING: [&str; 6] = [")", ">", "&gt;", ".", ",", "\n"];
/// Pairs of which the second one belongs to an address that has the first.
const PAIRS: [(&str, &str); 2] = [("(", ")"), ("&lt;", "&gt;")];

/// An address on the web, with or without `https://`.
static WEB: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let host = r"(?:https?://|www\.)(?:(?:[\w%-]+\.)+)?(?:[a-z]{2,63}|xn--[\w%]{2,59})";
    let bare = r"(?:[\w%-]{2,63}\.)+(?:com|net|int|edu|gov|org|info|mil)";
    let number = r"https?://(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]*:[0-9a-f:.]*\])";
    let rest = r"(?::\d{1,5})?(?:[/?#]\S*)?";
    Regex::new(&format!("(?i)^(?:{host}|{bare}|{number}){rest}$")).ok()
});

/// An address of mail.
static MAIL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\S+@\w[\w.-]*\.\w+$").ok());

fn fits(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    LazyLock::force(pattern).as_ref().is_some_and(|pattern| pattern.is_match(text))
}

pub(super) fn urlize(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let limit = call.get("trim_url_limit").and_then(Value::as_usize);
    let mut rel = BTreeSet::from(["noopener".to_owned()]);
    rel.extend(call.flag("nofollow", false).then(|| "nofollow".to_owned()));
    let more = call.text("rel").unwrap_or_default();
    rel.extend(more.split_whitespace().map(str::to_owned));
    let rel: Vec<String> = rel.into_iter().collect();
    let mut attributes = format!(" rel=\"{}\"", escape(&rel.join(" ")));
    if let Some(target) = call.text("target").filter(|target| !target.is_empty()) {
        attributes.push_str(&format!(" target=\"{}\"", escape(&target)));
    }
    let schemes = call.get("extra_schemes").and_then(|schemes| schemes.try_iter().ok());
    let schemes: Vec<String> = schemes.into_iter().flatten().map(|it| it.to_string()).collect();
    let shown = |text: &str| match limit {
        Some(limit) if text.chars().count() > limit => {
            format!("{}...", text.chars().take(limit).collect::<String>())
        }
        _ => text.to_owned(),
    };
    let link = |address: &str| -> Option<String> {
        if fits(&WEB, address) {
            let is_whole = address.starts_with("http://") || address.starts_with("https://");
            let scheme = if is_whole { "" } else { "https://" };
            return Some(format!(
                "<a href=\"{scheme}{address}\"{attributes}>{}</a>",
                shown(address)
            ));
        }
        let mail = address.strip_prefix("mailto:").unwrap_or(address);
        let is_bare = !address.starts_with("www.") && !address.contains(':');
        if (is_bare || mail != address) && fits(&MAIL, mail) {
            return Some(format!("<a href=\"mailto:{mail}\">{mail}</a>"));
        }
        let is_known = |scheme: &String| address != scheme && address.starts_with(scheme.as_str());
        let known = schemes.iter().any(is_known);
        known.then(|| format!("<a href=\"{address}\"{attributes}>{address}</a>"))
    };
    let text = escape(&call.value.to_string());
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end_matches(char::is_whitespace);
        let (head, address, tail) = parted(word);
        match link(address) {
            Some(link) => out.extend([head, &link, tail]),
            None => out.push_str(word),
        }
        out.push_str(&piece[word.len()..]);
    }
    Ok(out.into())
}

/// A word as what stands before an address, the address, and what stands behind it.
fn parted(word: &str) -> (&str, &str, &str) {
    let mut from = 0;
    while let Some(sign) = OPENING.iter().find(|sign| word[from..].starts_with(*sign)) {
        from += sign.len();
    }
    let mut to = word.len();
    while let Some(sign) = CLOSING.iter().find(|sign| word[from..to].ends_with(*sign)) {
        to -= sign.len();
    }
    for (open, close) in PAIRS {
        let opened = word[from..to].matches(open).count();
        let mut lacks = opened.saturating_sub(word[from..to].matches(close).count());
        while lacks > 0
            && let Some(at) = word[to..].find(close)
        {
            to += at + close.len();
            lacks -= 1;
        }
    }
    (&word[..from], &word[from..to], &word[to..])
}

/// Text as it stands in HTML.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
