//! The journal: what a sink brings where, written down before it does.

mod keeping;

use super::codec::{self, Begin, Frame};
use super::extents::{Content, Extents};
use super::{Deliveries, Spans};
use crate::event::Batch;
use crate::event::log::{LogBatch, RecordRef};
use crate::topology::component::BuildContext;
use crate::topology::context::Environment;
use crate::topology::telemetry::Telemetry;
use prometheus::{IntCounterVec, Opts};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What an entry outlives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safe {
    /// The end of the process. After a loss of power even what was done is asked about again.
    Kernel,
    /// A loss of power too: each entry is on the disk before [`Journal::begin`] returns.
    Disk,
}

/// What became of a record that may have come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has not come before, or nothing became of it.
    New,
    /// The place has it.
    Delivered,
    /// It belongs to the open entry of this number.
    Open(u64),
}

/// An entry that an earlier process has left, of which it is not known whether it came to its
/// place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its number.
    pub id: u64,
    /// How many records it has.
    pub records: u64,
    /// What the sink had noted.
    pub note: Vec<u8>,
}

/// One sink's journal. It may be shared; the calls are short, and wait for a local disk at most.
#[derive(Debug)]
pub struct Journal {
    sink: Arc<str>,
    path: PathBuf,
    safe: Safe,
    /// A run that keeps no state has a journal that does nothing.
    keeps_state: bool,
    env: Arc<Environment>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Open to be appended to, once all has been written anew.
    file: Option<File>,
    /// Its size then, and now.
    sizes: (u64, u64),
    next: u64,
    entries: BTreeMap<u64, Entry>,
    /// The machine's start; empty where the disk has each entry.
    since: Arc<str>,
    /// Frames that have time until the next one is written.
    waiting: Vec<u8>,
    /// What the place has, by source and content, from the checkpoint on.
    delivered: HashMap<Arc<str>, HashMap<u64, Spans>>,
    /// Open entries of an earlier process.
    left: Vec<u64>,
    failed: bool,
}

#[derive(Debug)]
struct Entry {
    /// What it says; once it is done, only where its contents end, since many may be kept.
    begin: Begin,
    /// The same, as it is written.
    frame: Vec<u8>,
    is_done: bool,
    /// The machine's start at which it was written; empty where the disk has it.
    since: Arc<str>,
}

/// What of a batch came before.
#[derive(Debug)]
pub struct Replays {
    delivered: Spans,
    open: Vec<(u64, Spans)>,
}

/// Counters of all journals.
#[derive(Debug)]
pub(super) struct Metrics(IntCounterVec);

impl Metrics {
    fn of(telemetry: &Telemetry) -> Option<Arc<Self>> {
        let made = telemetry.own(|telemetry| {
            let help = "What sinks that deliver once met after a crash: records left out since \
                        the place has them, requests of which it is not sure, so that they may \
                        come twice, requests of which nothing came again, so that they may be \
                        missing, and journals that were damaged or could not be written.";
            let opts = Opts::new("driftless_sink_replays_total", help);
            let counter = IntCounterVec::new(opts, &["component", "outcome"])?;
            telemetry.register(Box::new(counter.clone()))?;
            Ok(Self(counter))
        });
        made.ok()
    }
}

impl Journal {
    /// The journal of the sink that is built. Nothing is read or written before [`Self::open`].
    pub fn new(cx: &BuildContext, safe: Safe) -> Self {
        let name = cx.name.replace('/', "_");
        Self {
            sink: Arc::clone(&cx.name),
            path: cx.env.data_dir.join("deliveries").join(name),
            safe,
            keeps_state: cx.env.keeps_state,
            env: Arc::clone(&cx.env),
            state: Mutex::default(),
        }
    }

