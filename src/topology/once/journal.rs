//! The journal: what a sink brings where, written down before it does.

use super::codec::{self, Begin, Frame};
use super::extents::{Content, Extents};
use super::{Deliveries, Spans};
use crate::event::Batch;
use crate::event::log::{LogBatch, RecordRef};
use crate::host::clock;
use crate::topology::component::BuildContext;
use crate::topology::context::Environment;
use crate::topology::telemetry::Telemetry;
use prometheus::{IntCounterVec, Opts};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A journal that has grown by this and to four times its size is written anew.
const COMPACT_BYTES: u64 = 256 << 10;

/// More than this is not kept: the oldest entries go, and what they tell of may come twice.
const MOST_BYTES: u64 = 64 << 20;

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
    begin: Begin,
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
                        come twice, and journals that were damaged or could not be written.";
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
        let boot: Arc<str> = boot().into();
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
                    let since = Arc::clone(&since);
                    state.entries.insert(begin.id, Entry { begin, is_done: false, since });
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
        state.next = state.next.max(1);
        let id = state.next;
        state.next += 1;
        let begin = Begin { id, records, note: note.to_owned(), contents };
        let mut bytes = std::mem::take(&mut state.waiting);
        codec::push_begin(&begin, &mut bytes);
        let since = Arc::clone(&state.since);
        state.entries.insert(id, Entry { begin, is_done: false, since });
        let (whole, now) = state.sizes;
        let written = if state.file.is_none() || now > whole * 4 + COMPACT_BYTES {
            self.rewrite(&mut state)
        } else {
            let written = self.append(&mut state, &bytes);
            self.note_outcome(&mut state, written)
        };
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
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliveries(&self) -> &Deliveries {
        &self.env.deliveries
    }

    fn append(&self, state: &mut State, bytes: &[u8]) -> io::Result<()> {
        let Some(mut file) = state.file.as_ref() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        file.write_all(bytes)?;
        if self.safe == Safe::Disk {
            file.sync_data()?;
        }
        state.sizes.1 += bytes.len() as u64;
        Ok(())
    }

    /// Writes all anew that is still needed: beside it, then in its place.
    fn rewrite(&self, state: &mut State) -> bool {
        self.forget(state);
        let written = self.write_anew(state);
        self.note_outcome(state, written)
    }

    fn write_anew(&self, state: &mut State) -> io::Result<()> {
        let mut bytes = codec::HEADER.to_vec();
        let mut since: Option<&str> = None;
        for entry in state.entries.values() {
            if since != Some(&entry.since) {
                codec::push_start(&entry.since, &mut bytes);
                since = Some(&entry.since);
            }
            codec::push_begin(&entry.begin, &mut bytes);
            if entry.is_done {
                codec::push_done(entry.begin.id, &mut bytes);
            }
        }
        if since != Some(&state.since) {
            codec::push_start(&state.since, &mut bytes);
        }
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(dir)?;
        let beside = self.path.with_added_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&bytes)?;
        if self.safe == Safe::Disk {
            file.sync_all()?;
        }
        fs::rename(&beside, &self.path)?;
        if self.safe == Safe::Disk {
            File::open(dir)?.sync_all()?;
        }
        state.file = Some(file);
        state.sizes = (bytes.len() as u64, bytes.len() as u64);
        Ok(())
    }

    /// Drops the entries that all their sources' checkpoints are past.
    fn forget(&self, state: &mut State) {
        let mark = |content: &Content| self.deliveries().mark(&self.sink, content);
        state.entries.retain(|_, entry| {
            entry.begin.contents.iter().any(|(content, spans)| mark(content) < spans.end())
        });
        let size = |entry: &Entry| entry.begin.note.len() as u64 + entry.begin.spans() * 8;
        let mut bytes: u64 = state.entries.values().map(size).sum();
        let mut lost = 0;
        while bytes > MOST_BYTES
            && let Some((_, oldest)) = state.entries.pop_first()
        {
            bytes -= size(&oldest);
            lost += 1;
        }
        if lost > 0 {
            self.complain("is too large", &"its oldest entries are forgotten");
        }
        let State { entries, left, delivered, .. } = state;
        left.retain(|id| entries.contains_key(id));
        let mut needed = HashSet::new();
        needed.extend(entries.values().flat_map(|it| &it.begin.contents).map(|(it, _)| it));
        for (source, contents) in delivered.iter_mut() {
            contents.retain(|number, spans| {
                let content = (Arc::clone(source), *number);
                spans.forget_before(mark(&content));
                needed.contains(&content)
            });
        }
        delivered.retain(|_, contents| !contents.is_empty());
        self.deliveries().watch_only(&self.sink, |content| needed.contains(content));
    }

    /// Says once that the journal cannot be written, until it can.
    fn note_outcome(&self, state: &mut State, written: io::Result<()>) -> bool {
        let Err(error) = written else {
            state.failed = false;
            return true;
        };
        // Whatever stands at its end now, nothing may be added to it.
        state.file = None;
        if !std::mem::replace(&mut state.failed, true) {
            self.complain("cannot be written", &error);
        }
        false
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
        let Some(entry) = self.entries.get(&id) else { return };
        for ((source, content), spans) in &entry.begin.contents {
            let of_source = self.delivered.entry(Arc::clone(source)).or_default();
            of_source.entry(*content).or_default().add_all(spans);
        }
    }
}

impl Begin {
    fn spans(&self) -> u64 {
        self.contents.iter().map(|(_, spans)| spans.len() as u64).sum()
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

/// The machine's start: another one each time. Where nobody knows it, each process has its own.
fn boot() -> String {
    match fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(boot) if !boot.trim().is_empty() => boot.trim().to_owned(),
        _ => format!("process {} at {}", std::process::id(), clock::now_ns()),
    }
}
