//! What a `file` source can be told.

use super::glimpse::glimpse;
use super::patterns::Patterns;
use super::{FileSource, Limits};
use crate::event::Kinds;
use crate::event::log::stream::OnLongLine;
use crate::topology::component::{BuildContext, Fault, Glimpse, Place, Source, SourceConfig};
use crate::topology::settings::{ByteSize, Period};
use crate::topology::{multiline, text};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;

/// Follows files and gives each line as a record.
///
/// Survives rotation by renaming, truncation, deletion and restarts: a file is known by its
/// device, inode and first bytes, not by its name. How far each sink has got is kept in the data
/// directory; after a restart every sink gets what it does not have yet, and nothing twice. A
/// last line waits for its line end, unless its file was rotated away or removed.
///
/// Files that gzip or zstd has compressed are known by their content and read as what is in them,
/// once; where it is the rest of a file that was read before it was compressed, from there.
///
/// ```yaml
/// sources:
///   app:
///     type: file
///     include: [/var/log/app/*.log, /srv/**/error.log]
///     exclude: ["debug.log"]
///     multiline: {mode: java}
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Paths and patterns: `*` and `?` within a name, `**` for any directories, `[a-z]`,
    /// `{a,b}`. Files that appear later are followed too. What is no regular file is left alone.
    pub include: Vec<String>,
    /// Paths and patterns to leave alone; one without a slash is held against the name only.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Where to begin in files that are there when the source starts for the first time. Files
    /// that appear later are always read from their beginning.
    #[serde(default)]
    pub read_from: ReadFrom,
    /// The longest line, in bytes of the file, from 1KiB to 1GiB. What happens to a longer one
    /// says `on_long_line`.
    #[serde(default = "text::longest_line")]
    pub max_line_bytes: ByteSize,
    /// What happens to a line above `max_line_bytes`.
    #[serde(default)]
    pub on_long_line: OnLongLine,
    /// How text is written: `utf-8`, `utf-16le`, `utf-16be`, `latin1`, or another label of the
    /// WHATWG's Encoding Standard (`latin1` means windows-1252 there). A byte order mark at a
    /// file's beginning goes before this, and is left out. Text in UTF-8 passes as it is, byte by
    /// byte; other encodings are decoded, with U+FFFD in place of what is invalid.
    #[serde(default = "text::utf_8")]
    pub encoding: String,
    /// What ends a line. Default: a line feed, and a carriage return before it is no part of the
    /// message.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// Joins lines that belong together. Default: each line is a record.
    #[serde(default)]
    pub multiline: Option<multiline::Config>,
    /// What is added to each record as fields of these names.
    #[serde(default)]
    pub metadata: Vec<Metadata>,
    /// Files that were not written to for so long when they are first met are left alone, until
    /// somebody writes to them; then they are read from their beginning. Default: none.
    #[serde(default)]
    pub ignore_older: Option<Period>,
    /// A file that was not written to for so long is closed, and opened again on news of it.
    #[serde(default = "close_inactive")]
    pub close_inactive: Period,
    /// How many files may be open at a time, from 1 on; there may be any number of files. Removed
    /// files that cannot be opened again come on top.
    #[serde(default = "max_open_files")]
    pub max_open_files: usize,
    /// Files that were rotated away or removed, and that some sink does not have yet, are kept
    /// up to this size together: open, and by a hard link in the data directory where that is on
    /// the same file system, so that they are there after a restart. Beyond it the oldest is let
    /// go, which is counted and said.
    #[serde(default = "pin_limit")]
    pub pin_limit: ByteSize,
    /// A file is deleted once all sinks have all of it and it was not written to for so long.
    /// Default: files are never deleted.
    #[serde(default)]
    pub delete_when_done: Option<Period>,
}

/// A place to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadFrom {
    /// All that the file has.
    #[default]
    Beginning,
    /// Only what is written from now on.
    End,
}

/// What a source knows of a record beyond its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metadata {
    /// Where the record begins in the file, in bytes (of what is in it, where it is compressed).
    Offset,
    /// The file's number in its file system.
    Inode,
    /// The file's path.
    Path,
    /// The node's name.
    Host,
}

fn close_inactive() -> Period {
    Period(Duration::from_mins(5))
}

fn max_open_files() -> usize {
    512
}

fn pin_limit() -> ByteSize {
    ByteSize(1 << 30)
}

impl SourceConfig for Config {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn reads_again(&self) -> bool {
        true
    }

    fn reads(&self, path: &Path) -> bool {
        self.source().is_ok_and(|source| source.patterns.matches(path))
    }

    fn glimpse(
        &self,
        path: &Path,
        place: Place,
        cx: &BuildContext,
    ) -> Option<Result<Glimpse, String>> {
        let about = (&cx.name, &cx.env.host);
        Some(self.source().and_then(|source| glimpse(&source, path, place, about)))
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        Ok(Box::new(self.source().map_err(Fault::fatal)?))
    }
}

impl Config {
    /// The error is in a user's words.
    fn source(&self) -> Result<FileSource, String> {
        let longest = self.max_line_bytes;
        text::check_longest(longest, ByteSize(1 << 30))?;
        if self.max_open_files == 0 {
            return Err("`max_open_files` is 0; it must be at least 1".to_owned());
        }
        let (delimiter, multiline) = (self.delimiter.as_deref(), self.multiline.as_ref());
        let framing = text::framing(&self.encoding, delimiter, multiline, longest)?;
        let timeout = self.multiline.as_ref().map(|multiline| multiline.timeout.0);
        Ok(FileSource {
            patterns: Patterns::new(&self.include, &self.exclude)?,
            framing,
            limits: Limits {
                read_from: self.read_from,
                longest: longest.0,
                on_long_line: self.on_long_line,
                timeout,
                metadata: self.metadata.clone(),
                ignore_older: self.ignore_older.map(|period| period.0),
                close_inactive: self.close_inactive.0,
                max_open_files: self.max_open_files,
                pin_bytes: self.pin_limit.0,
                delete_when_done: self.delete_when_done.map(|period| period.0),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(config: &serde_json::Value) -> String {
        let config: Config = serde_json::from_value(config.clone()).unwrap();
        config.source().err().unwrap()
    }

    #[test]
    fn a_setting_that_cannot_work_is_refused_by_its_name() {
        let with = |name: &str, value: serde_json::Value| {
            let mut config = serde_json::json!({ "include": ["/var/log/a"] });
            config[name] = value;
            refusal(&config)
        };
        assert!(with("encoding", "utf-9".into()).contains("`encoding` is `utf-9`"));
        assert!(with("delimiter", "".into()).contains("`delimiter` is empty"));
        assert!(with("max_open_files", 0.into()).contains("`max_open_files` is 0"));
        assert!(with("max_line_bytes", 7.into()).contains("from 1KiB"));
        let both = serde_json::json!({ "start": "a", "end": "b" });
        assert!(with("multiline", both).contains("exactly one"));
    }
}
