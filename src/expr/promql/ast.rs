//! An expression as it was read.

use super::functions::Function;
use super::labels::{Labels, NAME};
use regex::Regex;
use std::sync::Arc;
use std::time::Duration;

/// For how long a value counts after it was seen, if its series does not end before.
pub(super) const LOOKBACK: Duration = Duration::from_secs(300);

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
    /// How far back, in milliseconds; the future where it is below zero.
    pub offset_ms: i64,
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

    /// How far back it looks, in milliseconds.
    pub fn reach_ms(&self) -> i64 {
        millis(self.window.unwrap_or(LOOKBACK)).saturating_add(self.offset_ms.max(0))
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
            Self::Select(Selector { window: Some(_), .. }) => Type::Matrix,
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
        let windows = self.selectors().into_iter().filter_map(|selector| selector.window);
        windows.map(millis).max().unwrap_or(0)
    }

    /// Every selector in it.
    pub fn selectors(&self) -> Vec<&Selector> {
        match self {
            Self::Number(_) | Self::Text(_) => Vec::new(),
            Self::Select(selector) => vec![selector],
            Self::Call(_, arguments) => arguments.iter().flat_map(Self::selectors).collect(),
            Self::Negate(of) => of.selectors(),
            Self::Binary(binary) => {
                let mut found = binary.left.selectors();
                found.extend(binary.right.selectors());
                found
            }
            Self::Aggregate(aggregate) => {
                let mut found = aggregate.of.selectors();
                found.extend(aggregate.parameter.iter().flat_map(Self::selectors));
                found
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
