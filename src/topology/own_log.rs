//! What the agent says of itself, for a source that sends it on.

use crate::event::secret::Masker;
use crate::host::clock;
use serde_json::{Map, Value};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// How many events of one kind about one component may pass in a window. What a source sends on
/// may cause events at its sinks, and those must not grow without end.
const BURST: u64 = 10;
const WINDOW: Duration = Duration::from_secs(10);
/// Kinds that are told apart; with more, counting begins anew.
const MOST_KINDS: usize = 1024;
/// Events that wait for one reader, and that the first reader finds of the time before it.
const MOST_WAITING: usize = 4096;
const MOST_EARLY: usize = 256;

/// The agent's own log. Clones share it.
#[derive(Clone, Default)]
pub struct OwnLog(Arc<Shared>);

#[derive(Default)]
struct Shared {
    masker: Masker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    readers: Vec<Arc<Waiting>>,
    /// What was said before somebody read.
    early: Vec<Arc<Said>>,
    kinds: HashMap<(Identifier, String), Kind>,
}

struct Kind {
    since: Instant,
    passed: u64,
    suppressed: u64,
}

/// One event.
#[derive(Debug)]
pub struct Said {
    /// How much it matters.
    pub level: Level,
    /// The component that it is about, where it is about one.
    pub component: Option<String>,
    /// When, in nanoseconds since the epoch.
    pub time_ns: i64,
    /// A JSON object on one line, masked: `level`, `target`, `message` and what else was said.
    pub json: String,
}

#[derive(Default)]
struct Waiting {
    queue: Mutex<(VecDeque<Arc<Said>>, u64)>,
    news: Notify,
}

/// Reads the log from now on; the first one also finds what was said before.
pub struct LogReader {
    waiting: Arc<Waiting>,
    log: OwnLog,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for OwnLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnLog")
    }
}

impl OwnLog {
    /// A log that nothing has been said to, which hides what `masker` knows.
    pub fn new(masker: Masker) -> Self {
        Self(Arc::new(Shared { masker, state: Mutex::default() }))
    }

    /// A reader of its own.
    pub fn reader(&self) -> LogReader {
        let waiting = Arc::new(Waiting::default());
        let mut state = locked(&self.0.state);
        locked(&waiting.queue).0.extend(state.early.drain(..));
        waiting.news.notify_one();
        state.readers.push(Arc::clone(&waiting));
        LogReader { waiting, log: self.clone() }
    }

    /// What listens to `tracing`.
    pub fn layer<S: Subscriber>(&self) -> impl Layer<S> + use<S> {
        Listener(self.clone())
    }

    fn hear(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        let metadata = event.metadata();
        fields.map.insert("level".to_owned(), metadata.level().as_str().to_lowercase().into());
        fields.map.insert("target".to_owned(), metadata.target().into());
        event.record(&mut fields);
        let component = fields.map.get("component").and_then(Value::as_str).map(str::to_owned);
        let mut state = locked(&self.0.state);
        if state.readers.is_empty() && state.early.len() >= MOST_EARLY {
            return;
        }
        let kind = (metadata.callsite(), component.clone().unwrap_or_default());
        let Some(suppressed) = state.pass(kind, Instant::now()) else { return };
        if suppressed > 0 {
            fields.map.insert("suppressed".to_owned(), suppressed.into());
        }
        let json = Value::Object(fields.map).to_string();
        let json = self.0.masker.mask(&json).into_owned();
        let (level, time_ns) = (*metadata.level(), clock::now_ns());
        let said = Arc::new(Said { level, component, time_ns, json });
        if state.readers.is_empty() {
            state.early.push(said);
            return;
        }
        for reader in &state.readers {
            let mut queue = locked(&reader.queue);
            if queue.0.len() < MOST_WAITING {
                queue.0.push_back(Arc::clone(&said));
            } else {
                queue.1 += 1;
            }
            drop(queue);
            reader.news.notify_one();
        }
    }
}

