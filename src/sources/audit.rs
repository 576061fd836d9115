//! `audit`: gives the record of what was done to this host.

use crate::event::ack::{Outcome, Receipt, SinkId, SinkSet};
use crate::event::log::{LogBatch, Origin};
use crate::event::{Batch, Kinds};
use crate::host::audit::directory;
use crate::host::audit::reader::{Lines, Reader};
use crate::host::{clock, state_file};
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::output::Output;
use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Another process may add records too; those of this one are heard of at once.
const POLL: Duration = Duration::from_secs(2);
/// How much is read at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// Batches on their way.
const MOST_OPEN: usize = 64;

/// Gives a record for each task that was run on this host, by the agent or by `driftless apply`:
/// one line of JSON each, as it stands in the audit trail, so that a copy of them can be checked
/// with `driftless audit verify`. How far each sink has got is kept in the data directory; a new
/// sink gets all that is there.
///
/// With `agent --once` it ends when the desired state has been applied. `audit` in an apply file
/// stands for this source and its sinks.
///
/// ```yaml
/// sources: {record: {type: audit}}
/// sinks: {archive: {type: file, inputs: [record], path: /mnt/audit/%Y-%m-%d.jsonl}}
/// ```
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

impl SourceConfig for Config {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        Ok(Box::new(Audit))
    }
}

struct Audit;

