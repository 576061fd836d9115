//! Dead letters: what a sink rejects for good, given to another sink.

use crate::event::Batch;
use crate::event::ack::Ack;
use crate::event::log::{LogBatch, Origin, Verdict};
use crate::topology::output::Fanout;
use crate::topology::request::{Rejected, Request};
use bytes::Bytes;
use std::sync::Arc;

/// The way to the sink that takes dead letters.
pub(super) struct Letters {
    pub(super) way: Fanout,
    /// Where they come from.
    pub(super) origin: Arc<Origin>,
}

impl Letters {
    /// Gives the rejected records on. What was in the request counts as delivered only once they
    /// are safe there.
    pub(super) async fn send(&self, request: &Request, rejected: &[Rejected], now_ns: i64) {
        let shares = request.shares_at(rejected.iter().map(|rejected| rejected.record));
        let batch = Batch::Logs(self.batch(request, rejected, now_ns));
        self.way.route().send_all(batch, Ack::merge(shares)).await;
    }

    fn batch(&self, request: &Request, rejected: &[Rejected], now_ns: i64) -> LogBatch {
        let letters: Vec<_> = rejected
            .iter()
            .filter_map(|rejected| Some((rejected, request.letter(rejected.record)?)))
            .collect();
        // A record is a line of something; what these say is all in their fields.
        let lines = Bytes::from(b"-\n".repeat(letters.len()));
        let mut batch = LogBatch::from_lines(&lines, Arc::clone(&self.origin), 0, now_ns);
        let mut letters = letters.into_iter();
        batch.rewrite(|_, writer| {
            let Some((rejected, letter)) = letters.next() else { return Verdict::Touched };
            writer.push_text("message", letter.text);
            writer.push_text("reason", rejected.reason.as_bytes());
            writer.push_text("sink", self.origin.source.as_bytes());
            if let Some(status) = rejected.status {
                writer.push("status", crate::event::log::Value::Int(i64::from(status)));
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
                writer.push("offset", crate::event::log::Value::Int(offset));
                writer.set_time_ns(letter.time_ns);
            }
            Verdict::Touched
        });
        batch
    }
}
