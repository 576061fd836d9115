//! What a plugin of Nagios prints: a line for people, and performance data behind a `|`.
//!
//! Source: the Monitoring Plugins Development Guidelines: `'label'=value[unit];warn;crit;min;max`,
//! separated by spaces; further lines may follow, and further data behind another `|` in them.

use super::families::{Families, labels};
use crate::event::metric::Family;

/// The status of a plugin that cannot say how it is.
pub(super) const UNKNOWN: f64 = 3.0;

/// Values that are told of, at most.
const MOST_VALUES: usize = 1000;

/// The performance data as metrics; what is none is passed over.
pub(super) fn families(text: &str, name: &str) -> Vec<Family> {
    let mut families = Families::default();
    for Value { label, value, unit } in values(text).into_iter().take(MOST_VALUES) {
        families.gauge(
            "driftless_plugin_value",
            "A number of a plugin's performance data, in the unit that it says.",
            labels([("label", &label), ("name", name), ("unit", unit)]),
            value,
        );
    }
    families.into()
}

/// One item of performance data.
#[derive(Debug, PartialEq)]
struct Value<'t> {
    label: String,
    value: f64,
    unit: &'t str,
}

fn values(text: &str) -> Vec<Value<'_>> {
    let mut found: Vec<Value<'_>> = Vec::new();
    let (first, more) = text.split_once('\n').unwrap_or((text, ""));
    let data = [first, more].into_iter().filter_map(|part| part.split_once('|'));
    for (_, mut rest) in data {
        while let Some((value, behind)) = next(rest) {
            rest = behind;
            // A label that comes twice would be a series that does.
            found.extend(value.filter(|new| !found.iter().any(|old| old.label == new.label)));
        }
    }
    found
}

/// The next item, where it is one, and what stands behind it; `None` at the end.
fn next(text: &str) -> Option<(Option<Value<'_>>, &str)> {
    let text = text.trim_start();
    if text.is_empty() {
        return None;
    }
    let Some((label, rest)) = label(text) else {
        // No label: the next word may be an item again.
        let behind = text.split_once(char::is_whitespace).map_or("", |(_, behind)| behind);
        return Some((None, behind));
    };
    let (item, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let number = item.split(';').next().unwrap_or_default();
    let is_part = |char: char| char.is_ascii_digit() || matches!(char, '.' | ',' | '-' | '+');
    let (digits, unit) =
        number.split_at(number.find(|char| !is_part(char)).unwrap_or(number.len()));
    // Some write numbers as their country does.
    let value = digits.replace(',', ".").parse().ok();
    let is_unit = unit.len() <= 8 && !unit.contains(['=', '\'', '"']);
    let value = value.filter(|_| is_unit).map(|value| Value { label, value, unit });
    Some((value, behind))
}

/// `label=` or `'label'=`, where a doubled quote stands for one.
fn label(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let (label, rest) = text.split_once('=')?;
        let is_one = !label.is_empty() && !label.contains(char::is_whitespace);
        return is_one.then(|| (label.to_owned(), rest));
    };
    let mut end = 0;
    loop {
        end += quoted[end..].find('\'')?;
        if !quoted[end + 1..].starts_with('\'') {
            break;
        }
        end += 2;
    }
    let rest = quoted[end + 1..].strip_prefix('=')?;
    (end > 0).then(|| (quoted[..end].replace("''", "'"), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(String, f64, String)> {
        let values = values(text).into_iter();
        values.map(|it| (it.label, it.value, it.unit.to_owned())).collect()
    }

    fn one(label: &str, value: f64, unit: &str) -> (String, f64, String) {
        (label.to_owned(), value, unit.to_owned())
    }

    #[test]
    fn performance_data_is_read_from_the_first_line_and_behind_the_text() {
        let text = "DISK OK - free | /=2643MB;5948;5958;0;5968 'a b''c'=1.5s\n\
                    more text\nand more | /boot=68%;88 load=-0,5\nx=3c\n";
        assert_eq!(
            told(text),
            [
                one("/", 2643.0, "MB"),
                one("a b'c", 1.5, "s"),
                one("/boot", 68.0, "%"),
                one("load", -0.5, ""),
                one("x", 3.0, "c"),
            ]
        );
    }

    #[test]
    fn what_is_no_item_is_passed_over_and_nothing_comes_twice() {
        for text in
            ["", "OK", "OK |", "OK | ", "OK | x", "OK | x=", "OK | x=U;1", "|'|'", "|'a", "|=1"]
        {
            assert_eq!(told(text), [], "{text}");
        }
        assert_eq!(
            told("OK | junk a=1 ''=2 a=3 b=4é c='5' d=6\u{2028}e=7"),
            [one("a", 1.0, ""), one("b", 4.0, "é"), one("d", 6.0, ""), one("e", 7.0, ""),]
        );
    }
}
