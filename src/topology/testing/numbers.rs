//! A source of numbers that can be read again.

use super::number;
use crate::event::Kinds;
use crate::event::ack::{Outcome, Receipt, SinkSet};
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::{Environment, SourceContext};
use crate::topology::output::Output;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// By sink and number, in the order of the receipts.
type Outcomes = BTreeMap<(Arc<str>, u64), Vec<Outcome>>;

/// A source of the numbers from 0 to `count`, one a batch, which remembers which sink has which,
/// and reads again what was lost: a file and its checkpoint, in short.
pub(crate) struct Numbers {
    pub(crate) count: u64,
    /// Called before each number is sent.
    pub(crate) before: Box<dyn Fn(u64) + Send + Sync>,
    /// What each sink has, by its name.
    pub(crate) had: Mutex<HashMap<Arc<str>, BTreeSet<u64>>>,
    /// Batches sent so far, those read again included.
    pub(crate) sent: AtomicU64,
    outcomes: Mutex<Outcomes>,
}

impl Numbers {
    pub(crate) fn up_to(count: u64) -> Arc<Self> {
        Self::with(count, |_| {})
    }

    pub(crate) fn with(count: u64, before: impl Fn(u64) + Send + Sync + 'static) -> Arc<Self> {
        let (had, sent, outcomes) = Default::default();
        Arc::new(Self { count, before: Box::new(before), had, sent, outcomes })
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// What became of number `n` at `sink`, in order.
    pub(crate) fn outcomes(&self, sink: &str, n: u64) -> Vec<Outcome> {
        self.outcomes.lock().unwrap().get(&(sink.into(), n)).cloned().unwrap_or_default()
    }
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "numbers up to {}", self.count)
    }
}

/// The graph's side of [`Numbers`].
#[derive(Debug)]
pub(crate) struct Feed(pub(crate) Arc<Numbers>);

impl SourceConfig for Feed {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        Ok(Box::new(Reader(Arc::clone(&self.0))))
    }
}

struct Reader(Arc<Numbers>);

impl Reader {
    fn missing(&self, n: u64, sinks: SinkSet, env: &Environment) -> SinkSet {
        let had = self.0.had.lock().unwrap();
        let has = |name: &Arc<str>| had.get(name).is_some_and(|numbers| numbers.contains(&n));
        let missing = sinks.iter().filter(|sink| !has(&env.sinks.name(*sink)));
        missing.fold(SinkSet::NONE, |set, sink| set.union(SinkSet::one(sink)))
    }

    /// Notes a receipt; whether the batch was lost.
    fn note(&self, receipt: Receipt, env: &Environment) -> bool {
        let name = env.sinks.name(receipt.sink);
        if receipt.outcome != Outcome::Lost {
            self.0.had.lock().unwrap().entry(Arc::clone(&name)).or_default().insert(receipt.mark);
        }
        let mut outcomes = self.0.outcomes.lock().unwrap();
        outcomes.entry((name, receipt.mark)).or_default().push(receipt.outcome);
        receipt.outcome == Outcome::Lost
    }
}

#[async_trait]
impl Source for Reader {
    async fn run(self: Box<Self>, out: Output, mut cx: SourceContext) -> Result<(), Fault> {
        let mut open = 0usize;
        let mut lost = false;
        for n in 0..self.0.count {
            while let Ok(receipt) = cx.receipts.try_recv() {
                lost |= self.note(receipt, &cx.env);
                open -= usize::from(receipt.last);
            }
            if lost || cx.stop.is_requested() {
                break;
            }
            let missing = self.missing(n, out.sinks(), &cx.env);
            if !missing.is_empty() {
                (self.0.before)(n);
                self.0.sent.fetch_add(1, Ordering::SeqCst);
                open += 1;
                let stop = cx.stop.clone();
                tokio::select! {
                    biased;
                    sent = out.send_to(number(n), n, missing) => sent?,
                    () = stop.requested() => {
                        self.0.sent.fetch_sub(1, Ordering::SeqCst);
                        break;
                    }
                }
            }
        }
        // What failed is sent again in another run; otherwise nothing more will come.
        if lost {
            drop(out);
        } else {
            out.finish();
        }
        while open > 0 {
            let Some(receipt) = cx.receipts.recv().await else { break };
            lost |= self.note(receipt, &cx.env);
            open -= usize::from(receipt.last);
        }
        if lost { Err(Fault::passing("a batch was lost")) } else { Ok(()) }
    }
}
