//! Streams of any bytes, in reads of any size.

use super::frames::{Cutter, Framing, Messages};

/// The messages of a stream are the same however it comes, and what is held of it is bounded.
///
/// The first bytes choose the framing, the longest message and the size of the reads.
pub(crate) fn stream(input: &[u8]) {
    let Some((&[framing, longest, read], bytes)) = input.split_first_chunk() else { return };
    let framing = if framing % 2 == 0 { Framing::Syslog } else { Framing::Lines };
    let longest = usize::from(longest) + 1;
    let whole = in_reads(framing, longest, bytes, bytes.len().max(1), false);
    assert_eq!(in_reads(framing, longest, bytes, usize::from(read) + 1, true), whole);
}

/// The messages, where each ends, and how many were cut.
fn in_reads(
    framing: Framing,
    longest: usize,
    bytes: &[u8],
    size: usize,
    bounded: bool,
) -> (Vec<u8>, Vec<u32>, u64) {
    let (mut cutter, mut out) = (Cutter::new(framing, longest), Messages::default());
    let mut buffer = Vec::new();
    for read in bytes.chunks(size) {
        buffer.extend_from_slice(read);
        let used = cutter.cut(&buffer, &mut out);
        buffer.drain(..used);
        assert!(!bounded || buffer.len() <= longest + 12, "{} bytes are held", buffer.len());
    }
    cutter.end(&buffer, &mut out);
    assert!(out.ends.is_sorted(), "{out:?}");
    assert!(out.ends.last().is_none_or(|end| *end as usize == out.data.len() - 1), "{out:?}");
    (out.data, out.ends, out.cut)
}

/// Good input.
pub(crate) fn streams() -> Vec<Vec<u8>> {
    let text = b"<13>one\n7 <14>two<13>3\r\n10 <15>a\nb\n\n\xff4 <1>x<2>2026 was\n99 <1>end";
    vec![
        [&[0, 99, 3], &text[..]].concat(),
        [&[0, 3, 1], &text[..]].concat(),
        [&[1, 9, 5], &text[..]].concat(),
    ]
}
