//! A file of the kernel's that is kept open and read again: opening costs more than reading.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;

/// What a first read asks for; most kernel files fit.
const FIRST_READ: usize = 4096;

/// A short line has at most so many bytes.
const SHORT_LINE: usize = 512;

/// The kernel fills whole pages with lines, and its pages are a multiple of this.
const PAGE: usize = 4096;

/// One file under `/proc` or `/sys`, opened at the first read and held from then on.
///
/// A held handle gives fresh values at each read from its beginning. It goes stale when what it
/// speaks of vanishes (a device that is pulled out); then the path is opened anew, once.
#[derive(Debug)]
pub struct HeldFile {
    path: Arc<Path>,
    file: Option<File>,
    buffer: Vec<u8>,
    lines: Lines,
}

/// What is known of a file's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lines {
    /// Nothing.
    Any,
    /// None is longer than [`SHORT_LINE`], or the kernel writes the file in one piece.
    Short,
}

impl HeldFile {
    /// Remembers the path; nothing is opened yet.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().into(), file: None, buffer: Vec::new(), lines: Lines::Any }
    }

    /// The same for a file of the kernel's whose lines have at most 512 bytes, or that it writes in
    /// one piece, however long.
    ///
    /// Such a file needs not be asked whether there is more behind its end, for which the kernel
    /// may go through all that it tells of once more.
    pub fn of_short_lines(path: impl AsRef<Path>) -> Self {
        Self { lines: Lines::Short, ..Self::new(path) }
    }

    /// The path that is read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same, to hold while the content is looked at; nothing is copied.
    pub fn shared_path(&self) -> Arc<Path> {
        Arc::clone(&self.path)
    }

    /// The whole content as it is now.
    ///
    /// - Errors: those of opening and reading; the next call opens the path anew.
    pub fn read(&mut self) -> io::Result<&[u8]> {
        let length = match self.file.take() {
            Some(file) => match read_whole(&file, self.lines, &mut self.buffer) {
                Ok(length) => {
                    self.file = Some(file);
                    length
                }
                Err(error) if is_stale(&error) => self.reopen()?,
                Err(error) => return Err(error),
            },
            None => self.reopen()?,
        };
        Ok(&self.buffer[..length])
    }

    /// The whole content as text; bytes that are not UTF-8 are replaced.
    pub fn text(&mut self) -> io::Result<Cow<'_, str>> {
        self.read().map(String::from_utf8_lossy)
    }

    /// The content as one number, as files under `/sys` hold it; `None` where it is absent or
    /// something else.
    pub fn number(&mut self) -> Option<u64> {
        self.text().ok()?.trim().parse().ok()
    }

    fn reopen(&mut self) -> io::Result<usize> {
        let file = File::open(&self.path)?;
        let length = read_whole(&file, self.lines, &mut self.buffer)?;
        self.file = Some(file);
        Ok(length)
    }
}

fn is_stale(error: &io::Error) -> bool {
    let stale = [Errno::ENOENT, Errno::ENODEV, Errno::ESTALE, Errno::ESRCH];
    error.raw_os_error().is_some_and(|code| stale.contains(&Errno::from_raw(code)))
}

/// Reads from the beginning to the end and says how many bytes there are. The buffer only grows.
fn read_whole(file: &File, lines: Lines, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let mut length = 0;
    // What did not fit comes with the next read, before a page of its own.
    let mut was_filled = false;
    loop {
        if buffer.len() == length {
            buffer.resize((length * 2).max(FIRST_READ), 0);
        }
        match file.read_at(&mut buffer[length..], length as u64) {
            Ok(0) => return Ok(length),
            Ok(read) => {
                length += read;
                let is_filled = length == buffer.len();
                let is_one_page = !is_filled && !was_filled;
                if lines == Lines::Short && is_one_page && has_room_for_a_line(read) {
                    return Ok(length);
                }
                was_filled = is_filled;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether a short line that followed would have come with a read of so many bytes.
///
/// The kernel puts lines into a page until the next one does not fit. More than a page comes at
/// once only where all is one piece.
fn has_room_for_a_line(read: usize) -> bool {
    read % PAGE + SHORT_LINE <= PAGE
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_held_file_gives_what_is_in_it_now_at_any_length() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stat");
        let mut held = HeldFile::new(&path);
        assert!(held.read().is_err(), "there is no such file yet");
        for content in ["12\n".to_owned(), "x".repeat(3 * FIRST_READ), "7".to_owned()] {
            fs::write(&path, &content).unwrap();
            assert_eq!(held.text().unwrap(), content);
        }
        assert_eq!(held.number(), Some(7));
    }

    #[test]
    fn a_file_of_short_lines_is_read_to_its_end_as_any_other() {
        for path in ["vmstat", "net/netstat", "meminfo", "sys/kernel/random/poolsize"] {
            let path = Path::new("/proc").join(path);
            let names = |text: Cow<'_, str>| -> Vec<String> {
                let first = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
                text.lines().map(first).collect()
            };
            let (mut short, mut any) = (HeldFile::of_short_lines(&path), HeldFile::new(&path));
            if short.read().is_err() {
                continue;
            }
            // A module may be loaded in between, or a cache made.
            let mut are_same = || {
                let whole = names(any.text().unwrap());
                // With a buffer that has to grow, and with one that has grown.
                names(HeldFile::of_short_lines(&path).text().unwrap()) == whole
                    && names(short.text().unwrap()) == whole
            };
            assert!((0..5).any(|_| are_same()), "{}", path.display());
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stat");
        let mut held = HeldFile::of_short_lines(&path);
        for length in [0, 1, FIRST_READ - 1, FIRST_READ, FIRST_READ + 1, 3 * FIRST_READ] {
            fs::write(&path, "x".repeat(length)).unwrap();
            assert_eq!(held.read().unwrap().len(), length);
        }
    }

    #[test]
    fn a_kernel_file_read_twice_through_one_handle_moves_on() {
        let mut uptime = HeldFile::new("/proc/self/schedstat");
        let Ok(first) = uptime.text().map(Cow::into_owned) else { return };
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while uptime.text().unwrap() == first {
            assert!(std::time::Instant::now() < deadline, "the handle gives stale values");
        }
    }
}
