//! What a collector is, and how it says that it could not collect.

use std::io;
use std::path::{Path, PathBuf};

use crate::event::metric::Family;
use crate::host::proc::HeldFile;

/// One part of the host's metrics, cut and named as `node_exporter`'s collectors are. It keeps its
/// files open, and whatever it must remember from one round to the next.
pub trait Collector: Send {
    /// Reads the host once and adds what it found. After an error nothing of it is used.
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError>;
}

/// Why a collector has nothing to give.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The host lacks what this collector tells of; no reason to worry.
    #[error("this host has nothing of the kind")]
    NoData,
    /// A fault in the collector itself; it has been made anew.
    #[error("the collector crashed")]
    Crashed,
    /// It has not come back yet; the others went on without it.
    #[error("it takes longer than it may")]
    Late,
    /// A file could not be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file reads differently from what the kernel documents.
    #[error("{}: found `{found}`, expected {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, as it stands.
        found: String,
        /// What stands there on a known kernel.
        expected: &'static str,
    },
}

/// A line that a parser did not understand: what it was and what it should have been. The
/// collector adds the file.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The line, as it stands.
    pub found: String,
    /// What stands there on a known kernel.
    pub expected: &'static str,
}

impl Malformed {
    /// `found` is not `expected`.
    pub fn new(found: &str, expected: &'static str) -> Self {
        Self { found: found.into(), expected }
    }

    /// The same, with the file it is about.
    pub fn of(self, path: &Path) -> CollectError {
        CollectError::Malformed { path: path.into(), found: self.found, expected: self.expected }
    }
}

/// Gives an input error the path that it is about.
pub fn reading(path: &Path) -> impl FnOnce(io::Error) -> CollectError {
    move |error| CollectError::Io { path: path.to_owned(), error }
}

/// What `parse` makes of a whole file; errors name the file.
pub(super) fn parsed<T>(
    file: &mut HeldFile,
    parse: impl FnOnce(&str) -> Result<T, Malformed>,
) -> Result<T, CollectError> {
    match file.text().map(|text| parse(&text)) {
        Ok(found) => found.map_err(|line| line.of(file.path())),
        Err(error) => Err(reading(file.path())(error)),
    }
}

/// The same of a file that only some hosts have.
pub(super) fn parsed_if_there<T>(
    file: &mut HeldFile,
    parse: impl FnOnce(&str) -> Result<T, Malformed>,
) -> Result<T, CollectError> {
    match file.text().map(|text| parse(&text)) {
        Ok(found) => found.map_err(|line| line.of(file.path())),
        Err(_) => Err(CollectError::NoData),
    }
}
