//! Lines that a container runtime has cut into parts, put together again.

use super::{Joined, Line, Made, message};
use std::ops::Range;

/// One part.
pub(super) struct Part<'l> {
    /// The stream that it is of.
    stream: &'l [u8],
    /// The text in it: a place in the line.
    text: Range<usize>,
    /// Whether more of it follows.
    open: bool,
    /// Where the mark of a part stands, to be written as that of a whole one.
    mark: Option<usize>,
}

/// Reads a line.
pub(super) type Read = for<'l> fn(&'l [u8]) -> Option<Part<'l>>;

/// A record in the making: its stream and the lines that it is made of.
struct Pieces {
    stream: Vec<u8>,
    lines: Vec<(Line, Range<usize>, Option<usize>)>,
    bytes: usize,
}

pub(super) fn join(
    text: &[u8],
    lines: impl Iterator<Item = Line>,
    last: bool,
    read: Read,
    (max_lines, max_bytes): (usize, usize),
) -> Joined {
    let mut open: Vec<Pieces> = Vec::new();
    let mut whole: Vec<Pieces> = Vec::new();
    // While nothing was cut, records are the lines as they are.
    let mut joined = Joined::default();
    let mut cut = false;
    for line in lines {
        let body = message(&text[line.start..line.end]);
        let part = read(body);
        let goes_on = part.as_ref().is_some_and(|part| part.open);
        if !cut && !goes_on {
            joined.records.push((line.start, line.end));
            joined.used = line.next;
            continue;
        }
        if !cut {
            cut = true;
            let records = std::mem::take(&mut joined.records);
            let begins = records.iter().skip(1).map(|(start, _)| *start).chain([line.start]);
            let lines = records.iter().zip(begins);
            whole = lines
                .map(|((start, end), next)| single(Line { start: *start, end: *end, next }))
                .collect();
        }
        let Some(part) = part else {
            whole.push(single(line));
            continue;
        };
        let at = open.iter().position(|pieces| pieces.stream == part.stream);
        let len = part.text.len();
        let mut pieces = at.map_or_else(
            || Pieces { stream: part.stream.to_vec(), lines: Vec::new(), bytes: 0 },
            |at| open.remove(at),
        );
        if !pieces.lines.is_empty() && pieces.bytes + len > max_bytes {
            let stream = pieces.stream.clone();
            whole.push(std::mem::replace(
                &mut pieces,
                Pieces { stream, lines: Vec::new(), bytes: 0 },
            ));
        }
        pieces.bytes += len;
        pieces.lines.push((line, part.text, part.mark));
        if part.open && pieces.lines.len() < max_lines {
            open.push(pieces);
        } else {
            whole.push(pieces);
        }
    }
    if !cut {
        return joined;
    }
    if last {
        open.sort_by_key(Pieces::start);
        whole.append(&mut open);
    }
    // What comes after an open record is left over with it, so that the text can be given again
    // from there; so is a record that reaches beyond that place.
    let mut used = open.iter().map(Pieces::start).min();
    while let Some(from) = used {
        let reaching = whole.iter().filter(|pieces| pieces.end() > from);
        let earlier = reaching.map(Pieces::start).min().filter(|start| *start < from);
        if earlier.is_none() {
            break;
        }
        used = earlier;
    }
    whole.retain(|pieces| used.is_none_or(|used| pieces.end() <= used));
    let used = used.unwrap_or_else(|| whole.iter().map(Pieces::end).max().unwrap_or(0));
    let mut made = Made::default();
    let mut records = Vec::with_capacity(whole.len());
    for pieces in &whole {
        made.places.push(pieces.start());
        let start = made.text.len();
        pieces.write(text, &mut made.text);
        records.push((start, made.text.len()));
        made.text.push(b'\n');
    }
    Joined { records, made: Some(made), used }
}

/// A record that is one line as it is.
fn single(line: Line) -> Pieces {
    let bytes = line.end - line.start;
    Pieces { stream: Vec::new(), lines: vec![(line, 0..bytes, None)], bytes }
}

impl Pieces {
    fn start(&self) -> usize {
        self.lines.first().map_or(0, |(line, ..)| line.start)
    }

    fn end(&self) -> usize {
        self.lines.last().map_or(0, |(line, ..)| line.next)
    }

    /// The first line, with the texts of all in the place of its own.
    fn write(&self, text: &[u8], out: &mut Vec<u8>) {
        let Some((first, place, mark)) = self.lines.first() else { return };
        if let [_] = self.lines[..]
            && mark.is_none()
        {
            out.extend_from_slice(&text[first.start..first.end]);
            return;
        }
        let from = out.len();
        out.extend_from_slice(&text[first.start..first.start + place.end]);
        if let Some(mark) = mark {
            out[from + mark] = b'F';
        }
        for (line, place, _) in &self.lines[1..] {
            out.extend_from_slice(&text[line.start + place.start..line.start + place.end]);
        }
        // What stands behind the text: nothing for CRI, the rest of the object for Docker, where
        // the last part's says when all of it was there.
        if let Some((line, place, _)) = self.lines.last() {
            out.extend_from_slice(message(&text[line.start + place.end..line.end]));
        }
    }
}

/// `2024-05-01T12:00:00.000000000Z stdout P the text`.
pub(super) fn cri(line: &[u8]) -> Option<Part<'_>> {
    let time = memchr::memchr(b' ', line)?;
    let stream = time + 1 + memchr::memchr(b' ', &line[time + 1..])?;
    let mark = stream + 1;
    let tag = line.get(mark..)?;
    let tag_len = memchr::memchr(b' ', tag).unwrap_or(tag.len());
    let tag = &tag[..tag_len];
    let kind = tag.split(|byte| *byte == b':').next()?;
    let open = match kind {
        b"P" => true,
        b"F" => false,
        _ => return None,
    };
    let text = (mark + tag_len + 1).min(line.len());
    Some(Part {
        stream: &line[time + 1..stream],
        text: text..line.len(),
        open,
        mark: open.then_some(mark),
    })
}

/// `{"log":"the text\n","stream":"stdout","time":"..."}`.
pub(super) fn docker(line: &[u8]) -> Option<Part<'_>> {
    const HEAD: &[u8] = br#"{"log":""#;
    let rest = line.strip_prefix(HEAD)?;
    let mut end = 0;
    loop {
        let special = memchr::memchr2(b'"', b'\\', rest.get(end..)?)?;
        end += special;
        if rest[end] == b'"' {
            break;
        }
        end += 2;
    }
    let text = HEAD.len()..HEAD.len() + end;
    // Its `\n` is one if an even number of backslashes is before it.
    let open = !(rest[..end].ends_with(b"\\n")
        && rest[..end - 1].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1);
    const STREAM: &[u8] = br#""stream":""#;
    let after = &rest[end..];
    let stream = memchr::memmem::find(after, STREAM).map_or(&b""[..], |at| {
        let name = &after[at + STREAM.len()..];
        &name[..memchr::memchr(b'"', name).unwrap_or(name.len())]
    });
    Some(Part { stream, text, open, mark: None })
}
