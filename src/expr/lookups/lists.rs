//! Look-ups that make lists of lists.

use super::{Asked, LookUp, opened};
use crate::expr::filters;
use crate::expr::random::Random;
use indexmap::IndexMap;
use minijinja::Error;
use minijinja::value::{Value, ValueKind};

pub(super) const TABLE: &[LookUp] = &[
    LookUp::new(
        &["list"],
        "*items",
        |asked| Ok(asked.terms.clone()),
        "The items themselves.",
        "query('list', 1, 2) → [1, 2]",
    ),
    LookUp::new(
        &["items"],
        "*items",
        |asked| Ok(asked.flat()),
        "The items, those that are lists opened.",
        "query('items', [1], 2) → [1, 2]",
    ),
    LookUp::new(
        &["flattened"],
        "*items",
        |asked| {
            fn deep(value: &Value) -> Vec<Value> {
                match value.kind() {
                    ValueKind::Seq => opened(value).iter().flat_map(deep).collect(),
                    _ => vec![value.clone()],
                }
            }
            Ok(asked.terms.iter().flat_map(deep).collect())
        },
        "The items, lists opened down to the last.",
        "query('flattened', [1, [2]]) → [1, 2]",
    ),
    LookUp::new(
        &["dict"],
        "*mappings",
        |asked| {
            let mut entries = Vec::new();
            for term in asked.flat() {
                if term.kind() != ValueKind::Map {
                    return Err(asked.wrong(format!("takes mappings, and this is {}", term.kind())));
                }
                let item = |(key, value)| Value::from_pairs([("key", key), ("value", value)]);
                entries.extend(filters::entries_of(&term).into_iter().map(item));
            }
            Ok(entries)
        },
        "The entries of mappings, each with `key` and `value`.",
        "query('dict', {'a': 1}) → [{'key': 'a', 'value': 1}]",
    ),
    LookUp::new(
        &["indexed_items"],
        "*items",
        |asked| {
            let pair = |(at, item): (usize, Value)| Value::from(vec![at.into(), item]);
            Ok(asked.flat().into_iter().enumerate().map(pair).collect())
        },
        "The items with their numbers.",
        "query('indexed_items', ['a']) → [[0, 'a']]",
    ),
    LookUp::new(
        &["together"],
        "*lists",
        |asked| {
            let lists: Vec<Vec<Value>> = asked.terms.iter().map(opened).collect();
            if lists.is_empty() {
                return Err(asked.wrong("takes at least one list"));
            }
            let length = lists.iter().map(Vec::len).max().unwrap_or_default();
            let item =
                |list: &Vec<Value>, at| list.get(at).cloned().unwrap_or_else(|| Value::from(()));
            let row = |at| lists.iter().map(|list| item(list, at)).collect::<Vec<_>>().into();
            Ok((0..length).map(row).collect())
        },
        "The first items of all lists, then the second ones; null where a list is shorter.",
        "query('together', [1, 2], ['a']) → [[1, 'a'], [2, none]]",
    ),
    LookUp::new(
        &["nested", "cartesian"],
        "*lists",
        |asked| {
            let lists: Vec<Vec<Value>> = asked.terms.iter().map(opened).collect();
            let count = lists.iter().try_fold(1usize, |n, list| n.checked_mul(list.len()));
            if lists.is_empty() || count.is_none_or(|count| count > 1 << 20) {
                return Err(asked.wrong("takes at least one list, and makes up to a million items"));
            }
            let rows = filters::product_of(&lists).into_iter();
            Ok(rows.map(|row| row.iter().flat_map(opened).collect::<Vec<_>>().into()).collect())
        },
        "Each item of the first list with each of the others.",
        "query('nested', [1, 2], ['a']) → [[1, 'a'], [2, 'a']]",
    ),
    LookUp::new(
        &["subelements"],
        "list, name, options={}",
        subelements,
        "Each item with each item of a list within it.",
        "query('subelements', users, 'groups')",
    ),
    LookUp::new(
        &["random_choice"],
        "*items",
        |asked| {
            let items = asked.flat();
            Ok(Random::new(None).choice(&items).cloned().into_iter().collect())
        },
        "One of the items.",
        "lookup('random_choice', 'a', 'b')",
    ),
    LookUp::new(
        &["sequence"],
        "*terms, start=1, end=none, count=none, stride=1, format='%d'",
        sequence,
        "Numbers as text, from `start` to `end`, or `count` of them.",
        "query('sequence', 'start=1 end=3 format=web%02d') → ['web01', 'web02', 'web03']",
    ),
];

