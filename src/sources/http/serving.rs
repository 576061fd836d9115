//! The run: accepts connections, and takes what their requests brought into the topology.

use super::Http;
use super::server::{Server, Work};
use crate::event::Batch;
use crate::event::log::{LogBatch, Origin, Verdict};
use crate::host::clock;
use crate::topology::component::Fault;
use crate::topology::context::SourceContext;
use crate::topology::held::{Held, Told};
use crate::topology::memory::Chunk;
use crate::topology::output::Output;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// After an error in accepting (no free descriptor, most often).
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// At the end, every request is answered within this time, whether the sinks have its records by
/// then or not.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// What clients then have for reading their answers.
const LAST_READS: Duration = Duration::from_secs(2);

pub(super) async fn run(http: Http, out: Output, mut cx: SourceContext) -> Result<(), Fault> {
    if cx.env.once {
        tracing::info!(
            component = &*cx.name,
            "`--once` reads what is there, and listens to nobody"
        );
        return Ok(());
    }
    let listen = http.address;
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let listener = socket.and_then(|socket| {
        // Connections of a former run must not stand in the way.
        socket.set_reuseaddr(true)?;
        socket.bind(listen)?;
        socket.listen(BACKLOG)
    });
    let listener =
        listener.map_err(|error| Fault::passing(format!("listen on {listen}: {error}")))?;
    tracing::info!(component = &*cx.name, %listen, "listening");

    let limit = http.config.max_buffered_bytes.as_usize();
    let connection_limit = http.config.connection_limit;
    let peer_field = http.config.peer_field.clone();
    // What requests may bring is bounded there; here nothing more has to be held back.
    let mut held = Held::new(out, &mut cx, usize::MAX);
    let (to_take, mut work) = mpsc::channel(http.config.request_limit);
    let server = Arc::new(Server::new(http, to_take, limit, cx.telemetry.clone()));
    let (close, closing) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut accept_from = Instant::now();
    let origin = Origin {
        source: Arc::clone(&cx.name),
        host: Arc::clone(&cx.env.host),
        ..Origin::default()
    };
    let (origin, reserve, mut offset) = (Arc::new(origin), cx.env.memory.reserve(), 0);
    let mut listener = Some(listener);
    let mut close = Some(close);
    loop {
        let accept = async {
            sleep_until(accept_from).await;
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cx.stop.requested(), if close.is_some() => {
                (listener, close) = (None, None);
                // Once the requests that are being read have brought what they have, there is
                // nothing more to wait for.
                server.close(LAST_ANSWERS);
            }
            receipt = held.receipt() => held.settle(receipt).await?,
            taken = work.recv() => {
                let Some(work) = taken else { break };
                let bytes = work.records.data.len();
                let chunk = held.chunk(&reserve, bytes).await?;
                let (logs, told) = batch(work, chunk, &origin, offset, peer_field.as_deref());
                offset += bytes as u64;
                held.send(Batch::Logs(logs), Some(told)).await?;
            }
            accepted = accept, if connections.len() < connection_limit => match accepted {
                Ok((stream, address)) => {
                    let peer = address.ip().to_canonical();
                    connections.spawn(Arc::clone(&server).welcome(stream, peer, closing.clone()));
                }
                Err(error) => {
                    cx.telemetry.errors(1);
                    tracing::warn!(component = &*cx.name, %error, "not accepted");
                    accept_from = Instant::now() + ACCEPT_PAUSE;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    held.finish().await;
    let ended = async { while connections.join_next().await.is_some() {} };
    // Whoever has not read its answer by then is cut off.
    timeout(LAST_READS, ended).await.ok();
    Ok(())
}

/// The batch of one request, and whom to tell what became of it.
fn batch(
    work: Work,
    mut chunk: Chunk,
    origin: &Arc<Origin>,
    offset: u64,
    peer_field: Option<&str>,
) -> (LogBatch, Told) {
    chunk.data.extend_from_slice(&work.records.data);
    let chunk = chunk.freeze();
    let mut logs = LogBatch::from_lines(&chunk, Arc::clone(origin), offset, clock::now_ns());
    if let Some(places) = work.records.places {
        logs.keep_lines(places.into_iter());
    }
    if peer_field.is_some() || !work.fields.is_empty() {
        let peer = work.peer.to_string();
        logs.rewrite(|record, writer| {
            writer.push("message", record.text_at(record.message()));
            if let Some(field) = peer_field {
                writer.push_text(field, peer.as_bytes());
            }
            for (field, value) in &work.fields {
                writer.push_text(field, value);
            }
            Verdict::Touched
        });
    }
    (logs, work.told)
}
