//! Messages, and how those of syslog are told apart on a stream (RFC 6587): one that begins with
//! its length, a space and `<` is that long; any other ends with a line feed.

use std::sync::Arc;

/// A count of more digits is none: no message is that long.
const MOST_DIGITS: usize = 9;

/// Messages, ready to become a batch: each is followed by a line feed, which is not part of it.
#[derive(Debug, Default)]
pub struct Messages {
    /// The bytes.
    pub data: Vec<u8>,
    /// Where each message ends in `data`, without its line feed.
    pub ends: Vec<u32>,
    /// Whether some message has a line feed within.
    pub broken_lines: bool,
    /// Messages that were cut because they are too long.
    pub cut: u64,
    /// Lines that were left out because they are too long.
    pub left_out: u64,
    /// How many of the messages, counted from the one before, came from which peer. Empty where
    /// nobody wants to know.
    pub peers: Vec<(usize, Arc<str>)>,
}

impl Messages {
    /// Adds one. Empty ones are not messages.
    pub fn push(&mut self, message: &[u8]) {
        if message.is_empty() || message == b"\r" {
            return;
        }
        self.broken_lines |= memchr::memchr(b'\n', message).is_some();
        self.data.extend_from_slice(message);
        self.ends.push(u32::try_from(self.data.len()).unwrap_or(u32::MAX));
        self.data.push(b'\n');
    }

