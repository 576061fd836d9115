//! An expression as it was read.

use super::functions::Function;
use super::labels::{Labels, NAME};
use regex::Regex;
use std::sync::Arc;
use std::time::Duration;

/// For how long a value counts after it was seen, if its series does not end before.
pub(super) const LOOKBACK: Duration = Duration::from_secs(300);
/// For how long what `x @ 1700000000` looks at is kept.
const FIXED_MS: i64 = 86_400_000;

/// What an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A number of no series.
    Scalar,
    /// A value for each series.
    Vector,
    /// All values of a window for each series.
    Matrix,
    /// Text.
    String,
}

/// An expression.
#[derive(Clone, Debug)]
pub enum Expr {
    /// A number.
    Number(f64),
    /// Text.
    Text(Arc<str>),
    /// Series, and over which window where there is one.
    Select(Selector),
    /// `x[1h:5m]`: what another comes to again and again in a window.
    Subquery(Box<Subquery>),
    /// A function of others.
    Call(Function, Vec<Expr>),
    /// `-x`.
    Negate(Box<Expr>),
    /// Two, and what is made of them.
    Binary(Box<Binary>),
    /// Many series made few.
    Aggregate(Box<Aggregate>),
}

/// Which series, and when.
#[derive(Clone, Debug)]
pub struct Selector {
    /// What their labels must be.
    pub matchers: Vec<Matcher>,
    /// How much of the past; the newest value where there is none.
    pub window: Option<Duration>,
    /// When the window ends.
    pub end: End,
}

/// When a window ends, or a value counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// `@`; where there is none, when the expression is evaluated.
    pub at: Option<At>,
    /// `offset`: how far before that, in milliseconds; after it where it is below zero.
    pub offset_ms: Option<i64>,
}

/// What stands behind `@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// A time in milliseconds since the epoch.
    Ms(i64),
    /// `start()` and `end()`: when the whole is evaluated, within a subquery too.
    Query,
}

/// What an expression comes to again and again in a window.
#[derive(Clone, Debug)]
pub struct Subquery {
    /// The expression.
    pub of: Expr,
    /// How long the window is.
    pub window: Duration,
    /// How far apart the times are at which it is evaluated: multiples of this since the epoch.
    pub step: Duration,
    /// When the window ends.
    pub end: End,
}

/// A selector within an expression, and how far back it looks.
#[derive(Clone, Copy, Debug)]
pub struct Look<'e> {
    /// The selector.
    pub selector: &'e Selector,
    /// How long the windows are that it stands in, its own among them, in milliseconds.
    pub window_ms: i64,
    /// How far back values count, in milliseconds.
    pub reach_ms: i64,
}

/// What a label must be.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// Its name.
    pub name: Arc<str>,
    /// What it is held against.
    pub test: Test,
}

/// What a label's value is held against.
#[derive(Clone, Debug)]
pub enum Test {
    /// `=`
    Is(Arc<str>),
    /// `!=`
    IsNot(Arc<str>),
    /// `=~`, on the whole value.
    Fits(Regex),
    /// `!~`
    FitsNot(Regex),
}

/// What is made of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `^`
    Power,
    /// `atan2`
    Atan2,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `and`
    And,
    /// `or`
    Or,
    /// `unless`
    Unless,
}

/// Two expressions, and what is made of them.
#[derive(Clone, Debug)]
pub struct Binary {
    /// What is made of them.
    pub operator: Operator,
    /// Whether a comparison gives 0 or 1 instead of leaving out.
    pub gives_bool: bool,
    /// How series of both sides find each other.
    pub matching: Matching,
    /// The left side.
    pub left: Expr,
    /// The right side.
    pub right: Expr,
}

/// How series of both sides find each other.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    /// By which labels.
    pub by: Grouping,
    /// Which side may have several for one of the other.
    pub many: Option<Many>,
    /// Labels that come from the side of one.
    pub include: Vec<Arc<str>>,
}

/// The side that may have several series for one of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Many {
    /// `group_left`
    Left,
    /// `group_right`
    Right,
}

/// Labels that count.
#[derive(Clone, Debug)]
pub enum Grouping {
    /// Only these: `by`, `on`.
    By(Vec<Arc<str>>),
    /// All but these and the name: `without`, `ignoring`.
    Without(Vec<Arc<str>>),
}

/// Many series made few.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// How.
    pub aggregation: Aggregation,
    /// By which labels.
    pub by: Grouping,
    /// How many, which quantile, or the name of a label.
    pub parameter: Option<Expr>,
    /// Of what.
    pub of: Expr,
}

/// What is made of many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
}

impl Default for Grouping {
    fn default() -> Self {
        Self::Without(Vec::new())
    }
}

impl Grouping {
    /// The labels that count.
    pub fn of(&self, labels: &Labels) -> Labels {
        match self {
            Self::By(names) => labels.only(names),
            Self::Without(names) => labels.without(names).nameless(),
        }
    }
}

impl Matcher {
    /// Whether a series with these labels is meant.
    pub fn fits(&self, labels: &Labels) -> bool {
        self.fits_value(labels.get(&self.name))
    }