    /// Reads what an earlier process has left. Gives the entries of which it is not known whether
    /// they came to their place, the oldest first.
    pub fn open(&self) -> Vec<Left> {
        if !self.keeps_state {
            return Vec::new();
        }
        let read = match fs::read(&self.path) {
            Ok(bytes) => codec::read(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => codec::Read::default(),
            Err(error) => {
                self.complain("cannot be read", &error);
                codec::Read::default()
            }
        };
        if read.damaged {
            self.complain("is damaged", &"what follows the damage is forgotten");
        }
        let mut state = self.state();
        let boot: Arc<str> = keeping::boot().into();
        *state = State { next: 1, ..State::default() };
        state.since = match self.safe {
            Safe::Kernel => Arc::clone(&boot),
            Safe::Disk => "".into(),
        };
        let mut since: Arc<str> = "?".into();
        for frame in read.frames {
            match frame {
                Frame::Start(name) => since = name.into(),
                Frame::Begin(begin) => {
                    state.next = state.next.max(begin.id.saturating_add(1));
                    let (since, mut frame) = (Arc::clone(&since), Vec::new());
                    codec::push_begin(&begin, &mut frame);
                    let entry = Entry { begin, frame, is_done: false, since };
                    state.entries.insert(entry.begin.id, entry);
                }
                Frame::Done(id) => {
                    if let Some(entry) = state.entries.get_mut(&id) {
                        // What only the kernel had may be gone with it.
                        entry.is_done = entry.since.is_empty() || *entry.since == *boot;
                    }
                }
                Frame::Void(id) => {
                    state.entries.remove(&id);
                }
            }
        }
        for entry in state.entries.values() {
            for (content, _) in &entry.begin.contents {
                self.deliveries().watch(&self.sink, content, true);
            }
        }
        let is_done = |state: &State, id: &u64| state.entries[id].is_done;
        let ids: Vec<u64> = state.entries.keys().copied().collect();
        let (done, left): (Vec<u64>, Vec<u64>) =
            ids.into_iter().partition(|id| is_done(&state, id));
        done.iter().for_each(|id| state.deliver(*id));
        state.left.clone_from(&left);
        // An empty one that nobody writes to is no news.
        if !state.entries.is_empty() || read.damaged {
            self.rewrite(&mut state);
        }
        let left = left.iter().filter_map(|id| Some((id, state.entries.get(id)?)));
        left.map(|(id, Entry { begin, .. })| Left {
            id: *id,
            records: begin.records,
            note: begin.note.clone(),
        })
        .collect()
    }

    /// Writes down what is about to be sent; `note` is the sink's own. Gives the entry's number; 0
    /// where nothing in it can be told again, or where it could not be written down.
    pub fn begin(&self, note: &[u8], extents: &Extents, records: u64) -> u64 {
        if !self.keeps_state || extents.is_empty() {
            return 0;
        }
        let mut contents = extents.by_content();
        contents.retain(|((source, _), _)| self.deliveries().is_once(&self.sink, source));
        if contents.is_empty() {
            return 0;
        }
        let mut state = self.state();
        for (content, _) in &contents {
            if !state.knows(content) {
                self.deliveries().watch(&self.sink, content, false);
                let of_source = state.delivered.entry(Arc::clone(&content.0)).or_default();
                of_source.entry(content.1).or_default();
            }
        }
        let id = state.next.max(1);
        // After a damaged journal there may be no number left.
        let Some(next) = id.checked_add(1) else { return 0 };
        state.next = next;
        let begin = Begin { id, records, note: note.to_owned(), contents };
        let mut frame = Vec::new();
        codec::push_begin(&begin, &mut frame);
        let mut bytes = std::mem::take(&mut state.waiting);
        bytes.extend_from_slice(&frame);
        let since = Arc::clone(&state.since);
        state.entries.insert(id, Entry { begin, frame, is_done: false, since });
        let written = self.write(&mut state, &bytes);
        bytes.clear();
        state.waiting = bytes;
        if written {
            return id;
        }
        state.entries.remove(&id);
        0
    }

    /// All of the entry has come to its place.
    pub fn done(&self, id: u64) {
        let mut state = self.state();
        let Some(entry) = state.entries.get_mut(&id).filter(|entry| !entry.is_done) else { return };
        entry.is_done = true;
        state.left.retain(|left| *left != id);
        state.deliver(id);
        codec::push_done(id, &mut state.waiting);
    }

    /// Nothing of the entry has come to its place, or nobody knows what: its records are new when
    /// they come again.
    pub fn void(&self, id: u64) {
        let mut state = self.state();
        if state.entries.remove(&id).is_some() {
            state.left.retain(|left| *left != id);
            codec::push_void(id, &mut state.waiting);
        }
    }

    /// As [`Self::void`], where something may have come to its place: that is counted.
    pub fn unsure(&self, id: u64) {
        self.void(id);
        self.count("unsure", 1);
    }

    /// Gives up the open entries of an earlier process of which nothing will come again, aloud.
    /// Gives their numbers.
    pub fn missing(&self) -> Vec<u64> {
        let mut state = self.state();
        if state.left.is_empty() { Vec::new() } else { self.tell_of_missing(&mut state) }
    }

    /// Writes down at once what was done, for sinks whose entries are of many contents: a source
    /// must not hear that a part of one is at its place while the journal still asks about it.
    pub fn write_down(&self) {
        let mut state = self.state();
        let bytes = std::mem::take(&mut state.waiting);
        if !bytes.is_empty() && state.file.is_some() {
            let written = self.append(&mut state, &bytes);
            self.note_outcome(&mut state, written);
        }
    }

    /// What of the batch came before; `None` where nothing did, as in most batches.
    pub fn replays(&self, logs: &LogBatch) -> Option<Replays> {
        let origin = &logs.origin;
        if origin.content == 0 {
            return None;
        }
        let state = self.state();
        let (begin, end) = logs.extent().unwrap_or((logs.offset, u64::MAX));
        let delivered = state.delivered.get(&origin.source).and_then(|it| it.get(&origin.content));
        let delivered = delivered.filter(|spans| spans.end() > begin);
        if delivered.is_none() && state.left.is_empty() {
            return None;
        }
        let delivered = delivered.map(|spans| spans.touching(begin, end)).unwrap_or_default();
        let of_content = |entry: &Entry| {
            let same =
                |content: &Content| content.1 == origin.content && content.0 == origin.source;
            let spans = entry.begin.contents.iter().find(|(content, _)| same(content));
            spans.map(|(_, spans)| spans.touching(begin, end)).filter(|spans| !spans.is_empty())
        };
        let left = state.left.iter().filter_map(|id| Some((*id, state.entries.get(id)?)));
        let open: Vec<_> = left.filter_map(|(id, entry)| Some((id, of_content(entry)?))).collect();
        if delivered.is_empty() && open.is_empty() {
            return None;
        }
        drop(state);
        // A graph that was changed meanwhile may bring a record more than once on purpose.
        let is_once = self.deliveries().is_once(&self.sink, &origin.source);
        is_once.then_some(Replays { delivered, open })
    }

    /// The batch without the records that the place has, for sinks that leave no entry open.
    pub fn without_delivered<'b>(&self, batch: &'b Batch) -> Cow<'b, Batch> {
        let Batch::Logs(logs) = batch else { return Cow::Borrowed(batch) };
        let Some(replays) = self.replays(logs) else { return Cow::Borrowed(batch) };
        let mut rest = logs.clone();
        rest.retain(|record| replays.of(record) != Fate::Delivered);
        self.count("left_out", (logs.len() - rest.len()) as u64);
        Cow::Owned(Batch::Logs(rest))
    }

    /// Counts what was met after a crash.
    pub fn count(&self, outcome: &str, number: u64) {
        if let Some(metrics) = Metrics::of(&self.env.telemetry)
            && number > 0
        {
            metrics.0.with_label_values(&[&*self.sink, outcome]).inc_by(number);
        }
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliveries(&self) -> &Deliveries {
        &self.env.deliveries
    }

    fn complain(&self, what: &str, why: &dyn std::fmt::Display) {
        let (component, journal) = (&*self.sink, self.path.display());
        tracing::warn!(
            component, %journal,
            "the journal of what was delivered {what}: {why}; after a crash records may come twice"
        );
        self.count("journal_failed", 1);
        self.env.telemetry.component(&self.sink).errors(1);
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // What is not written is looked for at its place.
        self.write_down();
    }
}

impl State {
    fn knows(&self, (source, content): &Content) -> bool {
        self.delivered.get(source).is_some_and(|contents| contents.contains_key(content))
    }

    /// Notes that the place has what the entry tells of.
    fn deliver(&mut self, id: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.begin.note = Vec::new();
        for ((source, content), spans) in &mut entry.begin.contents {
            let of_source = self.delivered.entry(Arc::clone(source)).or_default();
            of_source.entry(*content).or_default().add_all(spans);
            let end = spans.end();
            *spans = Spans::default();
            spans.add(end.saturating_sub(1), end);
        }
    }
}

impl Replays {
    /// What became of a record of the batch.
    pub fn of(&self, record: &RecordRef<'_>) -> Fate {
        let Some(extent) = record.batch().extent_of(record) else { return Fate::New };
        // Its line end may not have been there yet.
        let (begin, end) = (extent.begin, extent.text_end.max(extent.begin + 1));
        if self.delivered.hold(begin, end) {
            return Fate::Delivered;
        }
        let open = self.open.iter().find(|(_, spans)| spans.hold(begin, end));
        open.map_or(Fate::New, |(id, _)| Fate::Open(*id))
    }
}
