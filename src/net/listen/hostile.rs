//! Streams of any bytes, in reads of any size.

use super::cutter::{Cutter, Framing};
use super::frames::Messages;
use crate::event::log::stream::OnLongLine;
use crate::topology::settings::ByteSize;
use crate::topology::{multiline, text};
use bytes::BufMut;
use std::sync::Arc;

/// The messages of a stream are the same however it comes, and what is held of it is bounded.
///
/// The first bytes choose the framing, the longest message and the size of the reads.
pub(crate) fn stream(input: &[u8]) {
    let Some((&[framing, longest, read], bytes)) = input.split_first_chunk() else { return };
    let longest = usize::from(longest) + 1;
    let Some(framing) = framing_of(framing, longest) else { return };
    let whole = in_reads(&framing, longest, bytes, bytes.len().max(1));
    assert_eq!(in_reads(&framing, longest, bytes, usize::from(read) + 1), whole);
}

/// Syslog's framing, or lines with each way of treating long ones, as they are or joined.
fn framing_of(choice: u8, longest: usize) -> Option<Framing> {
    if choice.is_multiple_of(2) {
        return Some(Framing::Syslog);
    }
    let long = [OnLongLine::Split, OnLongLine::Truncate, OnLongLine::Skip];
    let on_long_line = long[usize::from(choice / 2 % 3)];
    let joined: Option<multiline::Config> =
        serde_json::from_str(r#"{"continuation": "^ "}"#).ok().filter(|_| choice / 6 % 2 == 1);
    let longest = ByteSize(longest as u64);
    let text = text::text("utf-8", None, joined.as_ref(), (longest, on_long_line)).ok()?;
    Some(Framing::Lines(Arc::new(text)))
}

/// The messages, where each ends, and how many were cut and left out.
fn in_reads(
    framing: &Framing,
    longest: usize,
    mut bytes: &[u8],
    most: usize,
) -> (Vec<u8>, Vec<u32>, u64, u64) {
    let (mut cutter, mut out) = (Cutter::new(framing, longest), Messages::default());
    while !bytes.is_empty() {
        let mut room = cutter.room(most);
        let (now, later) = bytes.split_at(room.remaining_mut().min(bytes.len()));
        room.put_slice(now);
        bytes = later;
        cutter.cut(&mut out);
        let held = cutter.unfinished_bytes();
        // A record that waits for further lines may be as long as the longest, and so may they.
        assert!(held <= 2 * longest + 12, "{held} bytes are held");
    }
    cutter.end(&mut out);
    assert!(out.ends.is_sorted(), "{out:?}");
    assert!(out.ends.last().is_none_or(|end| *end as usize == out.data.len() - 1), "{out:?}");
    (out.data, out.ends, out.cut, out.left_out)
}

/// Good input.
pub(crate) fn streams() -> Vec<Vec<u8>> {
    let text = b"<13>one\n7 <14>two<13>3\r\n10 <15>a\nb\n\n\xff4 <1>x<2>2026 was\n99 <1>end";
    let framings = [[0, 99, 3], [0, 3, 1], [1, 9, 5], [3, 9, 2], [5, 4, 1], [7, 30, 3]];
    framings.map(|choices| [&choices, &text[..]].concat()).into()
}