    /// Whether a label of this value is meant.
    pub fn fits_value(&self, value: &str) -> bool {
        match &self.test {
            Test::Is(wanted) => **wanted == *value,
            Test::IsNot(unwanted) => **unwanted != *value,
            Test::Fits(pattern) => pattern.is_match(value),
            Test::FitsNot(pattern) => !pattern.is_match(value),
        }
    }
}

impl Selector {
    /// Whether a series with these labels is meant.
    pub fn fits(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.fits(labels))
    }

    /// The one name that its series have, where it says so.
    pub fn name(&self) -> Option<&str> {
        self.matchers.iter().find_map(|matcher| match &matcher.test {
            Test::Is(name) if &*matcher.name == NAME => Some(&**name),
            _ => None,
        })
    }
}

impl End {
    /// The time that is meant, of an expression that is evaluated at `at_ms` as a part of one that
    /// is evaluated at `query_ms`.
    pub fn ms(self, at_ms: i64, query_ms: i64) -> i64 {
        let at_ms = match self.at {
            None => at_ms,
            Some(At::Query) => query_ms,
            Some(At::Ms(ms)) => ms,
        };
        at_ms.saturating_sub(self.offset_ms.unwrap_or(0))
    }

    /// How far back that may be. Who knows how long a fixed time stays of interest?
    fn back_ms(self) -> i64 {
        let fixed_ms = if matches!(self.at, Some(At::Ms(_))) { FIXED_MS } else { 0 };
        self.offset_ms.unwrap_or(0).max(0).saturating_add(fixed_ms)
    }
}

impl Subquery {
    /// How often the expression is evaluated, at most.
    pub fn steps(&self) -> u64 {
        let steps = self.window.as_millis() / self.step.as_millis().max(1);
        u64::try_from(steps).unwrap_or(u64::MAX).saturating_add(1)
    }
}

/// A time in milliseconds.
pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl Operator {
    /// Whether it compares.
    pub fn compares(self) -> bool {
        use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Unequal};
        matches!(self, Equal | Unequal | Less | LessOrEqual | Greater | GreaterOrEqual)
    }

    /// Whether it is about which series there are.
    pub fn is_of_sets(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

impl Expr {
    /// What it gives.
    pub fn kind(&self) -> Type {
        match self {
            Self::Number(_) => Type::Scalar,
            Self::Text(_) => Type::String,
            Self::Select(Selector { window: Some(_), .. }) | Self::Subquery(_) => Type::Matrix,
            Self::Select(_) | Self::Aggregate(_) => Type::Vector,
            Self::Call(function, _) => function.gives(),
            Self::Negate(of) => of.kind(),
            Self::Binary(binary) => match (binary.left.kind(), binary.right.kind()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
        }
    }

    /// How long its longest window is, in milliseconds; 0 where there is none.
    pub fn longest_window_ms(&self) -> i64 {
        self.looks().iter().map(|look| look.window_ms).max().unwrap_or(0)
    }

    /// Every selector in it, and how far back it looks.
    pub fn looks(&self) -> Vec<Look<'_>> {
        let mut found = Vec::new();
        self.gather((0, 0), &mut found);
        found
    }

    /// How often the part of it that is evaluated most is.
    pub fn steps(&self) -> u64 {
        match self {
            Self::Number(_) | Self::Text(_) | Self::Select(_) => 1,
            Self::Subquery(sub) => sub.steps().saturating_mul(sub.of.steps()),
            Self::Call(_, arguments) => arguments.iter().map(Self::steps).max().unwrap_or(1),
            Self::Negate(of) => of.steps(),
            Self::Binary(binary) => binary.left.steps().max(binary.right.steps()),
            Self::Aggregate(aggregate) => aggregate.of.steps(),
        }
    }

    /// Gathers selectors within windows so long that end so long ago, in milliseconds.
    fn gather<'e>(&'e self, around: (i64, i64), found: &mut Vec<Look<'e>>) {
        let (windows_ms, back_ms) = around;
        match self {
            Self::Number(_) | Self::Text(_) => {}
            Self::Select(selector) => {
                let window_ms =
                    windows_ms.saturating_add(millis(selector.window.unwrap_or_default()));
                let reach_ms = millis(selector.window.unwrap_or(LOOKBACK))
                    .saturating_add(windows_ms)
                    .saturating_add(back_ms)
                    .saturating_add(selector.end.back_ms());
                found.push(Look { selector, window_ms, reach_ms });
            }
            Self::Subquery(sub) => {
                let windows_ms = windows_ms.saturating_add(millis(sub.window));
                let back_ms = back_ms.saturating_add(sub.end.back_ms());
                sub.of.gather((windows_ms, back_ms), found);
            }
            Self::Call(_, arguments) => {
                arguments.iter().for_each(|argument| argument.gather(around, found));
            }
            Self::Negate(of) => of.gather(around, found),
            Self::Binary(binary) => {
                binary.left.gather(around, found);
                binary.right.gather(around, found);
            }
            Self::Aggregate(aggregate) => {
                aggregate.of.gather(around, found);
                aggregate.parameter.iter().for_each(|it| it.gather(around, found));
            }
        }
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Scalar => "a number",
            Self::Vector => "series",
            Self::Matrix => "series over a window, such as `x[5m]`",
            Self::String => "text",
        })
    }
}
