//! Ansible's tests: what may stand after `is`.

use super::filters::compile;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};
use std::cmp::Ordering;

/// Makes the tests known to `environment`.
pub(super) fn register(environment: &mut Environment<'static>) {
    for (name, anchor) in
        [("match", Anchor::Start), ("search", Anchor::Anywhere), ("regex", Anchor::Anywhere)]
    {
        environment.add_test(name, move |text: &str, pattern: &str, options: Kwargs| {
            matches(text, pattern, anchor, &options)
        });
    }
    for name in ["changed", "change"] {
        environment.add_test(name, |result: &Value| flag(result, "changed"));
    }
    for name in ["failed", "failure"] {
        environment.add_test(name, |result: &Value| flag(result, "failed"));
    }
    for name in ["succeeded", "success", "successful"] {
        environment.add_test(name, |result: &Value| Ok::<_, Error>(!flag(result, "failed")?));
    }
    for name in ["skipped", "skip"] {
        environment.add_test(name, |result: &Value| flag(result, "skipped"));
    }
    environment.add_test("version", version);
    environment.add_test("version_compare", version);
    environment.add_test("contains", |list: &Value, wanted: &Value| {
        Ok::<_, Error>(list.try_iter()?.any(|item| item == *wanted))
    });
    environment.add_test("subset", |a: &Value, b: &Value| all_in(a, b));
    environment.add_test("superset", |a: &Value, b: &Value| all_in(b, a));
    environment.add_test("any", |list: &Value| {
        Ok::<_, Error>(list.try_iter()?.any(|item| item.is_true()))
    });
    environment.add_test("all", |list: &Value| {
        Ok::<_, Error>(list.try_iter()?.all(|item| item.is_true()))
    });
    environment.add_test("truthy", |value: &Value| value.is_true());
    environment.add_test("falsy", |value: &Value| !value.is_true());
}

/// Where a pattern must begin to match.
#[derive(Clone, Copy)]
enum Anchor {
    Start,
    Anywhere,
}

fn matches(text: &str, pattern: &str, anchor: Anchor, options: &Kwargs) -> Result<bool, Error> {
    let regex = compile(pattern, options)?;
    options.assert_all_used()?;
    Ok(match anchor {
        Anchor::Start => regex.find(text).is_some_and(|found| found.start() == 0),
        Anchor::Anywhere => regex.is_match(text),
    })
}

/// A truth value of a task's registered result; results that lack it read as false.
fn flag(result: &Value, name: &str) -> Result<bool, Error> {
    if result.kind() != ValueKind::Map {
        let why = format!(
            "`{name}` tests the registered result of a task, and this is {}",
            result.kind()
        );
        return Err(Error::new(ErrorKind::InvalidOperation, why));
    }
    Ok(result.get_attr(name)?.is_true())
}

fn all_in(a: &Value, b: &Value) -> Result<bool, Error> {
    let b: Vec<Value> = b.try_iter()?.collect();
    Ok(a.try_iter()?.all(|item| b.contains(&item)))
}

fn version(found: &Value, wanted: &Value, operator: Option<&str>) -> Result<bool, Error> {
    let order = compare_versions(&found.to_string(), &wanted.to_string());
    Ok(match operator.unwrap_or("eq") {
        "==" | "=" | "eq" => order == Ordering::Equal,
        "!=" | "<>" | "ne" => order != Ordering::Equal,
        "<" | "lt" => order == Ordering::Less,
        "<=" | "le" => order != Ordering::Greater,
        ">" | "gt" => order == Ordering::Greater,
        ">=" | "ge" => order != Ordering::Less,
        other => {
            let why = format!("`{other}` does not compare versions; use one of == != < <= > >=");
            return Err(Error::new(ErrorKind::InvalidOperation, why));
        }
    })
}

/// Compares runs of digits as numbers and runs of letters as text; a run of digits is newer than
/// letters, and what goes on is newer than what ends.
fn compare_versions(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(bool, String)> {
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
    };
    let (a, b) = (parts(a), parts(b));
    for at in 0..a.len().max(b.len()) {
        let zero = (true, String::from("0"));
        let (x, y) = (a.get(at).unwrap_or(&zero), b.get(at).unwrap_or(&zero));
        let order = match (x.0, y.0) {
            (true, true) => {
                let (x, y) = (x.1.trim_start_matches('0'), y.1.trim_start_matches('0'));
                x.len().cmp(&y.len()).then_with(|| x.cmp(y))
            }
            _ => x.0.cmp(&y.0).then_with(|| x.1.cmp(&y.1)),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers_not_their_letters() {
        use Ordering::{Equal, Greater, Less};
        for (a, b, order) in [
            ("1.10", "1.9", Greater),
            ("1.0", "1", Equal),
            ("2.0.1", "2.0", Greater),
            ("1.0rc1", "1.0", Less),
            ("007", "7", Equal),
        ] {
            assert_eq!(compare_versions(a, b), order, "{a} and {b}");
        }
    }
}
