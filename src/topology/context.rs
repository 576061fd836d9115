//! What the engine lends to a component while it runs.

use super::component::{BuildContext, Fault};
use super::dead_letters::DeadLetters;
use super::demand::{DemandPort, Demands};
use super::memory::Memory;
use super::once::Deliveries;
use super::runs::Runs;
use super::telemetry::{ComponentTelemetry, Telemetry};
use crate::event::ack::{Receipt, SinkId};
use crate::event::metric::Taken;
use crate::event::secret::{Masker, Secrets};
use crate::event::task::SharedTaskSet;
use crate::host::clock;
use arc_swap::ArcSwap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{mpsc, watch};

/// What all components of a process share.
#[derive(Debug)]
pub struct Environment {
    /// The node's name.
    pub host: Arc<str>,
    /// Where checkpoints and other state are kept.
    pub data_dir: PathBuf,
    /// Whether anything is kept there. A run for the moment begins anew each time.
    pub keeps_state: bool,
    /// The memory ceiling.
    pub memory: Memory,
    /// The agent's own metrics.
    pub telemetry: Telemetry,
    /// Names and numbers of the sinks.
    pub sinks: SinkNames,
    /// The secrets that the config refers to; swapped by a reload.
    pub secrets: ArcSwap<Secrets>,
    /// Hides them in everything that is shown.
    pub masker: Masker,
    /// `facts`, `vars` and `host`, for expressions on records; swapped by a reload.
    pub constants: ArcSwap<serde_json::Map<String, serde_json::Value>>,
    /// The desired state, newest first in line; a new one replaces one that still waits.
    pub tasks: watch::Receiver<Option<SharedTaskSet>>,
    /// What sources and the journals of sinks tell each other.
    pub deliveries: Deliveries,
    /// How far the runs of the desired state are.
    pub runs: Runs,
    /// Whether sources end at the end of what is there now, as `--once` asks.
    pub once: bool,
}

impl Environment {
    /// That metrics are taken now, by the component of this name.
    pub fn taken_by(&self, component: &Arc<str>) -> Taken {
        let (host, source) = (Arc::clone(&self.host), Arc::clone(component));
        Taken { time_ns: clock::now_ns(), host, source }
    }
}

/// A table or another file that a component reads when it is built may have this much.
const LARGEST_FILE_BYTES: u64 = 256 << 20;

impl BuildContext {
    /// What time it is, in milliseconds since the epoch: when the run begins, for components that
    /// know no clock and are told how much time has passed since.
    pub fn now_ms(&self) -> i64 {
        i64::try_from(clock::now().as_millis()).unwrap_or(i64::MAX)
    }

    /// Reads a file that the config names, for components that do no I/O themselves.
    ///
    /// # Errors
    /// What stands in the way, with the file's name.
    pub fn read_file(&self, path: &Path) -> Result<Vec<u8>, Fault> {
        let read = || {
            let file = File::open(path)?;
            let about = file.metadata()?;
            if !about.is_file() {
                return Err(std::io::Error::other("it is no regular file"));
            }
            if about.len() > LARGEST_FILE_BYTES {
                let limit = LARGEST_FILE_BYTES >> 20;
                return Err(std::io::Error::other(format!("it is larger than {limit} MiB")));
            }
            let mut bytes = Vec::new();
            file.take(LARGEST_FILE_BYTES).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|error| Fault::passing(format!("`{}`: {error}", path.display())))
    }
}

/// The numbers that the sinks have while the process runs. Checkpoints keep names.
#[derive(Debug, Default)]
pub struct SinkNames(RwLock<Vec<Option<Arc<str>>>>);

impl SinkNames {
    /// The number of the sink with this name, given to it now if it is new; `None` where there
    /// are too many.
    pub fn intern(&self, name: &str) -> Option<SinkId> {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = names.iter().position(|known| known.as_deref() == Some(name));
        if let Some(at) = known {
            return SinkId::new(at);
        }
        let free = names.iter().position(Option::is_none).unwrap_or(names.len());
        let id = SinkId::new(free)?;
        if free == names.len() {
            names.push(None);
        }
        names[free] = Some(name.into());
        Some(id)
    }

    /// Takes the numbers of all names but those to keep, to be given out again. Done only when
    /// none is left, so that a receipt that is still on its way means what it says.
    pub(super) fn reuse(&self, keep: impl Fn(&str) -> bool) {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for name in names.iter_mut() {
            name.take_if(|name| !keep(name));
        }
    }

    /// The name of the sink with this number.
    pub fn name(&self, sink: SinkId) -> Arc<str> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.get(sink.index()).cloned().flatten().unwrap_or_default()
    }
}

/// Tells a source to come to an end. Only sources hear it; everything below ends because its
/// input does.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// The other end of a [`Stop`].
#[derive(Debug)]
pub struct StopSender(watch::Sender<bool>);

impl Stop {
    /// A stop and who can say it.
    pub fn new() -> (StopSender, Self) {
        let (sender, receiver) = watch::channel(false);
        (StopSender(sender), Self(receiver))
    }

    /// Returns when it is time to stop.
    pub async fn requested(&self) {
        // An error means that whoever could say it is gone, which says it too.
        self.0.clone().wait_for(|stop| *stop).await.ok();
    }

    /// Whether it is time to stop.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl StopSender {
    /// Says it.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// What a running source has.
pub struct SourceContext {
    /// Its name: `logs.nginx`.
    pub name: Arc<str>,
    /// When to end.
    pub stop: Stop,
    /// What became of its batches.
    pub receipts: mpsc::UnboundedReceiver<Receipt>,
    /// Who wants a fresh poll.
    pub demands: Demands,
    /// Its own counters.
    pub telemetry: ComponentTelemetry,
    /// What all components share.
    pub env: Arc<Environment>,
}

/// What a running stream sink has.
pub struct SinkContext {
    /// Its name: `logs.archive`.
    pub name: Arc<str>,
    /// Its line to the sources that poll on demand.
    pub demand: Arc<DemandPort>,
    /// The way to the sink that takes what this one rejects for good, where it names one.
    pub dead_letters: Option<DeadLetters>,
    /// Its own counters.
    pub telemetry: ComponentTelemetry,
    /// What all components share.
    pub env: Arc<Environment>,
}
