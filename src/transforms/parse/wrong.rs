//! Why a record is not of a format.

use super::json;

/// A reason, kept small: nothing is written down before somebody wants to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// What was expected.
    Expected(&'static str),
    /// The same, and at which byte, from 0.
    At(&'static str, usize),
    /// The record lacks the field.
    NoField,
    /// The field is something else.
    NotText,
    /// More fields than a record can have.
    TooMany,
    /// `timestamp` has no time in it.
    NoTime,
}

impl Wrong {
    /// Appends the reason in words, for a text that was in `field`.
    pub(super) fn write(self, field: &str, out: &mut Vec<u8>) {
        let text = match self {
            Self::Expected(what) => format!("expected {what}"),
            Self::At(what, at) => format!("expected {what} (byte {})", at + 1),
            Self::NoField => format!("there is no field `{field}`"),
            Self::NotText => format!("the field `{field}` is not text"),
            Self::TooMany => "found more than 65535 fields".to_owned(),
            Self::NoTime => "expected a time in the timestamp's field".to_owned(),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

impl From<&'static str> for Wrong {
    fn from(what: &'static str) -> Self {
        Self::Expected(what)
    }
}

impl From<json::Wrong> for Wrong {
    fn from(wrong: json::Wrong) -> Self {
        Self::At(wrong.expected, wrong.at)
    }
}
