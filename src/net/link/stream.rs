//! Streams to a receiver, and when what was written to one is safe.

use crate::host::socket::{is_closed_by_peer, unacknowledged_bytes};
use futures::FutureExt as _;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::client::TlsStream;

/// Between two looks at what the other side has: at first short, since most answers take less
/// than a millisecond.
const LOOKS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(4),
    Duration::from_millis(10),
];

/// A connection that carries bytes.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// The socket below it.
    fn socket(&self) -> BorrowedFd<'_>;
}

impl Stream for TcpStream {
    fn socket(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

impl Stream for TlsStream<TcpStream> {
    fn socket(&self) -> BorrowedFd<'_> {
        self.get_ref().0.as_fd()
    }
}

impl Stream for UnixStream {
    fn socket(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

/// Whether the other side still reads, as far as this side was told.
pub(super) fn is_open(stream: &dyn Stream) -> bool {
    is_closed_by_peer(stream.socket()).is_ok_and(|closed| !closed)
}

/// Writes `body` and waits until the other side has it: for TCP its kernel, for a unix socket
/// its process. `patience` is how long there may be no progress.
pub(super) async fn deliver(
    stream: &mut dyn Stream,
    mut body: &[u8],
    patience: Duration,
) -> io::Result<()> {
    while !body.is_empty() {
        let written = within(patience, stream.write(body)).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        body = &body[written..];
    }
    within(patience, stream.flush()).await?;
    arrive(stream, patience).await
}

async fn within<T>(patience: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(patience, work).await.unwrap_or_else(|_| Err(stalled()))
}

fn stalled() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the receiver takes nothing more")
}

async fn arrive(stream: &mut dyn Stream, patience: Duration) -> io::Result<()> {
    let mut looks = LOOKS.into_iter();
    let (mut least, mut since) = (u64::MAX, Instant::now());
    loop {
        ignore_answers(stream)?;
        // First the connection, then the bytes: what is lost with a connection is no more in
        // the queue either.
        let left = unacknowledged_bytes(stream.socket())?;
        if is_closed_by_peer(stream.socket())? {
            let message = "the receiver closed the connection";
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, message));
        }
        if left == 0 {
            return Ok(());
        }
        if left < least {
            (least, since) = (left, Instant::now());
        } else if since.elapsed() > patience {
            return Err(stalled());
        }
        sleep(looks.next().unwrap_or(LOOKS[LOOKS.len() - 1])).await;
    }
}

/// Takes what the other side says, which no receiver of logs has reason to: unread, it would keep
/// one that answers from reading on.
fn ignore_answers(stream: &mut dyn Stream) -> io::Result<()> {
    let mut answer = [0; 1024];
    for _ in 0..64 {
        match stream.read(&mut answer).now_or_never() {
            // The end is seen by whoever asks whether the connection is open.
            None | Some(Ok(0)) => break,
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error),
        }
    }
    Ok(())
}
