//! Why the machine cannot be looked at or changed as asked.

use std::fmt;
use std::io;
use std::path::Path;

/// What stands in the way, in the user's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was found and what was expected, on one line.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// Whether it is only that a dry run denies itself to write: what would come of it is unknown.
    pub is_denial: bool,
}

impl Fault {
    /// A complaint.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, is_denial: false }
    }

    /// What a dry run cannot find out, since it must not write.
    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self { is_denial: true, ..Self::new(message) }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What the kernel said to `what` (`read`, `make`) at `path`.
    pub(super) fn kernel(what: &str, path: &Path, error: impl Into<io::Error>) -> Self {
        let said = Self::said(&error.into());
        Self::new(format!("cannot {what} {}: {said}", path.display()))
    }

    /// An error of the kernel in its words, without the number.
    pub(super) fn said(error: &io::Error) -> String {
        let text = error.to_string();
        text.split(" (os error").next().unwrap_or(&text).to_owned()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