    /// Adds the places of the messages in `data`, which stands behind so many other bytes.
    pub fn places(&self, before: usize, places: &mut Vec<(usize, usize)>) {
        let mut begin = before;
        for end in &self.ends {
            let end = before + *end as usize;
            places.push((begin, end));
            begin = end + 1;
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// Cuts one stream of syslog. It remembers only what a message that is too long still owes.
#[derive(Debug)]
pub(super) struct Frames {
    longest: usize,
    skip: Skip,
}

/// What is still to come of a message whose beginning was taken already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    Nothing,
    Bytes(usize),
    ToLineEnd,
}

/// What stands at the beginning of a buffer.
enum Next {
    /// A message of so many bytes, after so many bytes of framing.
    Counted(usize, usize),
    Line,
    /// More has to be read to tell.
    Unclear,
}

impl Frames {
    /// Messages that take up to `longest` bytes; of longer ones the beginning is kept.
    pub(super) fn new(longest: usize) -> Self {
        Self { longest: longest.max(1), skip: Skip::Nothing }
    }

    /// Takes whole messages from the beginning of `bytes` and gives how many bytes that used. What
    /// is left is the beginning of a message, shorter than the longest one and its framing.
    pub(super) fn cut(&mut self, bytes: &[u8], out: &mut Messages) -> usize {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match self.skip {
                Skip::Bytes(count) => {
                    let here = count.min(rest.len());
                    at += here;
                    self.skip = Skip::Bytes(count - here);
                    if count > here {
                        return at;
                    }
                    self.skip = Skip::Nothing;
                    continue;
                }
                Skip::ToLineEnd => match memchr::memchr(b'\n', rest) {
                    Some(end) => {
                        at += end + 1;
                        self.skip = Skip::Nothing;
                        continue;
                    }
                    None => return bytes.len(),
                },
                Skip::Nothing => {}
            }
            if rest.is_empty() {
                return at;
            }
            match next(rest) {
                Next::Unclear => return at,
                Next::Counted(framing, length) => {
                    let kept = length.min(self.longest);
                    let Some(message) = rest.get(framing..framing + kept) else { return at };
                    // Some senders end a counted message with a line feed all the same.
                    out.push(message.strip_suffix(b"\n").unwrap_or(message));
                    out.cut += u64::from(kept < length);
                    at += framing + kept;
                    self.skip = Skip::Bytes(length - kept);
                }
                Next::Line => match memchr::memchr(b'\n', rest) {
                    Some(end) => {
                        out.push(&rest[..end.min(self.longest)]);
                        out.cut += u64::from(end > self.longest);
                        at += end + 1;
                    }
                    None if rest.len() > self.longest => {
                        out.push(&rest[..self.longest]);
                        out.cut += 1;
                        at = bytes.len();
                        self.skip = Skip::ToLineEnd;
                    }
                    None => return at,
                },
            }
        }
    }

    /// Takes what is left where nothing more will come: a last line without its end, or as much of
    /// a counted message as there is.
    pub(super) fn end(&mut self, bytes: &[u8], out: &mut Messages) {
        if self.skip != Skip::Nothing || bytes.is_empty() {
            return;
        }
        let begin = match next(bytes) {
            Next::Counted(framing, _) => framing,
            Next::Line | Next::Unclear => 0,
        };
        out.push(&bytes[begin..]);
    }
}

/// What stands at the beginning of bytes, of which there are some.
fn next(bytes: &[u8]) -> Next {
    if !matches!(bytes[0], b'1'..=b'9') {
        return Next::Line;
    }
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > MOST_DIGITS {
        return Next::Line;
    }
    match bytes[digits..] {
        [] | [b' '] => Next::Unclear,
        // A message of syslog begins with its priority, so that a line that happens to begin
        // with a number is not mistaken for one.
        [b' ', b'<', ..] => {
            let length =
                bytes[..digits].iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
            Next::Counted(digits + 1, length)
        }
        _ => Next::Line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages(out: &Messages) -> Vec<String> {
        let mut places = Vec::new();
        out.places(0, &mut places);
        let text = |(begin, end)| String::from_utf8_lossy(&out.data[begin..end]).into_owned();
        places.into_iter().map(text).collect()
    }

    /// Cuts `bytes` as they would come in reads of these sizes.
    fn cut(longest: usize, bytes: &[u8], reads: &[usize]) -> (Vec<String>, u64) {
        let (mut cutter, mut out) = (Frames::new(longest), Messages::default());
        let (mut buffer, mut at, mut sizes) = (Vec::new(), 0, reads.iter().cycle());
        while at < bytes.len() {
            let size = sizes.next().copied().unwrap_or(usize::MAX).clamp(1, bytes.len() - at);
            buffer.extend_from_slice(&bytes[at..at + size]);
            at += size;
            let used = cutter.cut(&buffer, &mut out);
            buffer.drain(..used);
            assert!(buffer.len() <= longest + MOST_DIGITS + 2, "the rest is bounded");
        }
        cutter.end(&buffer, &mut out);
        (messages(&out), out.cut)
    }

    #[test]
    fn both_framings_may_come_on_one_stream() {
        let bytes = b"<13>one\n7 <14>two<13>3\r\n10 <15>a\nb\n\n\xff4 <1>x<2>end";
        let (got, cut) = cut(100, bytes, &[]);
        assert_eq!(
            got,
            ["<13>one", "<14>two", "<13>3\r", "<15>a\nb\n\n\u{fffd}", "<1>x", "<2>end"]
        );
        assert_eq!(cut, 0);
    }

    #[test]
    fn a_line_that_begins_with_a_number_is_a_line() {
        let bytes = b"2026 was a good year\n12\n123456789012 <x\n7\xc3\xa9\n";
        let (got, _) = cut(100, bytes, &[]);
        assert_eq!(got, ["2026 was a good year", "12", "123456789012 <x", "7é"]);
    }

    #[test]
    fn of_a_message_that_is_too_long_the_beginning_is_kept_and_the_next_is_whole() {
        let bytes = b"<1>abcdef\n<1>ok\n10 <2>abcdefg7 <2>next5 <3>xy";
        for reads in [&[][..], &[1], &[7], &[3, 2]] {
            let (got, cut) = cut(7, bytes, reads);
            assert_eq!(got, ["<1>abcd", "<1>ok", "<2>abcd", "<2>next", "<3>xy"], "{reads:?}");
            assert_eq!(cut, 2);
        }
    }

    proptest! {
        #[test]
        fn however_the_bytes_arrive_the_messages_are_the_same(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b' '), Just(b'<'), Just(b'1'), Just(b'3'), any::<u8>()],
                0..200,
            ),
            reads in proptest::collection::vec(1usize..20, 1..10),
            longest in 1usize..40,
        ) {
            let whole = cut(longest, &bytes, &[]);
            let pieces = cut(longest, &bytes, &reads);
            prop_assert_eq!(whole, pieces);
        }

        #[test]
        fn counted_messages_come_out_as_they_went_in(
            sent in proptest::collection::vec("<[0-9]{1,3}>[a-z\n ]{0,60}[a-z]", 1..10),
            reads in proptest::collection::vec(1usize..50, 1..10),
        ) {
            let bytes: String =
                sent.iter().map(|message| format!("{} {message}", message.len())).collect();
            let (got, _) = cut(100, bytes.as_bytes(), &reads);
            prop_assert_eq!(got, sent);
        }
    }
}
