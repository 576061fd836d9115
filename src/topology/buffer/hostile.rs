//! Segments and cursors that nobody has written so.

use super::disk::{Cursor, HEADER_BYTES, Limits, Next, Reading, Store, sealed};
use crate::event::pack::{Packed, PackedKind};
use bytes::Bytes;
use std::fs;
use std::path::Path;

const LIMITS: Limits = Limits { buffer_bytes: 1 << 20, segment_bytes: 1 << 12 };

/// Whatever lies in a buffer's folder, it opens, gives frames in the order of their numbers, comes
/// to an end, and takes a new frame that is read behind all others.
///
/// The first byte chooses what the others are: a segment, frames whose checksums are right, or a
/// cursor.
pub(crate) fn segment(input: &[u8], dir: &Path) {
    let Some((what, bytes)) = input.split_first() else { return };
    let segment = dir.join(format!("{:020}.segment", 0));
    let written = match what % 3 {
        0 => fs::write(segment, bytes),
        1 => fs::write(segment, sealed(bytes)),
        _ => fs::write(dir.join("cursor"), bytes),
    };
    let (Ok(()), Ok(cursor)) = (written, Cursor::load(dir)) else { return };
    let cursor = cursor.unwrap_or_default();
    let Ok((mut store, _)) = Store::open(dir, LIMITS, cursor.highest()) else { return };
    let before = frames(&mut store, cursor.settled);
    let mut frame = vec![0; HEADER_BYTES];
    frame.extend_from_slice(b"new");
    let next = store.next();
    if store.append(PackedKind::Logs, 1, &mut frame).is_err() {
        return;
    }
    let after = frames(&mut store, cursor.settled);
    assert!(after.starts_with(&before), "{before:?} {after:?}");
    // Only who makes checksums can number frames, and ends of segments, so that others come after
    // the last.
    let is_made_up = what % 3 == 1 || next == u64::MAX;
    assert!(is_made_up || after.last() == Some(&next), "{next} in {after:?}");
}

/// The numbers of the frames from `number` on.
fn frames(store: &mut Store, number: u64) -> Vec<u64> {
    let mut reading = Reading::from(number);
    let mut numbers: Vec<u64> = Vec::new();
    // So few bytes have no more frames and gaps than this.
    for _ in 0..100_000 {
        match reading.next(store) {
            Err(_) => reading.give_up_segment(store),
            Ok(Next::Nothing) => {
                assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
                return numbers;
            }
            Ok(Next::Frame(frame)) => {
                numbers.push(frame.number);
                Packed::new(frame.kind, &frame.body).and_then(Packed::unpack);
            }
            Ok(Next::Block(bytes)) => {
                let mut data = Vec::new();
                match reading.load(store, bytes, &mut data) {
                    Ok(()) => reading.loaded(Bytes::from(data)),
                    Err(_) => reading.give_up_segment(store),
                }
            }
        }
    }
    assert!(numbers.len() > 100_000, "it comes to an end");
    numbers
}

/// Good input.
pub(crate) fn segments() -> Vec<Vec<u8>> {
    let mut frames = vec![1];
    for number in 0..5 {
        // Kind, number, events, length, body.
        frames.extend_from_slice(&[1 + number % 2, number, 0, 2, 4, b'b', b'o', b'd', b'y']);
    }
    frames.extend_from_slice(&[3, 5, 0, 10, 0]);
    let segment = sealed(&frames[1..]);
    let json = r#"{"settled":3,"ahead":[["out",7]]}"#;
    let sum = crc32fast::hash(json.as_bytes());
    let cursor = format!("driftless buffer 1\n{sum:08x} {json}\n");
    vec![frames, [b"\0", &*segment].concat(), [b"\x02", cursor.as_bytes()].concat()]
}
