//! The journal's file: frames, each with its length and checksum.

use super::Spans;
use super::extents::Content;
use std::sync::Arc;

/// The first bytes; another version would have another number.
pub(super) const HEADER: &[u8] = b"driftless deliveries 1\n";

/// Length and checksum before each frame's content.
const BESIDE: usize = 8;

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// What follows was written since the machine's start of this name; by one who waits for the
    /// disk, where it has none.
    Start(String),
    /// Something is about to be sent.
    Begin(Begin),
    /// It came to its place.
    Done(u64),
    /// Nothing came of it.
    Void(u64),
}

/// What is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begin {
    pub(super) id: u64,
    pub(super) records: u64,
    /// What the sink has noted.
    pub(super) note: Vec<u8>,
    pub(super) contents: Vec<(Content, Spans)>,
}

/// What a journal's file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) frames: Vec<Frame>,
    /// Whether a part of it cannot be read. A frame that a crash cut off at its end does not
    /// count: what it speaks of was never sent.
    pub(super) damaged: bool,
}

/// Appends [`Frame::Start`].
pub(super) fn push_start(boot: &str, out: &mut Vec<u8>) {
    push(out, |out| {
        out.push(0);
        put_bytes(boot.as_bytes(), out);
    });
}

/// Appends [`Frame::Begin`].
pub(super) fn push_begin(begin: &Begin, out: &mut Vec<u8>) {
    push(out, |out| put_begin(begin, out));
}

/// Appends [`Frame::Done`].
pub(super) fn push_done(id: u64, out: &mut Vec<u8>) {
    push(out, |out| {
        out.push(2);
        put(id, out);
    });
}

/// Appends [`Frame::Void`].
pub(super) fn push_void(id: u64, out: &mut Vec<u8>) {
    push(out, |out| {
        out.push(3);
        put(id, out);
    });
}

/// Appends a frame as it was read.
#[cfg(any(test, fuzzing))]
pub(super) fn push_frame(frame: &Frame, out: &mut Vec<u8>) {
    match frame {
        Frame::Start(boot) => push_start(boot, out),
        Frame::Begin(begin) => push_begin(begin, out),
        Frame::Done(id) => push_done(*id, out),
        Frame::Void(id) => push_void(*id, out),
    }
}

/// Appends a frame with this content.
pub(super) fn push(out: &mut Vec<u8>, put_content: impl FnOnce(&mut Vec<u8>)) {
    let from = out.len();
    out.extend_from_slice(&[0; BESIDE]);
    put_content(out);
    let length = u32::try_from(out.len() - from - BESIDE).unwrap_or(u32::MAX);
    let sum = crc32fast::hash(&out[from + BESIDE..]);
    out[from..from + 4].copy_from_slice(&length.to_le_bytes());
    out[from + 4..from + BESIDE].copy_from_slice(&sum.to_le_bytes());
}

fn put_begin(begin: &Begin, out: &mut Vec<u8>) {
    out.push(1);
    put(begin.id, out);
    put(begin.records, out);
    put_bytes(&begin.note, out);
    put(begin.contents.len() as u64, out);
    for ((source, content), spans) in &begin.contents {
        put_bytes(source.as_bytes(), out);
        put(*content, out);
        put(spans.len() as u64, out);
        let mut at = 0;
        for (begin, end) in spans.iter() {
            put(begin - at, out);
            put(end - begin, out);
            at = end;
        }
    }
}

/// Seven bits a byte, the lowest first.
fn put(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Reads what can be read of a journal's file.
pub(super) fn read(bytes: &[u8]) -> Read {
    let mut read = Read::default();
    let Some(mut rest) = bytes.strip_prefix(HEADER) else {
        read.damaged = !HEADER.starts_with(bytes);
        return read;
    };
    while let Some((beside, content)) = rest.split_at_checked(BESIDE) {
        let number = |at: usize| -> Option<u32> {
            Some(u32::from_le_bytes(*beside.get(at..)?.first_chunk()?))
        };
        let (Some(length), Some(sum)) = (number(0), number(4)) else { break };
        let Some((content, after)) = content.split_at_checked(length as usize) else { break };
        let frame = (crc32fast::hash(content) == sum).then(|| frame(content)).flatten();
        let Some(frame) = frame else {
            read.damaged = true;
            break;
        };
        read.frames.push(frame);
        rest = after;
    }
    read
}

fn frame(bytes: &[u8]) -> Option<Frame> {
    let (kind, mut rest) = bytes.split_first()?;
    let rest = &mut rest;
    let frame = match kind {
        0 => Frame::Start(String::from_utf8(take_bytes(rest)?.to_vec()).ok()?),
        1 => Frame::Begin(take_begin(rest)?),
        2 => Frame::Done(take(rest)?),
        3 => Frame::Void(take(rest)?),
        _ => return None,
    };
    rest.is_empty().then_some(frame)
}

fn take_begin(rest: &mut &[u8]) -> Option<Begin> {
    let (id, records) = (take(rest)?, take(rest)?);
    let note = take_bytes(rest)?.to_vec();
    let mut contents = Vec::new();
    for _ in 0..take(rest)? {
        let source: Arc<str> = std::str::from_utf8(take_bytes(rest)?).ok()?.into();
        let content = take(rest)?;
        let mut spans = Spans::default();
        let mut at = 0u64;
        for _ in 0..take(rest)? {
            let begin = at.checked_add(take(rest)?)?;
            at = begin.checked_add(take(rest)?)?;
            spans.add(begin, at);
        }
        contents.push(((source, content), spans));
    }
    Some(Begin { id, records, note, contents })
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_bytes<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = usize::try_from(take(rest)?).ok()?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn begin(id: u64, note: Vec<u8>, runs: &[(u64, u64)]) -> Frame {
        let mut spans = Spans::default();
        runs.iter().for_each(|(begin, end)| spans.add(*begin, *end));
        let contents = vec![(("logs.app".into(), u64::MAX), spans)];
        Frame::Begin(Begin { id, records: 7, note, contents })
    }

    fn all() -> Vec<Frame> {
        vec![
            Frame::Start("a-b".to_owned()),
            begin(1, vec![0, 255], &[(0, 5), (9, 1 << 40)]),
            Frame::Done(1),
            begin(u64::MAX, Vec::new(), &[]),
            Frame::Void(300),
        ]
    }

    fn bytes(frames: &[Frame]) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        frames.iter().for_each(|frame| push_frame(frame, &mut bytes));
        bytes
    }

    #[test]
    fn what_was_written_is_read_and_a_frame_that_was_cut_off_is_not_there() {
        let whole = bytes(&all());
        assert_eq!(read(&whole), Read { frames: all(), damaged: false });
        for cut in 0..whole.len() {
            let read = read(&whole[..cut]);
            assert!(!read.damaged && all().starts_with(&read.frames), "{cut}");
        }
    }

    #[test]
    fn damage_is_seen_and_costs_no_more_than_what_follows_it() {
        let whole = bytes(&all());
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            let read = read(&damaged);
            assert!(all().starts_with(&read.frames) && read.frames.len() < 5, "{at}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes: Vec<u8>, valid: bool) {
            let mut whole = HEADER.to_vec();
            if valid {
                // A content that is odd behind a checksum that is right.
                whole.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
                whole.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
            }
            whole.extend_from_slice(&bytes);
            read(&whole);
            read(&bytes);
        }
    }
}
