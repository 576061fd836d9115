//! Compressed files, read as what is in them.

use flate2::bufread::MultiGzDecoder;
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::sync::Arc;

/// How much is decompressed at a time.
const STEP_BYTES: usize = 64 << 10;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

/// What the first bytes of a file say of its packing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    Packed(Packing),
    Plain,
    /// More bytes are needed.
    Short,
}

const GZIP: &[u8] = &[0x1f, 0x8b, 0x08];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

impl Packing {
    pub(super) fn guess(begin: &[u8]) -> Guess {
        if begin.starts_with(GZIP) {
            return Guess::Packed(Self::Gzip);
        }
        if begin.starts_with(ZSTD) {
            return Guess::Packed(Self::Zstd);
        }
        let short = GZIP.starts_with(begin) || ZSTD.starts_with(begin);
        if short { Guess::Short } else { Guess::Plain }
    }
}

/// How a compressed file ends, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its end has not been reached yet.
    Unknown,
    /// It ends here as it should.
    Whole,
    /// It breaks off; it may still be written.
    Incomplete,
    /// What follows is damaged.
    Damaged,
}

/// A compressed file that is being read.
pub(super) struct Unpacker {
    file: Arc<File>,
    packing: Packing,
    decoder: Option<Box<dyn Read + Send>>,
    /// What was decompressed last, and where that begins.
    window: Vec<u8>,
    window_at: u64,
    ending: Ending,
    /// The size of the compressed file when its end was met.
    ended_at: u64,
}

/// Reads a file from its beginning without moving its own position.
struct FromStart {
    file: Arc<File>,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = rustix::io::pread(&*self.file, buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Unpacker {
    pub(super) fn new(file: Arc<File>, packing: Packing) -> Self {
        Self {
            file,
            packing,
            decoder: None,
            window: Vec::new(),
            window_at: 0,
            ending: Ending::Unknown,
            ended_at: 0,
        }
    }

    /// How the file ends, and what its own size was when that was seen.
    pub(super) fn ending(&self) -> (Ending, u64) {
        (self.ending, self.ended_at)
    }

    /// The size of what is in it, as far as that is known.
    pub(super) fn known_bytes(&self) -> u64 {
        self.window_at + self.window.len() as u64
    }

    /// Whether the decoder's memory is taken.
    pub(super) fn is_busy(&self) -> bool {
        self.decoder.is_some()
    }

    /// Gives the memory back; what was learned of the end stays.
    pub(super) fn rest(&mut self) {
        self.decoder = None;
        self.window_at = self.known_bytes();
        self.window = Vec::new();
    }

    /// Begins anew, since the file has grown.
    pub(super) fn again(&mut self) {
        self.rest();
        self.ending = Ending::Unknown;
        self.window_at = 0;
    }

    /// Appends up to `bytes` bytes of what is in it from `offset` on; fewer only at the end.
    pub(super) fn fill(
        &mut self,
        data: &mut Vec<u8>,
        offset: u64,
        bytes: u64,
    ) -> Result<(), Errno> {
        let until = offset.saturating_add(bytes);
        let at_end = self.decoder.is_none() && self.ending != Ending::Unknown;
        if offset < self.window_at || (self.decoder.is_none() && !at_end) {
            self.begin()?;
        }
        while self.ending == Ending::Unknown && self.known_bytes() < until {
            self.forget_before(offset);
            self.step()?;
        }
        self.forget_before(offset);
        let Some(from) = offset.checked_sub(self.window_at) else { return Ok(()) };
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(self.window.len());
        let len = usize::try_from(bytes).unwrap_or(usize::MAX).min(self.window.len() - from);
        data.extend_from_slice(&self.window[from..from + len]);
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Errno> {
        let reader =
            BufReader::with_capacity(STEP_BYTES, FromStart { file: Arc::clone(&self.file), at: 0 });
        let decoder: Box<dyn Read + Send> = match self.packing {
            Packing::Gzip => Box::new(MultiGzDecoder::new(reader)),
            Packing::Zstd => Box::new(
                zstd::stream::read::Decoder::with_buffer(reader)
                    .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::NOMEM))?,
            ),
        };
        self.decoder = Some(decoder);
        self.window.clear();
        self.window_at = 0;
        self.ending = Ending::Unknown;
        Ok(())
    }

    fn forget_before(&mut self, offset: u64) {
        let past = offset.saturating_sub(self.window_at);
        let past = usize::try_from(past).unwrap_or(usize::MAX).min(self.window.len());
        self.window.drain(..past);
        self.window_at += past as u64;
    }

    fn step(&mut self) -> Result<(), Errno> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        let have = self.window.len();
        self.window.resize(have + STEP_BYTES, 0);
        let read = decoder.read(&mut self.window[have..]);
        self.window.truncate(have + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => self.end(Ending::Whole),
            Ok(_) => Ok(()),
            Err(error) => match (error.kind(), Errno::from_io_error(&error)) {
                (ErrorKind::Interrupted, _) => Ok(()),
                (ErrorKind::UnexpectedEof, _) => self.end(Ending::Incomplete),
                (_, Some(errno)) => Err(errno),
                _ => self.end(Ending::Damaged),
            },
        }
    }

