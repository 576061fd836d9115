//! Operators between series: which of one side go with which of the other.

use super::arithmetic::truth;
use super::ast::{Grouping, Many, Matching, Operator};
use super::eval::combine;
use super::labels::{Labels, NAME};
use super::value::Element;
use std::collections::{HashMap, HashSet};

/// `and`, `or`, `unless`.
pub(super) fn sets(
    operator: Operator,
    by: &Grouping,
    mut left: Vec<Element>,
    right: Vec<Element>,
) -> Vec<Element> {
    let key = |element: &Element| by.of(&element.labels);
    if operator == Operator::Or {
        let known: HashSet<Labels> = left.iter().map(key).collect();
        left.extend(right.into_iter().filter(|element| !known.contains(&key(element))));
        return left;
    }
    let known: HashSet<Labels> = right.iter().map(key).collect();
    left.retain(|element| known.contains(&key(element)) == (operator == Operator::And));
    left
}

/// Arithmetic and comparison of each series with the one on the other side that it belongs to.
pub(super) fn join(
    operator: Operator,
    gives_bool: bool,
    matching: &Matching,
    left: Vec<Element>,
    right: Vec<Element>,
) -> Result<Vec<Element>, String> {
    let swapped = matching.many == Some(Many::Right);
    let (many, ones) = if swapped { (right, left) } else { (left, right) };
    let mut by_key: HashMap<Labels, &Element> = HashMap::new();
    for one in &ones {
        let key = matching.by.of(&one.labels);
        if let Some(other) = by_key.insert(key.clone(), one) {
            let side = if swapped { "left" } else { "right" };
            return Err(format!(
                "on the {side} side `{}` and `{}` both match `{key}`",
                other.labels, one.labels
            ));
        }
    }
    let mut made = Vec::new();
    let mut matched = HashSet::new();
    for element in many {
        let key = matching.by.of(&element.labels);
        let Some(one) = by_key.get(&key) else { continue };
        let (a, b) = if swapped { (one.value, element.value) } else { (element.value, one.value) };
        let value = match (combine(operator, a, b), gives_bool) {
            (found, true) => truth(found.is_some()),
            (Some(value), false) => value,
            (None, false) => continue,
        };
        let keeps_name = operator.compares() && !gives_bool;
        let labels = result_labels(&element.labels, &one.labels, matching, keeps_name);
        let is_new = matched.insert(if matching.many.is_some() { labels.clone() } else { key });
        if !is_new {
            return Err(format!(
                "several series of one side match `{labels}`; `group_left` or `group_right` \
                 says which side may have many"
            ));
        }
        made.push(Element { labels, value });
    }
    Ok(made)
}

fn result_labels(many: &Labels, one: &Labels, matching: &Matching, keeps_name: bool) -> Labels {
    let mut labels = if keeps_name { many.clone() } else { many.nameless() };
    if matching.many.is_none() {
        labels = match &matching.by {
            Grouping::By(names) => labels.only(names),
            Grouping::Without(names) => labels.without(names),
        };
    }
    for name in matching.include.iter().filter(|name| &***name != NAME) {
        labels.set(name, one.get(name));
    }
    labels
}
