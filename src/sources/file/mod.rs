//! `file`: follows files and gives their lines.

mod catalog;
mod checkpoint;
mod config;
mod content;
mod follow;
mod glimpse;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod marks;
mod metrics;
mod patterns;
mod pins;
mod position;
mod remembered;
pub mod status;
mod tracked;
mod unpack;
mod watch;

pub use crate::event::log::stream::OnLongLine;
pub use config::{Config, Metadata, ReadFrom};

use crate::event::log::framing::Framing;
use crate::topology::component::{Fault, Source};
use crate::topology::context::SourceContext;
use crate::topology::output::Output;
use async_trait::async_trait;
use follow::Follower;
use patterns::Patterns;
use std::time::Duration;
use tokio::sync::{oneshot, watch as signal};
use watch::Bell;

struct FileSource {
    patterns: Patterns,
    framing: Framing,
    limits: Limits,
}

/// The numbers of a config.
#[derive(Clone, Debug)]
struct Limits {
    read_from: ReadFrom,
    /// The longest line, in bytes.
    longest: u64,
    on_long_line: OnLongLine,
    /// How long an unfinished multiline record waits.
    timeout: Option<Duration>,
    metadata: Vec<Metadata>,
    ignore_older: Option<Duration>,
    close_inactive: Duration,
    max_open_files: usize,
    /// How much of files that have lost their names is kept, in bytes.
    pin_bytes: u64,
    delete_when_done: Option<Duration>,
}

/// Tells the reading thread that nobody waits for it any more.
struct Lifeline {
    alive: Option<signal::Sender<()>>,
    bell: Bell,
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.alive = None;
        self.bell.ring();
    }
}

/// Files are read on a thread of their own: blocking reads cost a fraction of what asynchronous
/// ones do, and a file system that hangs holds back nobody else.
#[async_trait]
impl Source for FileSource {
    async fn run(self: Box<Self>, out: Output, cx: SourceContext) -> Result<(), Fault> {
        let thread_fault = |error| Fault::passing(format!("no thread to read files on: {error}"));
        let bell = Bell::new().map_err(thread_fault)?;
        let (alive, abandoned) = signal::channel(());
        let lifeline = Lifeline { alive: Some(alive), bell: bell.clone() };
        let (stop, name) = (cx.stop.clone(), format!("file {}", cx.name));
        let follower = Follower::new(*self, out, cx, abandoned, bell)?;
        let (done, mut result) = oneshot::channel();
        std::thread::Builder::new()
            .name(name)
            .spawn(move || {
                // Nobody may be waiting any more.
                done.send(follower.run()).ok();
            })
            .map_err(thread_fault)?;
        let result = tokio::select! {
            result = &mut result => result,
            () = stop.requested() => {
                lifeline.bell.ring();
                result.await
            }
        };
        result.unwrap_or_else(|_| Err(Fault::passing("the thread that reads files has died")))
    }
}
