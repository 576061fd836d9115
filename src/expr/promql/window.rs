//! What a series' values in a window come to.

use super::ast::millis;
use super::functions::Function;
use std::time::Duration;

/// The values of one series in a window that ends when the expression is evaluated, less `offset`.
pub(super) struct Window<'p> {
    /// Milliseconds since the epoch and value, the oldest first; there is at least one.
    pub(super) points: &'p [(i64, f64)],
    /// When it ends, in milliseconds since the epoch.
    pub(super) end_ms: i64,
    /// How long it is.
    pub(super) length: Duration,
}

impl Window<'_> {
    /// What the function comes to; `None` where there are too few values for it.
    pub(super) fn apply(&self, function: Function, parameter: f64, at_ms: i64) -> Option<f64> {
        let count = self.points.len() as f64;
        Some(match function {
            Function::AvgOverTime => mean(self.values()),
            Function::SumOverTime => sum(self.values()),
            Function::CountOverTime => count,
            Function::MinOverTime => self.extreme(|new, old| new < old)?,
            Function::MaxOverTime => self.extreme(|new, old| new > old)?,
            Function::LastOverTime => self.points.last()?.1,
            Function::PresentOverTime => 1.0,
            Function::QuantileOverTime => quantile(parameter, self.values().collect()),
            Function::StddevOverTime => variance(self.values()).sqrt(),
            Function::StdvarOverTime => variance(self.values()),
            Function::Changes => self.steps(|a, b| a != b && !(a.is_nan() && b.is_nan())),
            Function::Resets => self.steps(|a, b| b < a),
            Function::Rate => self.extrapolated(true)? / self.length.as_secs_f64(),
            Function::Increase => self.extrapolated(true)?,
            Function::Delta => self.extrapolated(false)?,
            Function::Irate | Function::Idelta => self.last_step(function == Function::Irate)?,
            Function::Deriv => self.line(self.points.first()?.0)?.0,
            Function::PredictLinear => {
                let (slope, intercept) = self.line(at_ms)?;
                slope * parameter + intercept
            }
            _ => return None,
        })
    }

    fn values(&self) -> impl Iterator<Item = f64> + Clone {
        self.points.iter().map(|(_, value)| *value)
    }

    fn extreme(&self, is_better: impl Fn(f64, f64) -> bool) -> Option<f64> {
        self.values().reduce(|old, new| if is_better(new, old) || old.is_nan() { new } else { old })
    }

    fn steps(&self, counts: impl Fn(f64, f64) -> bool) -> f64 {
        let pairs = self.points.windows(2);
        pairs.filter(|pair| counts(pair[0].1, pair[1].1)).count() as f64
    }

    /// The difference between the last two values; of a counter per second, as if it had begun
    /// at 0 where it fell.
    fn last_step(&self, is_counter: bool) -> Option<f64> {
        let [.., (before_ms, before), (last_ms, last)] = self.points else { return None };
        if !is_counter {
            return Some(last - before);
        }
        let step = if last < before { *last } else { last - before };
        Some(step / seconds(last_ms - before_ms))
    }

    /// How much the value has grown in the window, with what lies between its ends and the first
    /// and last value guessed from the mean step, as Prometheus guesses.
    fn extrapolated(&self, is_counter: bool) -> Option<f64> {
        let [(first_ms, first), .., (last_ms, last)] = self.points else { return None };
        let mut growth = last - first;
        if is_counter {
            let falls = self.points.windows(2).filter(|pair| pair[1].1 < pair[0].1);
            growth += falls.map(|pair| pair[0].1).sum::<f64>();
        }
        let sampled = seconds(last_ms - first_ms);
        let step = sampled / (self.points.len() - 1) as f64;
        // A longer gap means that the series begins or ends inside of the window.
        let to_edge = |gap: f64| if gap >= step * 1.1 { step / 2.0 } else { gap };
        let begin_ms = self.end_ms.saturating_sub(millis(self.length));
        let mut to_begin = to_edge(seconds(first_ms - begin_ms));
        if is_counter && growth > 0.0 && *first >= 0.0 {
            // A counter was never below zero.
            to_begin = to_begin.min(sampled * (first / growth));
        }
        let to_end = to_edge(seconds(self.end_ms - last_ms));
        Some(growth * ((sampled + to_begin + to_end) / sampled))
    }

    /// The line that lies nearest to the values: slope per second, and value at `at_ms`.
    fn line(&self, at_ms: i64) -> Option<(f64, f64)> {
        let [(_, first), _, ..] = self.points else { return None };
        if self.values().all(|value| value == *first) {
            return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, *first) });
        }
        let count = self.points.len() as f64;
        let pairs = || self.points.iter().map(|(ms, y)| (seconds(ms - at_ms), *y));
        let (sum_x, sum_y) = (sum(pairs().map(|(x, _)| x)), sum(pairs().map(|(_, y)| y)));
        let sum_xy = sum(pairs().map(|(x, y)| x * y));
        let sum_xx = sum(pairs().map(|(x, _)| x * x));
        let slope = (sum_xy - sum_x * sum_y / count) / (sum_xx - sum_x * sum_x / count);
        Some((slope, sum_y / count - slope * sum_x / count))
    }
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1e3
}

/// A sum that does not lose small values beside large ones (Neumaier's).
pub(super) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for value in values {
        let next = sum + value;
        if !next.is_infinite() {
            lost +=
                if sum.abs() >= value.abs() { (sum - next) + value } else { (value - next) + sum };
        }
        sum = next;
    }
    if sum.is_infinite() { sum } else { sum + lost }
}

/// The mean; no number where there is no value.
pub(super) fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count() as f64;
    let whole = sum(values.clone());
    if whole.is_finite() {
        return whole / count;
    }
    // Too large to be summed, which says nothing of the mean.
    sum(values.map(|value| value / count))
}

/// The mean square of the distances from the mean.
pub(super) fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let mean = mean(values.clone());
    let count = values.clone().count() as f64;
    sum(values.map(|value| (value - mean) * (value - mean))) / count
}

/// The value below which this part of the values lies, between two of them by their distances.
pub(super) fn quantile(part: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || part.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&part) {
        return if part < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    // What is no number comes first, as in Prometheus.
    values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
    let rank = part * (values.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}
