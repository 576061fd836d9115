//! Members: what one write appends to a compressed file. Each can be read by itself, and each says
//! how long it is, so that one that a crash cut off is found without reading the file.

use crate::event::encode::compress::{Algorithm, Compression};
use flate2::{Compress, FlushCompress, Status};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A gzip header with an extra field `DL` of eight bytes, which holds the member's length.
const GZIP_HEAD: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 4, 255, 12, 0, b'D', b'L', 8, 0];
/// A frame that zstd skips, with eight bytes in it: the length of the frame behind it.
const ZSTD_HEAD: [u8; 8] = [0x50, 0x2a, 0x4d, 0x18, 8, 0, 0, 0];

/// Makes members, one after the other, of what is written. What it needs for that is taken once.
pub(super) struct Packer {
    compression: Compression,
    deflate: Option<Compress>,
    member: Vec<u8>,
}

impl Packer {
    pub(super) fn new(compression: Compression) -> Self {
        Self { compression, deflate: None, member: Vec::new() }
    }

    /// A whole member of these parts; `None` where nothing is compressed.
    pub(super) fn pack(&mut self, parts: &[&[u8]]) -> io::Result<Option<&[u8]>> {
        self.member.clear();
        match self.compression.algorithm {
            Algorithm::None => return Ok(None),
            Algorithm::Gzip => self.gzip(parts)?,
            Algorithm::Zstd => self.zstd(parts)?,
        }
        Ok(Some(&self.member))
    }

    fn gzip(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let level = self.compression.level.unwrap_or(1);
        let new = || Compress::new(flate2::Compression::new(level), false);
        let deflate = self.deflate.get_or_insert_with(new);
        deflate.reset();
        let member = &mut self.member;
        member.extend_from_slice(&GZIP_HEAD);
        member.extend_from_slice(&[0; 8]);
        let mut sum = crc32fast::Hasher::new();
        for part in parts {
            sum.update(part);
            let end = deflate.total_in() + part.len() as u64;
            while deflate.total_in() < end {
                let left = part.len() - (end - deflate.total_in()) as usize;
                member.reserve(part.len() / 8 + 1024);
                deflate.compress_vec(&part[left..], member, FlushCompress::None)?;
            }
        }
        loop {
            member.reserve(1024);
            if deflate.compress_vec(b"", member, FlushCompress::Finish)? == Status::StreamEnd {
                break;
            }
        }
        member.extend_from_slice(&sum.finalize().to_le_bytes());
        // As the format has it: without what 32 bits do not hold.
        member.extend_from_slice(&(deflate.total_in() as u32).to_le_bytes());
        let length = member.len();
        put_length(member, GZIP_HEAD.len(), length);
        Ok(())
    }

    fn zstd(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        self.member.extend_from_slice(&ZSTD_HEAD);
        self.member.extend_from_slice(&[0; 8]);
        self.compression.append(parts, &mut self.member)?;
        let length = self.member.len() - ZSTD_HEAD.len() - 8;
        put_length(&mut self.member, ZSTD_HEAD.len(), length);
        Ok(())
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Packer").field(&self.compression).finish()
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
    use std::io::{Read, Write};

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
            let mut packer = Packer::new(compression);
            let first = packer.pack(&[b"head\n", b"one\n"]).unwrap().unwrap().to_vec();
            let second = packer.pack(&[b"", b"two\n"]).unwrap().unwrap();
            let both = [&first, second].concat();
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
    fn members_of_any_size_and_in_any_parts_are_read_back() {
        let text: Vec<u8> = (0..400_000u32).map(|at| (at.wrapping_mul(at) >> 9) as u8).collect();
        for algorithm in [Algorithm::Gzip, Algorithm::Zstd] {
            let mut packer = Packer::new(Compression { algorithm, level: Some(3) });
            let (mut file, mut all) = (tempfile::tempfile().unwrap(), Vec::new());
            for size in [1, 300_000, 0, 70_000] {
                let (first, second) = text[..size].split_at(size / 3);
                let member = packer.pack(&[b"", first, second]).unwrap().unwrap();
                file.write_all(member).unwrap();
                all.extend_from_slice(member);
            }
            let whole = [&text[..1], &text[..300_000], &text[..70_000]].concat();
            assert!(read(algorithm, &all) == whole, "{algorithm:?}");
            assert_eq!(whole_bytes(algorithm, &file).unwrap(), all.len() as u64);
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
