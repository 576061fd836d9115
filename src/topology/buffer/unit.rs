//! The buffer as a part of a running unit: between the edge that leads to it and the one that its
//! component reads from.

use super::disk::{Cursor, Limits, Store, segments_in};
use super::folder_of;
use super::reader::Reader;
use super::settings::BufferSettings;
use super::telemetry::{BufferMetrics, DiskTelemetry};
use super::writer::Writer;
use crate::event::ack::SinkSet;
use crate::topology::component::Fault;
use crate::topology::context::{Environment, Stop, StopSender};
use crate::topology::edge::{EdgeLimits, EdgeSender, Envelope, Input, edge};
use crate::topology::full::{Full, Place};
use crate::topology::supervise::supervise;
use crate::topology::telemetry::ComponentTelemetry;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// How long a buffer that is told to stop waits for what is under way below it. All of it is on
/// disk.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// The sinks behind a unit, as they are between two reloads.
#[derive(Clone, Debug, Default)]
pub(in crate::topology) struct Reach(Arc<Mutex<SinkSet>>);

impl Reach {
    pub(in crate::topology) fn set(&self, sinks: SinkSet) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = sinks;
    }

    pub(super) fn get(&self) -> SinkSet {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way into a component; gone once nothing more will go there.
pub(super) struct Way(Mutex<Option<EdgeSender>>);

impl Way {
    /// Sends; `false` where nobody reads any more.
    pub(super) async fn send(&self, envelope: Envelope) -> bool {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match sender {
            Some(sender) => sender.send(envelope).await,
            None => false,
        }
    }

    /// Whether something can still go there.
    pub(super) fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Lets the component finish.
    pub(super) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// What the two ends of a disk buffer share while it is open.
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    /// Locked only where a thread may wait for the disk.
    pub(super) store: Mutex<Store>,
    /// Something was written.
    pub(super) grown: Notify,
    /// Something was delivered or removed.
    pub(super) room: Notify,
    /// Whether the writer waits for room.
    pub(super) wants_room: AtomicBool,
    /// Every frame below this number is delivered.
    pub(super) settled: AtomicU64,
    /// Nothing more will be written.
    pub(super) written: AtomicBool,
    pub(super) numbers: DiskTelemetry,
    pub(super) full: Full,
}

impl Shared {
    /// Works on the store where waiting for the disk holds back nobody else.
    pub(super) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let shared = Arc::clone(self);
        let job = tokio::task::spawn_blocking(move || {
            let mut store = shared.store.lock().unwrap_or_else(PoisonError::into_inner);
            let result = work(&mut store);
            shared.numbers.bytes.set(i64::try_from(store.bytes()).unwrap_or(i64::MAX));
            shared.numbers.segments.set(i64::try_from(store.len()).unwrap_or(i64::MAX));
            result
        });
        job.await.map_err(|error| Fault::passing(format!("the disk buffer: {error}")))
    }
}

/// A disk buffer in front of a component, or what one has left there.
pub(in crate::topology) struct Buffer {
    pub(super) name: Arc<str>,
    pub(super) settings: BufferSettings,
    pub(super) env: Arc<Environment>,
    pub(super) reach: Reach,
    pub(super) stop: Stop,
    pub(super) input: Input,
    pub(super) way: Way,
    pub(super) telemetry: ComponentTelemetry,
    /// Set where what is under way below was not waited for.
    pub(super) cut: AtomicBool,
}

impl Buffer {
    /// Puts a buffer behind `input` where the settings ask for one or one has left something;
    /// gives the edge that the component is to read from, and what stops the buffer.
    pub(in crate::topology) fn before(
        name: &Arc<str>,
        settings: &BufferSettings,
        env: &Arc<Environment>,
        reach: &Reach,
        input: Input,
    ) -> Result<(Self, Input, StopSender), Input> {
        let has_left = || {
            let dir = folder_of(&env.data_dir, name);
            segments_in(&dir).is_ok_and(|segments| !segments.is_empty())
        };
        if !env.keeps_state || !(settings.is_disk() || has_left()) {
            return Err(input);
        }
        let telemetry = env.telemetry.edge(name).behind_a_buffer();
        let (sender, inner) = edge(EdgeLimits::default(), telemetry);
        let (stopper, stop) = Stop::new();
        let buffer = Self {
            name: Arc::clone(name),
            settings: settings.clone(),
            env: Arc::clone(env),
            reach: reach.clone(),
            stop,
            input,
            way: Way(Mutex::new(Some(sender))),
            telemetry: env.telemetry.component(name),
            cut: AtomicBool::new(false),
        };
        Ok((buffer, inner, stopper))
    }

