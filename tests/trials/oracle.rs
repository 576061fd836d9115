//! Says what became of the lines that were written.

use super::writer::MARK;
use std::collections::HashMap;

/// What arrived of each writer's lines.
#[derive(Default)]
pub(crate) struct Oracle {
    writers: HashMap<u32, Seen>,
    damaged: u64,
    /// The line that has only begun yet.
    begun: Vec<u8>,
}

#[derive(Default)]
struct Seen {
    times: Vec<u32>,
    /// How many lines came at least once.
    distinct: u64,
    /// The highest number so far of each of its files.
    highest: HashMap<u64, u64>,
    overtaken: u64,
}

/// What the oracle says of all lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    /// Lines that came for the first time after one that was written later to the same file.
    pub(crate) overtaken: u64,
    pub(crate) damaged: u64,
}

impl Oracle {
    /// What a sink has by now, whose last line may still be on its way.
    pub(crate) fn of(text: &[u8]) -> Self {
        let whole = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
        let mut oracle = Self::default();
        oracle.take(&text[..whole]);
        oracle
    }

    /// Takes more of a text, which may end within a line.
    pub(crate) fn take_more(&mut self, text: &[u8]) {
        let mut whole = std::mem::take(&mut self.begun);
        let end = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
        self.begun = text[end..].to_vec();
        if end == 0 {
            whole.append(&mut self.begun);
            self.begun = whole;
            return;
        }
        whole.extend_from_slice(&text[..end]);
        self.take(&whole);
    }

    /// Takes text that arrived, in order; it ends with a line.
    pub(crate) fn take(&mut self, text: &[u8]) {
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.take_line(line);
        }
    }

    fn take_line(&mut self, line: &[u8]) {
        let Some((writer, number, file)) = sealed(line) else {
            self.damaged += 1;
            return;
        };
        let seen = self.writers.entry(writer).or_default();
        let at = usize::try_from(number).unwrap();
        if seen.times.len() <= at {
            seen.times.resize(at + 1, 0);
        }
        if seen.times[at] == 0 {
            seen.distinct += 1;
            let highest = seen.highest.entry(file).or_default();
            seen.overtaken += u64::from(*highest > number);
            *highest = number.max(*highest);
        }
        seen.times[at] += 1;
    }

    /// How many different lines of a writer there are.
    pub(crate) fn distinct(&self, writer: u32) -> u64 {
        self.writers.get(&writer).map_or(0, |seen| seen.distinct)
    }

    /// Whether this line of a writer is there.
    pub(crate) fn has(&self, writer: u32, number: u64) -> bool {
        let times = |seen: &Seen| seen.times.get(usize::try_from(number).ok()?).copied();
        self.writers.get(&writer).and_then(times).is_some_and(|times| times > 0)
    }

    /// What to say, where each of these writers has written so many lines.
    pub(crate) fn verdict(&self, written: &[(u32, u64)]) -> Verdict {
        let mut verdict = Verdict { damaged: self.damaged, ..Verdict::default() };
        for (writer, lines) in written {
            verdict.lost += lines.saturating_sub(self.distinct(*writer));
            if let Some(seen) = self.writers.get(writer) {
                verdict.overtaken += seen.overtaken;
                verdict.doubled +=
                    seen.times.iter().map(|times| u64::from(times.saturating_sub(1))).sum::<u64>();
            }
        }
        verdict
    }
}

/// The writer, the number and the file of a line whose checksum is right, wherever in `line` it
/// stands.
fn sealed(line: &[u8]) -> Option<(u32, u64, u64)> {
    let text = std::str::from_utf8(line).ok()?;
    let (_, sealed) = text.split_once(MARK)?;
    let mut words = sealed.trim_start().splitn(2, ' ');
    let sum = u32::from_str_radix(words.next()?, 16).ok()?;
    let payload = words.next()?.split('.').next()?;
    if crc32fast::hash(payload.as_bytes()) != sum {
        return None;
    }
    let mut words = payload.split(' ');
    let (writer, number) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((writer, number, words.next()?.parse().ok()?))
}

#[test]
fn an_oracle_sees_what_went_wrong() {
    let text = |file, numbers: &[u64]| {
        let mut out = Vec::new();
        numbers.iter().for_each(|number| super::writer::line(3, *number, file, &mut out));
        out
    };
    let mut oracle = Oracle::default();
    oracle.take(&text(0, &[0, 1, 4, 2, 2, 5]));
    oracle.take(&text(0, &[6])[3..]);
    let verdict = Verdict { lost: 2, doubled: 1, overtaken: 1, damaged: 1 };
    assert_eq!(oracle.verdict(&[(3, 7)]), verdict);
    let rest = text(1, &[3]);
    rest.chunks(7).for_each(|some| oracle.take_more(some));
    assert_eq!(oracle.verdict(&[(3, 7)]), Verdict { lost: 1, ..verdict });
}
