//! One write: all of it or nothing, whatever goes wrong.

use super::place::Told;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Write};

/// A write that is under way. What there is of it when this goes is taken back, unless it is kept:
/// also where a bug ends it, since whoever comes next writes it again.
pub(super) struct Writing<'w> {
    file: &'w File,
    /// How long the file was.
    before: u64,
    bytes: u64,
    told: Told<'w>,
    entry: u64,
    is_kept: bool,
}

impl<'w> Writing<'w> {
    /// Begins to write `parts` at the end of the file, which is `before` bytes long; `entry` is
    /// what the journal has of it.
    pub(super) fn begin(
        file: &'w File,
        before: u64,
        parts: &[&[u8]],
        (told, entry): (Told<'w>, u64),
    ) -> Self {
        Self { file, before, bytes: length(parts), told, entry, is_kept: false }
    }

    /// It is there for good.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
        self.told.done(self.entry);
    }

    /// Takes a partial write back, unless somebody else has written behind it. Says whether nothing
    /// of it is left.
    fn take_back(&self) -> bool {
        let Ok(now) = self.file.metadata().map(|about| about.len()) else { return false };
        if now > self.before && now - self.before <= self.bytes {
            // Where this fails too, lines stand there twice after the next attempt: better than none.
            return self.file.set_len(self.before).is_ok();
        }
        now <= self.before
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.is_kept && self.take_back() {
            self.told.void(self.entry);
        }
    }
}

/// The bytes in all parts.
pub(super) fn length(parts: &[&[u8]]) -> u64 {
    parts.iter().map(|part| part.len() as u64).sum()
}

/// Writes all parts, one behind the other, in as few calls as it takes.
pub(super) fn write_all(mut file: &File, parts: &[&[u8]]) -> io::Result<()> {
    let full = parts.iter().filter(|part| !part.is_empty());
    let mut slices: Vec<IoSlice<'_>> = full.map(|part| IoSlice::new(part)).collect();
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, OpenOptions};
    use std::path::Path;

    fn open(path: &Path) -> File {
        OpenOptions::new().append(true).open(path).unwrap()
    }

    #[test]
    fn a_partial_write_is_taken_back_and_what_others_wrote_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "old\nhal").unwrap();
        let file = open(&path);
        let nobody = (Told::default(), 0);
        drop(Writing::begin(&file, 4, &[b"ha", b"lf\n"], nobody));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\n");
        fs::write(&path, "old\nsomebody else's line\n").unwrap();
        drop(Writing::begin(&file, 4, &[b"half\n"], nobody));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\nsomebody else's line\n");
    }

    #[test]
    fn a_bug_while_it_writes_leaves_nothing_and_one_after_that_leaves_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for (keeps, left) in [(false, "old\n"), (true, "old\nnew\n")] {
            fs::write(&path, "old\n").unwrap();
            let file = open(&path);
            let broken = std::panic::catch_unwind(|| {
                let parts: [&[u8]; 2] = [b"ne", b"w\n"];
                let writing = Writing::begin(&file, 4, &parts, (Told::default(), 0));
                write_all(&file, &parts).unwrap();
                if keeps {
                    writing.keep();
                }
                panic!("a bug");
            });
            assert!(broken.is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), left);
        }
    }

    #[test]
    fn any_number_of_parts_stands_there_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "").unwrap();
        // More than the kernel takes at once.
        let texts: Vec<String> = (0..3000).map(|number| number.to_string()).collect();
        let parts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        write_all(&open(&path), &parts).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), texts.concat());
    }
}
