//! Cuts one stream into messages, and keeps what is left over between two reads.

use super::frames::{Frames, Messages};
use crate::event::log::framing::{Cut, Flush};
use crate::event::log::multiline::lines;
use crate::event::log::stream::{Found, Stream, Text};
use bytes::BufMut;
use bytes::buf::Limit;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// How messages are told apart on a stream.
#[derive(Clone, Debug)]
pub enum Framing {
    /// By lines, which may be joined.
    Lines(Arc<Text>),
    /// Syslog's two ways, told apart message by message.
    Syslog,
}

impl Framing {
    /// A message that came by itself, as text in UTF-8.
    pub(super) fn decode<'m>(&self, message: &'m [u8]) -> Cow<'m, [u8]> {
        match self {
            Self::Lines(text) => text.framing.decode(message),
            Self::Syslog => Cow::Borrowed(message),
        }
    }
}

/// One stream.
pub struct Cutter {
    way: Way,
    /// What came and is no message yet.
    buffer: Vec<u8>,
}

enum Way {
    Lines(Arc<Text>, Stream),
    Syslog(Frames),
}

impl Cutter {
    /// For a new stream; `longest` is for messages of syslog.
    pub fn new(framing: &Framing, longest: usize) -> Self {
        let way = match framing {
            Framing::Lines(text) => Way::Lines(Arc::clone(text), Stream::default()),
            Framing::Syslog => Way::Syslog(Frames::new(longest)),
        };
        Self { way, buffer: Vec::new() }
    }

    /// Where to put what is read next, `most` bytes or less. To be followed by [`Self::cut`].
    pub fn room(&mut self, most: usize) -> Limit<&mut Vec<u8>> {
        let room = match &self.way {
            Way::Lines(text, _) => most.min(text.wants(self.buffer.len())),
            Way::Syslog(_) => most,
        };
        self.buffer.reserve(room);
        (&mut self.buffer).limit(room)
    }

    /// What unfinished messages take.
    pub fn unfinished_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// How long to wait after a read before [`Self::release`]; for ever where this is nothing.
    pub fn patience(&self) -> Option<Duration> {
        match &self.way {
            Way::Lines(text, _) => text.timeout.filter(|_| !self.buffer.is_empty()),
            Way::Syslog(_) => None,
        }
    }

    /// Takes what is whole.
    pub fn cut(&mut self, out: &mut Messages) {
        self.take(Flush::Nothing, out);
    }

    /// Takes also a record that further lines might belong to.
    pub fn release(&mut self, out: &mut Messages) {
        self.take(Flush::Records, out);
    }

    /// Takes all, since nothing more will come.
    pub fn end(&mut self, out: &mut Messages) {
        self.take(Flush::All, out);
    }

    fn take(&mut self, flush: Flush, out: &mut Messages) {
        let Self { way, buffer } = self;
        let (text, stream) = match way {
            Way::Lines(text, stream) => (&**text, stream),
            Way::Syslog(frames) if flush == Flush::All => {
                frames.end(buffer, out);
                buffer.clear();
                return;
            }
            Way::Syslog(frames) => {
                let used = frames.cut(buffer, out);
                buffer.drain(..used);
                return;
            }
        };
        loop {
            let body = buffer.len();
            let used = match stream.find(text, buffer, flush) {
                Found::More => return,
                Found::Nothing(used) => used,
                Found::TooLong(used) => {
                    out.left_out += 1;
                    used
                }
                Found::Beginning(cut) => {
                    out.cut += 1;
                    push(buffer, &cut, out);
                    cut.used
                }
                Found::Records(cut) => {
                    push(buffer, &cut, out);
                    cut.used
                }
            };
            buffer.truncate(body);
            buffer.drain(..used);
        }
    }
}

fn push(data: &[u8], cut: &Cut, out: &mut Messages) {
    let text = &data[cut.text.0..cut.text.1];
    match &cut.records {
        Some(records) => records.iter().for_each(|(start, end)| out.push(&text[*start..*end])),
        None => lines(text).for_each(|line| out.push(&text[line.start..line.end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::log::stream::OnLongLine;
    use crate::topology::settings::ByteSize;
    use crate::topology::{multiline, text};

    fn cutter(multiline: Option<&str>, on_long_line: OnLongLine) -> Cutter {
        let multiline: Option<multiline::Config> =
            multiline.map(|config| serde_json::from_str(config).unwrap());
        let long = (ByteSize(16), on_long_line);
        let text = text::text("utf-8", None, multiline.as_ref(), long).unwrap();
        Cutter::new(&Framing::Lines(Arc::new(text)), 16)
    }

    /// Puts bytes in, as far as there is room at a time.
    fn feed(cutter: &mut Cutter, mut bytes: &[u8]) -> Messages {
        let mut out = Messages::default();
        while !bytes.is_empty() {
            let mut room = cutter.room(7);
            let (now, later) = bytes.split_at(room.remaining_mut().min(bytes.len()));
            room.put_slice(now);
            bytes = later;
            cutter.cut(&mut out);
        }
        out
    }

    fn texts(messages: &Messages) -> Vec<String> {
        let mut places = Vec::new();
        messages.places(0, &mut places);
        let text = |(a, b): (usize, usize)| String::from_utf8_lossy(&messages.data[a..b]).into();
        places.into_iter().map(text).collect()
    }

    #[test]
    fn a_record_waits_for_what_may_belong_to_it_until_it_is_released_or_the_stream_ends() {
        let mut stream = cutter(Some(r#"{"continuation": "^ "}"#), OnLongLine::Split);
        assert_eq!(texts(&feed(&mut stream, b"a\n 1\nb\n 2")), ["a\n 1"]);
        assert_eq!(stream.patience(), Some(Duration::from_secs(1)));
        let mut out = Messages::default();
        stream.release(&mut out);
        assert_eq!((texts(&out), stream.unfinished_bytes()), (vec!["b".to_owned()], 2));
        assert_eq!(texts(&feed(&mut stream, b"\nc")), Vec::<String>::new());
        let mut out = Messages::default();
        stream.end(&mut out);
        assert_eq!(texts(&out), [" 2", "c"]);
        assert_eq!((stream.unfinished_bytes(), stream.patience()), (0, None));
    }

    #[test]
    fn without_multiline_a_line_waits_for_its_end_alone() {
        let mut stream = cutter(None, OnLongLine::Truncate);
        let out = feed(&mut stream, b"5 <1>ab\n\r\n\nline that is too long\nc");
        assert_eq!(texts(&out), ["5 <1>ab", "line that is too"]);
        assert_eq!((out.cut, stream.patience()), (1, None));
        let out = feed(&mut cutter(None, OnLongLine::Skip), b"one that is too long\nd\n");
        assert_eq!((texts(&out), out.left_out), (vec!["d".to_owned()], 1));
    }
}