    fn end(&mut self, ending: Ending) -> Result<(), Errno> {
        self.ending = ending;
        let size = rustix::fs::fstat(&*self.file)?.st_size;
        self.ended_at = u64::try_from(size).unwrap_or(0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacker(bytes: &[u8], packing: Packing) -> Unpacker {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Unpacker::new(Arc::new(file), packing)
    }

    fn read(unpacker: &mut Unpacker, offset: u64, bytes: u64) -> Vec<u8> {
        let mut data = Vec::new();
        unpacker.fill(&mut data, offset, bytes).unwrap();
        data
    }

    #[test]
    fn any_part_can_be_read_in_any_order_over_all_members() {
        let text: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let (one, two) = text.split_at(123_457);
        let zstd = |text: &[u8]| zstd::encode_all(text, 1).unwrap();
        let packed = [
            (Packing::Gzip, [gzip(one), gzip(two)].concat()),
            (Packing::Zstd, [zstd(one), zstd(two)].concat()),
        ];
        for (packing, bytes) in packed {
            assert_eq!(Packing::guess(&bytes), Guess::Packed(packing));
            let mut unpacker = unpacker(&bytes, packing);
            for (offset, len) in [(0, 10), (200_000, 300_000), (120_000, 10_000), (399_999, 5)] {
                let expected = &text[offset..text.len().min(offset + len)];
                assert_eq!(read(&mut unpacker, offset as u64, len as u64), expected);
            }
            assert_eq!(unpacker.ending(), (Ending::Whole, bytes.len() as u64));
            assert_eq!(unpacker.known_bytes(), text.len() as u64);
            unpacker.rest();
            assert_eq!(read(&mut unpacker, text.len() as u64, 10), b"");
            assert!(!unpacker.is_busy());
            assert_eq!(read(&mut unpacker, 4, 4), [1, 0, 0, 0]);
        }
    }

    #[test]
    fn a_file_that_breaks_off_gives_what_it_has() {
        let text = vec![b'x'; 300_000];
        let whole = gzip(&text);
        let mut broken = unpacker(&whole[..whole.len() - 4], Packing::Gzip);
        assert_eq!(read(&mut broken, 0, 400_000).len(), text.len());
        assert_eq!(broken.ending().0, Ending::Incomplete);
        let mut damaged = unpacker(&[whole, b"garbage behind it".to_vec()].concat(), Packing::Gzip);
        assert_eq!(read(&mut damaged, 0, 400_000).len(), text.len());
        assert_eq!(damaged.ending().0, Ending::Damaged);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0u64..50) {
            for (packing, magic) in [(Packing::Gzip, GZIP), (Packing::Zstd, ZSTD)] {
                let mut unpacker = unpacker(&[magic, &bytes].concat(), packing);
                let given = read(&mut unpacker, at, 1000);
                // What is asked for is there, or it is known why not.
                prop_assert!(given.len() == 1000 || unpacker.ending().0 != Ending::Unknown);
            }
        }
    }
}
