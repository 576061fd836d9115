//! What functions come to.

use super::ast::{Expr, Test};
use super::calendar;
use super::eval::{Moment, distinct, map, ordered};
use super::functions::Function;
use super::histogram::quantiles;
use super::labels::{Labels, NAME};
use super::parse::anchored;
use super::value::{Element, Value};
use super::window::Window;
use regex::Regex;

/// What a function of these arguments comes to. Their number and types were checked when the
/// expression was read.
pub(super) fn call(
    moment: Moment<'_>,
    function: Function,
    arguments: &[Expr],
) -> Result<Value, String> {
    let first = || arguments.first().map_or(Ok(Vec::new()), |first| moment.vector(first));
    let number = |at: usize, default: f64| {
        arguments.get(at).map_or(Ok(default), |argument| moment.number(argument))
    };
    let elements = match function {
        Function::Pi => return Ok(Value::Scalar(std::f64::consts::PI)),
        Function::Time => return Ok(Value::Scalar(moment.at_ms as f64 / 1e3)),
        Function::Scalar => {
            let elements = first()?;
            let [only] = elements.as_slice() else { return Ok(Value::Scalar(f64::NAN)) };
            return Ok(Value::Scalar(only.value));
        }
        Function::Vector => first()?,
        Function::Abs => map(first()?, f64::abs)?,
        Function::Ceil => map(first()?, f64::ceil)?,
        Function::Floor => map(first()?, f64::floor)?,
        Function::Exp => map(first()?, f64::exp)?,
        Function::Ln => map(first()?, f64::ln)?,
        Function::Log2 => map(first()?, f64::log2)?,
        Function::Log10 => map(first()?, f64::log10)?,
        Function::Sqrt => map(first()?, f64::sqrt)?,
        Function::Sgn => map(first()?, sign)?,
        Function::Trigonometric(function) => map(first()?, |value| function.of(value))?,
        Function::Calendar(part) => {
            let elements = match arguments.first() {
                Some(argument) => moment.vector(argument)?,
                None => {
                    vec![Element { labels: Labels::default(), value: moment.at_ms as f64 / 1e3 }]
                }
            };
            map(elements, |seconds| calendar::part(part, seconds))?
        }
        Function::Timestamp => timestamps(moment, arguments)?,
        Function::Round => {
            let steps = 1.0 / number(1, 1.0)?;
            map(first()?, |value| (value * steps + 0.5).floor() / steps)?
        }
        Function::Clamp => {
            let (low, high) = (number(1, f64::NAN)?, number(2, f64::NAN)?);
            let elements = if high < low { Vec::new() } else { first()? };
            map(elements, |value| larger(low, smaller(high, value)))?
        }
        Function::ClampMin => {
            let low = number(1, f64::NAN)?;
            map(first()?, |value| larger(low, value))?
        }
        Function::ClampMax => {
            let high = number(1, f64::NAN)?;
            map(first()?, |value| smaller(high, value))?
        }
        Function::Sort | Function::SortDesc => sorted(first()?, function == Function::SortDesc),
        Function::Absent => match arguments.first() {
            Some(argument) if first()?.is_empty() => vec![absent(argument)],
            _ => Vec::new(),
        },
        Function::AbsentOverTime => match arguments.first() {
            Some(argument) if over_time(moment, Function::CountOverTime, arguments)?.is_empty() => {
                vec![absent(argument)]
            }
            _ => Vec::new(),
        },
        Function::HistogramQuantile => {
            let of = arguments.get(1).map_or(Ok(Vec::new()), |of| moment.vector(of))?;
            quantiles(number(0, f64::NAN)?, &of)
        }
        Function::LabelReplace => label_replace(first()?, arguments)?,
        Function::LabelJoin => label_join(first()?, arguments)?,
        _ => over_time(moment, function, arguments)?,
    };
    Ok(Value::Vector(elements))
}

