//! Opens the sockets that are listened on.

use super::{Mode, Place, Settings};
use crate::topology::component::Fault;
use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, TcpSocket, UdpSocket, UnixDatagram, UnixListener};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// An open socket.
pub(super) enum Socket {
    Tcp(TcpListener),
    UnixStream(UnixListener),
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

/// The file that stands for a unix socket, taken away with this value.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have put it away already.
        std::fs::remove_file(&self.0).ok();
    }
}

/// Opens the socket that `settings` ask for.
pub(super) fn bind(settings: &Settings) -> Result<(Socket, Option<SocketFile>), Fault> {
    let fault = |error: io::Error| {
        Fault::passing(format!("listen on {}: {}", settings.listen, hinted(&error)))
    };
    match settings.place().map_err(Fault::fatal)? {
        Place::Net(address) => {
            bind_net(settings, address).map(|socket| (socket, None)).map_err(fault)
        }
        Place::Path(path, mode) => {
            make_way(&path).map_err(fault)?;
            let socket = bind_path(settings, &path).map_err(fault)?;
            let file = SocketFile(path.clone());
            if let Some(mode) = mode {
                let permissions = std::fs::Permissions::from_mode(mode);
                std::fs::set_permissions(&path, permissions).map_err(fault)?;
            }
            Ok((socket, Some(file)))
        }
    }
}

fn hinted(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("{error}; ports below 1024 need root or CAP_NET_BIND_SERVICE")
        }
        _ => error.to_string(),
    }
}

fn bind_net(settings: &Settings, address: SocketAddr) -> io::Result<Socket> {
    if settings.mode == Mode::Udp {
        let socket = std::net::UdpSocket::bind(address)?;
        set_receive_buffer(&socket, settings)?;
        // Tells with each datagram how many were lost before it; without it none are counted.
        setsockopt(&socket, sockopt::RxqOvfl, &1).ok();
        socket.set_nonblocking(true)?;
        return Ok(Socket::Udp(UdpSocket::from_std(socket)?));
    }
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of a former run must not stand in the way.
    socket.set_reuseaddr(true)?;
    // A client that is gone without a word is found out, though silence is no reason to hang up.
    socket.set_keepalive(true)?;
    set_receive_buffer(&socket, settings)?;
    socket.bind(address)?;
    Ok(Socket::Tcp(socket.listen(BACKLOG)?))
}

fn bind_path(settings: &Settings, path: &Path) -> io::Result<Socket> {
    if settings.mode == Mode::Unix {
        let socket = unix::UnixDatagram::bind(path)?;
        set_receive_buffer(&socket, settings)?;
        socket.set_nonblocking(true)?;
        return Ok(Socket::Unix(UnixDatagram::from_std(socket)?));
    }
    let listener = unix::UnixListener::bind(path)?;
    set_receive_buffer(&listener, settings)?;
    listener.set_nonblocking(true)?;
    Ok(Socket::UnixStream(UnixListener::from_std(listener)?))
}

/// Asks for a buffer beyond the host's limit where that is allowed, else up to it.
fn set_receive_buffer(socket: &impl AsFd, settings: &Settings) -> io::Result<()> {
    let Some(bytes) = settings.receive_buffer_bytes else { return Ok(()) };
    let bytes = bytes.as_usize().min(i32::MAX as usize);
    if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_err() {
        setsockopt(socket, sockopt::RcvBuf, &bytes)?;
    }
    Ok(())
}

/// Takes away the socket of a process that is gone; one that is in use stays, as does any other
/// file.
fn make_way(path: &Path) -> io::Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        let message = "there is a file of this name, and it is no socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    let as_datagram = unix::UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    let as_stream = unix::UnixStream::connect(path);
    if as_datagram.is_ok() || as_stream.is_ok() {
        let message = "another process listens on it";
        return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
    }
    std::fs::remove_file(path)
}
