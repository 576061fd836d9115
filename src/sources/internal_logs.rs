//! `internal_logs`: gives what the agent says of itself.

use crate::event::log::{LogBatch, Origin};
use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::held::Held;
use crate::topology::memory::Chunk;
use crate::topology::output::Output;
use crate::topology::own_log::{OwnLog, Said};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Gives what the agent says of itself, one record an event, with secrets masked: `level`
/// (`error`, `warn`, `info`, `debug`, `trace`), `target` (the part of the program), `message`, and
/// whatever else the event says, such as `component` and `error`.
///
/// ```yaml
/// sources:
///   agent: {type: internal_logs, level: warn}
/// ```
///
/// The agent says only what `--log-level` lets it say. Sending its log on may itself be worth an
/// event; so that this does not go round without end, events about this source are left out,
/// and of one kind about one component at most 10 in 10 seconds pass. The next one that passes
/// says in `suppressed` how many were held back. What was said before the source started is given
/// too, up to 256 events.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The least urgent events to give.
    pub level: Level,
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What needs somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// What happens.
    Info,
    /// How it happens.
    Debug,
    /// All there is.
    Trace,
}

/// Events are gathered for so long, so that a burst is one batch.
const GATHER: Duration = Duration::from_millis(100);
/// What may be on its way to the sinks, in bytes.
const HELD_BYTES: usize = 4 << 20;

impl Default for Config {
    fn default() -> Self {
        Self { level: Level::Info }
    }
}

impl SourceConfig for Config {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        Ok(Box::new(InternalLogs(self.level)))
    }
}

struct InternalLogs(Level);

impl Level {
    fn includes(self, level: tracing::Level) -> bool {
        level
            <= match self {
                Self::Error => tracing::Level::ERROR,
                Self::Warn => tracing::Level::WARN,
                Self::Info => tracing::Level::INFO,
                Self::Debug => tracing::Level::DEBUG,
                Self::Trace => tracing::Level::TRACE,
            }
    }
}

#[async_trait]
impl Source for InternalLogs {
    async fn run(self: Box<Self>, out: Output, mut cx: SourceContext) -> Result<(), Fault> {
        let log = cx.env.telemetry.own(|_| Ok(OwnLog::default()));
        let reader = log.map_err(|error| Fault::fatal(error.to_string()))?.reader();
        let origin = Origin {
            source: Arc::clone(&cx.name),
            host: Arc::clone(&cx.env.host),
            ..Origin::default()
        };
        let (origin, reserve, mut offset) = (Arc::new(origin), cx.env.memory.reserve(), 0);
        let mut held = Held::new(out, &mut cx, HELD_BYTES);
        let once = cx.env.once;
        loop {
            let is_last = tokio::select! {
                biased;
                receipt = held.receipt() => {
                    held.settle(receipt).await?;
                    continue;
                }
                () = cx.stop.requested() => true,
                () = reader.news(), if held.has_room() => {
                    tokio::time::sleep(GATHER).await;
                    false
                }
                () = std::future::ready(()), if once => true,
            };
            let (mut said, missed) = reader.take();
            if missed > 0 {
                cx.telemetry.dropped("too many events", missed);
            }
            let own = Some(&*cx.name);
            said.retain(|said| self.0.includes(said.level) && said.component.as_deref() != own);
            let bytes: usize = said.iter().map(|said| said.json.len() + 1).sum();
            if bytes > 0 {
                let chunk = held.chunk(&reserve, bytes).await?;
                let logs = batch(&said, chunk, &origin, offset);
                offset += bytes as u64;
                held.send(Batch::Logs(logs), None).await?;
            }
            if is_last {
                break;
            }
        }
        held.finish().await;
        Ok(())
    }
}

fn batch(said: &[Arc<Said>], mut chunk: Chunk, origin: &Arc<Origin>, offset: u64) -> LogBatch {
    for said in said {
        chunk.data.extend_from_slice(said.json.as_bytes());
        chunk.data.push(b'\n');
    }
    let read_at = said.last().map_or(0, |said| said.time_ns);
    let about = (Arc::clone(origin), offset, read_at);
    LogBatch::from_objects(&chunk.freeze(), about, said.iter().map(|said| said.time_ns))
}
