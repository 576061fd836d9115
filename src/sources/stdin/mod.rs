//! `stdin`: gives the lines of standard input.

mod reader;

use crate::event::log::Origin;
use crate::event::log::stream::{OnLongLine, Text};
use crate::event::{Batch, Kinds};
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::held::Held;
use crate::topology::output::Output;
use crate::topology::settings::ByteSize;
use crate::topology::{multiline, text};
use async_trait::async_trait;
use reader::Reader;
use schemars::JsonSchema;
use serde::Deserialize;
use std::io;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// What may be on its way to the sinks. Then reading stops, until some of it is there.
const HELD_BYTES: usize = 16 << 20;

/// Gives each line of standard input as a record, and ends where the input does. While the sinks
/// are behind, nothing is read, and whoever writes has to wait. What was read is held in memory
/// until every sink has it, and sent again where a component failed.
///
/// ```yaml
/// sources:
///   piped: {type: stdin, multiline: {mode: java}}
/// ```
///
/// With `multiline` a record that may go on waits for further lines, up to `timeout`; where the
/// input ends, it is taken as it is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The longest line, from 1KiB to 1GiB. What happens to a longer one says `on_long_line`.
    #[serde(default = "text::longest_line")]
    pub max_line_bytes: ByteSize,
    /// What happens to a line above `max_line_bytes`.
    #[serde(default)]
    pub on_long_line: OnLongLine,
    /// How text is written, as for the `file` source: `utf-8`, `utf-16le`, `latin1`, or another
    /// label of the WHATWG's Encoding Standard.
    #[serde(default = "text::utf_8")]
    pub encoding: String,
    /// What ends a line. Default: a line feed, and a carriage return before it is no part of the
    /// message.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// Joins lines that belong together. Default: each line is a record.
    #[serde(default)]
    pub multiline: Option<multiline::Config>,
}

impl SourceConfig for Config {
    fn gives(&self) -> Kinds {
        Kinds::LOGS
    }

    fn build(&self, _: &BuildContext) -> Result<Box<dyn Source>, Fault> {
        text::check_longest(self.max_line_bytes, ByteSize(1 << 30)).map_err(Fault::fatal)?;
        let (delimiter, multiline) = (self.delimiter.as_deref(), self.multiline.as_ref());
        let long = (self.max_line_bytes, self.on_long_line);
        let text = text::text(&self.encoding, delimiter, multiline, long).map_err(Fault::fatal)?;
        Ok(Box::new(Stdin { text }))
    }
}

struct Stdin {
    text: Text,
}

#[async_trait]
impl Source for Stdin {
    async fn run(self: Box<Self>, out: Output, mut cx: SourceContext) -> Result<(), Fault> {
        let (name, host) = (Arc::clone(&cx.name), Arc::clone(&cx.env.host));
        let origin = Arc::new(Origin { source: name, host, ..Origin::default() });
        let thread_fault = |error| Fault::passing(format!("no thread to read on: {error}"));
        // One chunk is read while the one before is sent.
        let (to_send, mut given) = mpsc::channel(1);
        let (stopped, alive) = io::pipe().map_err(thread_fault)?;
        let mut alive = Some(alive);
        let memory = (cx.env.memory.reserve(), Handle::current());
        let reader = Reader::new(self.text, stopped, memory, to_send);
        std::thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || reader.run(io::stdin()))
            .map_err(thread_fault)?;
        let mut held = Held::new(out, &mut cx, HELD_BYTES);
        loop {
            tokio::select! {
                biased;
                // What was read by then still comes.
                () = cx.stop.requested(), if alive.is_some() => alive = None,
                receipt = held.receipt() => held.settle(receipt).await?,
                next = given.recv(), if held.has_room() => {
                    let Some(next) = next else { break };
                    let given = next
                        .map_err(|error| Fault::fatal(format!("standard input: {error}")))?;
                    if given.truncated > 0 {
                        cx.telemetry.errors(given.truncated);
                        let lines = given.truncated;
                        tracing::warn!(component = &*cx.name, lines, "too long, cut short");
                    }
                    if given.left_out > 0 {
                        cx.telemetry.dropped("line_too_long", given.left_out);
                    }
                    let logs = given.into_batch(&origin);
                    held.send(Batch::Logs(logs), None).await?;
                }
            }
        }
        held.finish().await;
        Ok(())
    }
}
