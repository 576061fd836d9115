//! A writer in front of standard output, standard error and logs that lets no secret through.

use super::Masker;
use std::io::{self, Write};

/// A line that grows longer than this is written in parts.
const LONGEST_LINE_BYTES: usize = 64 << 10;

/// Masks whole lines, so that a secret that comes in two writes is found too. What may be the
/// beginning of a secret waits for its rest, until the writer is dropped.
#[derive(Debug)]
pub struct MaskingWriter<W: Write> {
    inner: W,
    masker: Masker,
    waiting: Vec<u8>,
}

impl<W: Write> MaskingWriter<W> {
    /// A writer to `inner`.
    pub fn new(inner: W, masker: Masker) -> Self {
        Self { inner, masker, waiting: Vec::new() }
    }

    fn emit(&mut self, length: usize) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        // Taken out first: an error must not make the same bytes appear twice.
        let rest = self.waiting.split_off(length);
        let ready = std::mem::replace(&mut self.waiting, rest);
        self.inner.write_all(&self.masker.mask_bytes(&ready))
    }

    fn emit_decided(&mut self) -> io::Result<()> {
        let undecided = self.masker.undecided(&self.waiting);
        self.emit(self.waiting.len() - undecided)
    }
}

impl<W: Write> Write for MaskingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let waited = self.waiting.len();
        self.waiting.extend_from_slice(bytes);
        // Only in what is new: a long line comes in many small pieces.
        if let Some(newline) = memchr::memrchr(b'\n', bytes) {
            self.emit(waited + newline + 1)?;
        }
        if self.waiting.len() > LONGEST_LINE_BYTES {
            self.emit_decided()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.emit_decided()?;
        self.inner.flush()
    }
}

impl<W: Write> Drop for MaskingWriter<W> {
    fn drop(&mut self) {
        // Nobody is left to hear of an error.
        let _ignored = self.emit(self.waiting.len()).and_then(|()| self.inner.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::secret::one;

    fn written(parts: &[&str]) -> String {
        written_with("hunter2-hunter2", parts)
    }

    fn written_with(secret: &str, parts: &[&str]) -> String {
        let mut out = Vec::new();
        let mut writer = MaskingWriter::new(&mut out, Masker::new(&one(secret)));
        for part in parts {
            writer.write_all(part.as_bytes()).unwrap();
            writer.flush().unwrap();
        }
        drop(writer);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_split_over_writes_and_flushes_is_masked() {
        assert_eq!(written(&["a hun", "ter2-", "hunter2 b\n"]), "a *** b\n");
        assert_eq!(written(&["a hunter2-hunter", "3 b"]), "a hunter2-hunter3 b");
    }

    #[test]
    fn a_secret_whose_end_looks_like_its_beginning_is_not_cut_in_two() {
        assert_eq!(written_with("abcabc", &["xabcabcab", "d\n"]), "x***abd\n");
        assert_eq!(written_with("abcabc", &["xabcabcab", "cabc\n"]), "x******\n");
    }

    #[test]
    fn a_prompt_without_a_line_end_is_shown_at_once() {
        let mut out = Vec::new();
        let mut writer = MaskingWriter::new(&mut out, Masker::new(&one("hunter2-hunter2")));
        write!(writer, "go on? [y/n] ").unwrap();
        writer.flush().unwrap();
        assert_eq!(*writer.inner, b"go on? [y/n] ");
    }

    #[test]
    fn an_endless_line_is_masked_without_being_kept_whole() {
        let filler = "x".repeat(LONGEST_LINE_BYTES - 4);
        let text = written(&[&filler, "hunter2-", "hunter2", &filler]);
        assert_eq!(text, format!("{filler}***{filler}"));
    }
}
