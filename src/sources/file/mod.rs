//! `file`: follows files and gives their lines.

mod catalog;
mod checkpoint;
mod follow;
mod marks;
mod patterns;
mod position;
mod tracked;
mod watch;

use crate::event::Kinds;
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::output::Output;
use crate::topology::settings::ByteSize;
use async_trait::async_trait;
use follow::Follower;
use patterns::Patterns;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::{oneshot, watch as signal};
use watch::Bell;

/// Follows files and gives each line as a record.
///
/// Survives rotation by renaming, truncation, deletion and restarts: a file is known by its
/// device, inode and first bytes, not by its name. How far each sink has got is kept in the data
/// directory; after a restart every sink gets what it does not have yet, and nothing twice. A
/// last line waits for its line end, unless its file was rotated away or removed.
///
/// ```yaml
/// sources:
///   app:
///     type: file
///     include: [/var/log/app/*.log, /srv/**/error.log]
///     exclude: ["*.gz"]
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Paths and patterns: `*` and `?` within a name, `**` for any directories, `[a-z]`,
    /// `{a,b}`. Files that appear later are followed too. What is no regular file is left alone.
    pub include: Vec<String>,
    /// Paths and patterns to leave alone; one without a slash is held against the name only.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Where to begin in files that are there when the source starts for the first time. Files
    /// that appear later are always read from their beginning.
    #[serde(default)]
    pub read_from: ReadFrom,
    /// The longest line, from 1KiB to 1GiB; a longer one is cut into pieces of this size.
    #[serde(default = "longest_line")]
    pub max_line_bytes: ByteSize,
}

/// A place to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadFrom {
    /// All that the file has.
    #[default]
    Beginning,
    /// Only what is written from now on.
    End,
}

fn longest_line() -> ByteSize {
    ByteSize(1 << 20)
}

impl SourceConfig for Config {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        if !(1 << 10..=1 << 30).contains(&self.max_line_bytes.0) {
            return Err(Fault::fatal(format!(
                "`max_line_bytes` is {}; it can be from 1KiB to 1GiB",
                self.max_line_bytes
            )));
        }
        let patterns = Patterns::new(&self.include, &self.exclude).map_err(Fault::fatal)?;
        Ok(Box::new(FileSource { config: self.clone(), patterns }))
    }
}

struct FileSource {
    config: Config,
    patterns: Patterns,
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
        let follower = Follower::new(self.config, self.patterns, out, cx, abandoned, bell);
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
