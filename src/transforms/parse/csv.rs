//! Cells of a table, one record a line.

use super::Emit;
use memchr::memchr;

/// What a table looks like.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    pub(super) delimiter: u8,
    pub(super) quote: u8,
}

/// Whether a line is a record of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Record,
    /// The names of the columns.
    Header,
}

struct Cell<'t> {
    text: &'t [u8],
    was_quoted: bool,
}

impl Table {
    /// Reads one line.
    ///
    /// # Errors
    /// Where there are more or fewer cells than columns, or a quote has no end.
    pub(super) fn parse(
        &self,
        line: &[u8],
        emit: &mut Emit<'_, '_, '_>,
    ) -> Result<Line, &'static str> {
        let mut rest = Some(line);
        let mut header = true;
        for column in &self.columns {
            let (cell, after) = self.cell(rest.ok_or("as many cells as there are columns")?)?;
            rest = after;
            header &= cell.text == column.as_bytes();
            if !cell.was_quoted {
                emit.bare(column, cell.text);
            } else if memchr(self.quote, cell.text).is_none() {
                emit.plain(column, cell.text);
            } else {
                emit.made(column, |out| self.undouble(cell.text, out));
            }
        }
        match rest {
            Some(_) => Err("no more cells than there are columns"),
            None if header => Ok(Line::Header),
            None => Ok(Line::Record),
        }
    }

    /// The first cell, and what follows its delimiter.
    fn cell<'t>(&self, text: &'t [u8]) -> Result<(Cell<'t>, Option<&'t [u8]>), &'static str> {
        let Some(inner) = text.strip_prefix(&[self.quote]) else {
            return Ok(match memchr(self.delimiter, text) {
                Some(at) => (Cell { text: &text[..at], was_quoted: false }, Some(&text[at + 1..])),
                None => (Cell { text, was_quoted: false }, None),
            });
        };
        let mut from = 0;
        loop {
            let rest = inner.get(from..).unwrap_or_default();
            let end = from + memchr(self.quote, rest).ok_or("a quote at the end of a cell")?;
            let cell = Cell { text: &inner[..end], was_quoted: true };
            match inner.get(end + 1) {
                None => return Ok((cell, None)),
                Some(byte) if *byte == self.quote => from = end + 2,
                Some(byte) if *byte == self.delimiter => {
                    return Ok((cell, Some(&inner[end + 2..])));
                }
                Some(_) => return Err("a delimiter after a quote"),
            }
        }
    }

    /// Two quotes stand for one.
    fn undouble(&self, mut text: &[u8], out: &mut Vec<u8>) {
        while let Some(at) = memchr(self.quote, text) {
            out.extend_from_slice(&text[..=at]);
            text = text.get(at + 2..).unwrap_or_default();
        }
        out.extend_from_slice(text);
    }
}
