//! A link: the way of messages to one receiver that is no web server, over TCP, TLS, UDP or a
//! unix socket.

mod address;
mod frame;
mod stream;
#[cfg(test)]
mod tests;

pub use address::{Address, Way};
pub use frame::Framing;

use super::tls::{TlsClient, TlsSettings};
use crate::host::socket::{KeepAlive, set_keep_alive};
use crate::topology::component::{Deliver, Fault};
use crate::topology::request::{Answer, Request};
use crate::topology::settings::Period;
use address::Place;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use stream::Stream;
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream, lookup_host};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// When the kernel asks whether a silent receiver is still there (TCP only).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeepAliveSettings {
    /// Silence before the first question, in whole seconds.
    pub idle: Period,
    /// Pause between questions, in whole seconds.
    pub interval: Period,
    /// After so many questions without an answer the connection counts as broken.
    pub count: u32,
}

impl Default for KeepAliveSettings {
    fn default() -> Self {
        let seconds = |n| Period(Duration::from_secs(n));
        Self { idle: seconds(60), interval: seconds(15), count: 4 }
    }
}

/// A way to a receiver, opened when there is something to send and kept open.
pub struct Link {
    address: Address,
    /// How long there may be no progress.
    patience: Duration,
    keep_alive: KeepAlive,
    framing: Framing,
    tls: Option<TlsClient>,
    /// Held while something is sent: messages of two requests must not mix.
    open: Mutex<Option<Connection>>,
}

enum Connection {
    Stream(Box<dyn Stream + Sync>),
    Udp(UdpSocket),
    UnixDatagram(UnixDatagram),
}

impl Link {
    /// A link to `address`; `framing` is for streams, and by default [`Framing::Newline`].
    /// `tls` is for
    /// addresses that ask for it. `patience` is how long connecting may take, and how long a receiver
    /// may take nothing.
    ///
    /// # Errors
    /// What in the settings makes no sense, in a user's words.
    pub fn new(
        address: &Address,
        framing: Option<Framing>,
        keep_alive: KeepAliveSettings,
        tls: &TlsSettings,
        patience: Duration,
    ) -> Result<Self, String> {
        if matches!(address.place, Place::Host(_, None)) {
            return Err(format!("`url` {address} has no port"));
        }
        let framing = match (address.way.is_datagram(), framing) {
            (true, Some(_)) => {
                let message = "`framing` is for streams; over datagrams each message is one";
                return Err(message.to_owned());
            }
            (true, None) => Framing::LengthDelimited,
            (false, framing) => framing.unwrap_or(Framing::Newline),
        };
        let seconds = |name: &str, period: Period| {
            let seconds = u32::try_from(period.0.as_secs()).ok();
            seconds
                .filter(|seconds| (1..=32_767).contains(seconds))
                .ok_or_else(|| format!("`keepalive`: `{name}` is {period}, expected 1s to 32767s"))
        };
        if !(1..=127).contains(&keep_alive.count) {
            let count = keep_alive.count;
            return Err(format!("`keepalive`: `count` is {count}, expected 1 to 127"));
        }
        let keep_alive = KeepAlive {
            idle_seconds: seconds("idle", keep_alive.idle)?,
            interval_seconds: seconds("interval", keep_alive.interval)?,
            count: keep_alive.count,
        };
        let tls = match address.way {
            Way::Tls => Some(tls.client()?),
            _ if *tls != TlsSettings::default() => {
                return Err(format!("`tls` is for tls:// addresses, and `url` is {address}"));
            }
            _ => None,
        };
        Ok(Self {
            address: address.clone(),
            patience,
            keep_alive,
            framing,
            tls,
            open: Mutex::default(),
        })
    }

    /// How messages are framed in a body that [`Self::send`] takes.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Sends a body of messages in their frames.
    ///
    /// When it returns, a TCP receiver's kernel has acknowledged every byte and the connection was
    /// not closed; the process behind a unix stream has read them; datagrams were handed to the
    /// kernel (UDP) or lie in the receiver's queue (unix).
    ///
    /// # Errors
    /// A passing fault; how much arrived is not known then, so that all of it is to be sent again.
    pub async fn send(&self, body: &[u8]) -> Result<(), Fault> {
        let sent = self.try_send(body).await;
        sent.map_err(|error| Fault::passing(format!("{}: {error}", self.address)))
    }

    async fn try_send(&self, body: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().await;
        let mut connection = match open.take() {
            Some(connection) if connection.is_open() => connection,
            _ => self.connect().await?,
        };
        connection.send(body, self.patience).await?;
        *open = Some(connection); // kept only if all of it worked
        Ok(())
    }

    async fn connect(&self) -> io::Result<Connection> {
        let opened = timeout(self.patience, async {
            match (&self.address.place, self.address.way) {
                (Place::Path(path), Way::UnixDatagram) => Connection::datagram(path),
                (Place::Path(path), _) => {
                    Ok(Connection::Stream(Box::new(UnixStream::connect(path).await?)))
                }
                (Place::Host(host, port), way) => {
                    let places = lookup_host((host.as_str(), port.unwrap_or(0))).await?;
                    self.reach(host, places, way).await
                }
            }
        });
        opened.await.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time"))
        })
    }

    /// The first of a host's addresses that can be reached.
    async fn reach(
        &self,
        host: &str,
        places: impl Iterator<Item = SocketAddr>,
        way: Way,
    ) -> io::Result<Connection> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for place in places {
            let opened = match way {
                Way::Udp => udp(place).await.map(Connection::Udp),
                _ => self.tcp(host, place).await,
            };
            match opened {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn tcp(&self, host: &str, place: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(place).await?;
        // Whole requests are written at once; their last bytes should not wait for company.
        stream.set_nodelay(true)?;
        set_keep_alive(&stream, self.keep_alive)?;
        Ok(Connection::Stream(match &self.tls {
            Some(tls) => Box::new(tls.connect(host, stream).await?),
            None => Box::new(stream),
        }))
    }
}

#[async_trait]
impl Deliver for Link {
    async fn deliver(&self, request: &Request) -> Result<Answer, Fault> {
        self.send(&request.body).await?;
        Ok(Answer::default())
    }
}

async fn udp(place: SocketAddr) -> io::Result<UdpSocket> {
    let any = if place.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(place).await?;
    Ok(socket)
}

impl Connection {
    fn datagram(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Self::UnixDatagram(socket))
    }

    fn is_open(&self) -> bool {
        match self {
            Self::Stream(stream) => stream::is_open(&**stream),
            Self::Udp(_) | Self::UnixDatagram(_) => true,
        }
    }

    async fn send(&mut self, body: &[u8], patience: Duration) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream::deliver(&mut **stream, body, patience).await,
            Self::Udp(socket) => {
                for message in frame::messages(body) {
                    socket.send(message).await?;
                }
                Ok(())
            }
            Self::UnixDatagram(socket) => {
                for message in frame::messages(body) {
                    timeout(patience, socket.send(message)).await??;
                }
                Ok(())
            }
        }
    }
}
