//! Errors that the config language and the task language report to people.

use crate::event::tree::Span;
use std::fmt;

/// One complaint about something a user wrote: what is wrong in the file's own words, where, and
/// how to mend it. Printing it is the business of one place, `cli::report`.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// What was found and what was expected, on one line, without a place.
    pub message: String,
    /// Where; `None` where no single place is to blame.
    pub span: Option<Span>,
    /// A further place that matters (the other definition, the component that is read), with
    /// what it is.
    pub related: Option<(Span, String)>,
    /// How to mend it, as one sentence.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A complaint about `span`.
    pub fn new(message: impl Into<String>, span: Option<Span>) -> Self {
        Self { message: message.into(), span, related: None, hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a second place.
    #[must_use]
    pub fn related(mut self, span: Option<Span>, what: impl Into<String>) -> Self {
        self.related = span.map(|span| (span, what.into()));
        self
    }
}

/// `file:line:column: message`, without snippet and hint: for logs.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.span {
            Some(span) => write!(f, "{span}: {}", self.message),
            None => write!(f, "{}", self.message),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// The candidate that `found` is most likely a misspelling of, if any is near enough.
pub fn nearest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(found, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(found.len()) / 4)
        .min()
        .map(|(_, candidate)| candidate)
}
