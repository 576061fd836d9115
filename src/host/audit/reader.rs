//! The reading end of the chain: follows it from any record on, over all its files.

use super::{CURRENT, number, set_aside};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Whole lines of the chain.
#[derive(Debug, PartialEq, Eq)]
pub struct Lines {
    /// The lines, each with its line end.
    pub bytes: Vec<u8>,
    /// The number of the last one.
    pub last: u64,
}

/// Reads records in order.
#[derive(Debug)]
pub struct Reader {
    directory: PathBuf,
    /// All records up to this one were given.
    given: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Where the next line begins.
    offset: u64,
    /// The number of the file's last record, where it grows no more.
    last: Option<u64>,
}

/// What stands at the next place of a file.
enum Read {
    Lines(Lines),
    GivenBefore,
    /// Nothing, or only half a line.
    End,
}

impl Reader {
    /// A reader of what comes after record `given` of the chain in `directory`.
    pub fn new(directory: &Path, given: u64) -> Self {
        Self { directory: directory.to_owned(), given, open: None }
    }

    /// The number of the last record that was given.
    pub fn given(&self) -> u64 {
        self.given
    }

    /// The next records, about `most_bytes` of them and none past number `until`; `None` where
    /// there is none yet.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn next(&mut self, most_bytes: usize, until: u64) -> io::Result<Option<Lines>> {
        loop {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => match self.find()? {
                    Some(open) => open,
                    None => return Ok(None),
                },
            };
            match self.read(&mut open, most_bytes, until)? {
                Read::Lines(lines) => {
                    self.given = lines.last;
                    self.open = Some(open);
                    return Ok(Some(lines));
                }
                Read::GivenBefore => self.open = Some(open),
                Read::End => match open.last {
                    // On to the next file.
                    Some(last) => self.given = self.given.max(last),
                    None if self.is_current(&open.file)? => {
                        self.open = Some(open);
                        return Ok(None);
                    }
                    // It was set aside meanwhile, and is looked for again under its new name.
                    None => {}
                },
            }
        }
    }

    fn is_current(&self, file: &File) -> io::Result<bool> {
        match self.directory.join(CURRENT).metadata() {
            Ok(current) => Ok(current.ino() == file.metadata()?.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The file that holds the next record.
    fn find(&self) -> io::Result<Option<Open>> {
        let parts = match set_aside(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            parts => parts?,
        };
        let part = parts.into_iter().find(|(last, _)| *last > self.given);
        let (last, path) = match part {
            Some((last, path)) => (Some(last), path),
            None => (None, self.directory.join(CURRENT)),
        };
        match File::open(path) {
            Ok(file) => Ok(Some(Open { file, offset: 0, last })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lines at the file's next place, those left out that were given before.
    fn read(&self, open: &mut Open, most_bytes: usize, until: u64) -> io::Result<Read> {
        let mut wanted = most_bytes;
        let mut buffer = Vec::new();
        let whole = loop {
            buffer.clear();
            open.file.seek(SeekFrom::Start(open.offset))?;
            (&mut open.file).take(wanted as u64).read_to_end(&mut buffer)?;
            match memchr::memrchr(b'\n', &buffer) {
                Some(end) => break end + 1,
                // A line longer than that.
                None if buffer.len() == wanted => wanted *= 2,
                None => return Ok(Read::End),
            }
        };
        buffer.truncate(whole);
        let mut lines = Lines { bytes: Vec::new(), last: self.given };
        let mut end = 0;
        for line in buffer.split_inclusive(|byte| *byte == b'\n') {
            // What is no record has no number and goes with the one before it.
            let seq = number(line).unwrap_or(lines.last);
            if seq > until {
                break;
            }
            end += line.len();
            if seq > self.given {
                lines.bytes.extend_from_slice(line);
                lines.last = seq;
            }
        }
        open.offset += end as u64;
        Ok(match (end, lines.bytes.is_empty()) {
            (0, _) => Read::End,
            (_, true) => Read::GivenBefore,
            (_, false) => Read::Lines(lines),
        })
    }
}
