//! Gathers what all clients of a listener send into batches.

use super::cutter::Framing;
use super::frames::Messages;
use super::socket::{Socket, bind};
use super::{Settings, datagram, stream};
use crate::event::Batch;
use crate::event::log::{LogBatch, Origin, Verdict};
use crate::host::clock;
use crate::net::tls::ListenTls;
use crate::topology::component::Fault;
use crate::topology::context::SourceContext;
use crate::topology::held::Held;
use crate::topology::memory::Chunk;
use crate::topology::output::Output;
use crate::topology::telemetry::ComponentTelemetry;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What may be on its way to the sinks, in bytes. Then reading stops, until some of it is there.
const HELD_BYTES: usize = 16 << 20;
/// Reads that wait to be made into a batch, and as many that are made into one.
const WAITING: usize = 8;

/// What the readers of one listener share.
pub(super) struct Shared {
    pub(super) framing: Framing,
    pub(super) longest: usize,
    pub(super) names_peers: bool,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) telemetry: ComponentTelemetry,
    /// What the unfinished messages of all clients take.
    pub(super) unfinished_bytes: AtomicUsize,
    to_gather: mpsc::Sender<Messages>,
}

impl Shared {
    /// Passes messages on; waits while the sinks are behind. `false` where nobody wants them.
    pub(super) async fn give(&self, messages: Messages) -> bool {
        if messages.cut > 0 {
            self.telemetry.errors(messages.cut);
            let (component, limit) = (self.telemetry.name(), self.longest);
            tracing::warn!(component, limit, messages = messages.cut, "too long, cut short");
        }
        if messages.left_out > 0 {
            self.telemetry.dropped("line_too_long", messages.left_out);
        }
        messages.is_empty() || self.to_gather.send(messages).await.is_ok()
    }
}

/// Listens until it is told to stop, then passes on what has been read. `framing` tells the messages
/// of a stream apart.
///
/// # Errors
/// Where it cannot listen.
pub async fn run(
    settings: &Settings,
    framing: Framing,
    out: Output,
    mut cx: SourceContext,
) -> Result<(), Fault> {
    if cx.env.once {
        tracing::info!(
            component = &*cx.name,
            "`--once` reads what is there, and listens to nobody"
        );
        return Ok(());
    }
    let tls = settings.tls.as_ref().map(ListenTls::acceptor).transpose().map_err(Fault::fatal)?;
    let (socket, _file) = bind(settings)?;
    let socket = Arc::new(socket);
    tracing::info!(component = &*cx.name, listen = settings.listen, "listening");
    let mut held = Held::new(out, &mut cx, HELD_BYTES);
    let (to_gather, mut messages) = mpsc::channel(WAITING);
    let shared = Arc::new(Shared {
        framing,
        longest: settings.max_message_bytes.as_usize(),
        tls,
        names_peers: settings.peer_field.is_some(),
        idle_timeout: settings.idle_timeout.map(|period| period.0),
        telemetry: cx.telemetry.clone(),
        unfinished_bytes: AtomicUsize::new(0),
        to_gather,
    });
    let (close, closing) = watch::channel(false);
    // Ended with this run, in whatever way that ends.
    let mut readers = JoinSet::new();
    match *socket {
        Socket::Tcp(_) | Socket::UnixStream(_) => {
            readers.spawn(stream::serve(socket, shared, settings.connection_limit, closing));
        }
        Socket::Udp(_) | Socket::Unix(_) => {
            readers.spawn(datagram::serve(socket, shared, closing));
        }
    }
    let origin = Origin {
        source: Arc::clone(&cx.name),
        host: Arc::clone(&cx.env.host),
        ..Origin::default()
    };
    let (origin, reserve) = (Arc::new(origin), cx.env.memory.reserve());
    let (mut waiting, mut offset) = (Vec::new(), 0);
    loop {
        tokio::select! {
            biased;
            () = cx.stop.requested(), if !*close.borrow() => { close.send_replace(true); }
            receipt = held.receipt() => held.settle(receipt).await?,
            count = messages.recv_many(&mut waiting, WAITING), if held.has_room() => {
                if count == 0 {
                    break;
                }
                let bytes = waiting.iter().map(|messages| messages.data.len()).sum();
                let chunk = held.chunk(&reserve, bytes).await?;
                let field = settings.peer_field.as_deref();
                let logs = batch(&waiting, chunk, &origin, offset, field);
                waiting.clear();
                offset += bytes as u64;
                held.send(Batch::Logs(logs), None).await?;
            }
        }
    }
    // A reader ends before it is told to only by a bug.
    while let Some(end) = readers.join_next().await {
        end.map_err(|error| Fault::passing(format!("a bug in its reader: {error}")))?;
    }
    held.finish().await;
    Ok(())
}

/// The batch of what was read.
fn batch(
    read: &[Messages],
    mut chunk: Chunk,
    origin: &Arc<Origin>,
    offset: u64,
    peer_field: Option<&str>,
) -> LogBatch {
    for messages in read {
        chunk.data.extend_from_slice(&messages.data);
    }
    let chunk = chunk.freeze();
    let mut logs = LogBatch::from_lines(&chunk, Arc::clone(origin), offset, clock::now_ns());
    if read.iter().any(|messages| messages.broken_lines) {
        let (mut before, mut places) = (0, Vec::new());
        for messages in read {
            messages.places(before, &mut places);
            before += messages.data.len();
        }
        logs.keep_lines(places.into_iter());
    }
    if let Some(field) = peer_field {
        let peers = read.iter().flat_map(|messages| &messages.peers);
        let mut peers = peers.flat_map(|(count, peer)| std::iter::repeat_n(peer, *count));
        logs.rewrite(|record, writer| {
            writer.push("message", record.text_at(record.message()));
            if let Some(peer) = peers.next().filter(|peer| !peer.is_empty()) {
                writer.push_text(field, peer.as_bytes());
            }
            Verdict::Touched
        });
    }
    logs
}
