//! `PromQL`, evaluated on the host itself: Prometheus's expressions over the samples of the last
//! while, kept in memory.
//!
//! The language and its answers are those of Prometheus 3: a window takes what came after its
//! beginning, a value counts for five minutes or until its series is gone, `rate` and its kin
//! extrapolate to the window's ends. What is not there (native histograms and some functions) is an
//! error when an expression is read, with its place.

mod aggregate;
mod arithmetic;
mod ast;
mod calendar;
mod call;
mod eval;
mod functions;
mod histogram;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod labels;
mod lex;
mod matching;
mod parse;
mod ring;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod value;
mod window;

pub use ast::Expr;
pub use eval::evaluate;
pub use labels::Labels;
pub use parse::{Problem, parse};
pub use ring::Ring;
pub use value::{Element, Value};