impl State {
    /// Whether an event of this kind may pass; gives how many were held back before it.
    fn pass(&mut self, kind: (Identifier, String), now: Instant) -> Option<u64> {
        if self.kinds.len() >= MOST_KINDS && !self.kinds.contains_key(&kind) {
            self.kinds.clear();
        }
        let new = Kind { since: now, passed: 0, suppressed: 0 };
        let kind = self.kinds.entry(kind).or_insert(new);
        if now.duration_since(kind.since) >= WINDOW {
            (kind.since, kind.passed) = (now, 0);
        }
        if kind.passed >= BURST {
            kind.suppressed += 1;
            return None;
        }
        kind.passed += 1;
        Some(std::mem::take(&mut kind.suppressed))
    }
}

impl LogReader {
    /// Waits until something was said.
    pub async fn news(&self) {
        if locked(&self.waiting.queue).0.is_empty() {
            self.waiting.news.notified().await;
        }
    }

    /// What was said since the last time, and how many events there was no room for.
    pub fn take(&self) -> (Vec<Arc<Said>>, u64) {
        let mut queue = locked(&self.waiting.queue);
        (queue.0.drain(..).collect(), std::mem::take(&mut queue.1))
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        let mut state = locked(&self.log.0.state);
        state.readers.retain(|reader| !Arc::ptr_eq(reader, &self.waiting));
    }
}

struct Listener(OwnLog);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.hear(event);
    }
}

#[derive(Default)]
struct Fields {
    map: Map<String, Value>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.map.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.map.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.map.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.map.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.map.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.map.insert(field.name().to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::secret::{SecretText, Secrets};
    use tracing_subscriber::layer::SubscriberExt;

    fn listening(log: &OwnLog, work: impl FnOnce()) {
        let subscriber = tracing_subscriber::registry().with(log.layer());
        tracing::subscriber::with_default(subscriber, work);
    }

    #[test]
    fn what_is_said_is_json_with_secrets_masked() {
        let secret = ("NAME".to_owned(), SecretText::new("hunter2-hunter2".to_owned()));
        let log = OwnLog::new(Masker::new(&Secrets::from_iter([secret])));
        listening(&log, || {
            let error = "password hunter2-hunter2 is wrong";
            tracing::warn!(component = "logs.out", %error, attempt = 3, "not delivered");
        });
        let (said, missed) = log.reader().take();
        assert_eq!((said.len(), missed), (1, 0), "what was said before is found");
        assert_eq!(said[0].component.as_deref(), Some("logs.out"));
        let json: Value = serde_json::from_str(&said[0].json).unwrap();
        assert_eq!(json["error"], "password *** is wrong");
        assert_eq!(json["message"], "not delivered");
        assert_eq!((&json["level"], &json["attempt"]), (&"warn".into(), &3.into()));
    }

    #[test]
    fn a_flood_of_one_kind_is_held_back_and_told_of_and_other_kinds_pass() {
        let log = OwnLog::default();
        let reader = log.reader();
        listening(&log, || {
            for number in 0..100 {
                tracing::info!(component = "a", number, "again");
            }
            tracing::info!(component = "b", "other");
        });
        let (said, _) = reader.take();
        assert_eq!(said.len(), 11, "{said:?}");
        let kind =
            locked(&log.0.state).kinds.keys().find(|(_, name)| name == "a").cloned().unwrap();
        let later = Instant::now() + WINDOW;
        assert_eq!(locked(&log.0.state).pass(kind, later), Some(90));
    }

    #[test]
    fn a_reader_that_does_not_read_costs_bounded_memory() {
        let log = OwnLog::default();
        let reader = log.reader();
        let said = || Said { level: Level::INFO, component: None, time_ns: 0, json: "{}".into() };
        locked(&reader.waiting.queue).0.extend((0..MOST_WAITING).map(|_| Arc::new(said())));
        listening(&log, || tracing::info!("one too many"));
        assert_eq!(reader.take().1, 1);
        drop(reader);
        assert!(locked(&log.0.state).readers.is_empty());
    }
}
