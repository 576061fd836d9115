//! Many series made few.

use super::ast::{Aggregate, Aggregation, Expr};
use super::call::sorted;
use super::eval::Moment;
use super::labels::Labels;
use super::value::Element;
use super::window::{mean, quantile, sum, variance};
use std::collections::BTreeMap;

/// What an aggregation comes to.
pub(super) fn aggregate(moment: Moment<'_>, of: &Aggregate) -> Result<Vec<Element>, String> {
    let mut groups: BTreeMap<Labels, Vec<Element>> = BTreeMap::new();
    for element in moment.vector(&of.of)? {
        groups.entry(of.by.of(&element.labels)).or_default().push(element);
    }
    let number = match &of.parameter {
        Some(Expr::Text(_)) | None => f64::NAN,
        Some(parameter) => moment.number(parameter)?,
    };
    let mut made = Vec::new();
    for (labels, elements) in groups {
        match of.aggregation {
            Aggregation::Topk | Aggregation::Bottomk => {
                let descending = of.aggregation == Aggregation::Topk;
                made.extend(sorted(elements, descending).into_iter().take(number as usize));
            }
            Aggregation::CountValues => {
                let Some(Expr::Text(label)) = &of.parameter else { continue };
                made.extend(count_values(&labels, label, &elements));
            }
            aggregation => {
                let value = total(aggregation, number, &elements);
                made.push(Element { labels, value });
            }
        }
    }
    Ok(made)
}

fn total(aggregation: Aggregation, parameter: f64, elements: &[Element]) -> f64 {
    let values = elements.iter().map(|element| element.value);
    let extreme = |is_better: fn(&f64, &f64) -> bool| {
        let best = |old: f64, new: f64| {
            if is_better(&new, &old) || old.is_nan() { new } else { old }
        };
        values.clone().reduce(best).unwrap_or(f64::NAN)
    };
    match aggregation {
        Aggregation::Sum => sum(values),
        Aggregation::Avg => mean(values),
        Aggregation::Min => extreme(f64::lt),
        Aggregation::Max => extreme(f64::gt),
        Aggregation::Count => elements.len() as f64,
        Aggregation::Stddev => variance(values).sqrt(),
        Aggregation::Stdvar => variance(values),
        Aggregation::Quantile => quantile(parameter, values.collect()),
        // Those that give several series do not come here.
        Aggregation::Group
        | Aggregation::Topk
        | Aggregation::Bottomk
        | Aggregation::CountValues => 1.0,
    }
}

/// How often each value is there, with the value in `label`.
fn count_values(labels: &Labels, label: &str, elements: &[Element]) -> Vec<Element> {
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for element in elements {
        *counts.entry(shown(element.value)).or_default() += 1.0;
    }
    let each = |(text, value): (String, f64)| {
        let mut labels = labels.clone();
        labels.set(label, &text);
        Element { labels, value }
    };
    counts.into_iter().map(each).collect()
}

/// A number as Prometheus writes it in a label.
fn shown(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    value.to_string()
}
