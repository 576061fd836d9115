//! `stdin`: gives the lines of standard input.

use crate::event::log::{LogBatch, Origin};
use crate::event::{Batch, Kinds};
use crate::host::clock;
use crate::topology::component::{BuildContext, Fault, Source, SourceConfig};
use crate::topology::context::SourceContext;
use crate::topology::held::Held;
use crate::topology::memory::{Chunk, Reserve};
use crate::topology::output::Output;
use crate::topology::settings::ByteSize;
use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use std::io::{self, Read};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// How much is read at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// What may be on its way to the sinks. Then reading stops, until some of it is there.
const HELD_BYTES: usize = 16 << 20;

/// Gives each line of standard input as a record, and ends where the input does. While the sinks
/// are behind, nothing is read, and whoever writes has to wait. What was read is held in memory
/// until every sink has it, and sent again where a component failed.
///
/// ```yaml
/// sources:
///   piped: {type: stdin}
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The longest line, from 1KiB to 1GiB; a longer one is cut into pieces of this size.
    #[serde(default = "longest_line")]
    pub max_line_bytes: ByteSize,
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
        Ok(Box::new(Stdin { longest: self.max_line_bytes.as_usize() }))
    }
}

struct Stdin {
    longest: usize,
}

#[async_trait]
impl Source for Stdin {
    async fn run(self: Box<Self>, out: Output, mut cx: SourceContext) -> Result<(), Fault> {
        let (name, host) = (Arc::clone(&cx.name), Arc::clone(&cx.env.host));
        let origin = Arc::new(Origin { source: name, host, ..Origin::default() });
        // One chunk is read while the one before is sent.
        let (to_send, mut chunks) = mpsc::channel(1);
        let (reserve, runtime) = (cx.env.memory.reserve(), Handle::current());
        std::thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || read(io::stdin().lock(), self.longest, &reserve, &runtime, &to_send))
            .map_err(|error| Fault::passing(format!("no thread to read on: {error}")))?;
        let mut held = Held::new(out, &mut cx, HELD_BYTES);
        let mut offset = 0;
        loop {
            tokio::select! {
                biased;
                () = cx.stop.requested() => break,
                receipt = held.receipt() => held.settle(receipt).await?,
                chunk = chunks.recv(), if held.has_room() => {
                    let Some(chunk) = chunk else { break };
                    let chunk = chunk
                        .map_err(|error| Fault::fatal(format!("standard input: {error}")))?;
                    let (origin, now) = (Arc::clone(&origin), clock::now_ns());
                    let logs = LogBatch::from_lines(&chunk, origin, offset, now);
                    offset += chunk.len() as u64;
                    drop(chunk);
                    held.send(Batch::Logs(logs), None).await?;
                }
            }
        }
        held.finish().await;
        Ok(())
    }
}

/// Reads until the end, or until nobody wants it any more.
fn read(
    mut input: impl Read,
    longest: usize,
    reserve: &Reserve,
    runtime: &Handle,
    to_send: &mpsc::Sender<io::Result<Bytes>>,
) {
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let room = CHUNK_BYTES.min(longest) + rest.len();
        let mut chunk: Chunk = runtime.block_on(reserve.chunk(room));
        chunk.data.append(&mut rest);
        let begin = chunk.data.len();
        chunk.data.resize(room, 0);
        let read = loop {
            match input.read(&mut chunk.data[begin..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                to_send.blocking_send(Err(error)).ok();
                return;
            }
        };
        chunk.data.truncate(begin + read);
        let whole = match memchr::memrchr(b'\n', &chunk.data) {
            Some(newline) => newline + 1,
            None if read == 0 => chunk.data.len(),
            None if chunk.data.len() >= longest => longest,
            None => 0,
        };
        let whole = if read == 0 { chunk.data.len() } else { whole };
        rest.extend_from_slice(&chunk.data[whole..]);
        chunk.data.truncate(whole);
        let sent = whole == 0 || to_send.blocking_send(Ok(chunk.freeze())).is_ok();
        if read == 0 || !sent {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
use crate::topology::memory::Memory;

    async fn chunks(input: &'static [u8], longest: usize) -> Vec<Vec<u8>> {
        let (to_send, mut chunks) = mpsc::channel(1);
        let (reserve, runtime) = (Memory::new(8 << 20).reserve(), Handle::current());
        std::thread::spawn(move || read(input, longest, &reserve, &runtime, &to_send));
        let mut all = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            all.push(chunk.unwrap().to_vec());
        }
        all
    }

    #[tokio::test]
    async fn input_is_cut_at_line_ends_and_its_unfinished_end_is_kept() {
        assert_eq!(chunks(b"one\ntwo\nthr", 1 << 20).await, [&b"one\ntwo\n"[..], b"thr"]);
        assert!(chunks(b"", 1 << 20).await.is_empty());
    }

    #[tokio::test]
    async fn an_endless_line_is_cut_into_pieces() {
        let pieces = chunks(&[b'x'; 5000], 2048).await;
        assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [2048, 2048, 904]);
    }
}
