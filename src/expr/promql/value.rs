//! What an expression comes to.

use super::labels::Labels;

/// A series' value at the time of the evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// The series.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// What an expression comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number of no series.
    Scalar(f64),
    /// A value for each series.
    Vector(Vec<Element>),
}
