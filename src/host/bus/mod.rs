//! Asks a service over D-Bus. The few calls that are needed here are plain enough to speak it
//! ourselves: one connection that is kept, questions sent together, no thread.

#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod wire;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::event::hex::hex;
use nix::unistd::geteuid;

pub use self::wire::{Call, Value};

/// How long the other side may be silent.
const PATIENCE: Duration = Duration::from_secs(2);

/// Calls that are sent before their answers are read. What they take fits into a socket's buffer,
/// so that neither side waits for the other to read.
const TOGETHER: usize = 64;

/// Behind this the numbers of calls begin anew. 0 is none.
const LAST_SERIAL: u32 = u32::MAX - TOGETHER as u32;

/// A line of the greeting is no longer.
const MOST_GREETING_BYTES: u64 = 4096;

/// Which socket leads to a service.
#[derive(Clone, Debug)]
pub enum Way {
    /// The service's own, which root alone may use.
    Private(PathBuf),
    /// The one of the bus that it is on.
    Bus(PathBuf),
}

/// A connection, made at the first call and kept.
#[derive(Debug)]
pub struct Bus {
    ways: Vec<Way>,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    stream: BufReader<UnixStream>,
    serial: u32,
}

impl Bus {
    /// A connection by the first of the `ways` that is open. Nothing is opened yet.
    pub fn new(ways: Vec<Way>) -> Self {
        Self { ways, connection: None }
    }

    /// The answers to `calls`, in their order; an error's name where the service refused.
    ///
    /// - Errors: those of the socket, and `InvalidData` for what is no D-Bus. The next call
    ///   connects anew.
    pub fn ask(&mut self, calls: &[Call<'_>]) -> io::Result<Vec<Result<Value, String>>> {
        let mut connection = match self.connection.take() {
            // The other side may have gone since.
            Some(mut kept) => match kept.ask(calls) {
                Ok(answers) => {
                    self.connection = Some(kept);
                    return Ok(answers);
                }
                Err(error) if is_gone(&error) => self.connect()?,
                Err(error) => return Err(error),
            },
            None => self.connect()?,
        };
        let answers = connection.ask(calls)?;
        self.connection = Some(connection);
        Ok(answers)
    }

    fn connect(&self) -> io::Result<Connection> {
        let mut why = io::Error::from(io::ErrorKind::NotFound);
        for way in &self.ways {
            match Connection::open(way) {
                Ok(connection) => return Ok(connection),
                // A way that is there and does not lead on says more than one that is not.
                Err(error) if why.kind() == io::ErrorKind::NotFound => why = error,
                Err(_) => {}
            }
        }
        Err(why)
    }
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    [BrokenPipe, ConnectionReset, UnexpectedEof].contains(&error.kind())
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Connection {
    fn open(way: &Way) -> io::Result<Self> {
        let (Way::Private(path) | Way::Bus(path)) = way;
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut connection = Self { stream: BufReader::new(stream), serial: 0 };
        connection.authenticate()?;
        if let Way::Bus(_) = way {
            let hello = Call {
                destination: "org.freedesktop.DBus",
                path: "/org/freedesktop/DBus",
                interface: "org.freedesktop.DBus",
                method: "Hello",
                arguments: &[],
            };
            if let Some(Err(refusal)) = connection.ask(&[hello])?.pop() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, refusal));
            }
        }
        Ok(connection)
    }

    /// Says who we are, which the kernel vouches for.
    fn authenticate(&mut self) -> io::Result<()> {
        let user = hex(geteuid().to_string().as_bytes());
        let greeting = format!("\0AUTH EXTERNAL {user}\r\n");
        self.stream.get_mut().write_all(greeting.as_bytes())?;
        let mut line = String::new();
        (&mut self.stream).take(MOST_GREETING_BYTES).read_line(&mut line)?;
        if !line.starts_with("OK ") {
            let message = format!("D-Bus answers `{}` to who we are", line.trim_end());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        self.stream.get_mut().write_all(b"BEGIN\r\n")
    }

    fn ask(&mut self, calls: &[Call<'_>]) -> io::Result<Vec<Result<Value, String>>> {
        let mut answers = Vec::with_capacity(calls.len());
        for calls in calls.chunks(TOGETHER) {
            if self.serial > LAST_SERIAL {
                self.serial = 0;
            }
            let first = self.serial + 1;
            let mut out = Vec::new();
            for call in calls {
                self.serial += 1;
                wire::write(call, self.serial, &mut out);
            }
            self.stream.get_mut().write_all(&out)?;
            let mut open: Vec<Option<Result<Value, String>>> = vec![None; calls.len()];
            let mut missing = calls.len();
            while missing > 0 {
                let Some(answer) = self.receive()? else { continue };
                let place = answer.to.wrapping_sub(first) as usize;
                if let Some(place) = open.get_mut(place)
                    && place.is_none()
                {
                    *place = Some(answer.content);
                    missing -= 1;
                }
            }
            answers.extend(open.into_iter().flatten());
        }
        Ok(answers)
    }

    /// The next message, if it is an answer.
    fn receive(&mut self) -> io::Result<Option<wire::Answer>> {
        let mut message = vec![0; wire::FIXED_BYTES];
        self.stream.read_exact(&mut message)?;
        let length = wire::length(&message).ok_or_else(|| malformed("a message of D-Bus"))?;
        message.resize(length, 0);
        self.stream.read_exact(&mut message[wire::FIXED_BYTES..])?;
        wire::read(&message).ok_or_else(|| malformed("a message of D-Bus that says what it is of"))
    }
}
