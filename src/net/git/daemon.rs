//! A line to `git daemon`.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// A repository that `git daemon` has.
pub(super) struct Daemon {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: String,
    pub(super) deadline: Instant,
}

impl Daemon {
    pub(super) fn open(&self) -> Result<Timed, String> {
        let place = (self.host.as_str(), self.port);
        let addresses = place.to_socket_addrs().map_err(|error| error.to_string())?;
        let mut last = "the host has no address".to_owned();
        for address in addresses {
            match TcpStream::connect_timeout(&address, left(self.deadline)) {
                Ok(stream) => {
                    let mut stream = Timed { stream, deadline: self.deadline };
                    // The first line of the protocol names the service, the path and the host.
                    let words = format!("git-upload-pack {}\0host={}\0", self.path, self.host);
                    let line = format!("{:04x}{words}", words.len() + 4);
                    stream.write_all(line.as_bytes()).map_err(|error| error.to_string())?;
                    return Ok(stream);
                }
                Err(error) => last = error.to_string(),
            }
        }
        Err(last)
    }
}

/// What is left until a deadline; never nothing, which sockets take for "as long as you like".
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// A connection that ends its waiting at a deadline.
pub(super) struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.deadline)))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
