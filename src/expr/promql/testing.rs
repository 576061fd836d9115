//! Series in the notation of `promtool test rules`.

use super::ast::{Look, Test};
use super::{Labels, parse};

/// A series as it is written: `up{job="node"}`.
pub(crate) fn series(text: &str) -> Labels {
    let expr = parse(text).unwrap();
    let [Look { selector, .. }] = expr.looks()[..] else { panic!("{text}: no series") };
    let value = |test: &Test| match test {
        Test::Is(value) => value.to_string(),
        _ => panic!("{text}: no series"),
    };
    let labels: Vec<_> = selector.matchers.iter().map(|it| (&*it.name, value(&it.test))).collect();
    labels.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Values in promtool's notation: `None` for none, `Some(None)` for the end of the series.
pub(crate) fn values(text: &str) -> Vec<Option<Option<f64>>> {
    let mut values = Vec::new();
    for word in text.split(' ') {
        let (item, times) = word.split_once('x').unwrap_or((word, "-"));
        let times = times.parse::<i32>().ok();
        match item {
            "_" => values.extend((0..times.unwrap_or(1)).map(|_| None)),
            "stale" => values.push(Some(None)),
            _ => {
                let sign = item[1..].find(['+', '-']).map_or(item.len(), |at| at + 1);
                let (start, step) = item.split_at(sign);
                let step: f64 = if step.is_empty() { 0.0 } else { step.parse().unwrap() };
                let start: f64 = start.parse().unwrap();
                let each = |n| Some(Some(start + step * f64::from(n)));
                values.extend((0..=times.unwrap_or(0)).map(each));
            }
        }
    }
    values
}