    /// Runs beside `component`, which reads from the edge given by [`Self::before`].
    pub(in crate::topology) async fn beside(self, component: impl Future<Output = ()>) {
        let buffer = Arc::new(self);
        let mut task = JoinSet::new();
        let running = Arc::clone(&buffer);
        task.spawn(async move {
            supervise(|| &running.telemetry, Some(&running.stop), || running.attempt()).await;
            running.way.close();
        });
        let mut component = pin!(component);
        tokio::select! {
            () = &mut component => drop(task.join_next().await),
            _ = task.join_next() => {
                if !buffer.cut.load(Ordering::SeqCst) {
                    component.await;
                }
            }
        }
    }

    async fn attempt(&self) -> Result<(), Fault> {
        let (shared, cursor) = self.open().await?;
        let mut reader = Reader::new(self, Arc::clone(&shared), &cursor);
        if self.settings.is_disk() {
            let mut writer = Writer::new(self, Arc::clone(&shared));
            return tokio::try_join!(writer.run(), reader.run()).map(drop);
        }
        // What an earlier config has left comes first, so that order holds.
        shared.written.store(true, Ordering::SeqCst);
        reader.send_what_comes().await?;
        if self.stop.is_requested() {
            return reader.run().await;
        }
        let pass_on = async {
            while let Some(envelope) = self.input.next().await {
                self.way.send(envelope).await;
            }
            self.way.close();
        };
        let leave = async {
            reader.see_through().await?;
            if shared.work(|store| store.len() == 0).await? {
                tokio::fs::remove_dir_all(&shared.dir).await.ok();
            }
            Ok(())
        };
        // A component that gathers for long holds back nobody: what comes now goes behind it.
        tokio::join!(pass_on, leave).1
    }

    async fn open(&self) -> Result<(Arc<Shared>, Cursor), Fault> {
        let dir = folder_of(&self.env.data_dir, &self.name);
        let place = dir.display().to_string();
        let fault = |error: io::Error| Fault::passing(format!("the disk buffer {place}: {error}"));
        let limits = Limits::of(self.settings.disk_bytes());
        let metrics = BufferMetrics::of(&self.env.telemetry)
            .map_err(|error| Fault::passing(error.to_string()))?;
        let opening = tokio::task::spawn_blocking(move || {
            let cursor = Cursor::load(&dir)?;
            let floor = cursor.as_ref().map_or(0, Cursor::highest);
            let (store, opened) = Store::open(&dir, limits, floor)?;
            Ok((dir, cursor, store, opened))
        });
        let opened = opening.await.map_err(|error| Fault::passing(error.to_string()))?;
        let (dir, cursor, store, opened) = opened.map_err(fault)?;
        let numbers = metrics.component(&self.name);
        let component = &*self.name;
        if cursor.is_none() {
            self.telemetry.errors(1);
            tracing::warn!(
                component,
                buffer = %dir.display(),
                "the cursor of the disk buffer is damaged; all that it holds is sent again"
            );
        }
        if opened.torn_bytes > 0 {
            let bytes = opened.torn_bytes;
            tracing::warn!(
                component,
                bytes,
                "cut a frame that was not written whole off the disk buffer"
            );
        }
        if opened.unreadable > 0 {
            self.telemetry.errors(opened.unreadable);
            numbers.damaged.inc_by(opened.unreadable);
            tracing::warn!(
                component,
                segments = opened.unreadable,
                "put unreadable segments of the disk buffer aside"
            );
        }
        let cursor = cursor.unwrap_or_default();
        numbers.bytes.set(i64::try_from(store.bytes()).unwrap_or(i64::MAX));
        numbers.segments.set(i64::try_from(store.len()).unwrap_or(i64::MAX));
        numbers.events.set(i64::try_from(store.events()).unwrap_or(i64::MAX));
        let shared = Shared {
            dir,
            store: Mutex::new(store),
            grown: Notify::new(),
            room: Notify::new(),
            wants_room: AtomicBool::new(false),
            settled: AtomicU64::new(cursor.settled),
            written: AtomicBool::new(false),
            numbers,
            full: self.env.telemetry.fullness().buffer(&self.name, Place::Disk),
        };
        Ok((Arc::new(shared), cursor))
    }
}
