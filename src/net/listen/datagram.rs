//! Reads datagrams, as many at a time as there are.

use super::Messages;
use super::cutter::Framing;
use super::gather::Shared;
use super::socket::Socket;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::sync::watch;

/// Room for what one call reads; pages that no datagram needs are never touched.
const ROOM_BYTES: usize = 4 << 20;
/// Datagrams that one call reads.
const MOST: usize = 64;
/// No UDP datagram is larger.
const LARGEST_UDP: usize = 65_535;
/// After an error that is not about one datagram.
const PAUSE: Duration = Duration::from_secs(1);

/// What the kernel said on reading.
#[derive(Default)]
struct Burst {
    messages: Messages,
    /// Datagrams lost on this socket since it was opened, where the kernel said so.
    lost: Option<u32>,
}

/// Reads until `closing`, and then what is there.
pub(super) async fn serve(
    socket: Arc<Socket>,
    shared: Arc<Shared>,
    mut closing: watch::Receiver<bool>,
) {
    let slot = match *socket {
        Socket::Udp(_) => shared.longest.min(LARGEST_UDP),
        _ => shared.longest,
    };
    let mut room = vec![0; slot * (ROOM_BYTES / slot).clamp(1, MOST)];
    let mut lost_before = 0;
    loop {
        let is_last = *closing.borrow();
        let read = tokio::select! {
            biased;
            read = read(&socket, &mut room, slot, &shared) => read,
            _ = closing.changed(), if !is_last => continue,
            () = tokio::time::sleep(Duration::from_millis(20)), if is_last => return,
        };
        match read {
            Ok(Burst { messages, lost }) => {
                if let Some(lost) = lost {
                    let more = lost.wrapping_sub(lost_before);
                    lost_before = lost;
                    if more > 0 {
                        shared.telemetry.dropped("kernel buffer full", u64::from(more));
                    }
                }
                if !shared.give(messages).await {
                    return;
                }
            }
            Err(error) => {
                shared.telemetry.errors(1);
                tracing::warn!(component = shared.telemetry.name(), %error, "datagrams not read");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn read(socket: &Socket, room: &mut [u8], slot: usize, shared: &Shared) -> io::Result<Burst> {
    let (framing, peers) = (&shared.framing, shared.names_peers);
    match socket {
        Socket::Udp(udp) => {
            udp.async_io(Interest::READABLE, || burst(udp, room, slot, framing, peers)).await
        }
        Socket::Unix(unix) => {
            unix.async_io(Interest::READABLE, || burst(unix, room, slot, framing, false)).await
        }
        // Streams are read elsewhere.
        Socket::Tcp(_) | Socket::UnixStream(_) => std::future::pending().await,
    }
}

/// One system call.
fn burst(
    socket: &(impl AsFd + AsRawFd),
    room: &mut [u8],
    slot: usize,
    framing: &Framing,
    peers: bool,
) -> io::Result<Burst> {
    let mut slots: Vec<[IoSliceMut<'_>; 1]> =
        room.chunks_exact_mut(slot).map(|slot| [IoSliceMut::new(slot)]).collect();
    let control = nix::cmsg_space!(u32);
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(slots.len(), Some(control));
    let mut burst = Burst::default();
    let flags = MsgFlags::MSG_DONTWAIT;
    for read in recvmmsg(socket.as_raw_fd(), &mut headers, slots.iter_mut(), flags, None)? {
        for control in read.cmsgs().into_iter().flatten() {
            if let ControlMessageOwned::RxqOvfl(lost) = control {
                burst.lost = Some(lost);
            }
        }
        burst.messages.cut += u64::from(read.flags.contains(MsgFlags::MSG_TRUNC));
        let before = burst.messages.ends.len();
        for datagram in read.iovs() {
            let datagram = framing.decode(datagram);
            // Some senders end a datagram like a line.
            burst.messages.push(datagram.strip_suffix(b"\n").unwrap_or(&datagram));
        }
        if peers && burst.messages.ends.len() > before {
            let name = read.address.as_ref().map(ip).unwrap_or_default();
            burst.messages.peers.push((1, name.into()));
        }
    }
    Ok(burst)
}

fn ip(address: &SockaddrStorage) -> String {
    let v4 = address.as_sockaddr_in().map(|address| address.ip().to_string());
    let v6 = || address.as_sockaddr_in6().map(|address| address.ip().to_string());
    v4.or_else(v6).unwrap_or_default()
}
