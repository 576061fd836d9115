//! What dead letters would say of an object's records, kept small for as long as the object is on
//! its way, since hardly any is ever rejected.

use super::partition::Object;
use crate::event::ack::Outcome;
use crate::event::encode::compress::{Algorithm, Compression, Writer};
use crate::event::log::{Origin, RecordRef};
use crate::topology::dead_letters::Letter;
use crate::topology::request::Share;
use crate::topology::sending::{GivenUp, Sending};
use std::io::{self, Read, Write};
use std::sync::Arc;

/// Letters that are given on together, and the bytes of text after which it is enough.
const TOGETHER: usize = 1000;
const TOGETHER_BYTES: usize = 1 << 20;

/// Text, place and time of each record, compressed.
pub(super) struct Records {
    origins: Vec<Arc<Origin>>,
    packed: Writer<Vec<u8>>,
}

/// A record that was kept.
struct Kept {
    origin: usize,
    offset: u64,
    time_ns: i64,
    text: Vec<u8>,
}

impl Records {
    pub(super) fn new() -> io::Result<Self> {
        let packed = Compression::of(Algorithm::Zstd).writer(Vec::new())?;
        Ok(Self { origins: Vec::new(), packed })
    }

    /// Keeps a record; `encoded` is the form that the sink gave it.
    pub(super) fn add(&mut self, record: &RecordRef<'_>, encoded: &[u8]) -> io::Result<()> {
        let origin = &record.batch().origin;
        if !self.origins.last().is_some_and(|last| Arc::ptr_eq(last, origin)) {
            self.origins.push(Arc::clone(origin));
        }
        let made = encoded.strip_suffix(b"\n").unwrap_or(encoded);
        let text = if record.is_untouched() { record.raw() } else { made };
        self.packed.write_all(&(self.origins.len() as u64 - 1).to_le_bytes())?;
        self.packed.write_all(&record.offset().to_le_bytes())?;
        self.packed.write_all(&record.time_ns().to_le_bytes())?;
        self.packed.write_all(&(text.len() as u64).to_le_bytes())?;
        self.packed.write_all(text)
    }

    /// What it takes, but for what the compression still holds back.
    pub(super) fn bytes(&self) -> usize {
        self.packed.written().len()
    }
}

impl Kept {
    /// The next one; `None` at the end.
    fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut next = || {
            let mut number = [0; 8];
            from.read_exact(&mut number).map(|()| number)
        };
        let origin = match next() {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            number => u64::from_le_bytes(number?),
        };
        let (offset, time_ns) = (u64::from_le_bytes(next()?), i64::from_le_bytes(next()?));
        let length = usize::try_from(u64::from_le_bytes(next()?)).unwrap_or(usize::MAX);
        let mut text = vec![0; length];
        from.read_exact(&mut text)?;
        Ok(Some(Self {
            origin: usize::try_from(origin).unwrap_or(usize::MAX),
            offset,
            time_ns,
            text,
        }))
    }
}

/// Gives the records of an object that was given up to the sink for dead letters; where there is
/// none, drops and counts them.
pub(super) async fn give_up(sending: &Sending, object: Object, why: &GivenUp) {
    let Object { records, shares, letters, .. } = object;
    let Some(kept) = letters.filter(|_| sending.has_letters()) else {
        return sending.give_up(why, shares);
    };
    sending.tell_letters(why, records);
    if let Err(error) = give_on(sending, kept, &shares, why).await {
        // Lost, so that they are read again.
        tracing::error!(%error, "records for the dead letters cannot be unpacked");
        return;
    }
    shares.into_iter().for_each(|share| share.ack.end(Outcome::Delivered));
}

async fn give_on(
    sending: &Sending,
    kept: Records,
    shares: &[Share],
    why: &GivenUp,
) -> io::Result<()> {
    let Records { origins, packed } = kept;
    let packed = packed.finish()?;
    let mut unpacked = zstd::stream::read::Decoder::new(packed.as_slice())?;
    let mut given = 0;
    loop {
        let (mut some, mut bytes) = (Vec::new(), 0);
        while some.len() < TOGETHER
            && bytes < TOGETHER_BYTES
            && let Some(record) = Kept::read(&mut unpacked)?
        {
            bytes += record.text.len();
            some.push(record);
        }
        if some.is_empty() {
            return Ok(());
        }
        let letters: Vec<Letter<'_>> = some
            .iter()
            .map(|record| Letter {
                text: &record.text,
                origin: origins.get(record.origin).map(|origin| &**origin),
                offset: record.offset,
                time_ns: record.time_ns,
                reason: why.message(),
                status: why.status(),
            })
            .collect();
        sending.give_letters(&letters, shares, given).await;
        given += some.len();
    }
}
