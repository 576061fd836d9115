//! What a component is to the engine: three traits for what it does, three for its config.
//!
//! A component writes only its own part. Turning batches into a stream, batching, retrying,
//! limiting what is in flight, settling acknowledgements, counting and restarting are the
//! runners' business, so that no component can get them wrong.

use super::context::{SinkContext, SourceContext};
use super::delivery::Delivery;
use super::edge::Input;
use super::output::Output;
use super::request::{Answer, Marking, Request, Requests};
use crate::event::log::LogBatch;
use crate::event::{Batch, Kinds};
use async_trait::async_trait;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Why a component could not do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened, in a user's words, secrets already masked by whoever shows it.
    pub message: String,
    /// Whether the same work may succeed later.
    pub kind: FaultKind,
    /// The other side's number for it, as HTTP has one.
    pub status: Option<u16>,
}

/// Whether trying again makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The other side is away, full or slow: worth another try, not before this long if it said so.
    Passing(Option<Duration>),
    /// This work will never be accepted.
    Final,
}

impl Fault {
    /// Worth another try.
    pub fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: FaultKind::Passing(None), status: None }
    }

    /// Not worth another try.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: FaultKind::Final, status: None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// Brings batches into the topology.
#[async_trait]
pub trait Source: Send {
    /// Runs until its input has ended or `cx.stop` says so; then lets go of `out`, waits for the
    /// receipts that its mark depends on, and returns. An error makes the supervisor build and
    /// run the source anew, from its mark. Receipts of this run do not reach the next one: a
    /// source that wants nothing doubled waits for what is open before it returns an error too.
    async fn run(self: Box<Self>, out: Output, cx: SourceContext) -> Result<(), Fault>;
}

/// Looks at batches on their way. Does no I/O and knows no clock.
pub trait Transform: Send {
    /// Takes one batch and emits what becomes of it. Records that are not emitted count as left
    /// out on purpose. An error drops nothing: the transform is built anew and the batch is read
    /// again; only one that fails again and again is given up, and counted.
    fn transform(&mut self, batch: Batch, out: &mut Outputs) -> Result<(), Fault>;

    /// The side of it that remembers; `None`, and free of cost, for one that treats every batch
    /// by itself. Always the same answer.
    fn memory(&mut self) -> Option<&mut dyn Remember> {
        None
    }
}

/// A transform that holds something back and gives it later, or whose work depends on the time.
///
/// It is built anew after a failure and has then forgotten everything. The sources read again what
/// it held: no batch counts as delivered before all that it went into is. What it holds must be a
/// copy, since a chunk that is held counts against the memory that sources read into.
pub trait Remember {
    /// It is `now`, counted from when the chain began to run; never goes back. Called before each
    /// batch, and when [`Self::due`] has come. Emits what is due.
    ///
    /// # Errors
    /// As for [`Transform::transform`].
    fn tick(&mut self, now: Duration, out: &mut Outputs) -> Result<(), Fault>;

    /// When it has something to do although no batch comes; `None` where it has not.
    fn due(&self) -> Option<Duration>;

    /// Emits all that it holds, since nothing more will come.
    ///
    /// # Errors
    /// As for [`Transform::transform`].
    fn flush(&mut self, out: &mut Outputs) -> Result<(), Fault>;

    /// The number ([`Outputs::number`]) of the oldest batch of which it holds something that it
    /// has not emitted.
    fn held_since(&self) -> Option<u64>;

    /// Bytes held, about.
    fn held_bytes(&self) -> usize {
        0
    }

