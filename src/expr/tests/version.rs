//! Comparing versions: as words and numbers, strictly, by semantic versioning, or as Python's
//! packages do.

use crate::expr::call::{Call, Callable};
use minijinja::Error;
use minijinja::value::Value;
use std::cmp::Ordering;

pub(super) const TABLE: &[Callable] = &[Callable::new(
    &["version", "version_compare"],
    "version, operator='eq', strict=none, version_type=none",
    version,
    "The version is less, the same or greater than another, by `==`, `!=`, `<`, `<=`, `>`, `>=`; \
     `version_type` is `loose`, `strict`, `semver`, `semantic` or `pep440`.",
    "'1.10' is version('1.9', '>') → true",
)];

fn version(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let (found, wanted) = (call.value.to_string(), call.text("version").unwrap_or_default());
    if wanted.trim().is_empty() || found.trim().is_empty() {
        return Err(call.wrong("compares versions, and one of them is empty"));
    }
    let kind = match (call.text("version_type"), call.flag("strict", false)) {
        (Some(kind), _) => kind,
        (None, true) => "strict".into(),
        (None, false) => "loose".into(),
    };
    let order = match kind.as_str() {
        "loose" => loose(&found, &wanted),
        "strict" => both(call, strict, &found, &wanted, "1.2 or 1.2.3, maybe with a1 or b1")?,
        "semver" | "semantic" => both(call, semantic, &found, &wanted, "1.2.3, maybe with -rc.1")?,
        "pep440" => {
            both(call, pep440, &found, &wanted, "1.2.3, maybe with a1, rc1, .post1, .dev1")?
        }
        other => {
            let known = "it knows loose, strict, semver, semantic and pep440";
            return Err(call.wrong(format!("knows no version_type `{other}`; {known}")));
        }
    };
    let operator = call.text("operator").unwrap_or_else(|| "eq".into());
    Ok(match operator.as_str() {
        "==" | "=" | "eq" => order == Ordering::Equal,
        "!=" | "<>" | "ne" => order != Ordering::Equal,
        "<" | "lt" => order == Ordering::Less,
        "<=" | "le" => order != Ordering::Greater,
        ">" | "gt" => order == Ordering::Greater,
        ">=" | "ge" => order != Ordering::Less,
        other => {
            let known = "it knows == != < <= > >=";
            return Err(call.wrong(format!("cannot compare by `{other}`; {known}")));
        }
    }
    .into())
}

fn both<T: Ord>(
    call: &Call<'_, '_, '_>,
    read: impl Fn(&str) -> Option<T>,
    a: &str,
    b: &str,
    form: &str,
) -> Result<Ordering, Error> {
    let told = |text: &str| call.wrong(format!("takes versions of the form {form}, not `{text}`"));
    let (a, b) = (read(a).ok_or_else(|| told(a))?, read(b).ok_or_else(|| told(b))?);
    Ok(a.cmp(&b))
}

/// Compares runs of digits as numbers and runs of letters as text, as Python's `LooseVersion`:
/// what goes on is newer than what ends. Where Python gives up, digits are newer than letters.
fn loose(a: &str, b: &str) -> Ordering {
    let (a, b) = (parts(a), parts(b));
    let orders = a.iter().zip(&b).map(|(x, y)| match (x.0, y.0) {
        (true, true) => {
            let (x, y) = (x.1.trim_start_matches('0'), y.1.trim_start_matches('0'));
            x.len().cmp(&y.len()).then_with(|| x.cmp(y))
        }
        _ => x.0.cmp(&y.0).then_with(|| x.1.cmp(&y.1)),
    });
    let first = orders.into_iter().find(|order| order.is_ne());
    first.unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// Runs of digits (true) and of letters.
fn parts(text: &str) -> Vec<(bool, String)> {
    let mut parts: Vec<(bool, String)> = Vec::new();
    let mut glued = false;
    for c in text.chars() {
        let digit = c.is_ascii_digit();
        match parts.last_mut() {
            _ if !c.is_alphanumeric() => {
                glued = false;
                continue;
            }
            Some((kind, part)) if glued && *kind == digit => part.push(c),
            _ => parts.push((digit, c.to_string())),
        }
        glued = true;
    }
    parts
}

fn numbers(text: &str) -> Option<Vec<u64>> {
    let number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse().ok())?
    };
    text.split('.').map(number).collect()
}

