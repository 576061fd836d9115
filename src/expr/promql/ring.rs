//! The samples of the last while that expressions look at, and no others.

use super::ast::{Expr, Matcher, Selector, Test, millis};
use super::labels::Labels;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A longer window keeps fewer of the values that came: so many at most, evenly spaced.
const MOST_SAMPLES: i64 = 4096;
/// What a sample takes.
const SAMPLE_BYTES: usize = 16;
/// What a series takes beside its labels and samples.
const SERIES_BYTES: usize = 128;

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// Milliseconds since the epoch.
    pub(super) at_ms: i64,
    /// The value; `None` says that the series has ended here.
    pub(super) value: Option<f64>,
}

/// The samples of the last while, in memory.
///
/// Only series that one of its expressions names are kept, for as long as the longest window that
/// looks at them. Windows of more than 4096 samples keep every second, third, … of them. Where
/// the bytes do not suffice, further series are refused.
#[derive(Debug)]
pub struct Ring {
    wanted: Vec<Wanted>,
    /// By the metric's name.
    series: HashMap<Arc<str>, HashMap<Labels, Series>>,
    max_bytes: usize,
    bytes: usize,
    refused: u64,
}

#[derive(Debug)]
struct Wanted {
    name: Option<String>,
    matchers: Vec<Matcher>,
    reach_ms: i64,
}

#[derive(Debug)]
struct Series {
    points: VecDeque<Point>,
    reach_ms: i64,
}

impl Ring {
    /// Room for what these expressions look at, in about `max_bytes`.
    pub fn new<'e>(expressions: impl IntoIterator<Item = &'e Expr>, max_bytes: usize) -> Self {
        let looks = expressions.into_iter().flat_map(Expr::looks);
        let wanted = looks.map(|look| Wanted {
            name: look.selector.name().map(str::to_owned),
            matchers: look.selector.matchers.clone(),
            reach_ms: look.reach_ms,
        });
        let wanted = wanted.collect();
        Self { wanted, series: HashMap::new(), max_bytes, bytes: 0, refused: 0 }
    }

    /// Makes room for a further expression, in which labels are still unknown where `hole` stands.
    pub fn want(&mut self, expression: &Expr, hole: &str) {
        let is_known = |matcher: &Matcher| !match &matcher.test {
            Test::Is(text) | Test::IsNot(text) => text.contains(hole),
            Test::Fits(pattern) | Test::FitsNot(pattern) => pattern.as_str().contains(hole),
        };
        self.wanted.extend(expression.looks().into_iter().map(|look| Wanted {
            name: look.selector.name().map(str::to_owned),
            matchers: look.selector.matchers.iter().filter(|it| is_known(it)).cloned().collect(),
            reach_ms: look.reach_ms,
        }));
    }

    /// Whether a metric of this name may be looked at.
    pub fn wants(&self, name: &str) -> bool {
        self.wanted.iter().any(|it| it.name.as_deref().is_none_or(|wanted| wanted == name))
    }

    /// Adds a value of a series at a time in milliseconds since the epoch. One that is not newer
    /// than the last is left out.
    pub fn push(&mut self, labels: Labels, at_ms: i64, value: f64) {
        self.add(labels, Point { at_ms, value: Some(value) });
    }

    /// Ends those series of a metric that are not among `present`: they were there, and are not
    /// in a snapshot of this time.
    pub fn end_others(&mut self, name: &str, present: &HashSet<Labels>, at_ms: i64) {
        let Some(all) = self.series.get_mut(name) else { return };
        for (_, series) in all.iter_mut().filter(|(labels, _)| !present.contains(*labels)) {
            self.bytes += series.end(at_ms);
        }
    }

    /// Ends a series, if it is there: from this time on it has no value.
    pub fn end(&mut self, labels: &Labels, at_ms: i64) {
        let known = self.series.get_mut(labels.name()).and_then(|all| all.get_mut(labels));
        self.bytes += known.map_or(0, |series| series.end(at_ms));
    }

    /// Forgets what no window that ends at `at_ms` or later looks at.
    pub fn forget(&mut self, at_ms: i64) {
        let mut bytes = 0;
        for all in self.series.values_mut() {
            all.retain(|labels, series| {
                let from_ms = at_ms.saturating_sub(series.reach_ms);
                while series.points.front().is_some_and(|point| point.at_ms <= from_ms) {
                    series.points.pop_front();
                }
                let points = series.points.len() * SAMPLE_BYTES;
                bytes += labels.bytes() + points + SERIES_BYTES;
                let remains = !series.points.is_empty();
                if !remains {
                    bytes -= labels.bytes() + points + SERIES_BYTES;
                }
                remains
            });
        }
        self.series.retain(|_, all| !all.is_empty());
        self.bytes = bytes;
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many values were refused for want of room since this was last asked.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// When the newest value came that an expression looks at, in milliseconds since the epoch.
    pub fn newest_ms(&self, expression: &Expr) -> Option<i64> {
        let newest = |selector: &Selector| {
            self.find(selector).filter_map(|(_, points)| Some(points.back()?.at_ms)).max()
        };
        expression.looks().into_iter().filter_map(|look| newest(look.selector)).max()
    }

    /// The series that a selector means, with their points, the oldest first.
    pub(super) fn find<'r>(
        &'r self,
        selector: &'r Selector,
    ) -> impl Iterator<Item = (&'r Labels, &'r VecDeque<Point>)> {
        let all = self.series.iter();
        all.filter(|(name, _)| selector.name().is_none_or(|wanted| wanted == &***name))
            .flat_map(|(_, all)| all)
            .filter(|(labels, _)| selector.fits(labels))
            .map(|(labels, series)| (labels, &series.points))
    }

    fn add(&mut self, labels: Labels, point: Point) {
        let known = self.series.get_mut(labels.name()).and_then(|all| all.get_mut(&labels));
        if let Some(series) = known {
            self.bytes += series.add(point);
            return;
        }
        let fits = |wanted: &&Wanted| wanted.matchers.iter().all(|it| it.fits(&labels));
        let reach_ms = self.wanted.iter().filter(fits).map(|wanted| wanted.reach_ms).max();
        let Some(reach_ms) = reach_ms else { return };
        let bytes = labels.bytes() + SERIES_BYTES + SAMPLE_BYTES;
        if self.bytes + bytes > self.max_bytes {
            self.refused += 1;
            return;
        }
        self.bytes += bytes;
        let series = Series { points: VecDeque::from([point]), reach_ms };
        self.series.entry(labels.name().into()).or_default().insert(labels, series);
    }
}

