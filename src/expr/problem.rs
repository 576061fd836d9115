//! Why an expression or template has no value, and how that passes through the library.

use crate::event::fault::Diagnostic;
use crate::event::tree::Span;
use minijinja::value::Value;
use minijinja::{Error, ErrorKind};
use std::error::Error as _;
use std::fmt;

/// Why an expression or template has no value.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What was found, in the words of the expression.
    pub message: String,
    /// The line within the template or expression, from 1.
    pub line: Option<usize>,
    /// Where the expression stands, once whoever knows it has said so.
    pub place: Option<Span>,
    /// How to mend it.
    pub hint: Option<String>,
    /// The variable whose own text is to blame, and where it stands.
    pub variable: Option<Box<(String, Option<Span>)>>,
    /// Where set, the value is not wrong but not known yet: the number of the task that would
    /// have to run first.
    pub depends_on: Option<usize>,
    /// Likewise, since a dry run must not write and a command would have.
    pub is_denial: bool,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        let (line, place, hint, variable, depends_on) = Default::default();
        Self { message, line, place, hint, variable, depends_on, is_denial: false }
    }

    /// The same, known to stand at `span`.
    #[must_use]
    pub fn located(mut self, span: Option<&Span>) -> Self {
        self.place = self.place.or_else(|| span.cloned());
        self
    }

    /// The complaint about the place `span`, which holds the expression.
    pub fn at(self, span: Option<&Span>) -> Diagnostic {
        self.located(span).diagnostic()
    }

    /// The complaint for people.
    pub fn diagnostic(&self) -> Diagnostic {
        let place = self.place.clone();
        let complaint = match self.variable.as_deref() {
            Some((name, Some(variable))) => Diagnostic::new(&self.message, place)
                .related(Some(variable.clone()), format!("the variable `{name}` is defined here")),
            Some((name, None)) => {
                Diagnostic::new(format!("{} (in the variable `{name}`)", self.message), place)
            }
            None => Diagnostic::new(&self.message, place),
        };
        Diagnostic { hint: self.hint.clone(), ..complaint }
    }

    /// The same, known to come from the text of the variable `name`.
    pub(super) fn inside(mut self, name: &str, span: Option<&Span>) -> Self {
        self.variable.get_or_insert_with(|| Box::new((name.to_owned(), span.cloned())));
        self
    }

    /// The error that carries the problem through the library.
    pub(super) fn into_error(self) -> Error {
        Error::new(ErrorKind::InvalidOperation, self.message.clone()).with_source(self)
    }

    /// A value that carries the problem to whoever touches it.
    pub fn into_value(self) -> Value {
        self.into_error().into()
    }

    /// The value of something that task number `task` would have to run for first.
    pub fn depends_on(task: usize) -> Self {
        Self { depends_on: Some(task), ..Self::new(format!("depends on task {task}")) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let mut source = error.source();
        while let Some(inner) = source {
            if let Some(problem) = inner.downcast_ref::<Problem>() {
                return problem.clone();
            }
            source = inner.source();
        }
        let detail = error.detail().map(str::to_owned);
        let message = match error.kind() {
            ErrorKind::UndefinedError => {
                detail.unwrap_or_else(|| "an undefined name is used".into())
            }
            ErrorKind::OutOfFuel => "the expression runs too long and was stopped".into(),
            ErrorKind::SyntaxError => match detail {
                Some(detail) => format!("this is not valid Jinja: {detail}"),
                None => "this is not valid Jinja".into(),
            },
            kind => detail.unwrap_or_else(|| kind.to_string()),
        };
        Self { line: error.line(), ..Self::new(message) }
    }
}
