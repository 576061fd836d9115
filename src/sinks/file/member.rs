//! Members: what one write appends to a compressed file. Each can be read by itself, and each says
//! how long it is, so that one that a crash cut off is found without reading the file.

use crate::event::encode::compress::{Algorithm, Compression};
use flate2::GzBuilder;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

/// A gzip header with an extra field `DL` of eight bytes, which holds the member's length.
const GZIP_HEAD: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 4, 255, 12, 0, b'D', b'L', 8, 0];
/// A frame that zstd skips, with eight bytes in it: the length of the frame behind it.
const ZSTD_HEAD: [u8; 8] = [0x50, 0x2a, 0x4d, 0x18, 8, 0, 0, 0];

/// What one write appends for `before` and `body`: a whole member, or both as they are where nothing
/// is compressed.
pub(super) fn member<'a>(
    compression: Compression,
    before: &[u8],
    body: &'a [u8],
) -> io::Result<Cow<'a, [u8]>> {
    let room = body.len() / 8 + 64;
    match compression.algorithm {
        Algorithm::None if before.is_empty() => Ok(body.into()),
        Algorithm::None => Ok([before, body].concat().into()),
        Algorithm::Gzip => {
            let extra = [&GZIP_HEAD[12..], &[0; 8]].concat();
            let level = flate2::Compression::new(compression.level.unwrap_or(1));
            let builder = GzBuilder::new().extra(extra).operating_system(255);
            let mut writer = builder.write(Vec::with_capacity(room), level);
            writer.write_all(before)?;
            writer.write_all(body)?;
            let mut member = writer.finish()?;
            let length = member.len();
            put_length(&mut member, GZIP_HEAD.len(), length);
            Ok(member.into())
        }
        Algorithm::Zstd => {
            let mut member = Vec::with_capacity(room);
            member.extend_from_slice(&ZSTD_HEAD);
            member.extend_from_slice(&[0; 8]);
            compression.append(&[before, body], &mut member)?;
            let length = member.len() - ZSTD_HEAD.len() - 8;
            put_length(&mut member, ZSTD_HEAD.len(), length);
            Ok(member.into())
        }
    }
}

fn put_length(member: &mut [u8], at: usize, length: usize) {
    if let Some(place) = member.get_mut(at..at + 8) {
        place.copy_from_slice(&(length as u64).to_le_bytes());
    }
}

/// How much of a file is whole members, in bytes. What somebody else wrote counts as whole.
pub(super) fn whole_bytes(algorithm: Algorithm, file: &File) -> io::Result<u64> {
    let end = file.metadata()?.len();
    let mut at = 0;
    while at < end {
        let mut head = [0; 24];
        let read = read_at(file, &mut head, at)?;
        let Some(length) = length(algorithm, &head[..read]) else { return Ok(end) };
        match length.and_then(|length| at.checked_add(length)) {
            Some(next) if next <= end => at = next,
            _ => return Ok(at),
        }
    }
    Ok(end)
}

/// The length of the member that begins so: `Some(None)` where too little is left of it to tell,
/// `None` where it is none of ours.
fn length(algorithm: Algorithm, head: &[u8]) -> Option<Option<u64>> {
    let ours: &[u8] = match algorithm {
        Algorithm::None => return None,
        Algorithm::Gzip => &GZIP_HEAD,
        Algorithm::Zstd => &ZSTD_HEAD,
    };
    let seen = head.len().min(ours.len());
    // Byte 8 of gzip's head tells the level, and is no part of what makes it ours.
    let same =
        (0..seen).all(|at| head[at] == ours[at] || (algorithm == Algorithm::Gzip && at == 8));
    if !same {
        return None;
    }
    let Some(length) = head.get(ours.len()..).and_then(|rest| rest.first_chunk()) else {
        return Some(None);
    };
    let length = u64::from_le_bytes(*length);
    let beside = if algorithm == Algorithm::Zstd { ZSTD_HEAD.len() as u64 + 8 } else { 0 };
    // Nothing at all is no member; it would never end.
    Some(length.checked_add(beside).filter(|_| length > 0))
}

fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], at + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    fn read(algorithm: Algorithm, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        match algorithm {
            Algorithm::None => text.extend_from_slice(bytes),
            Algorithm::Gzip => {
                flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut text).unwrap();
            }
            Algorithm::Zstd => text = zstd::decode_all(bytes).unwrap(),
        }
        text
    }

    #[test]
    fn whatever_a_crash_leaves_of_the_last_member_the_others_are_found() {
        for algorithm in [Algorithm::Gzip, Algorithm::Zstd] {
            let compression = Compression::of(algorithm);
            let first = member(compression, b"head\n", b"one\n").unwrap();
            let second = member(compression, b"", b"two\n").unwrap();
            let both = [first.clone(), second].concat();
            assert_eq!(read(algorithm, &both), b"head\none\ntwo\n");
            for cut in 0..=both.len() {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&both[..cut]).unwrap();
                let whole = match cut {
                    cut if cut == both.len() => both.len(),
                    cut if cut >= first.len() => first.len(),
                    _ => 0,
                };
                assert_eq!(whole_bytes(algorithm, &file).unwrap(), whole as u64, "{cut}");
            }
        }
    }

    #[test]
    fn what_somebody_else_wrote_is_left_alone() {
        let mut file = tempfile::tempfile().unwrap();
        let mut foreign = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        foreign.write_all(b"foreign").unwrap();
        let foreign = foreign.finish().unwrap();
        file.write_all(&foreign).unwrap();
        assert_eq!(whole_bytes(Algorithm::Gzip, &file).unwrap(), foreign.len() as u64);
    }

    proptest! {
        #[test]
        fn no_file_brings_the_search_down(bytes: Vec<u8>, ours: bool, zstd: bool) {
            let algorithm = if zstd { Algorithm::Zstd } else { Algorithm::Gzip };
            let head: &[u8] = if zstd { &ZSTD_HEAD } else { &GZIP_HEAD };
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(if ours { head } else { b"" }).unwrap();
            file.write_all(&bytes).unwrap();
            whole_bytes(algorithm, &file).unwrap();
        }
    }
}