/// A function of the values in a window, and perhaps of a number.
fn over_time(
    moment: Moment<'_>,
    function: Function,
    arguments: &[Expr],
) -> Result<Vec<Element>, String> {
    let mut parameter = f64::NAN;
    let mut found = None;
    for argument in arguments {
        match moment.windowed(argument)? {
            Some(windowed) => found = Some(windowed),
            None => parameter = moment.number(argument)?,
        }
    }
    let Some((series, end_ms, length)) = found else { return Ok(Vec::new()) };
    let mut elements = Vec::new();
    for (labels, points) in series {
        if points.is_empty() {
            continue;
        }
        let window = Window { points: &points, end_ms, length };
        let Some(value) = window.apply(function, parameter, moment.at_ms) else { continue };
        let keeps_name = function == Function::LastOverTime;
        let labels = if keeps_name { labels } else { labels.nameless() };
        elements.push(Element { labels, value });
    }
    distinct(ordered(elements))
}

fn sign(value: f64) -> f64 {
    if value == 0.0 || value.is_nan() { value } else { value.signum() }
}

/// The larger of two; no number where one is none, unlike [`f64::max`].
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// By value; what is no number comes last.
pub(super) fn sorted(mut elements: Vec<Element>, descending: bool) -> Vec<Element> {
    elements.sort_by(|a, b| {
        let order = a.value.total_cmp(&b.value);
        let order = if descending { order.reverse() } else { order };
        a.value.is_nan().cmp(&b.value.is_nan()).then(order)
    });
    elements
}

/// 1, with the labels that a selector says its series must have.
fn absent(argument: &Expr) -> Element {
    let mut labels = Labels::default();
    if let Expr::Select(selector) = argument {
        for matcher in selector.matchers.iter().filter(|matcher| &*matcher.name != NAME) {
            let same = selector.matchers.iter().filter(|other| other.name == matcher.name);
            if let (Test::Is(value), 1) = (&matcher.test, same.count()) {
                labels.set(&matcher.name, value);
            }
        }
    }
    Element { labels, value: 1.0 }
}

/// When the values came, in seconds since the epoch; those that were computed came now.
fn timestamps(moment: Moment<'_>, arguments: &[Expr]) -> Result<Vec<Element>, String> {
    let Some(argument) = arguments.first() else { return Ok(Vec::new()) };
    let Expr::Select(selector) = argument else {
        return map(moment.vector(argument)?, |_| moment.at_ms as f64 / 1e3);
    };
    let element = |(labels, (at_ms, _)): (Labels, (i64, f64))| Element {
        labels: labels.nameless(),
        value: at_ms as f64 / 1e3,
    };
    distinct(moment.latest(selector).into_iter().map(element).collect())
}

fn texts(arguments: &[Expr]) -> Vec<&str> {
    let texts = arguments.iter().filter_map(|argument| match argument {
        Expr::Text(text) => Some(&**text),
        _ => None,
    });
    texts.collect()
}

fn label_join(elements: Vec<Element>, arguments: &[Expr]) -> Result<Vec<Element>, String> {
    let texts = texts(arguments);
    let [to, between, from @ ..] = texts.as_slice() else { return Ok(elements) };
    let each = |mut element: Element| {
        let values: Vec<&str> = from.iter().map(|name| element.labels.get(name)).collect();
        let joined = values.join(between);
        element.labels.set(to, &joined);
        element
    };
    distinct(elements.into_iter().map(each).collect())
}

fn label_replace(elements: Vec<Element>, arguments: &[Expr]) -> Result<Vec<Element>, String> {
    let [to, replacement, from, pattern] = *texts(arguments) else { return Ok(elements) };
    let pattern = Regex::new(&anchored(pattern)).map_err(|error| error.to_string())?;
    let each = |mut element: Element| {
        let changed = pattern.captures(element.labels.get(from)).map(|captures| {
            let mut text = String::new();
            captures.expand(replacement, &mut text);
            text
        });
        if let Some(text) = changed {
            element.labels.set(to, &text);
        }
        element
    };
    distinct(elements.into_iter().map(each).collect())
}