impl Series {
    /// Ends it; returns how many bytes that took.
    fn end(&mut self, at_ms: i64) -> usize {
        let last = self.points.back();
        if !last.is_some_and(|last| last.value.is_some() && last.at_ms < at_ms) {
            return 0;
        }
        self.points.push_back(Point { at_ms, value: None });
        SAMPLE_BYTES
    }

    /// Adds a point; returns how many bytes that took.
    fn add(&mut self, point: Point) -> usize {
        let before = self.points.len();
        let mut newest = self.points.iter().rev();
        match (newest.next(), newest.next()) {
            (Some(last), _) if last.at_ms >= point.at_ms => return 0,
            // The newest is always there; it gives way where it is too near to the one before.
            (Some(Point { at_ms, value: Some(_) }), Some(earlier))
                if at_ms - earlier.at_ms < self.reach_ms / MOST_SAMPLES =>
            {
                self.points.pop_back();
            }
            _ => {}
        }
        self.points.push_back(point);
        (self.points.len() - before) * SAMPLE_BYTES
    }
}

/// The points of a window that ends at `end_ms`, without its beginning, and that have a value.
pub(super) fn window(points: &VecDeque<Point>, end_ms: i64, window: Duration) -> Vec<(i64, f64)> {
    let begin_ms = end_ms.saturating_sub(millis(window));
    let first = points.partition_point(|point| point.at_ms <= begin_ms);
    let points = points.range(first..).take_while(|point| point.at_ms <= end_ms);
    points.filter_map(|point| Some((point.at_ms, point.value?))).collect()
}

/// The value that counts at a time, with the time it came at.
pub(super) fn latest(
    points: &VecDeque<Point>,
    at_ms: i64,
    lookback: Duration,
) -> Option<(i64, f64)> {
    let after = points.partition_point(|point| point.at_ms <= at_ms);
    let point = points.get(after.checked_sub(1)?)?;
    let counts = point.at_ms > at_ms.saturating_sub(millis(lookback));
    counts.then_some((point.at_ms, point.value?))
}
