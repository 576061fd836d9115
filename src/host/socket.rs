//! What the kernel knows of a socket beyond the bytes that it carries.

use crate::host::sys;
use nix::sys::socket::{setsockopt, sockopt};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// When the kernel asks whether the other side is still there, and when it gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first question, in seconds.
    pub idle_seconds: u32,
    /// Between questions, in seconds.
    pub interval_seconds: u32,
    /// Questions without an answer after which the connection is dead.
    pub count: u32,
}

/// Bytes that were written and that the other side does not have: for TCP its kernel, for unix
/// sockets its process.
///
/// # Errors
/// Where the descriptor is no socket.
pub fn unacknowledged_bytes(socket: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(sys::output_queue(socket)?)
}

/// Whether the other side has closed its end, or the connection broke. Takes nothing of what is
/// there to read.
///
/// # Errors
/// Where the kernel refuses to say.
pub fn is_closed_by_peer(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let mut watched = [PollFd::from_borrowed_fd(socket, PollFlags::RDHUP)];
    poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    Ok(watched[0].revents().intersects(gone))
}

/// Lets the kernel find out when a connection that says nothing is dead.
///
/// # Errors
/// Where the socket is none of TCP.
pub fn set_keep_alive(socket: impl AsFd, settings: KeepAlive) -> io::Result<()> {
    setsockopt(&socket, sockopt::KeepAlive, &true)?;
    setsockopt(&socket, sockopt::TcpKeepIdle, &settings.idle_seconds)?;
    setsockopt(&socket, sockopt::TcpKeepInterval, &settings.interval_seconds)?;
    setsockopt(&socket, sockopt::TcpKeepCount, &settings.count)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn what_the_other_side_has_not_taken_is_known() {
        let (mut near, far) = pair();
        near.set_nonblocking(true).unwrap();
        // More than both kernels hold.
        while near.write(&[b'x'; 65536]).is_ok() {}
        assert!(unacknowledged_bytes(near.as_fd()).unwrap() > 0);
        drop(far);
        let (mut near, mut far) = UnixStream::pair().unwrap();
        near.write_all(b"some").unwrap();
        assert!(unacknowledged_bytes(near.as_fd()).unwrap() > 0);
        far.read_exact(&mut [0; 4]).unwrap();
        assert_eq!(unacknowledged_bytes(near.as_fd()).unwrap(), 0);
    }

    #[test]
    fn a_closed_end_is_seen_behind_unread_bytes() {
        let (near, mut far) = pair();
        assert!(!is_closed_by_peer(near.as_fd()).unwrap());
        far.write_all(b"unread").unwrap();
        far.shutdown(Shutdown::Write).unwrap();
        while !is_closed_by_peer(near.as_fd()).unwrap() {}
    }

    #[test]
    fn keep_alive_is_set_as_asked() {
        let (near, _far) = pair();
        let settings = KeepAlive { idle_seconds: 7, interval_seconds: 3, count: 2 };
        set_keep_alive(&near, settings).unwrap();
        use nix::sys::socket::getsockopt;
        assert!(getsockopt(&near, sockopt::KeepAlive).unwrap());
        assert_eq!(getsockopt(&near, sockopt::TcpKeepIdle).unwrap(), 7);
        assert_eq!(getsockopt(&near, sockopt::TcpKeepInterval).unwrap(), 3);
        assert_eq!(getsockopt(&near, sockopt::TcpKeepCount).unwrap(), 2);
    }
}
