//! Operators where one side is a number.

use super::ast::Operator;
use super::eval::combine;
use super::value::Element;

/// Two numbers; a comparison gives 0 or 1.
pub(super) fn number_with_number(operator: Operator, left: f64, right: f64) -> f64 {
    let made = combine(operator, left, right);
    if operator.compares() { truth(made.is_some()) } else { made.unwrap_or(f64::NAN) }
}

/// Series and a number; `with` puts a value on its side. A comparison keeps the series that it
/// holds for, with the values they have.
pub(super) fn vector_with_number(
    operator: Operator,
    gives_bool: bool,
    elements: Vec<Element>,
    with: impl Fn(f64) -> (f64, f64),
) -> Vec<Element> {
    let each = |element: Element| {
        let (left, right) = with(element.value);
        let made = combine(operator, left, right);
        let (value, keeps_name) = match (operator.compares(), gives_bool) {
            (true, true) => (truth(made.is_some()), false),
            (true, false) => (made.map(|_| element.value)?, true),
            (false, _) => (made?, false),
        };
        let labels = if keeps_name { element.labels } else { element.labels.nameless() };
        Some(Element { labels, value })
    };
    elements.into_iter().filter_map(each).collect()
}

/// 1 or 0.
pub(super) fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}