    /// What it has to know after a restart, if that is another than when this was last asked, which
    /// is after each batch and each tick. It is kept, and given to the next one that is built
    /// ([`BuildContext::kept`]). What was emitted on the default output since the last time is kept
    /// beside it until every sink has it, and sent again after a crash.
    fn to_keep(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// Emits what it has held longest, since it holds too much or for too long.
    ///
    /// # Errors
    /// As for [`Transform::transform`].
    fn relieve(&mut self, out: &mut Outputs) -> Result<(), Fault> {
        self.flush(out)
    }
}

/// Turns batches into requests. Does no I/O.
pub trait Encode: Send {
    /// Adds a batch to the requests that are being filled. What it adds before an error, or in a
    /// run that ends by a panic, is taken back.
    fn encode(&mut self, batch: &Batch, requests: &mut Requests) -> Result<(), Fault>;
}

/// Brings requests to a place. One of them serves all that are in flight.
#[async_trait]
pub trait Deliver: Send + Sync {
    /// Sends the request and returns when its content is safe at the other side. After a passing
    /// fault it is called again with the same request, or with what the answer left of it. So is,
    /// after a panic, what is built in place of this one: a request must hold all that it needs.
    async fn deliver(&self, request: &Request) -> Result<Answer, Fault>;

    /// Does what has to be done before the first batch is encoded, in each run.
    ///
    /// # Errors
    /// The run has then failed, and the sink is built anew.
    async fn prepare(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// Looks once, when the sink starts, whether the other side is there.
    async fn check(&self) -> Result<(), Fault> {
        Ok(())
    }
}

/// A sink that is a stream by nature: it takes batches as they come and settles them itself.
#[async_trait]
pub trait StreamSink: Send {
    /// Runs until `input` has ended. Returning earlier counts as a failure.
    async fn run(self: Box<Self>, input: Input, cx: SinkContext) -> Result<(), Fault>;
}

/// What a transform emits, by output name.
#[derive(Default)]
pub struct Outputs {
    /// Output name (empty for the default one) and batch, in order.
    emitted: Vec<(Arc<str>, Batch)>,
    /// Errors in single records, to be counted; the records themselves went on.
    errors: u64,
    /// Records given up for good, by reason.
    dropped: Vec<(&'static str, u64)>,
    number: u64,
}

impl Outputs {
    /// Outputs for the batch of this number.
    pub fn of(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// The number of the batch at hand, for a transform that remembers: from 0, without gaps.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Emits to the default output.
    pub fn emit(&mut self, batch: Batch) {
        self.emit_to(&Arc::from(""), batch);
    }

    /// Emits to the output of this name. Empty batches are not passed on.
    pub fn emit_to(&mut self, output: &Arc<str>, batch: Batch) {
        if !batch.is_empty() {
            self.emitted.push((Arc::clone(output), batch));
        }
    }

    /// Counts records that the transform had trouble with.
    pub fn count_errors(&mut self, records: u64) {
        self.errors += records;
    }

    /// Counts records that are given up for good, and why.
    pub fn count_dropped(&mut self, reason: &'static str, records: u64) {
        if records > 0 {
            self.dropped.push((reason, records));
        }
    }

    /// Takes what was given up.
    pub fn take_dropped(&mut self) -> Vec<(&'static str, u64)> {
        std::mem::take(&mut self.dropped)
    }

    /// Takes what was emitted and the number of errors.
    pub fn take(&mut self) -> (Vec<(Arc<str>, Batch)>, u64) {
        (std::mem::take(&mut self.emitted), std::mem::take(&mut self.errors))
    }
}

/// Which record of a file is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The one that this byte belongs to, counted from 0.
    Byte(u64),
    /// The one that this line belongs to, counted from 1.
    Line(u64),
}

/// A record of a file that a source has looked at.
#[derive(Debug)]
pub struct Glimpse {
    /// The record alone.
    pub record: LogBatch,
    /// Its first byte in the file; of what is in it, where it is compressed.
    pub begin: u64,
    /// Where the next record begins.
    pub end: u64,
    /// What else there is to know.
    pub notes: Vec<String>,
}

/// A source's part of the config.
pub trait SourceConfig: fmt::Debug + Send + Sync {
    /// The kinds that it gives.
    fn gives(&self) -> Kinds;

    /// Whether it polls on demand, for sinks that are pulled ([`super::demand::Demand`]).
    fn answers_demand(&self) -> bool {
        false
    }

