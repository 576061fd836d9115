//! Accepts connections and reads messages from them.

use super::cutter::Cutter;
use super::frames::Messages;
use super::gather::Shared;
use super::socket::Socket;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How much is read at a time: little from a client that says little.
const FIRST_READ: usize = 4 << 10;
const LARGEST_READ: usize = 64 << 10;
/// What unfinished messages of all clients may take together, unless a single one may take more.
pub(super) const UNFINISHED_BYTES: usize = 32 << 20;
/// What a client has for the handshake of TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After an error in accepting (no free descriptor, most often).
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// How long a client is listened to at the end, while it goes on sending.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// At the end a client that says nothing for so long has said all.
const LAST_SILENCE: Duration = Duration::from_millis(20);

/// Accepts until `closing`, and returns once all connections have ended.
pub(super) async fn serve(
    socket: Arc<Socket>,
    shared: Arc<Shared>,
    limit: usize,
    mut closing: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let mut accept_from = Instant::now();
    let mut told_of_limit = false;
    let closed = closing.clone();
    loop {
        let next = async {
            sleep_until(accept_from).await;
            accept(&socket).await
        };
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => break,
            accepted = next, if connections.len() < limit => match accepted {
                Ok(Client::Tcp(stream, address)) => {
                    connections.spawn(welcome(
                        stream,
                        address,
                        Arc::clone(&shared),
                        closed.clone(),
                    ));
                }
                Ok(Client::Unix(stream)) => {
                    connections.spawn(read(stream, None, Arc::clone(&shared), closed.clone()));
                }
                Err(error) => {
                    shared.telemetry.errors(1);
                    tracing::warn!(component = shared.telemetry.name(), %error, "not accepted");
                    accept_from = Instant::now() + ACCEPT_PAUSE;
                }
            },
            // Those that come now wait in the kernel, and nothing of theirs is lost.
            Some(_) = connections.join_next() => {}
        }
        if connections.len() >= limit && !std::mem::replace(&mut told_of_limit, true) {
            let component = shared.telemetry.name();
            tracing::warn!(component, limit, "`connection_limit` reached; others have to wait");
        }
    }
    drop(socket);
    while connections.join_next().await.is_some() {}
}

/// Who has connected.
enum Client {
    Tcp(TcpStream, IpAddr),
    Unix(UnixStream),
}

async fn accept(socket: &Socket) -> io::Result<Client> {
    match socket {
        Socket::Tcp(listener) => {
            listener.accept().await.map(|(stream, address)| Client::Tcp(stream, address.ip()))
        }
        Socket::UnixStream(listener) => {
            listener.accept().await.map(|(stream, _)| Client::Unix(stream))
        }
        // Datagrams are read elsewhere.
        Socket::Udp(_) | Socket::Unix(_) => std::future::pending().await,
    }
}

fn name(address: IpAddr) -> Arc<str> {
    address.to_canonical().to_string().into()
}

/// Reads a connection from the network to its end, over TLS where that is asked for.
async fn welcome(
    stream: TcpStream,
    address: IpAddr,
    shared: Arc<Shared>,
    closing: watch::Receiver<bool>,
) {
    let peer = shared.names_peers.then(|| name(address));
    let Some(acceptor) = &shared.tls else { return read(stream, peer, shared, closing).await };
    match handshake(acceptor, stream).await {
        Ok(stream) => read(stream, peer, shared, closing).await,
        Err(error) => {
            shared.telemetry.errors(1);
            let component = shared.telemetry.name();
            tracing::warn!(component, peer = %address, %error, "no TLS");
        }
    }
}

/// Shakes hands with a client, who has ten seconds for it.
///
/// # Errors
/// Where the client does not speak TLS, or has not the certificate that is asked for.
pub async fn handshake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    timeout(HANDSHAKE, acceptor.accept(stream)).await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not finish the handshake"))
    })
}

/// What a client's unfinished message takes of what all may take.
struct Unfinished<'s> {
    shared: &'s Shared,
    bytes: usize,
}

impl Unfinished<'_> {
    /// Whether it may take so many bytes now.
    fn set(&mut self, bytes: usize) -> bool {
        let all = &self.shared.unfinished_bytes;
        all.fetch_add(bytes, Ordering::Relaxed);
        let before = all.fetch_sub(self.bytes, Ordering::Relaxed);
        let grows = bytes > std::mem::replace(&mut self.bytes, bytes);
        !grows || before <= UNFINISHED_BYTES.max(4 * self.shared.longest)
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.shared.unfinished_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads one connection to its end.
async fn read(
    mut stream: impl AsyncRead + Unpin,
    peer: Option<Arc<str>>,
    shared: Arc<Shared>,
    mut closing: watch::Receiver<bool>,
) {
    let mut cutter = Cutter::new(&shared.framing, shared.longest);
    let mut unfinished = Unfinished { shared: &shared, bytes: 0 };
    let (mut step, mut heard, mut is_waiting) = (FIRST_READ, Instant::now(), false);
    let mut last_words: Option<Instant> = None;
    let component = shared.telemetry.name();
    loop {
        let due = |patience: Option<Duration>| patience.map(|patience| heard + patience);
        let release = due(cutter.patience().filter(|_| is_waiting));
        let mut room = cutter.room(step);
        let next = stream.read_buf(&mut room);
        let event = match last_words {
            // Dropping a read that is not ready loses nothing.
            Some(end) => match timeout_at(end, timeout(LAST_SILENCE, next)).await {
                Ok(Ok(read)) => Event::Read(read),
                Ok(Err(_)) | Err(_) => Event::Read(Ok(0)),
            },
            None => tokio::select! {
                biased;
                read = next => Event::Read(read),
                _ = closing.wait_for(|closing| *closing) => {
                    last_words = Some(Instant::now() + LAST_WORDS);
                    continue;
                }
                () = reached(release) => Event::Waited,
                () = reached(due(shared.idle_timeout)) => {
                    tracing::debug!(component, "a client was silent for `idle_timeout`");
                    Event::Read(Ok(0))
                }
            },
        };
        let mut messages = Messages::default();
        let mut is_over = false;
        is_waiting = false;
        match event {
            Event::Waited => cutter.release(&mut messages),
            Event::Read(Ok(read)) if read > 0 => {
                step = if read == step { (step * 2).min(LARGEST_READ) } else { step };
                (heard, is_waiting) = (Instant::now(), true);
                cutter.cut(&mut messages);
            }
            Event::Read(end) => {
                if let Err(error) = end {
                    tracing::debug!(component, %error, "a connection broke off");
                }
                is_over = true;
                cutter.end(&mut messages);
            }
        }
        if let Some(peer) = &peer {
            messages.peers.push((messages.ends.len(), Arc::clone(peer)));
        }
        if !shared.give(messages).await || is_over {
            return;
        }
        let bytes = cutter.unfinished_bytes();
        if !unfinished.set(bytes) {
            shared.telemetry.errors(1);
            tracing::warn!(component, bytes, "hung up: unfinished messages take too much memory");
            return;
        }
    }
}

/// What happened on a connection.
enum Event {
    /// So many bytes came; none where nothing more will come.
    Read(io::Result<usize>),
    /// Nothing came for as long as a record waits for further lines.
    Waited,
}

async fn reached(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