#[async_trait]
impl Source for Audit {
    async fn run(self: Box<Self>, out: Output, mut cx: SourceContext) -> Result<(), Fault> {
        let store = Store::new(&cx.env.data_dir, &cx.name);
        let known = store.load().map_err(|error| store.fault(&error))?;
        let mut follower = Follower {
            origin: Arc::new(Origin {
                source: Arc::clone(&cx.name),
                host: Arc::clone(&cx.env.host),
                ..Origin::default()
            }),
            chain: directory(&cx.env.data_dir),
            reader: None,
            marks: Marks { known, ..Marks::default() },
            offset: 0,
        };
        let mut runs = cx.env.runs.watch();
        let mut lost = false;
        while !lost {
            // Asked before the last look, so that nothing is written in between.
            let progress = runs.borrow_and_update().clone();
            let nothing_to_come = cx.env.tasks.borrow().is_none() || progress.ended;
            let no_more_wanted = cx.stop.is_requested() || cx.env.once && nothing_to_come;
            let over = no_more_wanted && !progress.running;
            while follower.marks.open.len() < MOST_OPEN && follower.give(&out, &cx).await? {}
            if over && follower.marks.open.len() < MOST_OPEN {
                break;
            }
            let is_stopping = cx.stop.is_requested();
            tokio::select! {
                Some(receipt) = cx.receipts.recv() => {
                    lost |= follower.settle(receipt, &cx);
                    while let Ok(receipt) = cx.receipts.try_recv() {
                        lost |= follower.settle(receipt, &cx);
                    }
                    follower.save(&store).await?;
                }
                _ = runs.changed() => {}
                () = cx.stop.requested(), if !is_stopping => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        if lost {
            drop(out);
        } else {
            out.finish();
        }
        while let Some(receipt) = cx.receipts.recv().await {
            lost |= follower.settle(receipt, &cx);
        }
        follower.save(&store).await?;
        if lost { Err(Fault::passing("records were lost on their way")) } else { Ok(()) }
    }
}

struct Follower {
    origin: Arc<Origin>,
    chain: PathBuf,
    /// Lent to a thread that may block while it reads.
    reader: Option<Reader>,
    marks: Marks,
    /// Bytes given so far, which tells records of this run apart.
    offset: u64,
}

impl Follower {
    /// Gives the next records to the sinks that do not have them; `false` where there are none.
    async fn give(&mut self, out: &Output, cx: &SourceContext) -> Result<bool, Fault> {
        let sinks = out.sinks();
        let Some(from) = sinks.iter().map(|sink| self.marks.sent(sink, cx)).min() else {
            return Ok(false);
        };
        let ahead = sinks.iter().map(|sink| self.marks.sent(sink, cx)).filter(|mark| *mark > from);
        let until = ahead.min().unwrap_or(u64::MAX);
        let reader = self.reader.take().filter(|reader| reader.given() == from);
        let mut reader = reader.unwrap_or_else(|| Reader::new(&self.chain, from));
        let read = tokio::task::spawn_blocking(move || {
            let lines = reader.next(CHUNK_BYTES, until);
            (reader, lines)
        });
        let (reader, lines) =
            read.await.map_err(|error| Fault::passing(format!("a bug in its reader: {error}")))?;
        self.reader = Some(reader);
        let lines = lines.map_err(|error| {
            Fault::passing(format!("the audit trail in `{}`: {error}", self.chain.display()))
        })?;
        let Some(Lines { bytes, last }) = lines else { return Ok(false) };
        let wanting = sinks.iter().filter(|sink| self.marks.sent(*sink, cx) < last);
        let wanting = wanting.fold(SinkSet::NONE, |all, sink| all.union(SinkSet::one(sink)));
        let length = bytes.len() as u64;
        let origin = Arc::clone(&self.origin);
        let logs = LogBatch::from_lines(&Bytes::from(bytes), origin, self.offset, clock::now_ns());
        self.offset += length;
        let number = self.marks.send(from, last, wanting);
        out.send_to(Batch::Logs(logs), number, wanting).await?;
        Ok(true)
    }

    /// Notes what became of a batch, and tells whether it was lost.
    fn settle(&mut self, receipt: Receipt, cx: &SourceContext) -> bool {
        if receipt.outcome == Outcome::Lost {
            cx.telemetry.errors(1);
            return true;
        }
        self.marks.settle(receipt);
        self.marks.note(|sink| cx.env.sinks.name(sink));
        false
    }

    async fn save(&mut self, store: &Store) -> Result<(), Fault> {
        if !std::mem::take(&mut self.marks.moved) {
            return Ok(());
        }
        let (writer, known) = (store.clone(), self.marks.known.clone());
        let saved = tokio::task::spawn_blocking(move || writer.save(&known)).await;
        let saved = saved.map_err(|error| Fault::passing(error.to_string()))?;
        saved.map_err(|error| store.fault(&error))
    }
}

/// The number of the last record, by sink.
type Known = BTreeMap<String, u64>;

/// Which records each sink has.
#[derive(Debug, Default)]
struct Marks {
    /// The last one that was sent to it.
    sent: HashMap<SinkId, u64>,
    /// Batches on their way, in order.
    open: VecDeque<Open>,
    numbers: u64,
    /// The last one that it has safe, without a gap, as the checkpoint says.
    known: Known,
    moved: bool,
}

#[derive(Debug)]
struct Open {
    number: u64,
    /// What it follows.
    from: u64,
    sinks: SinkSet,
}

impl Marks {
    fn sent(&mut self, sink: SinkId, cx: &SourceContext) -> u64 {
        let known = &self.known;
        let start = || known.get(&*cx.env.sinks.name(sink)).copied().unwrap_or_default();
        *self.sent.entry(sink).or_insert_with(start)
    }

    /// The records after `from`, up to `last`, are on their way as the batch with this number.
    fn send(&mut self, from: u64, last: u64, sinks: SinkSet) -> u64 {
        self.numbers += 1;
        self.open.push_back(Open { number: self.numbers, from, sinks });
        self.sent.extend(sinks.iter().map(|sink| (sink, last)));
        self.numbers
    }

    fn settle(&mut self, receipt: Receipt) {
        let Some(open) = self.open.iter_mut().find(|open| open.number == receipt.mark) else {
            return;
        };
        // A sink that a reload took away in between sends no receipt of its own.
        let settled = if receipt.last { open.sinks } else { SinkSet::one(receipt.sink) };
        open.sinks = open.sinks.without(settled);
        while self.open.front().is_some_and(|open| open.sinks.is_empty()) {
            self.open.pop_front();
        }
    }

    /// Writes down how far each sink is without a gap.
    fn note(&mut self, name: impl Fn(SinkId) -> Arc<str>) {
        for (sink, sent) in &self.sent {
            let waits = self.open.iter().find(|open| open.sinks.contains(*sink));
            let safe = waits.map_or(*sent, |open| open.from);
            let known = self.known.entry(name(*sink).to_string()).or_default();
            if safe > *known {
                *known = safe;
                self.moved = true;
            }
        }
    }
}

/// The checkpoint: `checkpoints/NAME` in the data directory, replaced as a whole.
#[derive(Clone, Debug)]
struct Store {
    path: PathBuf,
}

impl Store {
    fn new(data_dir: &Path, name: &str) -> Self {
        Self { path: data_dir.join("checkpoints").join(name.replace('/', "_")) }
    }

    fn fault(&self, error: &io::Error) -> Fault {
        Fault::passing(format!("the checkpoint `{}`: {error}", self.path.display()))
    }

    fn load(&self) -> io::Result<Known> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                let path = self.path.display();
                tracing::error!(%path, %error, "damaged checkpoint; all records are given again");
                Known::new()
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Known::new()),
            Err(error) => Err(error),
        }
    }

    fn save(&self, known: &Known) -> io::Result<()> {
        state_file::replace(&self.path, &serde_json::to_vec(known)?).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(index: usize) -> SinkId {
        SinkId::new(index).unwrap()
    }

    fn receipt(mark: u64, index: usize, last: bool) -> Receipt {
        Receipt { mark, sink: sink(index), outcome: Outcome::Delivered, last }
    }

    #[test]
    fn a_checkpoint_moves_only_over_records_settled_without_a_gap() {
        let both = SinkSet::one(sink(0)).union(SinkSet::one(sink(1)));
        let mut marks = Marks::default();
        let numbers = [marks.send(0, 10, both), marks.send(10, 20, both)];
        let mut after = |number: usize, index: usize, last: bool| {
            marks.settle(receipt(numbers[number], index, last));
            marks.note(|sink| sink.index().to_string().into());
            ["0", "1"].map(|name| marks.known[name])
        };
        assert_eq!(after(1, 0, false), [0, 0]);
        assert_eq!(after(0, 0, false), [20, 0]);
        assert_eq!(after(0, 1, true), [20, 10]);
        assert_eq!(after(1, 1, true), [20, 20]);
    }
}
