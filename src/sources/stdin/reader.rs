//! The thread that reads standard input, and what it finds there.

use crate::event::log::framing::{Cut, Flush};
use crate::event::log::stream::{Found, Stream, Text};
use crate::event::log::{LogBatch, Origin};
use crate::host::clock;
use crate::topology::memory::{Chunk, Reserve};
use bytes::Bytes;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::io::Errno;
use std::io::{self, PipeReader};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// How much is read at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// What was read at a time.
pub(super) struct Given {
    /// The records' text, and which part of it they are.
    text: Bytes,
    cut: Cut,
    /// Where they begin in the input.
    begin: u64,
    /// Lines that were cut short.
    pub(super) truncated: u64,
    /// Lines that were left out.
    pub(super) left_out: u64,
}

impl Given {
    /// The records, read now.
    pub(super) fn into_batch(self, origin: &Arc<Origin>) -> LogBatch {
        let (origin, now) = (Arc::clone(origin), clock::now_ns());
        let Cut { text: (start, end), records, places, .. } = self.cut;
        let text = self.text.slice(start..end);
        match records {
            None => LogBatch::from_lines(&text, origin, self.begin, now),
            Some(records) => {
                LogBatch::from_records(text, &records, places, (origin, self.begin, now))
            }
        }
    }
}

/// Reads on a thread of its own.
pub(super) struct Reader {
    text: Text,
    /// Closed at its other end when nothing more is wanted.
    stopped: PipeReader,
    reserve: Reserve,
    runtime: Handle,
    to_send: mpsc::Sender<io::Result<Given>>,
    stream: Stream,
    /// What came and is no record yet.
    rest: Vec<u8>,
    /// Where that begins in the input.
    offset: u64,
}

/// Why waiting has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Woken {
    /// There is something to read, or the input has ended.
    Input,
    /// Nothing came for as long as a record waits.
    Waited,
    Stopped,
}

impl Reader {
    /// A reader that has read nothing yet, and ends once the other end of `stopped` is closed.
    pub(super) fn new(
        text: Text,
        stopped: PipeReader,
        (reserve, runtime): (Reserve, Handle),
        to_send: mpsc::Sender<io::Result<Given>>,
    ) -> Self {
        let (stream, rest, offset) = (Stream::default(), Vec::new(), 0);
        Self { text, stopped, reserve, runtime, to_send, stream, rest, offset }
    }

    /// Reads until the end, or until nobody wants it any more.
    pub(super) fn run(mut self, input: impl AsFd) {
        let mut due = None;
        loop {
            let turn = self.wait(&input, due).and_then(|woken| {
                let came = woken == Woken::Input;
                self.turn(&input, woken).map(|goes_on| (came, goes_on))
            });
            match turn {
                Ok((came, true)) => {
                    let timeout = self.text.timeout.filter(|_| came && !self.rest.is_empty());
                    due = timeout.map(|timeout| Instant::now() + timeout);
                }
                Ok((_, false)) => return,
                Err(error) => {
                    // Where nobody waits for it, nobody misses it.
                    self.to_send.blocking_send(Err(error)).ok();
                    return;
                }
            }
        }
    }

    fn wait(&self, input: &impl AsFd, due: Option<Instant>) -> io::Result<Woken> {
        loop {
            let patience = due.map(|due| due.saturating_duration_since(Instant::now()));
            let timeout = patience.map_or(PollTimeout::NONE, |patience| {
                // A millisecond is the least that can be waited.
                let whole = patience + Duration::from_millis(1);
                PollTimeout::try_from(whole).unwrap_or(PollTimeout::MAX)
            });
            let watched = [self.stopped.as_fd(), input.as_fd()];
            let mut watched = watched.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            return match poll(&mut watched, timeout) {
                Err(nix::errno::Errno::EINTR) => continue,
                Err(error) => Err(error.into()),
                Ok(0) => Ok(Woken::Waited),
                Ok(_) if watched[0].any().unwrap_or(true) => Ok(Woken::Stopped),
                Ok(_) => Ok(Woken::Input),
            };
        }
    }

    /// Reads once, and gives what is whole. Says whether there may be more.
    fn turn(&mut self, input: &impl AsFd, woken: Woken) -> io::Result<bool> {
        let begin = self.rest.len();
        let wanted = self.text.wants(begin).min(CHUNK_BYTES);
        let room = self.stream.room(&self.text, begin + wanted);
        let mut chunk: Chunk = self.runtime.block_on(self.reserve.chunk(room));
        chunk.data.append(&mut self.rest);
        let flush = match woken {
            Woken::Waited => Flush::Records,
            Woken::Stopped => Flush::All,
            Woken::Input => {
                chunk.data.resize(begin + wanted, 0);
                let read = read(input, &mut chunk.data[begin..])?;
                chunk.data.truncate(begin + read.unwrap_or(0));
                if read == Some(0) { Flush::All } else { Flush::Nothing }
            }
        };
        Ok(self.give(chunk, flush) && flush != Flush::All)
    }