fn subelements(asked: &Asked<'_>) -> Result<Vec<Value>, Error> {
    let [items, name, rest @ ..] = &asked.terms[..] else {
        return Err(asked.wrong("takes a list and the name of a list within its items"));
    };
    let items = match items.kind() {
        ValueKind::Map if !items.get_attr("skipped")?.is_undefined() => return Ok(Vec::new()),
        ValueKind::Map => filters::entries_of(items).into_iter().map(|(_, value)| value).collect(),
        _ => opened(items),
    };
    if let Some(options) = rest.first() {
        let known = |name: &Value| name.as_str() == Some("skip_missing");
        let is_odd = options.kind() != ValueKind::Map
            || !options.try_iter().is_ok_and(|mut names| names.all(|name| known(&name)));
        if is_odd || rest.len() > 1 {
            return Err(asked.wrong("takes a list, a name, and perhaps `{'skip_missing': true}`"));
        }
    }
    let option = rest.first().and_then(|options| options.get_attr("skip_missing").ok());
    let skip = option.is_some_and(|value| value.is_true()) || asked.flag("skip_missing", false);
    let names: Vec<String> = name.to_string().split('.').map(str::to_owned).collect();
    // Ansible leaves out what says of itself that it was skipped.
    let is_there = |item: &Value| !item.get_attr("skipped").is_ok_and(|value| value.is_true());
    let items: Vec<Value> = items.into_iter().filter(is_there).collect();
    let pairs = filters::sub_items_of(&items, &names, skip).map_err(|why| asked.wrong(why))?;
    Ok(pairs.into_iter().map(|(item, sub)| Value::from(vec![item, sub])).collect())
}

fn sequence(asked: &Asked<'_>) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    if asked.terms.is_empty() && asked.options.is_empty() {
        return Ok(Vec::new());
    }
    if asked.terms.is_empty() {
        return numbers(asked, &asked.options);
    }
    for term in asked.names() {
        let mut options = asked.options.clone();
        for word in term.split_whitespace() {
            match word.split_once('=') {
                Some((name, value)) => drop(options.insert(name.to_owned(), value.into())),
                None => short(asked, word, &mut options)?,
            }
        }
        all.extend(numbers(asked, &options)?);
    }
    Ok(all)
}

/// `[start-]end[/stride][:format]`.
fn short(
    asked: &Asked<'_>,
    word: &str,
    options: &mut IndexMap<String, Value>,
) -> Result<(), Error> {
    let (range, format) = word.split_once(':').map_or((word, None), |(r, f)| (r, Some(f)));
    let (range, stride) = range.split_once('/').map_or((range, None), |(r, s)| (r, Some(s)));
    let (start, end) = range.split_once('-').map_or((None, range), |(s, e)| (Some(s), e));
    if whole(end).is_none() {
        let form = "`start=1 end=3` or `1-3/2:%02d`";
        return Err(asked.wrong(format!("takes {form}, not `{word}`")));
    }
    let parts = [("start", start), ("end", Some(end)), ("stride", stride), ("format", format)];
    for (name, part) in parts {
        if let Some(part) = part {
            options.insert(name.to_owned(), part.into());
        }
    }
    Ok(())
}

/// Decimal, `0x1f` or `017`.
fn whole(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let number = match digits {
        _ if digits.starts_with("0x") => i64::from_str_radix(&digits[2..], 16).ok()?,
        _ if digits.starts_with('0') && digits.len() > 1 => {
            i64::from_str_radix(digits.trim_start_matches("0o"), 8).ok()?
        }
        _ => digits.parse().ok()?,
    };
    Some(if negative { -number } else { number })
}

fn numbers(asked: &Asked<'_>, options: &IndexMap<String, Value>) -> Result<Vec<Value>, Error> {
    let number = |name: &str| -> Result<Option<i64>, Error> {
        let Some(value) = options.get(name).filter(|value| !value.is_none()) else {
            return Ok(None);
        };
        let number = value.as_i64().or_else(|| whole(value.as_str()?));
        let told = || asked.wrong(format!("takes a whole number as `{name}`, not `{value}`"));
        number.map(Some).ok_or_else(told)
    };
    let known = ["start", "end", "count", "stride", "format"];
    if let Some(odd) = options.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(asked.wrong(format!("takes no `{odd}`; it takes {}", known.join(", "))));
    }
    let (start, stride) = (number("start")?.unwrap_or(1), number("stride")?.unwrap_or(1));
    let end = match (number("end")?, number("count")?) {
        (Some(_), Some(_)) => return Err(asked.wrong("takes `end` or `count`, not both")),
        (None, None) => return Err(asked.wrong("needs `end` or `count`")),
        (Some(end), None) => Some(end),
        (None, Some(0)) => return Ok(Vec::new()),
        (None, Some(count)) => {
            // As Ansible counts; going down, that gives more than were asked for.
            let end = count.checked_mul(stride).and_then(|n| n.checked_add(start));
            end.and_then(|end| end.checked_sub(1))
        }
    };
    let span = end.and_then(|end| end.checked_sub(start));
    let (Some(end), Some(span)) = (end, span) else {
        return Err(asked.wrong("makes numbers of up to 63 bits"));
    };
    if stride == 0 {
        return Ok(Vec::new());
    }
    if (stride > 0 && end < start) || (stride < 0 && end > start) {
        return Err(asked.wrong(format!("cannot count from {start} to {end} by {stride}")));
    }
    if span.checked_div(stride).is_none_or(|count| count > 1 << 20) {
        return Err(asked.wrong("makes up to a million numbers"));
    }
    let format = options.get("format").map_or_else(|| "%d".into(), ToString::to_string);
    let one = |at: i64| -> Result<Value, Error> {
        Ok(crate::expr::format::printf(&format, &[Value::from(at)])?.into())
    };
    (0..=span / stride).map(|step| one(start + step * stride)).collect()
}
