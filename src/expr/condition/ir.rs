//! What a condition is made of once it has been read.

use super::scan::Anchor;
use crate::expr::record::Made;
use memchr::memmem::Finder;
use regex::bytes::Regex;
use std::sync::Arc;

/// Something that holds for a record or not.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// Known when the config was read.
    Known(bool),
    Not(Box<Test>),
    All(Vec<Test>),
    Any(Vec<Test>),
    Compare(Comparison, Operand, Operand),
    /// The first is in the second.
    In(Operand, Operand),
    /// The value is one of the list.
    OneOf(Operand, Vec<Made>),
    /// The text has this part.
    Part(Operand, Box<Finder<'static>>),
    /// The text begins with this.
    Begins(Operand, String),
    /// The text ends with this.
    Ends(Operand, String),
    /// The text matches; where it must begin is in the pattern itself.
    Matches(Operand, Pattern),
    /// The text matches a pattern that looks ahead, behind or back.
    Looks(Operand, Arc<crate::expr::pattern::Pattern>, Anchor),
    Defined(Operand),
    Null(Operand),
    True(Operand),
}

/// A pattern of `is search` or `is match`.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    /// The same for many lines at once, where that can be.
    pub(super) many: Option<Regex>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Something that has a value.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    /// A field, and the variable of the same name for where it is missing.
    Field { name: String, slot: usize, otherwise: Option<Made> },
    /// What stands under these names within an operand: `user.address.city`.
    Within(Box<Operand>, Vec<String>),
    /// What a filter makes of an operand; where that is not text, the library answers.
    Filtered(Filter, Box<Operand>, usize),
    /// The name `source`.
    Source,
    /// A constant; `None` where a name has no value.
    Constant(Option<Made>),
    /// The library's business: a number in [`Program::library`].
    Library(usize),
}

/// A filter, as far as it is about text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Lower,
    Upper,
    Int,
    Float,
    Length,
}

/// A whole condition.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) test: Test,
    /// Names of the fields that it looks at, by slot.
    pub(super) fields: Vec<String>,
    /// Expressions for the library.
    pub(super) library: Vec<Question>,
}

/// An expression for the library.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) text: String,
    /// Fields that it reads, as far as no variable stands in for them.
    pub(super) fields: Vec<String>,
}
