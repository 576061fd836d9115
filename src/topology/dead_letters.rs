//! Dead letters: what a sink rejects for good, given to another sink.

use super::output::Fanout;
use crate::event::Batch;
use crate::event::ack::Ack;
use crate::event::log::{LogBatch, Origin, Value, Verdict};
use crate::host::clock;
use bytes::Bytes;
use std::sync::Arc;

/// The way to the sink that takes dead letters.
#[derive(Clone)]
pub struct DeadLetters {
    way: Fanout,
    /// Where they come from.
    origin: Arc<Origin>,
}

/// What a record was, and why it was rejected.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'r> {
    /// Its raw text, else the form that the sink gave it.
    pub text: &'r [u8],
    /// Where it was read, and at which byte; `None` where nobody knows.
    pub origin: Option<&'r Origin>,
    /// Where it begins in its file.
    pub offset: u64,
    /// Its time: nanoseconds since the epoch.
    pub time_ns: i64,
    /// Why it was rejected, in the other side's words, without secrets.
    pub reason: &'r str,
    /// The other side's number for it, as HTTP has one.
    pub status: Option<u16>,
}

impl DeadLetters {
    /// The way from the sink of this name, on this node.
    pub(super) fn new(way: Fanout, sink: &str, host: &Arc<str>) -> Self {
        let origin = Origin { source: sink.into(), host: Arc::clone(host), ..Origin::default() };
        Self { way, origin: Arc::new(origin) }
    }

    /// Gives the letters on. What `shares` speak for counts as delivered only once they are safe
    /// there.
    pub async fn send(&self, letters: &[Letter<'_>], shares: Vec<Ack>) {
        let batch = Batch::Logs(self.batch(letters, clock::now_ns()));
        self.way.route().hand_over(batch, shares).await;
    }

    fn batch(&self, letters: &[Letter<'_>], now_ns: i64) -> LogBatch {
        // A record is a line of something; what these say is all in their fields.
        let lines = Bytes::from(b"-\n".repeat(letters.len()));
        let mut batch = LogBatch::from_lines(&lines, Arc::clone(&self.origin), 0, now_ns);
        let mut letters = letters.iter();
        batch.rewrite(|_, writer| {
            let Some(letter) = letters.next() else { return Verdict::Touched };
            writer.push_text("message", letter.text);
            writer.push_text("reason", letter.reason.as_bytes());
            writer.push_text("sink", self.origin.source.as_bytes());
            if let Some(status) = letter.status {
                writer.push("status", Value::Int(i64::from(status)));
            }
            if let Some(origin) = letter.origin {
                writer.push_text("source", origin.source.as_bytes());
                if !origin.host.is_empty() {
                    writer.push_text("host", origin.host.as_bytes());
                }
                if let Some(path) = &origin.path {
                    writer.push_text("path", path.as_bytes());
                }
                let offset = i64::try_from(letter.offset).unwrap_or(i64::MAX);
                writer.push("offset", Value::Int(offset));
                writer.set_time_ns(letter.time_ns);
            }
            Verdict::Touched
        });
        batch
    }
}