    /// Whether it reads files, and the one at this path among them.
    fn reads(&self, _path: &Path) -> bool {
        false
    }

    /// A record of a file, as this source would cut and decode it, whether it reads that file or
    /// not; `None` where it is no source that reads files.
    fn glimpse(
        &self,
        _path: &Path,
        _place: Place,
        _cx: &BuildContext,
    ) -> Option<Result<Glimpse, String>> {
        None
    }

    /// Whether, after a crash, it gives the same records again under the same content number and
    /// offset, from the mark that its checkpoint has for each sink, and tells
    /// [`Deliveries`](super::once::Deliveries) how far that is.
    fn reads_again(&self) -> bool {
        false
    }

    /// Makes the source. Called again after each failure, so it must not consume anything.
    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Source>, Fault>;
}

/// A transform's part of the config.
pub trait TransformConfig: fmt::Debug + Send + Sync {
    /// The kinds that it takes. What it gives is the same kind, unless [`Self::gives`] says more.
    fn takes(&self) -> Kinds;

    /// The kinds that it gives for an input of `kinds`.
    fn gives(&self, kinds: Kinds) -> Kinds {
        kinds.intersection(self.takes())
    }

    /// The named outputs that it has; the default output has no name and is always there, unless
    /// [`Self::has_default_output`] says otherwise.
    fn outputs(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Whether there is an output without a name.
    fn has_default_output(&self) -> bool {
        true
    }

    /// Whether what it gives depends on more than the record at hand: always so where
    /// [`Transform::memory`] gives something.
    fn remembers(&self) -> bool {
        false
    }

    /// Makes the transform.
    fn build(&self, cx: &BuildContext) -> Result<Box<dyn Transform>, Fault>;
}

/// A sink's part of the config.
pub trait SinkConfig: fmt::Debug + Send + Sync {
    /// The kinds that it takes.
    fn takes(&self) -> Kinds;

    /// The sink that takes the records that this one rejects for good.
    fn dead_letter(&self) -> Option<&str> {
        None
    }

    /// Whether it keeps a [`Journal`](super::once::Journal), so that what it has brought to its
    /// place does not come there again after a crash.
    fn delivers_once(&self) -> bool {
        false
    }

    /// What the sink would make of a batch, without sending anything: the places that it goes to
    /// (a path, a prefix; empty where there is only one), and the bytes for each, before any
    /// compression. Nothing for sinks that are no places, such as those that are asked for what
    /// they have.
    ///
    /// # Errors
    /// Where the sink cannot be built, or does not take the batch.
    fn preview(&self, cx: &BuildContext, batch: &Batch) -> Result<Vec<(String, Vec<u8>)>, Fault> {
        let BuiltSink::Requests { mut encoder, delivery, .. } = self.build(cx)? else {
            return Ok(Vec::new());
        };
        let mut requests = Requests::new(Marking::Nothing, delivery.batch);
        requests.begin();
        encoder.encode(batch, &mut requests)?;
        Ok(requests
            .iter()
            .map(|it| (it.key.clone(), it.parts().collect::<Vec<_>>().concat()))
            .collect())
    }

    /// Makes the sink.
    fn build(&self, cx: &BuildContext) -> Result<BuiltSink, Fault>;
}

/// The two shapes of a sink.
pub enum BuiltSink {
    /// Sends requests, which the runner fills and sends again as the settings say.
    Requests {
        /// What makes the requests.
        encoder: Box<dyn Encode>,
        /// What sends them.
        sender: Arc<dyn Deliver>,
        /// How they are delivered.
        delivery: Delivery,
    },
    /// Takes the stream itself.
    Stream(Box<dyn StreamSink>),
}

/// What a component may know of its surroundings when it is built.
#[derive(Clone, Debug)]
pub struct BuildContext {
    /// The component's name: `logs.nginx`.
    pub name: Arc<str>,
    /// What all components share.
    pub env: Arc<super::context::Environment>,
}