    /// Gives what is whole, and keeps the rest. `false` where nobody wants it.
    fn give(&mut self, mut chunk: Chunk, flush: Flush) -> bool {
        let (mut truncated, mut left_out) = (0, 0);
        let cut = loop {
            let body = chunk.data.len();
            let (used, cut) = match self.stream.find(&self.text, &mut chunk.data, flush) {
                Found::Nothing(used) => (used, None),
                Found::TooLong(used) => {
                    left_out += 1;
                    (used, None)
                }
                Found::Beginning(cut) => {
                    truncated += 1;
                    (cut.used, Some(cut))
                }
                Found::Records(cut) => (cut.used, Some(cut)),
                Found::More => (0, Some(Cut::default())),
            };
            match cut {
                Some(cut) => {
                    self.rest.extend_from_slice(&chunk.data[used..body]);
                    break cut;
                }
                None => {
                    chunk.data.truncate(body);
                    chunk.data.drain(..used);
                    self.offset += used as u64;
                }
            }
        };
        let begin = self.offset;
        self.offset += cut.used as u64;
        if cut.used == 0 && left_out == 0 {
            return true;
        }
        let given = Given { text: chunk.freeze(), cut, begin, truncated, left_out };
        self.to_send.blocking_send(Ok(given)).is_ok()
    }
}

/// So many bytes; nothing where there are none yet.
fn read(input: &impl AsFd, room: &mut [u8]) -> io::Result<Option<usize>> {
    match rustix::io::read(input, room) {
        Ok(read) => Ok(Some(read)),
        // Somebody else looked first, or a signal came.
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        // A process may be started without any standard input.
        Err(Errno::BADF) => Ok(Some(0)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use crate::topology::memory::Memory;
    use crate::topology::text;
    use std::io::{PipeWriter, Write};

    /// A reader of a pipe, what it gives, and the ends of both pipes.
    struct Bench {
        given: mpsc::Receiver<io::Result<Given>>,
        input: PipeWriter,
        alive: PipeWriter,
    }

    impl Bench {
        fn new(config: &str) -> Self {
            let config: Config = serde_json::from_str(config).unwrap();
            let long = (config.max_line_bytes, config.on_long_line);
            let (delimiter, multiline) = (config.delimiter.as_deref(), config.multiline.as_ref());
            let text = text::text(&config.encoding, delimiter, multiline, long).unwrap();
            let (to_send, given) = mpsc::channel(1);
            let ((stopped, alive), (output, input)) = (io::pipe().unwrap(), io::pipe().unwrap());
            let memory = (Memory::new(8 << 20).reserve(), Handle::current());
            let reader = Reader::new(text, stopped, memory, to_send);
            std::thread::spawn(move || reader.run(output));
            Self { given, input, alive }
        }

        /// The next records, and where each begins in the input; nothing at the end.
        async fn next(&mut self) -> Vec<(u64, String)> {
            let Some(given) = self.given.recv().await else { return Vec::new() };
            let logs = given.unwrap().into_batch(&Arc::default());
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            logs.records().map(|record| (record.offset(), text(record.raw()))).collect()
        }

        async fn all(mut self, input: &[u8]) -> Vec<String> {
            self.input.write_all(input).unwrap();
            drop(std::mem::replace(&mut self.input, io::pipe().unwrap().1));
            let mut all = Vec::new();
            loop {
                let next = self.next().await;
                if next.is_empty() {
                    return all;
                }
                all.extend(next.into_iter().map(|(_, text)| text));
            }
        }
    }

    #[tokio::test]
    async fn input_is_cut_at_line_ends_and_its_unfinished_end_is_kept() {
        assert_eq!(Bench::new("{}").all(b"one\ntwo\n\nthr").await, ["one", "two", "", "thr"]);
        assert!(Bench::new("{}").all(b"").await.is_empty());
    }

    #[tokio::test]
    async fn an_endless_line_is_cut_into_pieces_or_left_out() {
        let long = [&[b'x'; 5000][..], b"\nshort"].concat();
        let pieces = Bench::new(r#"{"max_line_bytes": "2KiB"}"#).all(&long).await;
        assert_eq!(pieces.iter().map(String::len).collect::<Vec<_>>(), [2048, 2048, 904, 5]);
        let skips = Bench::new(r#"{"max_line_bytes": "2KiB", "on_long_line": "truncate"}"#);
        assert_eq!(skips.all(&long).await.iter().map(String::len).collect::<Vec<_>>(), [2048, 5]);
    }

    #[tokio::test]
    async fn other_encodings_and_delimiters_are_those_of_files() {
        let bench = Bench::new(r#"{"encoding": "utf-16le", "delimiter": "|"}"#);
        let wide: Vec<u8> = "grün|\u{7c7c}\n|".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(bench.all(&wide).await, ["grün", "\u{7c7c}\n"]);
    }

    #[tokio::test]
    async fn a_record_that_may_go_on_waits_and_is_given_after_its_time_or_at_the_stop() {
        let config = r#"{"multiline": {"continuation": "^ ", "timeout": "50ms"}}"#;
        let mut bench = Bench::new(config);
        bench.input.write_all(b"a\n 1\nb\n 2").unwrap();
        assert_eq!(bench.next().await, [(0, "a\n 1".to_owned())]);
        assert_eq!(bench.next().await, [(5, "b".to_owned())], "its time is over");
        drop(bench.alive);
        bench.alive = io::pipe().unwrap().1;
        assert_eq!(bench.next().await, [(7, " 2".to_owned())], "what was read is not lost");
        assert!(bench.next().await.is_empty());
    }
}