/// `1.2`, `1.2.3`, `1.2a1`; one with a letter comes before the one without.
fn strict(text: &str) -> Option<(Vec<u64>, (u8, u64))> {
    let letter = text.find(['a', 'b']);
    let (plain, before) = match letter {
        Some(at) => (&text[..at], Some((text.as_bytes()[at], text[at + 1..].parse().ok()?))),
        None => (text, None),
    };
    let mut numbers = numbers(plain).filter(|numbers| (2..=3).contains(&numbers.len()))?;
    numbers.resize(3, 0);
    // Sorted so that no letter comes last.
    Some((numbers, before.unwrap_or((u8::MAX, 0))))
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Number(u64),
    Text(String),
}

/// `1.2.3-rc.1+build`; what follows `+` does not count.
fn semantic(text: &str) -> Option<(Vec<u64>, bool, Vec<Word>)> {
    let text = text.split('+').next()?;
    let (plain, before) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
    let numbers = numbers(plain).filter(|numbers| numbers.len() == 3)?;
    let word = |part: &str| match part.parse() {
        Ok(number) => Word::Number(number),
        Err(_) => Word::Text(part.to_owned()),
    };
    let words = before.map(|before| before.split('.').map(word).collect()).unwrap_or_default();
    Some((numbers, before.is_none(), words))
}

/// Epoch, release, then whether it comes before (`dev`, `a`, `b`, `rc`) or after (`post`) it.
type Pep440 = (u64, Vec<u64>, (i8, u64), (i8, u64), (i8, u64));

fn pep440(text: &str) -> Option<Pep440> {
    let text = text.trim().to_lowercase();
    let text = text.strip_prefix('v').unwrap_or(&text);
    let text = text.split('+').next()?;
    let (epoch, text) = text.split_once('!').map_or((Some(0), text), |(e, t)| (e.parse().ok(), t));
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let mut release = numbers(text[..end].trim_end_matches('.'))?;
    while release.len() > 1 && release.last() == Some(&0) {
        release.pop();
    }
    let (mut before, mut after, mut dev) = (None, None, None);
    let words = parts(&text[end..]);
    let mut words = words.iter().peekable();
    while let Some((_, word)) = words.next() {
        let number = words.next_if(|(digit, _)| *digit).map_or(Some(0), |(_, n)| n.parse().ok())?;
        match word.as_str() {
            "a" | "alpha" => before = Some((-3, number)),
            "b" | "beta" => before = Some((-2, number)),
            "rc" | "c" | "pre" | "preview" => before = Some((-1, number)),
            "post" | "rev" | "r" => after = Some((1, number)),
            "dev" => dev = Some((-1, number)),
            _ => return None,
        }
    }
    let only_dev = before.is_none() && after.is_none() && dev.is_some();
    let before = before.unwrap_or(if only_dev { (-4, 0) } else { (0, 0) });
    Some((epoch?, release, before, after.unwrap_or((0, 0)), dev.unwrap_or((0, 0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers_not_their_letters() {
        use Ordering::{Equal, Greater};
        for (a, b, order) in [
            ("1.10", "1.9", Greater),
            ("1.0", "1", Greater),
            ("2.0.1", "2.0", Greater),
            ("1.0rc1", "1.0", Greater),
            ("007", "7", Equal),
        ] {
            assert_eq!(loose(a, b), order, "{a} and {b}");
        }
    }

    #[test]
    fn what_comes_before_a_release_is_older_than_it() {
        assert!(semantic("1.0.0-rc.2").unwrap() < semantic("1.0.0-rc.10").unwrap());
        assert!(semantic("1.0.0-rc.10").unwrap() < semantic("1.0.0+7").unwrap());
        assert!(semantic("1.0").is_none());
        let order = ["1.0.dev1", "1.0a1", "1.0rc2", "1.0", "1.0.post1.dev1", "1.0.post1", "1!0.1"];
        assert!(order.windows(2).all(|two| pep440(two[0]).unwrap() < pep440(two[1]).unwrap()));
        assert!(strict("1.2a1").unwrap() < strict("1.2").unwrap());
    }
}
