//! Why a revision is not taken, in a person's words and in one word for the metrics.

use std::fmt;
use std::io;

/// What stands in the way of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub reason: Reason,
    /// What happened; without secrets and on one line.
    pub message: String,
}

/// The kinds, one word each in `driftless_git_failures_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The repository cannot be asked, or does not have what is followed.
    Fetch,
    /// The commit is not signed by somebody who is trusted.
    Signature,
    /// The history does not contain the commit that is active.
    Rewound,
    /// The commit holds what cannot be laid out as files.
    Content,
    /// The host's own disk stands in the way.
    Disk,
    /// What was fetched is damaged.
    Store,
    /// The config in it is not right.
    Config,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Fetch,
        Self::Signature,
        Self::Rewound,
        Self::Content,
        Self::Disk,
        Self::Store,
        Self::Config,
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Signature => "signature",
            Self::Rewound => "rewound",
            Self::Content => "content",
            Self::Disk => "disk",
            Self::Store => "store",
            Self::Config => "config",
        }
    }

    /// Whether another look at the same commit says the same again.
    pub fn is_of_the_commit(self) -> bool {
        matches!(self, Self::Signature | Self::Rewound | Self::Content | Self::Config)
    }
}

impl Failure {
    /// A failure for this reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// One of the disk, at this place.
    pub(super) fn disk(place: &std::path::Path, error: &io::Error) -> Self {
        Self::new(Reason::Disk, format!("`{}`: {error}", place.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Text of a server or a program as it may be shown: one line, no control characters, not endless.
pub(super) fn tame(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|letter| !letter.is_control()).take(300).collect()
}
